//! The one place that prints: results to standard output, progress and errors to standard error.

use std::io::Write as _;

/// Prints a result. A reader that hung up is not an error.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Says what is going on.
pub(crate) fn progress(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
