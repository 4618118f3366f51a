//! `stopgate gate`, one module a command.

mod breaker;
mod contest;
mod eval;
mod grade;
mod learn;
mod log;
pub(crate) mod ready;
mod report;
mod review;

use clap::{Args, Subcommand};

use crate::ExitStatus;
use crate::context::CliContext;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show the last stops and what the gate decided, newest first
    Log(log::Arguments),
    /// Say why a stop is right (for agents): the next stop of this session goes through
    Contest(contest::Arguments),
    /// Show the judge that is left alone after failures, or let it be asked again
    Breaker(breaker::Arguments),
    /// Score signals and rules on labelled messages: what they hold, what they let go, and by which rule
    Eval(eval::Arguments),
    /// Say whether a verdict was right; the last grade counts
    Grade(grade::Arguments),
    /// Walk through what nobody has graded: would-blocks, and as every third a stop that was let go, the doubtful first
    Review(review::Arguments),
    /// Learn a small correction of the text model from your grades; shows what it would change and changes nothing by itself
    Learn(learn::Arguments),
    /// Count what the gate did: decisions, rules, signals, projects, latency, failures, precision
    Report(report::Arguments),
    /// Show which conditions for enforcing hold; exit code 0 if all do, 1 if not
    Ready(ready::Arguments),
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    match &arguments.action {
        Action::Log(arguments) => log::run(context, arguments),
        Action::Contest(arguments) => contest::run(context, arguments),
        Action::Breaker(arguments) => breaker::run(context, arguments),
        Action::Eval(arguments) => eval::run(arguments),
        Action::Grade(arguments) => grade::run(context, arguments),
        Action::Review(arguments) => review::run(context, arguments),
        Action::Learn(arguments) => learn::run(context, arguments),
        Action::Report(arguments) => report::run(context, arguments),
        Action::Ready(arguments) => ready::run(context, arguments),
    }
}
