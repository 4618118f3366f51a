//! The authority's process: lock, socket, routes, and a graceful end.

use std::fs::OpenOptions;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use stopgate_core::env::ProcessEnv;
use stopgate_core::paths::Home;
use stopgate_core::process::{ProcFs, identify};
use stopgate_core::{VERSION, autostart, fsx, startup};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::instance::{InstanceLock, LockError, Place};
use crate::peer::{OwnUserListener, Peer};
use crate::state::State;
use crate::{fence, leases, reaper, retention, routes, spooled};

/// How long the end waits for requests that were taken in, and for stops that are being judged.
const DRAIN: Duration = Duration::from_secs(3);
/// The log is renamed at start when it has grown to this; one old file is kept.
const ROTATE_BYTES: u64 = 4 * 1024 * 1024;

/// How to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions {
    /// In the background: leave the caller's session and log to `log/authority.jsonl` instead of stderr.
    pub detached: bool,
}

/// Why the authority does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another one does.
    #[error("{0}")]
    AlreadyRunning(String),
    /// It would not see whoever asks it.
    #[error(
        "an authority is not started here: this is a sandbox without a /proc of its own processes, so that it could not \
         tell an agent from its person; start it outside of the sandbox, with `stopgate authority start`"
    )]
    Blind,
    /// The system refused.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        error: io::Error,
    },
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> RunError {
    let what = what.into();
    move |error| RunError::Io { what, error }
}

/// Runs the authority of `home` until it is asked to stop.
pub fn run(home: &Home, options: RunOptions) -> Result<(), RunError> {
    let done = hold_and_serve(home, options);
    // Nobody reads the stderr of a detached one; another one's success is no problem.
    if let Err(error) = &done
        && options.detached
    {
        tracing::error!(%error, "ended");
        if !matches!(error, RunError::AlreadyRunning(_)) {
            let _ = fsx::write_atomic(&autostart::problem_file(home), format!("{error}\n").as_bytes(), 0o600);
        }
    }
    done
}

fn hold_and_serve(home: &Home, options: RunOptions) -> Result<(), RunError> {
    startup::survive_size_limit();
    if options.detached {
        // Not to be killed with the process group of the hook that started it, and nobody shall wait for us.
        let _ = rustix::process::setsid();
        close_inherited();
    }
    home.create().map_err(failed(format!("cannot create {}", home.root().display())))?;
    if is_blind() {
        return Err(RunError::Blind);
    }
    let lock = InstanceLock::take(home).map_err(|error| match error {
        LockError::Held(_) => RunError::AlreadyRunning(error.to_string()),
        LockError::Io(error) => failed(home.lock().display().to_string())(error),
    })?;
    let lock = Arc::new(lock);
    log_to(home, options);
    let (listener, place) = Place::bind(home, Arc::clone(&lock), &ProcessEnv)
        .map_err(failed(format!("cannot listen on {}", home.socket().display())))?;
    let _ = std::fs::remove_file(autostart::problem_file(home));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(16)
        .build()
        .map_err(failed("cannot start the runtime"))?;
    let ended = runtime.block_on(serve(home, listener, place));
    match ended {
        // Work that outlasts the graceful end is git processes, which have deadlines of their own.
        Ok(ServeEnding::Graceful) | Err(_) => runtime.shutdown_timeout(Duration::from_millis(500)),
        Ok(ServeEnding::AtOnce) => runtime.shutdown_background(),
    }
    tracing::info!("stopped");
    drop(lock);
    ended.map(|_| ())
}

/// Whether `/proc` does not show this process by the number that the kernel knows it by: it is another namespace's, or
/// something else was mounted over it. Whoever asks would be seen as little.
fn is_blind() -> bool {
    !ProcFs::has_own_numbers() || identify(&ProcFs, std::process::id()).is_none()
}

