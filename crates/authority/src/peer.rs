//! Who is on the other end of a connection, and the door they come through.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::connection::Connection;
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
}

impl Peer {
    /// Somebody of whom nothing is known.
    pub(crate) const fn unknown() -> Self {
        Self { pid: None, stream: None }
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
                    let peer = Peer { pid, stream: stream.as_fd().try_clone_to_owned().ok().map(Arc::new) };
                    return (Connection::new(stream), peer);
                }
                Ok(credentials) => tracing::warn!(uid = credentials.uid(), "connection of another user refused"),
                Err(error) => tracing::warn!(%error, "connection without credentials refused"),
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Peer> {
        Ok(Peer { pid: Some(std::process::id()), stream: None })
    }
}

impl Connected<IncomingStream<'_, OwnUserListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, OwnUserListener>) -> Self {
        stream.remote_addr().clone()
    }
}
