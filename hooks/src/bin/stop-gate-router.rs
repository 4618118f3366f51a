//! Stop hook: asks the authority whether a turn may end. Argument: the harness's name (`claude`, `codex`).

use std::process::ExitCode;

fn main() -> ExitCode {
    stopgate_hooks::stop_gate_router()
}
