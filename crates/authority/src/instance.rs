//! One authority a home: the lock it holds for its life, and the socket it serves on.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stopgate_core::clock::SystemClock;
use stopgate_core::env::{self, Env, ProcessEnv};
use stopgate_core::event_id::new_event_id;
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
        let mut file =
            fsx::open_regular(File::options().create(true).truncate(false).read(true).write(true), &home.lock())?;
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

impl Drop for InstanceLock {
    fn drop(&mut self) {
        // Closing alone is not enough: a child that was just forked has the file open until its program begins.
        let _ = self.file.unlock();
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
        let linked = std::fs::read_link(&direct).ok();
        clear(&direct)?;
        let (path, link) = if direct.as_os_str().as_bytes().len() <= MAX_SOCKET_PATH_BYTES {
            (direct, None)
        } else {
            (short_path(home, linked.as_deref(), environment)?, Some(direct))
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

/// A path short enough for a socket, in a private directory: of the person's run-time directory, or else of one that is
/// open to everybody, where somebody else may have been first. `linked` is where it was before. Clients follow the link
/// in the home, wherever that leads.
fn short_path(home: &Home, linked: Option<&Path>, environment: &dyn Env) -> io::Result<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let name = format!("{:016x}.sock", fnv1a(home.root().as_os_str().as_bytes()));
    let named = |variable| environment.text(variable).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let runtime = named(env::XDG_RUNTIME_DIR).filter(|dir| expect_private(dir, uid).is_ok());
    let shared: Vec<PathBuf> = named(env::TMPDIR).into_iter().chain([PathBuf::from("/tmp")]).collect();
    let before = linked.filter(|path| path.file_name() == Some(name.as_ref())).and_then(Path::parent);
    let own = format!("stopgate-{uid}");
    let known = runtime
        .map(|dir| dir.join("stopgate"))
        .into_iter()
        .chain(shared.iter().map(|base| base.join(&own)))
        .chain(before.map(Path::to_owned));
    // A name that nobody can have taken, where the usual one is somebody else's.
    let fresh = format!("{own}-{}", new_event_id(&SystemClock).rsplit('-').next().unwrap_or_default());
    let mut refused = Vec::new();
    for dir in known.chain(shared.iter().map(|base| base.join(&fresh))) {
        let path = dir.join(&name);
        let fits = path.as_os_str().as_bytes().len() <= MAX_SOCKET_PATH_BYTES;
        let made = if fits { fsx::ensure_private_dir(&dir) } else { Err(io::Error::other("too long")) };
        match made.and_then(|()| expect_private(&dir, uid)) {
            Ok(()) => return Ok(path),
            Err(error) => refused.push(format!("{}: {error}", dir.display())),
        }
    }
    Err(io::Error::other(format!(
        "the home's path is too long for a socket, and there is no private directory for a shorter one ({}): set \
         XDG_RUNTIME_DIR or TMPDIR to a directory of your own, or use a home whose path is shorter",
        refused.join("; ")
    )))
}

/// Refuses what is not a directory of the user `uid` that nobody else may enter (no bit for group or others), or a link.
fn expect_private(dir: &Path, uid: u32) -> io::Result<()> {
    let meta = std::fs::symlink_metadata(dir)?;
    if !meta.is_dir() {
        return Err(io::Error::other("not a directory"));
    }
    if meta.uid() != uid {
        return Err(io::Error::other(format!("belongs to user {}", meta.uid())));
    }
    if meta.mode().trailing_zeros() < 6 {
        return Err(io::Error::other("open to others"));
    }
    Ok(())
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

    #[test]
    fn a_socket_lies_in_no_directory_that_others_may_enter() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path().join("n".repeat(120)));
        let (temp, runtime) = (dir.path().join("tmp"), dir.path().join("run"));
        let own = temp.join(format!("stopgate-{}", rustix::process::geteuid().as_raw()));
        std::fs::create_dir_all(&own).unwrap();
        std::fs::create_dir_all(&runtime).unwrap();
        let set = |dir: &Path, mode| std::fs::set_permissions(dir, Permissions::from_mode(mode)).unwrap();
        set(&own, 0o755);
        set(&runtime, 0o755);
        let named = |path: &Path| path.to_str().unwrap().to_owned();
        let environment = MapEnv::of([(env::TMPDIR, &*named(&temp)), (env::XDG_RUNTIME_DIR, &*named(&runtime))]);
        let bind = || Socket::bind(&home, &environment).unwrap();
        let target = |home: &Home| home.socket_to_connect().unwrap().parent().unwrap().to_owned();

        let short = short_path(&home, None, &environment).unwrap();
        let fresh = short.parent().unwrap();
        let is_fresh = fresh.starts_with(&temp) && fresh != own || fresh.starts_with("/tmp");
        assert!(is_fresh, "{}", short.display());
        assert!(expect_private(fresh, rustix::process::geteuid().as_raw()).is_ok());
        assert_eq!(short_path(&home, Some(&short), &environment).unwrap().parent(), Some(fresh), "the same again");

        set(&runtime, 0o700);
        let (_listener, socket) = bind();
        assert_eq!(target(&home), runtime.join("stopgate"));
        drop(socket);
        set(&runtime, 0o755);
        set(&own, 0o700);
        let (_listener, _socket) = bind();
        assert_eq!(target(&home), own);
    }
}
