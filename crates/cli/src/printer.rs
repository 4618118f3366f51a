//! The one place of the CLI that prints.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use stopgate_core::env::{self, Env as _, ProcessEnv};

/// The first failure of printing a result.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Whether whoever read the results has hung up.
static HUNG_UP: AtomicBool = AtomicBool::new(false);

/// Prints a line for people or programs. A reader that hung up (`| head`) is no error; any other failure is kept for
/// [`lost`].
pub(crate) fn line(text: impl AsRef<str>) {
    raw(&format!("{}\n", text.as_ref()));
}

/// Prints `text` as it is.
pub(crate) fn raw(text: &str) {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => HUNG_UP.store(true, Ordering::Relaxed),
        Err(error) => drop(LOST.set(error)),
    }
}

/// Whether nobody reads any more, so that there is no use in printing on.
pub(crate) fn hung_up() -> bool {
    HUNG_UP.load(Ordering::Relaxed) || LOST.get().is_some()
}

/// A colour of the terminal's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Plain,
    Red,
    Green,
    Yellow,
}

/// `line` with its first `length` bytes in `colour`, if this is a terminal and nobody minds.
pub(crate) fn painted(line: &str, colour: Colour, length: usize) -> String {
    let code = match colour {
        Colour::Plain => return line.to_owned(),
        Colour::Red => 31,
        Colour::Green => 32,
        Colour::Yellow => 33,
    };
    match line.split_at_checked(length) {
        Some((head, tail)) if has_colour() => format!("\x1b[{code}m{head}\x1b[0m{tail}"),
        _ => line.to_owned(),
    }
}

/// Whether results may be in colour.
pub(crate) fn has_colour() -> bool {
    io::stdout().is_terminal()
        && ProcessEnv.text(env::NO_COLOR).is_none()
        && ProcessEnv.text(env::TERM).is_none_or(|term| term != "dumb")
}

/// `line` cut to the terminal's width; whole where there is none.
pub(crate) fn fitted(line: &str) -> String {
    let width = io::stdout().is_terminal().then(crossterm::terminal::size).and_then(Result::ok);
    let Some((width, _)) = width.filter(|(width, _)| *width > 1) else { return line.to_owned() };
    if line.chars().count() <= usize::from(width) {
        return line.to_owned();
    }
    line.chars().take(usize::from(width) - 1).chain(['…']).collect()
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
