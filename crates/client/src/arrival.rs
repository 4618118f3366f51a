//! Waiting for an authority without asking again and again: the kernel tells when its socket is made.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use stopgate_core::paths::Home;

/// A socket is listened at a moment after it is made.
const MOMENT: Duration = Duration::from_millis(20);

/// A watch on the directory in which an authority's socket is made.
#[derive(Debug)]
pub struct Arrival {
    watch: OwnedFd,
}

impl Arrival {
    /// Watches from now on: whoever looks for the authority after this misses no arrival.
    pub fn watch(home: &Home) -> io::Result<Self> {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let what = inotify::WatchFlags::CREATE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::DELETE_SELF
            | inotify::WatchFlags::MOVE_SELF
            | inotify::WatchFlags::ONLYDIR;
        inotify::add_watch(&watch, home.run(), what)?;
        Ok(Self { watch })
    }

    /// Waits until something was made there, or until `until`; an error if the directory itself has gone.
    pub fn wait(&self, until: Option<Instant>) -> io::Result<()> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(&mut [PollFd::new(&self.watch, PollFlags::IN)], left.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.watch, &mut buffer);
        let gone = inotify::ReadFlags::DELETE_SELF | inotify::ReadFlags::MOVE_SELF | inotify::ReadFlags::IGNORED;
        while let Ok(event) = events.next() {
            if event.events().intersects(gone) {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the home was removed"));
            }
        }
        sleep(MOMENT);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_heard_of_and_so_is_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        assert!(Arrival::watch(&home).is_err(), "there is nothing to watch");
        home.create().unwrap();
        std::fs::create_dir_all(home.run()).unwrap();
        let arrival = Arrival::watch(&home).unwrap();
        let began = Instant::now();
        arrival.wait(Some(began + Duration::from_millis(30))).unwrap();
        assert!(began.elapsed() >= Duration::from_millis(30), "nothing was made");
        std::fs::write(home.run().join("socket"), "").unwrap();
        arrival.wait(None).unwrap();
        std::fs::remove_dir_all(home.run()).unwrap();
        assert!(arrival.wait(None).is_err());
    }
}
