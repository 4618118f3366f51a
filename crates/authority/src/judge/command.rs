//! A judge that is a program: the prompt on its standard input, the answer on its standard output.
//!
//! It gets a scrubbed environment with the recursion guard, an empty directory to stand in, and a process group of
//! its own, which is killed when it has answered, when it says too much, or at the deadline, whichever comes first.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Instant;

use stopgate_config::JudgeConfig;
use stopgate_core::env::{self, Env};
use stopgate_core::fsx;
use stopgate_core::paths::Home;
use stopgate_core::subprocess::{self, Ending, ProgramLimits};
use stopgate_gate::judge::{FailureKind, JudgeFailure, JudgePrompt};

use super::MAX_OUTPUT_BYTES;

/// What every judge is given of the authority's environment.
const PASSED: [&str; 5] = [env::PATH, env::HOME, env::USER, env::LANG, env::TMPDIR];
/// How much of what it prints to its standard error is kept for the log.
const MAX_COMPLAINT_BYTES: usize = 4 * 1024;

/// Asks the program of `judge`; its whole output.
pub(super) fn ask(
    environment: &dyn Env,
    home: &Home,
    judge: &JudgeConfig,
    prompt: &JudgePrompt,
    deadline: Instant,
) -> Result<Vec<u8>, JudgeFailure> {
    let unavailable = |what: String| JudgeFailure::new(FailureKind::Unavailable, &what);
    let Some((program, arguments)) = judge.command.split_first() else {
        return Err(unavailable("judge.command names no program".to_owned()));
    };
    let place = empty_directory(home).map_err(|error| unavailable(format!("run/judge: {error}")))?;
    let input = input(&prompt.whole()).map_err(|error| unavailable(format!("its input: {error}")))?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(place).env_clear();
    let names = PASSED.into_iter().chain(judge.pass_env.iter().map(String::as_str));
    command.envs(names.filter_map(|name| Some((name, environment.os(name)?))));
    command.env(env::STOPGATE_JUDGE, "1");
    command.stdin(input);
    let limits =
        ProgramLimits { deadline, stdout_bytes: MAX_OUTPUT_BYTES, stderr_bytes: MAX_COMPLAINT_BYTES, alone: true };
    let ended = subprocess::finish(command, &limits)
        .map_err(|error| unavailable(format!("{program} cannot be started: {error}")))?;
    let said = |what: String| match String::from_utf8_lossy(&ended.stderr).trim() {
        "" => what,
        complaint => format!("{what}: {complaint}"),
    };
    match ended.ending {
        Ending::Deadline => Err(JudgeFailure::new(FailureKind::Timeout, &said("killed at the deadline".into()))),
        Ending::TooMuch => {
            let what = format!("{program} printed more than {MAX_OUTPUT_BYTES} bytes");
            Err(JudgeFailure::new(FailureKind::Malformed, &what))
        }
        Ending::Exited(status) if status.success() => Ok(ended.stdout),
        Ending::Exited(status) => Err(unavailable(said(format!("{program} {}", described(status))))),
        Ending::Lost => Err(unavailable(format!("{program} was lost sight of"))),
    }
}

fn described(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// A directory of our own with nothing in it: a program that looks around finds no project, and no instructions that
/// an earlier one left.
fn empty_directory(home: &Home) -> io::Result<PathBuf> {
    let place = home.run().join("judge");
    fsx::ensure_private_dir(&place)?;
    if !std::fs::symlink_metadata(&place)?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, "not a directory: move it away"));
    }
    for entry in std::fs::read_dir(&place)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { remove_tree(&entry.path())? } else { std::fs::remove_file(entry.path())? }
    }
    Ok(place)
}

/// Two judges at once may clear the same directory.
fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The prompt as a file without a name: a program that does not read it blocks nobody, and nothing lies on disk.
fn input(prompt: &str) -> io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("prompt", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(prompt.as_bytes())?;
    file.rewind()?;
    Ok(file)
}
