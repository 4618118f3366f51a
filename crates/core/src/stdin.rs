//! Reads a hook's input: to its end, but never longer than a deadline and never more than a cap.

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Largest payload a hook reads. Real Stop payloads are a few kilobytes; a long last message may make one larger.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// How reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadEnding {
    /// The harness closed its end.
    Closed,
    /// The deadline came first; what arrived may still be a whole payload.
    Deadline,
    /// More than the cap was offered.
    TooLarge,
}

/// Reads from `input` until it is closed, `cap` bytes have come, or `deadline` has passed.
pub fn read(input: impl rustix::fd::AsFd, cap: usize, deadline: Instant) -> io::Result<(Vec<u8>, ReadEnding)> {
    let input = input.as_fd();
    let mut bytes = Vec::with_capacity(4096);
    loop {
        if bytes.len() > cap {
            return Ok((bytes, ReadEnding::TooLarge));
        }
        // Asked also when none is left: whoever gets to run late must not miss what came in time.
        let left = deadline.saturating_duration_since(Instant::now());
        let mut waiting = [PollFd::new(&input, PollFlags::IN)];
        match poll(&mut waiting, Some(&timespec(left))) {
            Ok(0) => return Ok((bytes, ReadEnding::Deadline)),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if bytes.capacity() - bytes.len() < 4096 {
            bytes.reserve(bytes.len().max(4096));
        }
        match rustix::io::read(input, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(0) => return Ok((bytes, ReadEnding::Closed)),
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A duration in the form the kernel takes.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    #[test]
    fn reads_to_the_end() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"{}").unwrap();
        drop(writer);
        assert_eq!(read(&reader, 10, soon()).unwrap(), (b"{}".to_vec(), ReadEnding::Closed));
    }

    #[test]
    fn an_open_pipe_ends_at_the_deadline_with_what_came() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"part").unwrap();
        assert_eq!(read(&reader, 10, soon()).unwrap(), (b"part".to_vec(), ReadEnding::Deadline));
    }

    #[test]
    fn who_comes_late_reads_what_is_there() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"{}").unwrap();
        drop(writer);
        assert_eq!(read(&reader, 10, Instant::now()).unwrap(), (b"{}".to_vec(), ReadEnding::Closed));
        let (reader, _writer) = io::pipe().unwrap();
        assert_eq!(read(&reader, 10, Instant::now()).unwrap(), (vec![], ReadEnding::Deadline));
    }

    #[test]
    fn a_flood_ends_at_the_cap() {
        let (reader, mut writer) = io::pipe().unwrap();
        let flood = std::thread::spawn(move || {
            let _ = writer.write_all(&vec![b'x'; 1 << 20]);
        });
        let (bytes, ending) = read(&reader, 10_000, Instant::now() + Duration::from_secs(20)).unwrap();
        assert_eq!(ending, ReadEnding::TooLarge);
        assert!(bytes.len() < 1 << 20);
        drop(reader);
        flood.join().unwrap();
    }
}
