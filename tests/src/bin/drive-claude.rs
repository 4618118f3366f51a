//! Runs one real Claude Code session against the mocked model and prints a JSON summary.
//!
//! ```text
//! drive-claude --project DIR --script FILE [--prompt TEXT]... [--claude PATH] [--home DIR] [--resume ID]
//!              [--arg ARG]... [--env NAME=VALUE]... [--timeout SECONDS] [--keep DIR]
//! ```
//!
//! It does not leave the network by itself: start it as [`stopgate_tests::claude_driver::ClaudeSession`] does,
//! below `unshare -n`. Exit code 0 means that there is a summary, however the client ended.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use stopgate_core::env::{Env, PATH, ProcessEnv};
use stopgate_tests::claude_driver::{CLAUDE_VARIABLE, Options, run};

fn main() -> ExitCode {
    match summary() {
        Ok(json) => match std::io::stdout().lock().write_all(json.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "drive-claude: {error}");
            ExitCode::FAILURE
        }
    }
}

fn summary() -> Result<String, String> {
    let options = Options::parse(std::env::args_os().skip(1))?;
    let claude = options.claude.clone().or_else(|| ProcessEnv.os(CLAUDE_VARIABLE).map(PathBuf::from));
    let claude = claude.ok_or_else(|| format!("--claude PATH or {CLAUDE_VARIABLE} is needed"))?;
    let summary = run(&options, &claude, ProcessEnv.os(PATH)).map_err(|error| error.to_string())?;
    serde_json::to_string_pretty(&summary).map(|json| json + "\n").map_err(|error| error.to_string())
}
