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

/// A lock that ends when this is dropped. Closing the file alone is not enough: a child that another thread has just
/// forked has it open until its program begins.
#[derive(Debug)]
pub struct HeldLock(File);

impl HeldLock {
    /// Takes over a file that is locked.
    pub fn new(locked: File) -> Self {
        Self(locked)
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
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

    #[test]
    fn a_held_lock_ends_though_a_child_has_the_file_open() {
        let dir = tempfile::tempdir().unwrap();
        let open = || File::options().create(true).truncate(false).write(true).open(dir.path().join("lock")).unwrap();
        let (first, second) = (open(), open());
        // What a child has between fork and exec.
        let forked = first.try_clone().unwrap();
        first.try_lock().unwrap();
        let held = HeldLock::new(first);
        assert!(second.try_lock().is_err());
        drop(held);
        second.try_lock().unwrap();
        drop(forked);
    }
}
