//! Where stopgate keeps things: one private directory a person.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::env::{self, Env};
use crate::fsx;

/// Longest socket path that is used directly. The kernel's limit is 108 bytes; some room is left for tools.
pub const MAX_SOCKET_PATH_BYTES: usize = 100;
/// A file of this name marks a directory as a stopgate home, so that a hook started from its `bin/` finds it
/// although the harness passes no `STOPGATE_HOME`.
pub const HOME_MARKER: &str = ".stopgate-home";

/// The run-time directory: `$STOPGATE_HOME`, else the home the running binary is installed in, else `~/.stopgate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

/// No usable home directory: neither `STOPGATE_HOME` nor `HOME` is an absolute path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoHome;

impl std::fmt::Display for NoHome {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("no home directory: set STOPGATE_HOME (or HOME) to an absolute path")
    }
}

impl std::error::Error for NoHome {}

impl Home {
    /// A home at `root`, without looking at the environment.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Finds the home from the environment and the path of the running binary.
    pub fn resolve(environment: &dyn Env, executable: impl FnOnce() -> Option<PathBuf>) -> Result<Self, NoHome> {
        if let Some(root) = environment.os(env::STOPGATE_HOME).filter(|root| !root.is_empty()) {
            let root = PathBuf::from(root);
            return if root.is_absolute() { Ok(Self { root }) } else { Err(NoHome) };
        }
        if let Some(root) = executable().and_then(|exe| installed_in(&exe)) {
            return Ok(Self { root });
        }
        match environment.os(env::HOME).map(PathBuf::from) {
            Some(home) if home.is_absolute() => Ok(Self { root: home.join(".stopgate") }),
            _ => Err(NoHome),
        }
    }

    /// [`Home::resolve`] for this process.
    pub fn of_process() -> Result<Self, NoHome> {
        Self::resolve(&env::ProcessEnv, || std::env::current_exe().ok())
    }

    /// The home that the running binary is installed in, whatever the environment says.
    pub fn installed() -> Option<Self> {
        installed_in(&std::env::current_exe().ok()?).map(Self::at)
    }

    /// Whether `other` is the same directory, by whatever path.
    pub fn is_same(&self, other: &Self) -> bool {
        let real = |home: &Self| home.root.canonicalize();
        self == other || real(self).ok().zip(real(other).ok()).is_some_and(|(one, other)| one == other)
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Installed binaries.
    pub fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// Socket, lock and heartbeats of the running authority.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The lock that the one authority holds for its life.
    pub fn lock(&self) -> PathBuf {
        self.root.join("run/authority.lock")
    }

    /// Where the authority's socket is, or where the link to it is when this path is too long for a socket.
    pub fn socket(&self) -> PathBuf {
        self.root.join("run/authority.sock")
    }

    /// The path a client connects to: [`Home::socket`], or what it links to when it is too long itself.
    pub fn socket_to_connect(&self) -> io::Result<PathBuf> {
        let path = self.socket();
        if path.as_os_str().as_bytes().len() <= MAX_SOCKET_PATH_BYTES {
            return Ok(path);
        }
        let target = std::fs::read_link(&path)?;
        if target.is_absolute() && target.as_os_str().as_bytes().len() <= MAX_SOCKET_PATH_BYTES {
            return Ok(target);
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket path is too long"))
    }

    /// The SQLite store.
    pub fn database(&self) -> PathBuf {
        self.root.join("stopgate.db")
    }

    /// One word: `off`, `shadow` or `enforce`.
    pub fn mode_file(&self) -> PathBuf {
        self.root.join("switches/mode")
    }

    /// One word, as [`Home::mode_file`]; absent while coordination was never turned on.
    pub fn fence_file(&self) -> PathBuf {
        self.root.join("switches/fence")
    }

    /// Present while the kill switch is on.
    pub fn kill_file(&self) -> PathBuf {
        self.root.join("switches/kill")
    }

    /// The modes of single rules, as JSON; absent while nobody has set one and none has lost its mode.
    pub fn rules_file(&self) -> PathBuf {
        self.root.join("switches/rules")
    }

    /// What was learned of the operator's grades, as JSON; absent where nothing was.
    pub fn correction_file(&self) -> PathBuf {
        self.root.join("learned/correction.json")
    }

    /// What counted before that, to go back to.
    pub fn correction_before(&self) -> PathBuf {
        self.root.join("learned/before.json")
    }

    /// One word: `off`, `dry-run` or `live`.
    pub fn reaper_file(&self) -> PathBuf {
        self.root.join("switches/reaper")
    }

    /// Requests that could not be delivered.
    pub fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// JSON-lines logs.
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Files whose modification times say when each hook last fired, delivered and failed.
    pub fn beats(&self) -> PathBuf {
        self.root.join("run/beats")
    }

    /// What the installer wrote, where.
    pub fn ledger(&self) -> PathBuf {
        self.root.join("ledger.json")
    }

    /// The version that the home was last brought to, on one line.
    pub fn version_file(&self) -> PathBuf {
        self.root.join("version")
    }

    /// Copies of every file the installer touched.
    pub fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    /// Creates the home and the directories in it that run-time state needs, all with mode 0700.
    pub fn create(&self) -> io::Result<()> {
        for dir in [self.root.clone(), self.run(), self.root.join("switches"), self.spool(), self.log(), self.beats()] {
            fsx::ensure_private_dir(&dir)?;
        }
        Ok(())
    }
}

/// The home whose `bin/` holds `executable`, if it carries the marker.
fn installed_in(executable: &Path) -> Option<PathBuf> {
    let bin = executable.parent()?;
    let root = bin.parent()?;
    (bin.file_name()? == "bin" && root.join(HOME_MARKER).exists()).then(|| root.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::MapEnv;

    #[test]
    fn the_variable_wins_over_the_binary_and_the_binary_over_home() {
        let dir = tempfile::tempdir().unwrap();
        let installed = dir.path().join("trial");
        std::fs::create_dir_all(installed.join("bin")).unwrap();
        let exe = installed.join("bin/stop-gate-router");
        let both = MapEnv::of([(env::STOPGATE_HOME, "/x"), (env::HOME, "/home/dev")]);
        let home_only = MapEnv::of([(env::HOME, "/home/dev")]);
        let find = |env: &MapEnv| Home::resolve(env, || Some(exe.clone())).unwrap().root().to_owned();

        assert_eq!(find(&both), Path::new("/x"));
        assert_eq!(find(&home_only), Path::new("/home/dev/.stopgate"), "no marker, not a home");
        std::fs::write(installed.join(HOME_MARKER), "").unwrap();
        assert_eq!(find(&home_only), installed);
    }

    #[test]
    fn relative_or_missing_homes_are_refused() {
        for env in [MapEnv::of([(env::STOPGATE_HOME, "rel")]), MapEnv::of([(env::HOME, "rel")]), MapEnv::default()] {
            assert_eq!(Home::resolve(&env, || None), Err(NoHome));
        }
    }

    #[test]
    fn a_long_socket_path_is_followed_to_its_short_target() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("n".repeat(120)));
        home.create().unwrap();
        assert!(home.socket_to_connect().is_err());
        std::os::unix::fs::symlink("/tmp/short.sock", home.socket()).unwrap();
        assert_eq!(home.socket_to_connect().unwrap(), Path::new("/tmp/short.sock"));
    }
}
