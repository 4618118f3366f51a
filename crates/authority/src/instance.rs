//! One authority a home: the lock it holds for its life, and the socket it serves on.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stopgate_core::env::{self, Env, ProcessEnv};
use stopgate_core::holder::{Holder, is_same_file, own_text};
use stopgate_core::paths::{Home, MAX_SOCKET_PATH_BYTES};
use stopgate_core::{fsx, lock};

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

/// How long a busy lock is waited for: whoever asks whether it is held takes it for a moment, and so does the child of an
/// authority that was killed between `fork` and `execve`.
const PATIENCE: Duration = Duration::from_millis(500);

/// The held lock. It is released when the process ends, however it ends.
pub(crate) struct InstanceLock {
    file: File,
    path: PathBuf,
}

impl InstanceLock {
    /// Takes the lock and writes into it who holds it.
    pub(crate) fn take(home: &Home) -> Result<Self, LockError> {
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let mut file = options.open(home.lock())?;
        if !lock::take(&file, Instant::now() + PATIENCE)? {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            return Err(LockError::Held(Holder::parse(&text).pid));
        }
        // For people and for `authority stop`. A full disk is no reason not to serve.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(own_text().as_bytes()));
        Ok(Self { file, path: home.lock() })
    }

    /// Whether the file that others try to lock is the one that is held. Doubt means yes.
    fn is_ours(&self) -> bool {
        self.file.metadata().and_then(|held| is_same_file(&self.path, &held)).unwrap_or(true)
    }
}

/// The listening socket's file; removed when it is dropped, if it is still the one that was made.
struct Socket {
    path: PathBuf,
    made: Metadata,
    link: Option<(PathBuf, Metadata)>,
}

impl Socket {
    /// Binds the home's socket, mode 0600, replacing a stale one.
    fn bind(home: &Home, environment: &dyn Env) -> io::Result<(UnixListener, Self)> {
        let direct = home.socket();
        clear(&direct)?;
        let (path, link) = if direct.as_os_str().as_bytes().len() <= MAX_SOCKET_PATH_BYTES {
            (direct, None)
        } else {
            (short_path(home, environment)?, Some(direct))
        };
        clear(&path)?;
        let listener = UnixListener::bind(&path)?;
        let made = std::fs::symlink_metadata(&path)?;
        let mut socket = Self { path, made, link: None };
        std::fs::set_permissions(&socket.path, Permissions::from_mode(0o600))?;
        if let Some(link) = link {
            symlink(&socket.path, &link)?;
            let made = std::fs::symlink_metadata(&link)?;
            socket.link = Some((link, made));
        }
        listener.set_nonblocking(true)?;
        Ok((listener, socket))
    }

    fn files(&self) -> impl Iterator<Item = (&Path, &Metadata)> {
        let link = self.link.iter().map(|(link, made)| (link.as_path(), made));
        link.chain([(self.path.as_path(), &self.made)])
    }

    /// Whether clients still find this socket. Doubt means yes.
    fn is_ours(&self) -> bool {
        self.files().all(|(path, made)| is_same_file(path, made).unwrap_or(true))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        for (path, made) in self.files() {
            // Another authority may have put its own there.
            if is_same_file(path, made).unwrap_or(false) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// How the place of an authority is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Clients find this authority, and no other can start.
    Ours,
    /// The lock file was removed or replaced: another authority can start, or has.
    LockLost,
    /// Only the socket was removed or replaced: clients do not find this authority.
    SocketLost,
}

/// The place that an authority holds: the lock that keeps others out, and the socket that lets clients in.
pub(crate) struct Place {
    home: Home,
    socket: Socket,
    lock: Arc<InstanceLock>,
}

impl Place {
    /// Binds the home's socket. Only whoever holds the lock may.
    pub(crate) fn bind(
        home: &Home,
        lock: Arc<InstanceLock>,
        environment: &dyn Env,
    ) -> io::Result<(UnixListener, Self)> {
        let (listener, socket) = Socket::bind(home, environment)?;
        Ok((listener, Self { home: home.clone(), socket, lock }))
    }

    /// How the place is now.
    pub(crate) fn standing(&self) -> Standing {
        if !self.lock.is_ours() {
            Standing::LockLost
        } else if self.socket.is_ours() {
            Standing::Ours
        } else {
            Standing::SocketLost
        }
    }

    /// Binds the socket again; what listened until now leads nowhere.
    pub(crate) fn bind_again(&mut self) -> io::Result<tokio::net::UnixListener> {
        let (listener, socket) = Socket::bind(&self.home, &ProcessEnv)?;
        self.socket = socket;
        tokio::net::UnixListener::from_std(listener)
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
    fn the_place_is_watched_and_only_what_was_made_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path().join("h"));
        let lock = Arc::new(InstanceLock::take(&home).unwrap());
        let (_listener, place) = Place::bind(&home, lock, &MapEnv::default()).unwrap();
        assert_eq!(place.standing(), Standing::Ours);
        std::fs::remove_file(home.socket()).unwrap();
        assert_eq!(place.standing(), Standing::SocketLost);
        let _other = UnixListener::bind(home.socket()).unwrap();
        assert_eq!(place.standing(), Standing::SocketLost);
        std::fs::remove_file(home.lock()).unwrap();
        assert_eq!(place.standing(), Standing::LockLost);
        std::fs::write(home.lock(), "").unwrap();
        assert_eq!(place.standing(), Standing::LockLost);
        drop(place);
        assert!(home.socket().exists(), "it is another's");
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
