//! What is said while something takes its time.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::note;

/// How long everybody waits without a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// Does `work`, and says what is going on when it takes more than a second.
pub fn with_progress<T: Send>(what: &str, work: impl FnOnce() -> T + Send) -> T {
    let (done, waiting) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                note(format!("{what} ..."));
            }
        });
        let result = work();
        drop(done);
        result
    })
}
