//! `PreToolUse` hook: asks the authority whether another session is at what would be written. Argument: the harness's name
//! (`claude`, `codex`).

#![cfg_attr(target_env = "gnu", no_main)]

stopgate_hooks::main!(stopgate_hooks::write_fence);
