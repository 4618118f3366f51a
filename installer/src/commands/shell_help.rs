//! `installer completions` and `installer man`: what a shell and `man` know of the commands, made from the commands.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use super::Context;
use crate::exit::ExitStatus;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArguments {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArguments {
    /// Where to; the directory must exist
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Prints the script that a shell reads.
pub(crate) fn completions(context: &Context<'_>, arguments: &CompletionsArguments) -> ExitStatus {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::Arguments::command(), "installer", &mut script);
    context.printer.line(String::from_utf8_lossy(&script).trim_end());
    ExitStatus::Success
}

/// Writes a page for each command.
pub(crate) fn man(context: &Context<'_>, arguments: &ManArguments) -> Result<ExitStatus> {
    let dir = arguments.dir.display();
    clap_mangen::generate_to(crate::Arguments::command(), &arguments.dir).with_context(|| dir.to_string())?;
    context.printer.line(format!("{dir}: pages of installer(1); look at one with `man -l {dir}/installer.1`"));
    Ok(ExitStatus::Success)
}
