//! The two streams.

use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

/// The first failure of printing a result.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Whether whoever read the results has hung up.
static HUNG_UP: AtomicBool = AtomicBool::new(false);

/// Prints a line for people or programs. A reader that hung up (`| head`) is no error; any other failure is kept for
/// [`lost`].
pub fn line(text: impl AsRef<str>) {
    raw(&format!("{}\n", text.as_ref()));
}

/// Prints `text` as it is.
pub fn raw(text: &str) {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => HUNG_UP.store(true, Ordering::Relaxed),
        Err(error) => drop(LOST.set(error)),
    }
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Whether nobody reads any more, so that there is no use in printing on.
pub fn hung_up() -> bool {
    HUNG_UP.load(Ordering::Relaxed) || LOST.get().is_some()
}

/// Why the result, or a part of it, could not be printed, if that is so.
pub fn lost() -> Option<&'static io::Error> {
    LOST.get()
}

/// Says something beside the result.
pub fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}
