//! An authority that has gone: whoever waits for something of it is woken by the next one's socket.

use std::mem::MaybeUninit;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::inotify;
use stopgate_core::paths::Home;

/// Watches for another authority.
pub(super) struct Gone {
    watch: Option<OwnedFd>,
}

impl Gone {
    /// Watches the `run/` of `home`.
    pub(super) fn of(home: &Home) -> Self {
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let watch = inotify::init(flags).ok().filter(|watch| {
            let made = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
            inotify::add_watch(watch, home.run(), made).is_ok()
        });
        Self { watch }
    }

    /// Waits until something was made in `run/` since this was asked last; `false` if the time is up, or nothing can be
    /// watched.
    pub(super) fn wait_for_another(&mut self, until: Instant) -> bool {
        let Some(watch) = &self.watch else { return false };
        let left = until.saturating_duration_since(Instant::now());
        let timeout =
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
        let is_seen = poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&timeout)).is_ok_and(|count| count > 0);
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(watch, &mut buffer);
        while events.next().is_ok() {}
        is_seen
    }
}
