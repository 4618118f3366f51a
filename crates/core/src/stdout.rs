//! Writes a hook's answer, but waits for no reader that takes nothing.

use std::io;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;

use crate::stdin::timespec;

/// What a pipe that is ready takes in one piece without making anybody wait (`PIPE_BUF`); a socket takes more.
const READY_BYTES: usize = 4096;

/// Writes `bytes` to `output` by `deadline`.
pub fn write(output: impl AsFd, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    let output = output.as_fd();
    while !bytes.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(&mut [PollFd::new(&output, PollFlags::OUT)], Some(&timespec(left))) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match rustix::io::write(output, &bytes[..bytes.len().min(READY_BYTES)]) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::time::Duration;

    #[test]
    fn a_reader_that_takes_nothing_is_left_and_one_that_takes_all_gets_all() {
        let (reader, writer) = io::pipe().unwrap();
        let much = vec![b'x'; 1 << 20];
        let refused = write(&writer, &much, Instant::now() + Duration::from_millis(20)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        drop(reader);
        assert_eq!(write(&writer, b"x", Instant::now()).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        let (mut reader, writer) = io::pipe().unwrap();
        let all = std::thread::spawn(move || {
            let mut taken = Vec::new();
            reader.read_to_end(&mut taken).unwrap();
            taken
        });
        write(&writer, &much, Instant::now() + Duration::from_secs(30)).unwrap();
        drop(writer);
        assert_eq!(all.join().unwrap().len(), much.len());
    }
}
