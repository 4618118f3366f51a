//! A server on loopback for the mocks of models: axum on a thread with a runtime of its own.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread::JoinHandle;

use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use futures_util::stream;
use serde_json::Value;
use tokio::sync::oneshot;

/// The largest request: a whole conversation of a client.
const MAX_BODY_BYTES: usize = 32 << 20;

/// A running server. It ends with the value, and waits for nobody: every connection is closed then.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    end: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on an ephemeral port of 127.0.0.1.
    pub(crate) fn start(router: Router) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("mock".into()).spawn(move || {
            let router = router.layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
            runtime.spawn(async move { axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await });
            // Until the sender is dropped; the runtime then drops whatever it was at.
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { address, end: Some(end), thread: Some(thread) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An answer of a mock.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A status and a JSON object.
    Json(u16, Value),
    /// Server-sent events, which end with the connection.
    Stream(String),
}

impl Answer {
    /// As it goes out.
    pub(crate) fn into_response(self) -> Response {
        match self {
            Self::Json(status, value) => {
                let status = axum::http::StatusCode::from_u16(status).unwrap();
                (status, Json(value)).into_response()
            }
            Self::Stream(events) => {
                let headers = [
                    (CONTENT_TYPE, "text/event-stream; charset=utf-8"),
                    (CACHE_CONTROL, "no-cache"),
                    (CONNECTION, "close"),
                ];
                // Event by event, as a model would.
                let events: Vec<_> =
                    events.split_inclusive("\n\n").map(str::to_owned).map(Ok::<_, Infallible>).collect();
                (headers, Body::from_stream(stream::iter(events))).into_response()
            }
        }
    }
}
