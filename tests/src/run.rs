//! Runs one process with a scrubbed environment and a limit on its life.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use stopgate_core::subprocess;

/// What no process of a test may exceed. Far above every deadline of the product: it tells a hang from a slow
/// machine, and is no measurement.
pub const HANG: Duration = Duration::from_mins(1);

/// How a process is fed.
#[derive(Debug, Clone)]
pub enum Stdin {
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// These bytes, and the pipe stays open until the process has ended.
    NeverClosed(Vec<u8>),
}

impl From<&str> for Stdin {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

/// `command` with its arguments, variables and directory, run by `wrapper`, which ends by becoming it or starts it.
pub fn under<S: AsRef<OsStr>>(wrapper: &[S], command: &Command) -> Command {
    let mut done = Command::new(&wrapper[0]);
    done.args(&wrapper[1..]).arg(command.get_program()).args(command.get_args()).env_clear();
    done.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = command.get_current_dir() {
        done.current_dir(dir);
    }
    done
}

/// What surely fits into a pipe that nobody reads from.
const PIPE_BYTES: usize = 64 * 1024;

/// Runs `command` to its end. Panics if it outlives [`HANG`]; it is killed by its own process group then.
pub fn finish(mut command: Command, stdin: Stdin) -> Output {
    match stdin {
        // As a harness does it, which writes at once: not by a thread that a loaded machine may start late.
        Stdin::Bytes(bytes) if bytes.len() <= PIPE_BYTES => {
            let (input, mut filled) = std::io::pipe().unwrap();
            filled.write_all(&bytes).unwrap();
            drop(filled);
            finish_fed(command.stdin(input), None, |_| (), |_| ())
        }
        stdin => finish_while(command, stdin, |_| (), |_| ()),
    }
}

/// [`finish`], with something done to the process (by its pid) before it is fed, and something while it runs.
pub fn finish_while(
    mut command: Command,
    stdin: Stdin,
    before_input: impl FnOnce(u32),
    meanwhile: impl FnOnce(u32),
) -> Output {
    finish_fed(command.stdin(Stdio::piped()), Some(stdin), before_input, meanwhile)
}

/// [`finish_while`]; without `stdin`, `command` has its input already.
fn finish_fed(
    command: &mut Command,
    stdin: Option<Stdin>,
    before_input: impl FnOnce(u32),
    meanwhile: impl FnOnce(u32),
) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let shown = format!("{command:?}");
    // A script that this test has just written may be open in a child of another test's.
    let child = subprocess::start(command, Instant::now() + HANG);
    let mut child = child.unwrap_or_else(|error| panic!("cannot run {shown}: {error}"));
    let pid = child.id();
    let input = child.stdin.take();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    before_input(pid);
    let feeder = std::thread::spawn(move || {
        let (mut input, stdin) = input.zip(stdin)?;
        let (bytes, keep) = match stdin {
            Stdin::Bytes(bytes) => (bytes, false),
            Stdin::NeverClosed(bytes) => (bytes, true),
        };
        // A hook need not read its input.
        let _ = input.write_all(&bytes);
        keep.then_some(input)
    });
    meanwhile(pid);
    let (ended, waiting) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let status = child.wait();
        let _ = ended.send(());
        status
    });
    let collect = |pipe: &mut dyn Read| {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    };
    let errors = std::thread::spawn(move || collect(&mut stderr));
    let output = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stdout.read_to_end(&mut bytes);
        bytes
    });
    if waiting.recv_timeout(HANG).is_err() {
        let group = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        panic!("{shown} hangs");
    }
    let status = waiter.join().unwrap().unwrap();
    drop(feeder.join());
    Output { status, stdout: output.join().unwrap(), stderr: errors.join().unwrap() }
}

/// Looks again and again until `found` has something, or [`HANG`] is over.
pub fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = std::time::Instant::now() + HANG;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(std::time::Instant::now() < until, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
