//! Runs a program beside a scripted model: `with-mock SCRIPT PROGRAM [ARGUMENT]...`. The program finds the model at
//! `ANTHROPIC_BASE_URL`, and keeps this process's terminal.

use std::io::Write as _;
use std::process::{Command, ExitCode};

use stopgate_tests::mock_anthropic::{MockAnthropic, Script};

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "with-mock: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<u8, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let script = arguments.next().ok_or("a script is needed")?;
    let program = arguments.next().ok_or("a program is needed")?;
    let script: Script = serde_json::from_slice(&std::fs::read(script)?)?;
    let mock = MockAnthropic::start(script)?;
    let status = Command::new(program).args(arguments).env("ANTHROPIC_BASE_URL", mock.url()).status()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