/// Closes every handle that came from whoever started this process, except the standard ones (which are null).
fn close_inherited() {
    const FIRST_BEYOND_STANDARD: i32 = 3;
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // The listing's own handle is among them, and closed by now.
    let still_open = |handle: &i32| std::fs::symlink_metadata(format!("/proc/self/fd/{handle}")).is_ok();
    for handle in open.into_iter().filter(|handle| *handle >= FIRST_BEYOND_STANDARD).filter(still_open) {
        // SAFETY: runs before this process has opened anything that it keeps.
        #[expect(unsafe_code, reason = "handles that nobody here owns can only be closed by number")]
        unsafe {
            rustix::io::close(handle);
        }
    }
}

fn log_to(home: &Home, options: RunOptions) {
    if !options.detached {
        tracing_subscriber::fmt().with_writer(io::stderr).with_target(false).init();
        return;
    }
    let path = home.log().join("authority.jsonl");
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() >= ROTATE_BYTES) {
        let _ = std::fs::rename(&path, home.log().join("authority.jsonl.1"));
    }
    // Something else may be in its place: nobody goes unguarded for want of a log.
    match fsx::open_regular(OpenOptions::new().create(true).append(true), &path) {
        Ok(file) => tracing_subscriber::fmt().json().with_writer(Arc::new(file)).with_target(false).init(),
        Err(_) => tracing_subscriber::fmt().with_writer(io::sink).with_target(false).init(),
    }
}

/// How serving ended.
#[derive(Clone, Copy)]
enum ServeEnding {
    /// What was taken in was finished, as far as that was possible within [`DRAIN`].
    Graceful,
    /// A second signal.
    AtOnce,
}

async fn serve(home: &Home, listener: std::os::unix::net::UnixListener, place: Place) -> Result<ServeEnding, RunError> {
    let listener = tokio::net::UnixListener::from_std(listener).map_err(failed("cannot use the socket"))?;
    let mut signals = EndSignals::listen().map_err(failed("cannot listen for signals"))?;
    let state = {
        let home = home.clone();
        let open = move || {
            let state = State::open(home);
            state.journal.take_over(&state.storage);
            let _ = state.storage.with_store(|store| store.close_interrupted());
            state
        };
        tokio::task::spawn_blocking(open)
            .await
            .map_err(|error| failed("cannot open the store")(io::Error::other(error)))?
    };
    tokio::spawn(spooled::keep_draining(Arc::clone(&state)));
    tokio::spawn(retention::keep_pruning(Arc::clone(&state.storage)));
    tokio::spawn(fence::keep_written(Arc::clone(&state)));
    tokio::spawn(leases::keep_time(Arc::clone(&state.leases)));
    tokio::spawn(reaper::keep_looking(Arc::clone(&state.reaper)));
    tracing::info!(version = VERSION, pid = std::process::id(), socket = %home.socket().display(), "serving");
    let service = routes::router(Arc::clone(&state)).into_make_service_with_connect_info::<Peer>();
    let listener = OwnUserListener::new(listener, place, Arc::clone(&state));
    let (stopping, told_to_stop) = oneshot::channel::<()>();
    let until_told = async { drop(told_to_stop.await) };
    let mut serving = pin!(axum::serve(listener, service).with_graceful_shutdown(until_told).into_future());
    tokio::select! {
        served = &mut serving => return served.map(|()| ServeEnding::Graceful).map_err(failed("cannot serve")),
        signal = signals.next() => tracing::info!(signal, "asked to stop"),
        () = state.stop.notified() => {}
    }
    drop(stopping);
    let drained = async {
        let _ = serving.await;
        state.settled(DRAIN).await;
    };
    // A client that has sent half a request keeps its connection open for as long as it likes: not for us to wait.
    tokio::select! {
        drained = timeout(DRAIN, drained) => {
            if drained.is_err() {
                tracing::warn!("ended with requests unfinished");
            }
            Ok(ServeEnding::Graceful)
        }
        signal = signals.next() => {
            tracing::warn!(signal, "asked to stop again: ending at once");
            Ok(ServeEnding::AtOnce)
        }
    }
}

/// The signals that end the authority.
struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one; its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
