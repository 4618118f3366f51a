//! Who is on the other end of a connection, and the door they come through.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::SendFlags;
use stopgate_core::protocol::WAIT_HEADER;
use stopgate_protocol::CallerProcess;
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::connection::{Connection, LongSilence};
use crate::instance::{Place, Standing};
use crate::state::State;

/// How often the lock and the socket are looked at: two `stat` calls.
const WATCH: Duration = Duration::from_secs(3);

/// The process that connected.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Its pid, as the kernel noted it at connect; unknown for one of another pid namespace.
    pub(crate) pid: Option<u32>,
    /// A handle of its own on the connection, only to look at.
    stream: Option<Arc<OwnedFd>>,
    /// When it was accepted, in clock ticks since boot.
    connected_ticks: u64,
    /// Until when nobody says anything, if that is longer than usual.
    silence: LongSilence,
}

/// Whoever connected has ended since.
pub(crate) struct Ended;

/// A hold on the process that connected.
pub(crate) struct Held {
    handle: Option<OwnedFd>,
    connected_ticks: u64,
}

impl Held {
    /// Whether it still was the first process of `chain` when that had been looked at.
    pub(crate) fn still_runs(&self, chain: &[CallerProcess]) -> bool {
        let is_later = |process: &CallerProcess| process.start_ticks > self.connected_ticks;
        self.is_there() && !chain.first().is_some_and(is_later)
    }

    /// Whether it still runs, as far as that can be told.
    pub(crate) fn is_there(&self) -> bool {
        let Some(handle) = &self.handle else { return true };
        // A handle on a process can be read from once that has ended.
        let mut look = [PollFd::new(handle, PollFlags::IN)];
        let ended = poll(&mut look, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        matches!(ended, Ok(0))
    }
}

/// A handle on the process that connected (`SO_PEERPIDFD`, from Linux 6.5 on).
fn peer_handle(stream: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    const SO_PEERPIDFD: libc::c_int = 77;
    let mut handle: libc::c_int = -1;
    let mut length = libc::socklen_t::try_from(size_of_val(&handle)).unwrap_or(4);
    // SAFETY: the kernel writes one number of that length, which is a new handle that nobody else owns.
    #[expect(unsafe_code, reason = "rustix does not know this option")]
    unsafe {
        let done = libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut handle).cast(),
            &raw mut length,
        );
        if done == 0 && handle >= 0 {
            return Ok(OwnedFd::from_raw_fd(handle));
        }
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}

/// Clock ticks since boot, as processes are stamped with at their start.
fn ticks_now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    u64::try_from(now.tv_sec).unwrap_or(0) * per_second + nanos / (1_000_000_000 / per_second)
}

impl Peer {
    /// Somebody of whom nothing is known.
    pub(crate) fn unknown() -> Self {
        Self { pid: None, stream: None, connected_ticks: 0, silence: LongSilence::default() }
    }

    /// Takes hold of the process that connected, so that its number cannot become another's unnoticed.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn hold(&self) -> Result<Held, Ended> {
        let Some(stream) = &self.stream else {
            return Ok(Held { handle: None, connected_ticks: self.connected_ticks });
        };
        match peer_handle(stream.as_fd()) {
            Ok(handle) => Ok(Held { handle: Some(handle), connected_ticks: self.connected_ticks }),
            // The kernel knows it no more.
            Err(Errno::SRCH | Errno::INVAL | Errno::NODATA) => Err(Ended),
            // An older kernel has no handles of peers: then whoever began after it had connected is somebody else.
            Err(_) => Ok(Held { handle: None, connected_ticks: self.connected_ticks }),
        }
    }

    /// Tells whoever asked that the answer may take as long as `wait` from now on: an interim answer of HTTP, which stands on
    /// the connection before the answer itself. It has to be one that has asked for no more than this. `false` if it could
    /// not be told.
    pub(crate) fn announce(&self, wait: Duration) -> bool {
        let Some(stream) = &self.stream else { return false };
        let said = format!("HTTP/1.1 102 Processing\r\n{WAIT_HEADER}: {}\r\n\r\n", wait.as_millis());
        // Nothing was said on the connection before, so that there is room.
        let told = rustix::net::send(&**stream, said.as_bytes(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
        let is_told = told == Ok(said.len());
        if is_told {
            // The connection may be silent as long.
            let _ = self.silence.set(Instant::now() + wait + WATCH);
        }
        is_told
    }

    /// Whether whoever asked has closed the connection, or ended: nobody waits for the answer.
    pub(crate) fn is_gone(&self) -> bool {
        let Some(stream) = &self.stream else { return false };
        let mut look = [PollFd::new(stream, PollFlags::empty())];
        let seen = poll(&mut look, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        seen.is_ok() && look[0].revents().contains(PollFlags::HUP)
    }
}

/// A listener that hands out connections of this user (and of root) only. While it waits it looks after its socket:
/// a socket that was removed is bound again, and an authority that has lost its lock makes way.
pub(crate) struct OwnUserListener {
    // Before the listener: as long as that is open, the file's inode cannot be another's.
    place: Place,
    inner: UnixListener,
    watch: Interval,
    state: Arc<State>,
}

impl OwnUserListener {
    pub(crate) fn new(inner: UnixListener, place: Place, state: Arc<State>) -> Self {
        let mut watch = interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { place, inner, watch, state }
    }

    fn look_after_the_place(&mut self) {
        match self.place.standing() {
            Standing::Ours => {}
            Standing::LockLost => {
                tracing::warn!("the lock file is gone or another's: ending");
                self.state.stop.notify_one();
            }
            Standing::SocketLost => match self.place.bind_again() {
                Ok(listener) => {
                    tracing::warn!("the socket was gone or another's: bound again");
                    self.inner = listener;
                }
                Err(error) => tracing::error!(%error, "the socket is lost"),
            },
        }
    }
}

impl Listener for OwnUserListener {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        loop {
            // axum's own accept outlasts passing failures such as a full descriptor table.
            let accepted = tokio::select! {
                accepted = Listener::accept(&mut self.inner) => Some(accepted),
                _ = self.watch.tick() => None,
            };
            let Some((stream, _address)): Option<(UnixStream, SocketAddr)> = accepted else {
                self.look_after_the_place();
                continue;
            };
            let own = rustix::process::geteuid().as_raw();
            match stream.peer_cred() {
                Ok(credentials) if credentials.uid() == own || credentials.uid() == 0 => {
                    let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
                    let peer = Peer {
                        pid,
                        stream: stream.as_fd().try_clone_to_owned().ok().map(Arc::new),
                        connected_ticks: ticks_now(),
                        silence: LongSilence::default(),
                    };
                    return (Connection::new(stream, peer.silence.clone()), peer);
                }
                Ok(credentials) => tracing::warn!(uid = credentials.uid(), "connection of another user refused"),
                Err(error) => tracing::warn!(%error, "connection without credentials refused"),
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Peer> {
        Ok(Peer { pid: Some(std::process::id()), ..Peer::unknown() })
    }
}

impl Connected<IncomingStream<'_, OwnUserListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, OwnUserListener>) -> Self {
        stream.remote_addr().clone()
    }
}
