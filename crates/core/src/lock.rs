//! Locks on files, which end with the process that holds them, however it ends.

use std::fs::{File, TryLockError};
use std::io;
use std::time::{Duration, Instant};

/// How long to sleep between two attempts.
const RETRY: Duration = Duration::from_millis(1);

/// Locks `file` for as long as it is open; whether that succeeded until `deadline`. Without time left it is tried once.
pub fn take(file: &File, deadline: Instant) -> io::Result<bool> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(RETRY),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_waited_for_until_the_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let open = || File::options().create(true).truncate(false).write(true).open(dir.path().join("lock")).unwrap();
        let (first, second) = (open(), open());
        assert!(take(&first, Instant::now()).unwrap());
        let began = Instant::now();
        assert!(!take(&second, began + Duration::from_millis(30)).unwrap());
        assert!(began.elapsed() >= Duration::from_millis(30));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                drop(first);
            });
            assert!(take(&second, Instant::now() + Duration::from_mins(1)).unwrap());
        });
    }
}
