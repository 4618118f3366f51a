//! `stopgate gate`, one module a command.

mod grade;
mod log;
pub(crate) mod ready;
mod report;
mod review;

use clap::{Args, Subcommand};

use crate::ExitStatus;
use crate::context::Context;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show the last stops and what the gate decided, newest first
    Log(log::Arguments),
    /// Say whether a verdict was right; the last grade counts
    Grade(grade::Arguments),
    /// Walk through the would-blocks that nobody has graded, one by one
    Review(review::Arguments),
    /// Count what the gate did: decisions, rules, signals, projects, latency, failures, precision
    Report(report::Arguments),
    /// Show which conditions for enforcing hold; exit code 0 if all do, 1 if not
    Ready(ready::Arguments),
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    match &arguments.action {
        Action::Log(arguments) => log::run(context, arguments),
        Action::Grade(arguments) => grade::run(context, arguments),
        Action::Review(arguments) => review::run(context, arguments),
        Action::Report(arguments) => report::run(context, arguments),
        Action::Ready(arguments) => ready::run(context, arguments),
    }
}
