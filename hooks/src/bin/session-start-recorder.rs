//! Session hook: records what happens to sessions. Argument: the harness's name (`claude`, `codex`).

use std::process::ExitCode;

fn main() -> ExitCode {
    stopgate_hooks::session_start_recorder()
}
