//! `installer`: puts stopgate into the settings of a harness, shows that it works, and takes it back.
//!
//! * `commands` has a module for each. `wiring` is what is registered, made of the table of hooks.
//! * `settings` edits the files of others, `account` says whose; `codex` asks Codex what it trusts; `switched_off` says where hooks are forbidden; `plugin` makes plugins of the same table.
//! * The home: `home`, `deploy` (programs), `ledger` (what was written where), `backup`, `manifest`, `version`, `guide`,
//!   `leftovers`, `authority`, `provenance` (whose programs may be installed). `filesystem` says what the place allows.
//! * `live_check` tries all of it; what prints is `stopgate-terminal`. `rehearsal` is the edits for the fuzzers.

mod account;
mod authority;
mod backup;
mod codex;
mod commands;
mod deploy;
mod dialect;
mod digest;
mod exit;
mod filesystem;
mod guide;
mod home;
mod ledger;
mod leftovers;
mod live_check;
mod manifest;
mod operator;
mod plugin;
mod programs;
mod provenance;
pub mod rehearsal;
mod settings;
mod shell;
mod switched_off;
mod version;
mod wiring;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use stopgate_core::env::ProcessEnv;
use stopgate_terminal::{self as printer, command_line, shell_help};

use crate::commands::{
    Context, coordination, doctor, guide as release_guide, init, migrate, restore, show, uninstall, update,
};

/// What errors begin with.
const NAME: &str = "installer";

/// Puts stopgate into the settings of Claude Code and Codex, shows that it works, and takes it back.
///
/// Exit codes: 0 done, 1 something failed or does not work, 2 refused and nothing changed.
#[derive(Debug, Parser)]
#[command(name = NAME, version, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install: copy the programs, register the hooks, start the authority, and try all of it
    Init(init::Arguments),
    /// Bring everything up to date after an update; done by `update` and, quietly, when a session starts
    Migrate(migrate::Arguments),
    /// Say what does not work, why that matters, and what mends it (exit codes: 0 well, 1 problems, 2 not all could be checked)
    Doctor(doctor::Arguments),
    /// Turn on, and off, what sessions need that share a working tree; `stopgate coordination` is the same
    Coordination(coordination::Arguments),
    /// Put the programs of a release in place, and let them migrate
    Update(update::Arguments),
    /// List the backups, or make a file what it was
    Restore(restore::Arguments),
    /// Print what to paste, for those who let nobody edit their files
    Snippet(show::SnippetArguments),
    /// Make plugins instead of editing settings
    Plugin(show::PluginArguments),
    /// Print exactly which bytes are deployed
    #[command(hide = true)]
    Manifest(show::ManifestArguments),
    /// For whoever makes a release: check and promote its upgrade guide
    #[command(hide = true)]
    Guide(release_guide::Arguments),
    /// Take back exactly what `init` wrote
    Uninstall(uninstall::Arguments),
    /// Print a completion script for a shell
    Completions(shell_help::CompletionsArguments),
    /// For whoever makes a release: write a man page for each command
    #[command(hide = true)]
    Man(shell_help::ManArguments),
}

/// The program's `main`.
pub fn main() -> ExitCode {
    let (arguments, as_json) = match command_line::read::<Arguments>() {
        Ok(read) => read,
        Err(status) => return status,
    };
    let environment = ProcessEnv;
    let done = Context::of_process(&environment, as_json).and_then(|context| match &arguments.command {
        Command::Init(arguments) => init::run(&context, arguments),
        Command::Migrate(arguments) => migrate::run(&context, arguments),
        Command::Doctor(arguments) => doctor::run(&context, arguments),
        Command::Coordination(arguments) => coordination::run(&context, arguments),
        Command::Update(arguments) => update::run(&context, arguments),
        Command::Restore(arguments) => restore::run(&context, arguments),
        Command::Snippet(arguments) => show::snippet(&context, arguments),
        Command::Plugin(arguments) => show::plugin(&context, arguments),
        Command::Manifest(arguments) => show::manifest(&context, arguments),
        Command::Guide(arguments) => release_guide::run(&context, arguments),
        Command::Uninstall(arguments) => uninstall::run(&context, arguments),
        Command::Completions(arguments) => Ok(shell_help::completions(Arguments::command(), arguments)),
        Command::Man(arguments) => shell_help::man(Arguments::command(), arguments),
    });
    printer::end(NAME, done, exit::known, as_json).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
