//! One authority a home: the lock it holds for its life, and the socket it serves on.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use stopgate_core::env::{self, Env};
use stopgate_core::fsx;
use stopgate_core::paths::{Home, MAX_SOCKET_PATH_BYTES};

/// Why the lock is not ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another authority lives.
    #[error("another authority runs already{}", .0.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Held(Option<u32>),
    /// The file system refused.
    #[error("lock file: {0}")]
    Io(#[from] io::Error),
}

/// The held lock. It is released when the process ends, however it ends.
pub(crate) struct InstanceLock {
    _file: File,
}

impl InstanceLock {
    /// Takes the lock and writes the own pid into it, for people.
    pub(crate) fn take(home: &Home) -> Result<Self, LockError> {
        let options = || {
            let mut options = File::options();
            options.create(true).truncate(false).read(true).write(true).mode(0o600);
            options
        };
        let mut file = options().open(home.lock())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Err(LockError::Held(text.trim().parse().ok()));
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

/// The listening socket; removed when it is dropped.
pub(crate) struct Socket {
    path: PathBuf,
    link: Option<PathBuf>,
}

impl Socket {
    /// Binds the home's socket, mode 0600, replacing a stale one. Only whoever holds the lock may call this.
    pub(crate) fn bind(home: &Home, environment: &dyn Env) -> io::Result<(UnixListener, Self)> {
        let direct = home.socket();
        clear(&direct)?;
        let (path, link) = if direct.as_os_str().as_bytes().len() <= MAX_SOCKET_PATH_BYTES {
            (direct, None)
        } else {
            (short_path(home, environment)?, Some(direct))
        };
        clear(&path)?;
        let listener = UnixListener::bind(&path)?;
        let socket = Self { path, link };
        std::fs::set_permissions(&socket.path, std::fs::Permissions::from_mode(0o600))?;
        if let Some(link) = &socket.link {
            symlink(&socket.path, link)?;
        }
        listener.set_nonblocking(true)?;
        Ok((listener, socket))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        for path in self.link.iter().chain([&self.path]) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Removes what an authority that ended badly left behind; anything else in the place is somebody's and stays.
fn clear(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(meta) if meta.file_type().is_socket() || meta.file_type().is_symlink() => std::fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} is in the way and is not a socket: move it away", path.display()),
        )),
    }
}

/// A path short enough for a socket, in a private directory below the temp directory.
fn short_path(home: &Home, environment: &dyn Env) -> io::Result<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let name = format!("{:016x}.sock", fnv1a(home.root().as_os_str().as_bytes()));
    let temp = environment.text(env::TMPDIR).map(PathBuf::from).filter(|dir| dir.is_absolute());
    for base in temp.into_iter().chain([PathBuf::from("/tmp")]) {
        let dir = base.join(format!("stopgate-{uid}"));
        let path = dir.join(&name);
        if path.as_os_str().as_bytes().len() > MAX_SOCKET_PATH_BYTES || fsx::ensure_private_dir(&dir).is_err() {
            continue;
        }
        // The temp directory is open to everybody: the directory must be ours, private (no bit for group or
        // others), and no link.
        let meta = std::fs::symlink_metadata(&dir)?;
        if meta.is_dir() && meta.uid() == uid && meta.mode().trailing_zeros() >= 6 {
            return Ok(path);
        }
    }
    Err(io::Error::other("no private directory for a short socket path below the temp directory"))
}

/// 64-bit FNV-1a: stable across versions, which `std`'s hashes are not.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::env::MapEnv;

    fn home(root: PathBuf) -> Home {
        let home = Home::at(root);
        home.create().unwrap();
        home
    }

    #[test]
    fn the_lock_is_held_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path().join("h"));
        let held = InstanceLock::take(&home).unwrap();
        let second = InstanceLock::take(&home);
        assert!(matches!(second, Err(LockError::Held(Some(pid))) if pid == std::process::id()));
        drop(held);
        assert!(InstanceLock::take(&home).is_ok());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_stranger_in_its_place_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path().join("h"));
        drop(UnixListener::bind(home.socket()).unwrap());
        let (_listener, socket) = Socket::bind(&home, &MapEnv::default()).unwrap();
        assert_eq!(std::fs::metadata(home.socket()).unwrap().mode() & 0o777, 0o600);
        drop(socket);
        assert!(!home.socket().exists());
        std::fs::create_dir(home.socket()).unwrap();
        assert!(Socket::bind(&home, &MapEnv::default()).is_err());
        assert!(home.socket().is_dir());
    }

    #[test]
    fn a_long_home_gets_a_short_socket_and_a_link_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path().join("é".repeat(60)));
        let environment = MapEnv::of([(env::TMPDIR, dir.path().to_str().unwrap())]);
        let (_listener, socket) = Socket::bind(&home, &environment).unwrap();
        let target = home.socket_to_connect().unwrap();
        assert!(target.starts_with(dir.path()) && target.exists());
        drop(socket);
        assert!(!target.exists() && home.socket().symlink_metadata().is_err());
    }
}
