//! `stopgate build`: work that its session may not quit half-done.

mod progress;
mod protect;
mod restore;
mod show;
mod start;
mod worktree;

use std::io;

use clap::{Args, Subcommand};
use stopgate_build_guard::state::BuildState;
use stopgate_core::env::ProcessEnv;

use crate::builds::{Build, Builds};
use crate::context::CliContext;
use crate::{ExitStatus, identity, printer};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a build that the session this runs in owns
    Start(start::Arguments),
    /// Record a step that was done, and its tests
    Step(progress::StepArguments),
    /// Go to another phase
    To(progress::ToArguments),
    /// End the build as done; every test of every step has to pass
    Complete(progress::CompleteArguments),
    /// End the build as given up
    Fail(progress::GiveUpArguments),
    /// End the build by handing it to a person
    Escalate(progress::GiveUpArguments),
    /// Show the live builds of this checkout, or the last one that ended
    Status(show::StatusArguments),
    /// List builds
    List(show::ListArguments),
    /// Show what happened to a build
    Log(show::LogArguments),
    /// Sum a build up
    Report(show::ReportArguments),
    /// Suspend the protection: the owner may stop (a person's command)
    Pause(protect::PauseArguments),
    /// Say where a build is and how to go on; ends a pause; with --owner-... gives it to another owner
    Resume(protect::ResumeArguments),
    /// Take the owner's stamp off: the build goes on, and holds nobody (a person's command)
    Release(protect::ReleaseArguments),
    /// Bring a state that could not be understood back from the audit file
    Restore(restore::Arguments),
    /// Work in a git worktree of the build's own
    #[command(subcommand)]
    Worktree(worktree::Command),
}

/// What most commands take.
#[derive(Debug, Clone, Args)]
struct Common {
    /// Which build; by default that of this session, or the only live one
    #[arg(long = "build", value_name = "ID")]
    build: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Common {
    fn choose(&self, context: &CliContext, builds: &Builds) -> anyhow::Result<Build> {
        builds.choose(self.build.as_deref(), identity::own_session(&ProcessEnv, context).as_ref())
    }
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let command = &arguments.command;
    let done = Builds::here().and_then(|builds| {
        builds.tidy();
        match command {
            Command::Start(arguments) => start::run(context, &builds, arguments),
            Command::Step(arguments) => progress::step(context, &builds, arguments),
            Command::To(arguments) => progress::to(context, &builds, arguments),
            Command::Complete(arguments) => progress::complete(context, &builds, arguments),
            Command::Fail(arguments) => progress::fail(context, &builds, arguments),
            Command::Escalate(arguments) => progress::escalate(context, &builds, arguments),
            Command::Status(arguments) => show::status(context, &builds, arguments),
            Command::List(arguments) => show::list(context, &builds, arguments),
            Command::Log(arguments) => show::log(context, &builds, arguments),
            Command::Report(arguments) => show::report(context, &builds, arguments),
            Command::Pause(arguments) => protect::pause(context, &builds, arguments),
            Command::Resume(arguments) => protect::resume(context, &builds, arguments),
            Command::Release(arguments) => protect::release(context, &builds, arguments),
            Command::Restore(arguments) => restore::run(context, &builds, arguments),
            Command::Worktree(command) => worktree::run(context, &builds, command),
        }
    });
    done.map_err(with_remedy)
}

/// Says what to do where nothing may be written.
fn with_remedy(error: anyhow::Error) -> anyhow::Error {
    let is_read_only = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem)
    };
    if !error.chain().any(is_read_only) {
        return error;
    }
    error.context(
        "the checkout cannot be written to from here, as in a sandbox that only reads: let the person run this, or ask for \
         the permission to run it outside of the sandbox",
    )
}

/// Prints a changed build.
fn say(json: bool, state: &BuildState, text: &str) -> anyhow::Result<ExitStatus> {
    if json {
        printer::json(state)?;
    } else {
        printer::line(text);
    }
    Ok(ExitStatus::Success)
}
