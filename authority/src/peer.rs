//! Who is on the other end of a connection.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};

/// The process that connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its pid, as the kernel noted it at connect.
    pub(crate) pid: Option<u32>,
}

/// A listener that hands out connections of this user (and of root) only.
pub(crate) struct OwnUserListener {
    inner: UnixListener,
}

impl OwnUserListener {
    pub(crate) fn new(inner: UnixListener) -> Self {
        Self { inner }
    }
}

impl Listener for OwnUserListener {
    type Io = UnixStream;
    type Addr = Peer;

    async fn accept(&mut self) -> (UnixStream, Peer) {
        loop {
            // axum's own accept outlasts passing failures such as a full descriptor table.
            let (stream, _address): (UnixStream, SocketAddr) = Listener::accept(&mut self.inner).await;
            let own = rustix::process::geteuid().as_raw();
            match stream.peer_cred() {
                Ok(credentials) if credentials.uid() == own || credentials.uid() == 0 => {
                    let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok());
                    return (stream, Peer { pid });
                }
                Ok(credentials) => tracing::warn!(uid = credentials.uid(), "connection of another user refused"),
                Err(error) => tracing::warn!(%error, "connection without credentials refused"),
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Peer> {
        Ok(Peer { pid: Some(std::process::id()) })
    }
}

impl Connected<IncomingStream<'_, OwnUserListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, OwnUserListener>) -> Self {
        *stream.remote_addr()
    }
}
