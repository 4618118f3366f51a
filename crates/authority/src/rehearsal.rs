//! The authority without its socket and without what it does on its own: given the bytes that a connection brings, it
//! answers with the bytes that a connection carries back. The same server, routes and connection as in [`crate::run`].

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use stopgate_core::paths::Home;
use tokio::runtime::{Builder, Runtime};

use crate::connection::{Connection, LongSilence};
use crate::peer::Peer;
use crate::routes;
use crate::state::State;

/// An authority that answers whoever calls it directly.
pub struct Rehearsal {
    runtime: Runtime,
    state: Arc<State>,
}

impl Rehearsal {
    /// The authority of `home`. Fails when the directories or the runtime cannot be made.
    pub fn at(home: &Home) -> io::Result<Self> {
        home.create()?;
        let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(4).enable_all().build()?;
        Ok(Self { runtime, state: State::open(home.clone()) })
    }

    /// What comes back on a connection that brings `bytes`. Whoever sent them hangs up when nothing comes for `quiet`,
    /// and gives up when the server has not done so too within `patience`.
    pub fn answer(&self, bytes: &[u8], quiet: Duration, patience: Duration) -> io::Result<Vec<u8>> {
        let (mut asker, server) = UnixStream::pair()?;
        server.set_nonblocking(true)?;
        let connection = {
            let _inside = self.runtime.enter();
            Connection::new(tokio::net::UnixStream::from_std(server)?, LongSilence::default())
        };
        let service = routes::router(Arc::clone(&self.state)).into_make_service_with_connect_info::<Peer>();
        let serving = self.runtime.spawn(axum::serve(One(Some(connection)), service).into_future());
        let until = Instant::now() + patience;
        let answered = converse(&mut asker, bytes, quiet, until);
        serving.abort();
        answered
    }
}

fn converse(asker: &mut UnixStream, bytes: &[u8], quiet: Duration, until: Instant) -> io::Result<Vec<u8>> {
    asker.set_read_timeout(Some(quiet))?;
    asker.set_write_timeout(Some(quiet))?;
    // A server that has heard enough closes early; what it said before is to be read all the same.
    let _ = asker.write_all(bytes);
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    let mut hung_up = false;
    loop {
        match asker.read(&mut chunk) {
            Ok(0) => return Ok(answer),
            Ok(count) => answer.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(answer),
            // A signal (libFuzzer looks at the clock by one) is no silence.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if Instant::now() >= until {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                if !hung_up {
                    let _ = asker.shutdown(Shutdown::Write);
                    hung_up = true;
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// A listener with one connection.
struct One(Option<Connection>);

impl Listener for One {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        match self.0.take() {
            Some(connection) => (connection, Peer::unknown()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer::unknown())
    }
}

impl Connected<IncomingStream<'_, One>> for Peer {
    fn connect_info(stream: IncomingStream<'_, One>) -> Self {
        stream.remote_addr().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(bytes: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let authority = Rehearsal::at(&Home::at(dir.path().join("home"))).unwrap();
        String::from_utf8(authority.answer(bytes, Duration::from_secs(2), Duration::from_secs(20)).unwrap()).unwrap()
    }

    #[test]
    fn a_whole_request_is_answered_and_half_a_one_is_not() {
        let answer = ask(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with('}'), "{answer}");
        assert_eq!(ask(b"GET /health HTT"), "");
        assert!(ask(b"\x00\x01\r\n\r\n").starts_with("HTTP/1.1 400 "));
    }
}
