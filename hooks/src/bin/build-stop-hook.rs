//! Stop hook: holds the session that owns a live build. Argument: the harness's name (`claude`, `codex`).

use std::process::ExitCode;

fn main() -> ExitCode {
    stopgate_hooks::build_stop_hook()
}
