//! `installer`: puts stopgate into the settings of a harness, shows that it works, and takes it back.

mod authority;
mod backup;
mod commands;
mod deploy;
mod digest;
mod exit;
mod home;
mod ledger;
mod leftovers;
mod live_check;
mod printer;
mod settings;
mod wiring;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde::Serialize;
use stopgate_core::env::ProcessEnv;

use crate::commands::{Context, init, uninstall};
use crate::exit::ExitStatus;
use crate::printer::Printer;

/// Puts stopgate into the settings of Claude Code, shows that it works, and takes it back.
///
/// Exit codes: 0 done, 1 something failed or does not work, 2 refused and nothing changed.
#[derive(Debug, Parser)]
#[command(name = "installer", version, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install: copy the programs, register the hooks, start the authority, and try all of it
    Init(init::Arguments),
    /// Take back exactly what `init` wrote
    Uninstall(uninstall::Arguments),
}

impl Command {
    const fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Uninstall(_) => "uninstall",
        }
    }

    const fn json(&self) -> bool {
        match self {
            Self::Init(arguments) => arguments.json,
            Self::Uninstall(arguments) => arguments.json,
        }
    }
}

/// The report of a command that came to nothing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    command: &'static str,
    error: String,
    exit_code: u8,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let environment = ProcessEnv;
    let printer = Printer::of_process(&environment, arguments.command.json());
    let done =
        Context::of_process(&environment, arguments.command.json()).and_then(|context| match &arguments.command {
            Command::Init(arguments) => init::run(&context, arguments),
            Command::Uninstall(arguments) => uninstall::run(&context, arguments),
        });
    let status = done.unwrap_or_else(|error| {
        let status = ExitStatus::of(&error);
        let error = format!("{error:#}");
        printer::note(format!("installer: {error}"));
        let report = Failed { command: arguments.command.name(), error, exit_code: status.code() };
        let _ = printer.object(&report);
        status
    });
    status.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
