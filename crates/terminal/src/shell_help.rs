//! `completions` and `man`: what a shell and `man` know of a program's commands, made from the commands.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;

use crate::{ExitStatus, line, raw};

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// Where to; the directory must exist
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Prints the script that a shell reads for `program`.
pub fn completions(mut program: Command, arguments: &CompletionsArguments) -> ExitStatus {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut program, name, &mut script);
    raw(&String::from_utf8_lossy(&script));
    ExitStatus::Success
}

/// Writes a page for each command of `program`.
pub fn man(program: Command, arguments: &ManArguments) -> anyhow::Result<ExitStatus> {
    let (name, dir) = (program.get_name().to_owned(), arguments.dir.display());
    clap_mangen::generate_to(program, &arguments.dir).with_context(|| dir.to_string())?;
    line(format!("{dir}: pages of {name}(1); look at one with `man -l {dir}/{name}.1`"));
    Ok(ExitStatus::Success)
}
