//! Stop hook: holds the session that owns a live build. Argument: the harness's name (`claude`, `codex`).

#![cfg_attr(target_env = "gnu", no_main)]

stopgate_hooks::main!(stopgate_hooks::build_stop_hook);
