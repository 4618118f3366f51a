//! Runs a program beside a scripted model: `with-mock [--codex] [--journal FILE] SCRIPT PROGRAM [ARGUMENT]...`. The
//! program finds the model at `ANTHROPIC_BASE_URL` (for Codex, at `MOCK_URL`), and keeps this process's terminal. The
//! journal gets a line of JSON for each request, as it arrives.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use stopgate_tests::mock_anthropic::{MockAnthropic, Script};
use stopgate_tests::mock_openai::MockOpenAi;

fn main() -> ExitCode {
    use std::io::Write as _;
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "with-mock: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whichever runs; both end with the value.
enum Mock {
    Anthropic(MockAnthropic),
    OpenAi(MockOpenAi),
}

fn run() -> Result<u8, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    let is_codex = arguments.next_if(|argument| argument == "--codex").is_some();
    let journal = match arguments.next_if(|argument| argument == "--journal") {
        Some(_) => Some(PathBuf::from(arguments.next().ok_or("--journal needs a file")?)),
        None => None,
    };
    let script = arguments.next().ok_or("a script is needed")?;
    let program = arguments.next().ok_or("a program is needed")?;
    let script: Script = serde_json::from_slice(&std::fs::read(script)?)?;
    let mock = if is_codex {
        Mock::OpenAi(MockOpenAi::start(script, journal)?)
    } else {
        Mock::Anthropic(MockAnthropic::start_with(script, journal)?)
    };
    let (variable, url) = match &mock {
        Mock::Anthropic(mock) => ("ANTHROPIC_BASE_URL", mock.url()),
        Mock::OpenAi(mock) => ("MOCK_URL", mock.url()),
    };
    let arguments: Vec<OsString> = arguments.collect();
    let status = Command::new(program).args(arguments).env(variable, url).status()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
