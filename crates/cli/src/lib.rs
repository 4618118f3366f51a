//! The commands of `stopgate`: the operator's hand. Shows what the gate does and did, and turns it on, down and off.
//!
//! `commands` has a module for each; `context` is what they need. `builds`, `identity` and `find` know the builds of a
//! checkout, who runs a command, and sessions; `when` is times for people. What prints is `stopgate-terminal`.

mod bounded;
mod builds;
mod commands;
mod context;
mod exclusions;
mod find;
mod identity;
mod registered;
mod rule_modes;
mod when;

use std::error::Error;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use stopgate_build_guard::machine::MoveRefused;
use stopgate_client::AskError;
use stopgate_config::Config;
use stopgate_core::paths::Home;
use stopgate_gate::trial::{CannotTry, Trial, Tried};
use stopgate_protocol::{ErrorCode, Failure};
use stopgate_store::StoreError;
use stopgate_terminal::{self as printer, ExitStatus, command_line, shell_help};

use crate::context::CliContext;

/// What errors begin with.
const NAME: &str = "stopgate";

/// Keeps coding-agent sessions honest: an agent that quits with work left is sent back to it.
///
/// Exit codes: 0 done, 1 failed, 2 refused or wrong usage.
#[derive(Parser)]
#[command(name = NAME, version, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show mode, kill switch, authority and when each hook last fired
    Status(commands::status::Arguments),
    /// Show or set how much the gate may do: off, shadow (judge and record, never block) or enforce
    Mode(commands::mode::Arguments),
    /// Let every agent stop at once, whatever else is configured
    Kill(commands::kill::Arguments),
    /// Look at what the gate decided
    Gate(commands::gate::Arguments),
    /// Show what the gate would do with a message, why, and what the agent would receive; nothing has to be installed
    Try(commands::trial::Arguments),
    /// Show how the verdict on a stop was reached, stage by stage
    Explain(commands::explain::Arguments),
    /// Start and drive work that its session may not quit half-done
    Build(commands::build::Arguments),
    /// Hold a file, a directory or a name for a session, wait for one, and hand it on
    Lease(commands::lease::Arguments),
    /// List known sessions, the last active first; show, resume or end one
    Sessions(commands::sessions::Arguments),
    /// Show the repository that a path lies in: its working trees, the sessions in them, leases, and what happens there
    Room(commands::room::Arguments),
    /// Show what is configured, every key with its meaning, or check a config.toml
    Config(commands::config::Arguments),
    /// Turn on, and off, what sessions need that share a working tree
    Coordination(commands::coordination::Arguments),
    /// Print (or with --exec run) the command that takes a session up again
    Resume(commands::resume::Arguments),
    /// Watch sessions, verdicts, the authority and memory pressure, live
    Top(commands::top::Arguments),
    /// Look at the reaper, which ends idle sessions when the machine is short; turn it on and off
    Reaper(commands::reaper::Arguments),
    /// Look at the fence, which keeps sessions that share a working tree from each other's work; set how much it may do
    Fence(commands::fence::Arguments),
    /// Run, start, stop or look at the local authority that judges stops
    Authority(commands::authority::Arguments),
    /// Print a completion script for a shell
    Completions(shell_help::CompletionsArguments),
    /// For whoever makes a release: write a man page for each command
    #[command(hide = true)]
    Man(shell_help::ManArguments),
}

/// Serves as the authority of a home until it is asked to stop; the flag says whether in the background.
pub type Serve = fn(&Home, bool) -> Result<(), Box<dyn Error + Send + Sync>>;

/// Judges a stop that nobody made.
pub type TryStop = fn(&Trial, &Config) -> Result<Tried, CannotTry>;

/// The program's `main`. `serve` is `authority run`, and `try_stop` judges as that does: whoever makes a program of this has
/// the authority, these commands only know the way to it.
pub fn main(serve: Serve, try_stop: TryStop) -> ExitCode {
    let (arguments, as_json) = match command_line::read::<Arguments>() {
        Ok(read) => read,
        Err(status) => return status,
    };
    let done = CliContext::of_process().and_then(|context| match arguments.command {
        Command::Status(arguments) => commands::status::run(&context, &arguments),
        Command::Mode(arguments) => commands::mode::run(&context, &arguments),
        Command::Kill(arguments) => commands::kill::run(&context, &arguments),
        Command::Gate(arguments) => commands::gate::run(&context, &arguments),
        Command::Room(arguments) => commands::room::run(&context, &arguments),
        Command::Config(arguments) => commands::config::run(&context, &arguments),
        Command::Try(arguments) => commands::trial::run(&context, &arguments, try_stop),
        Command::Explain(arguments) => commands::explain::run(&context, &arguments),
        Command::Build(arguments) => commands::build::run(&context, &arguments),
        Command::Lease(arguments) => commands::lease::run(&context, &arguments),
        Command::Sessions(arguments) => commands::sessions::run(&context, &arguments),
        Command::Coordination(arguments) => commands::coordination::run(&context, &arguments),
        Command::Resume(arguments) => commands::resume::run(&context, &arguments),
        Command::Top(arguments) => commands::top::run(&context, &arguments),
        Command::Reaper(arguments) => commands::reaper::run(&context, &arguments),
        Command::Fence(arguments) => commands::fence::run(&context, &arguments),
        Command::Authority(arguments) => commands::authority::run(&context, &arguments, serve),
        Command::Completions(arguments) => Ok(shell_help::completions(Arguments::command(), &arguments)),
        Command::Man(arguments) => shell_help::man(Arguments::command(), &arguments),
    });
    printer::end(NAME, done, known, as_json).into()
}

/// What the errors of libraries stand for.
fn known(cause: &(dyn Error + 'static)) -> Option<Failure> {
    let of = |code| Some(Failure::new(code, cause.to_string()));
    match cause.downcast_ref::<AskError>() {
        Some(error) => Some(error.failure()),
        None if matches!(cause.downcast_ref(), Some(MoveRefused::OutOfRange(_))) => of(ErrorCode::Usage),
        None if cause.is::<CannotTry>() => cause
            .downcast_ref()
            .map(|wrong: &CannotTry| Failure::new(ErrorCode::Usage, wrong.to_string()).with_remedy(wrong.remedy)),
        None if cause.is::<MoveRefused>() => of(ErrorCode::Refused),
        None if cause.is::<StoreError>() => of(ErrorCode::StoreUnavailable),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
