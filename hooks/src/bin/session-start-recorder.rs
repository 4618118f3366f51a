//! Session hook: records what happens to sessions. Argument: the harness's name (`claude`, `codex`).

#![cfg_attr(target_env = "gnu", no_main)]

stopgate_hooks::main!(stopgate_hooks::session_start_recorder);
