//! The one place of the CLI that prints.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use serde::Serialize;

/// The first failure of printing a result.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Prints a line for people or programs. A reader that hung up (`| head`) is no error; any other failure is kept for
/// [`lost`].
pub(crate) fn line(text: impl AsRef<str>) {
    if let Err(error) = writeln!(io::stdout().lock(), "{}", text.as_ref())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let _ = LOST.set(error);
    }
}

/// Why the result, or a part of it, could not be printed, if that is so.
pub(crate) fn lost() -> Option<&'static io::Error> {
    LOST.get()
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Says something beside the result.
pub(crate) fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// Says why a command failed.
pub(crate) fn error(error: &anyhow::Error) {
    note(format!("stopgate: {error:#}"));
}

/// Whether there is somebody to ask.
pub(crate) fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a yes-or-no question; `None` when there is nobody to ask.
pub(crate) fn ask(question: &str) -> Option<bool> {
    if !has_terminal() {
        return None;
    }
    let answer = ask_line(&format!("{question} [y/N] ")).unwrap_or_default();
    Some(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Asks for a line; `None` when there is nobody to ask, and at the end of the input.
pub(crate) fn ask_line(question: &str) -> Option<String> {
    if !has_terminal() {
        return None;
    }
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
    drop(stderr);
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer).ok()?;
    (read > 0).then(|| answer.trim().to_owned())
}

/// Does `work`, and says what is going on when it takes more than a second.
pub(crate) fn with_progress<T: Send>(what: &str, work: impl FnOnce() -> T + Send) -> T {
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if waiting.recv_timeout(Duration::from_secs(1)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                note(format!("{what} ..."));
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// Lays out rows in columns, two spaces apart; the last column is not padded.
pub(crate) fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters() {
        let rows = [vec!["a".into(), "é".into(), "x".into()], vec!["long".into(), "b".into(), String::new()]];
        assert_eq!(columns(&rows), ["a     é  x", "long  b"]);
        assert!(columns(&[]).is_empty());
    }
}
