//! `stopgate gate breaker`

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use stopgate_client::{ANSWER, AskError};
use stopgate_core::clock::UnixMillis;
use stopgate_gate::breaker::BreakerStanding;
use stopgate_protocol::{BreakerState, BreakerStates, BreakersReset, ListBreakers, ResetBreakers};

use crate::context::CliContext;
use crate::{ExitStatus, printer, when};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Forget the failures: the next stop that needs a judge asks it
    Reset,
}

/// A breaker as scripts read it: as the authority tells it, and its times in RFC 3339.
#[derive(Serialize)]
struct JsonBreaker<'a> {
    open_until: Option<String>,
    first_opened_at: Option<String>,
    #[serde(flatten)]
    breaker: &'a BreakerState,
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    match arguments.action {
        None => show(context, arguments.json),
        Some(Action::Reset) => reset(context, arguments.json),
    }
}

fn show(context: &CliContext, json: bool) -> anyhow::Result<ExitStatus> {
    let states = context.read(&ListBreakers {}, |store| {
        let rows = store.breakers()?.into_iter();
        Ok(BreakerStates { breakers: rows.map(|row| row.state(context.now_ms)).collect() })
    })?;
    if json {
        let time = |at: UnixMillis| (at > 0).then(|| when::rfc3339(at));
        let breaker = |breaker| JsonBreaker::of(breaker, time);
        printer::json(&states.breakers.iter().map(breaker).collect::<Vec<_>>())?;
        return Ok(ExitStatus::Success);
    }
    if states.breakers.is_empty() {
        printer::line("no judge has failed since its last valid answer");
    }
    for breaker in &states.breakers {
        printer::line(&breaker.label);
        printer::line(format!("    {}", describe(breaker)));
    }
    if states.breakers.iter().any(|breaker| breaker.state != BreakerStanding::Closed) {
        printer::line("`stopgate gate breaker reset` has it asked again at once");
    }
    Ok(ExitStatus::Success)
}

impl<'a> JsonBreaker<'a> {
    fn of(breaker: &'a BreakerState, time: impl Fn(UnixMillis) -> Option<String>) -> Self {
        Self { open_until: time(breaker.open_until_ms), first_opened_at: time(breaker.first_opened_at_ms), breaker }
    }
}

fn describe(breaker: &BreakerState) -> String {
    let failures = match breaker.consecutive_failures {
        1 => "1 failure".to_owned(),
        number => format!("{number} failures in a row"),
    };
    let failures = format!("{failures}, the last: {}", breaker.last_failure);
    let alone = match breaker.state {
        BreakerStanding::Closed => return format!("closed: {failures}"),
        BreakerStanding::Open => format!("left alone until {}", when::rfc3339(breaker.open_until_ms)),
        BreakerStanding::HalfOpen => "the next stop that needs it asks it".to_owned(),
    };
    let since = when::rfc3339(breaker.first_opened_at_ms);
    let missed = match breaker.suppressed_count {
        1 => "1 stop went".to_owned(),
        number => format!("{number} stops went"),
    };
    format!("{}: {failures}; {alone}; {missed} without it since {since}", breaker.state.name())
}

fn reset(context: &CliContext, json: bool) -> anyhow::Result<ExitStatus> {
    let asked = context
        .ensure_authority()
        .and_then(|()| context.authority().call(&ResetBreakers { condition: CliContext::until(ANSWER) }));
    let BreakersReset { reset } = match asked {
        Ok(answer) => answer,
        Err(error @ AskError::Refused(_)) => return Err(error.into()),
        Err(error) => {
            context.operators_only(ResetBreakers::ACTION)?;
            let store = context.open_store().with_context(|| format!("not reset: {error}"))?;
            let reset = store.reset_breakers()?;
            printer::note(format!("note: {error}; reset in {}", context.home.database().display()));
            BreakersReset { reset }
        }
    };
    if json {
        printer::json(&BreakersReset { reset })?;
    } else if reset == 0 {
        printer::line("nothing to reset: no judge has failed since its last valid answer");
    } else {
        printer::line(format!("reset: {reset}"));
    }
    Ok(ExitStatus::Success)
}
