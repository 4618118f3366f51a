//! One write that is refused: the fence's program, as it is installed, in a home of its own, in which another session lives
//! and somebody stands in the authority's place.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use stopgate_coordination::fence::{FenceAnswer, FenceVerdict, mode};
use stopgate_coordination::held::{self, HeldTree};
use stopgate_core::env::{self, Env};
use stopgate_core::fsx;
use stopgate_core::hook::{Hook, WireSet};
use stopgate_core::paths::{HOME_MARKER, Home};
use stopgate_core::session::{Harness, SessionKey};
use stopgate_core::switch::Mode;

use super::run::{Call, run};
use super::{DEADLINE, HookAnswer, payload, session_id};
use crate::wiring::Wiring;

/// What is answered.
const REASON: &str = "[stopgate] live check: this write is refused";
/// Most of a question that is read.
const MAX_QUESTION_BYTES: usize = 64 * 1024;

/// What the hook made of it.
#[derive(Debug, Clone)]
pub(crate) struct Denial {
    /// Its answer; anything but the refusal is a problem.
    pub(crate) answer: HookAnswer,
    pub(crate) milliseconds: f64,
}

/// Has the fence of `home` refuse a write, as `harness` runs it. `Err`: it could not be tried.
pub(crate) fn deny(environment: &dyn Env, home: &Home, harness: Harness) -> Result<Denial, String> {
    if environment.flag(env::STOPGATE_KILL) {
        return Err("STOPGATE_KILL is set".to_owned());
    }
    let scratch = tempfile::tempdir().map_err(|error| format!("there is no temporary directory: {error}"))?;
    let root = scratch.path().canonicalize().map_err(|error| error.to_string())?;
    let (made, tree) = (Home::at(root.join("home")), root.join("tree"));
    let session = session_id();
    furnish(home, &made, &tree, harness, &session).map_err(|error| error.to_string())?;
    let wiring = Wiring::with(harness, &made.bin(), &[WireSet::Coordination]).map_err(|error| error.to_string())?;
    let entry = wiring.entry("PreToolUse", Hook::WriteFence).ok_or("it has no such event")?;
    let listener = UnixListener::bind(made.socket()).map_err(|error| format!("no socket: {error}"))?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let (program, args) = entry.argv(harness);
    let variables: Vec<_> =
        [env::HOME, env::PATH].into_iter().filter_map(|name| Some((name, environment.os(name)?))).collect();
    let stdin = payload::of("PreToolUse:write", &session, &tree, "");
    let call = Call { command: &program, args: &args, cwd: &tree, variables: &variables, stdin: &stdin };
    let (is_over, over) = std::sync::mpsc::channel::<()>();
    let asked = &listener;
    let ran = std::thread::scope(|scope| {
        scope.spawn(move || answer(asked, &over));
        let ran = run(&call, DEADLINE);
        drop(is_over);
        ran
    });
    let milliseconds = (ran.took.as_secs_f64() * 10_000.0).round() / 10.0;
    let answer = match HookAnswer::of(&ran) {
        HookAnswer::Refused { reason } if reason == REASON => HookAnswer::Refused { reason },
        problem @ HookAnswer::Problem { .. } => problem,
        other => HookAnswer::Problem { problem: format!("it does not refuse: {}", other.shown()) },
    };
    Ok(Denial { answer, milliseconds })
}

/// A home with the program, on, and two sessions in `tree`.
fn furnish(real: &Home, made: &Home, tree: &Path, harness: Harness, session: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(tree)?;
    made.create()?;
    std::fs::create_dir_all(made.bin())?;
    std::fs::write(made.root().join(HOME_MARKER), "")?;
    let name = Hook::WriteFence.name();
    std::fs::copy(real.bin().join(name), made.bin().join(name))?;
    mode::write(made, Mode::Enforce)?;
    fsx::ensure_private_dir(&made.run())?;
    let sessions = [session, "another"].into_iter().filter_map(|id| SessionKey::new(harness, id)).collect();
    let trees = [HeldTree { tree: tree.to_owned(), sessions, leases: Vec::new() }];
    std::fs::write(held::file(made), held::render(&trees))
}

/// Refuses the first write that is asked about, until it is `over`.
fn answer(listener: &UnixListener, over: &std::sync::mpsc::Receiver<()>) {
    use std::sync::mpsc::RecvTimeoutError::Timeout;
    while over.recv_timeout(Duration::from_millis(1)) == Err(Timeout) {
        let Ok((mut stream, _)) = listener.accept() else { continue };
        let _ = stream.set_nonblocking(false);
        let _ = stream.set_read_timeout(Some(DEADLINE));
        let _ = stream.read(&mut vec![0; MAX_QUESTION_BYTES]);
        let refusal = FenceAnswer { verdict: FenceVerdict::Deny, text: REASON.to_owned() };
        let body = serde_json::to_string(&refusal).unwrap_or_default();
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        return;
    }
}
