//! `stopgate completions` and `stopgate man`: what a shell and `man` know of the commands, made from the commands.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{ExitStatus, printer};

#[derive(Args)]
pub(crate) struct CompletionsArguments {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Args)]
pub(crate) struct ManArguments {
    /// Where to; the directory must exist
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Prints the script that a shell reads.
pub(crate) fn completions(arguments: &CompletionsArguments) -> ExitStatus {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::Arguments::command(), "stopgate", &mut script);
    printer::raw(&String::from_utf8_lossy(&script));
    ExitStatus::Success
}

/// Writes a page for each command.
pub(crate) fn man(arguments: &ManArguments) -> anyhow::Result<ExitStatus> {
    let dir = arguments.dir.display();
    clap_mangen::generate_to(crate::Arguments::command(), &arguments.dir).with_context(|| dir.to_string())?;
    printer::line(format!("{dir}: pages of stopgate(1); look at one with `man -l {dir}/stopgate.1`"));
    Ok(ExitStatus::Success)
}
