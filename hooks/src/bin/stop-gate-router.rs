//! Stop hook: asks the authority whether a turn may end. Argument: the harness's name (`claude`, `codex`).

#![cfg_attr(target_env = "gnu", no_main)]

stopgate_hooks::main!(stopgate_hooks::stop_gate_router);
