//! `stopgate gate`

mod contest;
mod eval;
mod log;

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
    /// Say why a stop is right (for agents): the next stop of this session goes through
    Contest(contest::Arguments),
    /// Score signals and rules on labelled messages: what they hold, what they let go, and by which rule
    Eval(eval::Arguments),
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    match &arguments.action {
        Action::Log(arguments) => log::run(context, arguments),
        Action::Contest(arguments) => contest::run(context, arguments),
        Action::Eval(arguments) => eval::run(arguments),
    }
}
