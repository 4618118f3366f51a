//! Commands that run inside a recorded agent session.

use std::process::{Command, Output};

use crate::run::{Stdin, finish};
use crate::world::{World, binary, session_start};

/// Runs a script in a shell that the kernel calls `claude`, as the harness is called; `$BIN` holds the programs.
pub fn agent(world: &World, script: &str) -> Output {
    let harness = world.root().join("claude");
    if !harness.exists() {
        // By a process of its own: a program that another thread's child still holds open for writing cannot be run.
        assert!(Command::new("cp").arg("/bin/sh").arg(&harness).status().unwrap().success());
    }
    let mut command = world.command(&harness);
    command.args(["-c", script]).env("BIN", binary("stopgate").parent().unwrap());
    finish(command, Stdin::from(""))
}

/// Runs a script in an agent whose session the recorder has reported.
pub fn recorded_agent(world: &World, session: &str, script: &str) -> Output {
    let start = session_start(session, world.root(), "startup").to_string();
    agent(world, &format!("printf '%s' '{start}' | \"$BIN/session-start-recorder\" claude\n{script}"))
}
