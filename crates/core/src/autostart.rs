//! Starts the authority in the background, on demand, by whoever finds it absent.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::env::{self, Env};
use crate::fsx;
use crate::paths::Home;

/// Name of the program that contains the authority.
pub const PROGRAM: &str = "stopgate";

/// Name of the program that migrates.
pub const INSTALLER: &str = "installer";

/// Longest version that is believed.
const MAX_VERSION_BYTES: u64 = 64;
/// Longest account of a failed start that is read.
const MAX_PROBLEM_BYTES: u64 = 4 * 1024;

/// Where an authority that could not start in the background leaves the reason: nobody reads its stderr.
pub fn problem_file(home: &Home) -> PathBuf {
    home.run().join("authority.problem")
}

/// Why the last start in the background failed, if it did.
pub fn problem(home: &Home) -> Option<String> {
    let text = fsx::read_regular_text(&problem_file(home), MAX_PROBLEM_BYTES).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// What came of an attempt to start the authority.
#[derive(Debug)]
pub enum Autostart {
    /// A process was started; whether it will serve is its own affair (another may hold the lock already).
    Started(Child),
    /// `STOPGATE_NO_AUTOSTART` forbids it.
    Forbidden,
    /// The program is neither beside the running binary nor in the home's `bin/`.
    NoProgram,
    /// The system refused.
    Failed(io::Error),
}

/// Starts `stopgate authority run --detached` without any of the caller's file handles or variables: a harness
/// waits for whoever holds its hook's stdout open, and its environment holds keys.
pub fn autostart(environment: &dyn Env, home: &Home) -> Autostart {
    if environment.flag(env::STOPGATE_NO_AUTOSTART) {
        return Autostart::Forbidden;
    }
    let Some(program) = program(home) else {
        return Autostart::NoProgram;
    };
    match detached(environment, home, &program).args(["authority", "run", "--detached"]).spawn() {
        Ok(child) => Autostart::Started(child),
        Err(error) => Autostart::Failed(error),
    }
}

/// Starts `installer migrate --quiet` in the background if the home was last brought to another version than this
/// program's. A home of which no version is written down was not made by an installer that migrates.
pub fn migrate_if_outdated(environment: &dyn Env, home: &Home) {
    let Ok(version) = fsx::read_regular_text(&home.version_file(), MAX_VERSION_BYTES) else { return };
    if version.trim() == crate::VERSION || environment.flag(env::STOPGATE_NO_AUTOSTART) {
        return;
    }
    // Its result is in `run/migrate.json`; a hook has nobody to tell.
    let _ = detached(environment, home, &home.bin().join(INSTALLER)).args(["migrate", "--quiet"]).spawn();
}

/// `program` with none of the caller's file handles, and of its environment only what says where things are.
fn detached(environment: &dyn Env, home: &Home, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env(env::STOPGATE_HOME, home.root());
    // In a test, the world begins for it where it does for the test, and takes as long. One by one: a released program has not
    // even their names in it.
    if let Some(top) = env::made_up(env::STOPGATE_TOP) {
        command.env(env::STOPGATE_TOP, top);
    }
    if let Some(times) = env::made_up(env::STOPGATE_PATIENCE) {
        command.env(env::STOPGATE_PATIENCE, times);
    }
    for name in [env::HOME, env::PATH, env::TMPDIR, env::USER, env::XDG_RUNTIME_DIR] {
        if let Some(value) = environment.os(name) {
            command.env(name, value);
        }
    }
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The program: the installed one, or else the one beside the running one.
pub fn program(home: &Home) -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(PROGRAM)));
    [Some(home.bin().join(PROGRAM)), beside].into_iter().flatten().find(|path| path.is_file())
}
