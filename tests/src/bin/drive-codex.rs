//! Runs one real Codex session against the mocked model and prints a JSON summary: `drive-codex OPTIONS.json`.
//!
//! It does not leave the network by itself: start it as [`stopgate_tests::codex_driver::CodexSession`] does, below
//! `unshare -n`. Exit code 0 means that there is a summary, however the client ended.

use std::io::Write;
use std::process::ExitCode;

use stopgate_tests::codex_driver::{CodexSession, run};

fn main() -> ExitCode {
    match summary() {
        Ok(json) if std::io::stdout().lock().write_all(json.as_bytes()).is_ok() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "drive-codex: {error}");
            ExitCode::FAILURE
        }
    }
}

fn summary() -> Result<String, String> {
    let path = std::env::args_os().nth(1).ok_or("OPTIONS.json is needed")?;
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let session: CodexSession = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let summary = run(&session).map_err(|error| error.to_string())?;
    serde_json::to_string_pretty(&summary).map_err(|error| error.to_string())
}
