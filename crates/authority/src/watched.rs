//! Processes whose end the kernel tells: nobody looks at them again and again.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use stopgate_core::process::{Liveness, ProcFs, ProcessIdentity, liveness};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A handle of a process, which the kernel makes readable when that ends.
#[derive(Debug, Clone)]
pub(crate) struct Watched(Arc<OwnedFd>);

impl Watched {
    /// A handle of `process`, if it is the very one and can be seen from here. One that many sessions share is watched as any
    /// other: that it lives says nothing of them, and its end something.
    pub(crate) fn of(process: &ProcessIdentity) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(process.pid).ok()?)?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Looked at afterwards: the handle is of whoever has the number now.
        let own = ProcessIdentity { shared: false, ..process.clone() };
        let is_it = ProcFs::has_own_numbers() && liveness(&ProcFs, &own) == Liveness::Alive;
        is_it.then(|| Self(Arc::new(handle)))
    }

    /// Whether the process runs.
    pub(crate) fn liveness(&self) -> Liveness {
        let mut look = [PollFd::new(&*self.0, PollFlags::IN)];
        match poll(&mut look, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(0) => Liveness::Alive,
            Ok(_) => Liveness::Gone,
            Err(_) => Liveness::Unknown,
        }
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(self) {
        // SAFETY: an owned handle has one number as long as it lives, and is closed only after it was given back.
        #[expect(unsafe_code, reason = "the safe way is deprecated, for types whose handle may change")]
        let registered = unsafe { AsyncFd::register_with_interest(self.0, Interest::READABLE) };
        match registered {
            Ok(handle) => drop(handle.readable().await),
            Err(error) => {
                tracing::warn!(%error, "a process cannot be watched");
                std::future::pending::<()>().await;
            }
        }
    }
}
