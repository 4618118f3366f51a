//! `stopgate gate grade`

use std::fmt::Write as _;

use anyhow::bail;
use clap::{Args, ValueEnum};
use stopgate_client::{ANSWER, AskError};
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::redact::redact;
use stopgate_core::text::one_line;
use stopgate_gate::report::Grade;
use stopgate_protocol::{Condition, Demoted, ErrorCode, Failure, GateLogRow, Graded, LogFilter, SetGrade};
use stopgate_store::{Grading, NewGrade};

use super::log;
use crate::context::CliContext;
use crate::{ExitStatus, printer, when};

/// Shortest beginning of an id that is looked for.
const MIN_PREFIX: usize = 4;
/// Events that are listed when several are meant.
const MAX_CANDIDATES: u32 = 10;
/// Longest reason that is kept, in characters.
const MAX_WHY: usize = 500;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The event, by the beginning of its id as `stopgate gate log` shows it
    event: String,
    /// Whether the verdict was right
    grade: WantedGrade,
    /// Why, for whoever reads it later
    #[arg(long, default_value = "")]
    why: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum WantedGrade {
    /// The verdict was right
    Right,
    /// It was not: a stop held that was right, or one let go that was not
    Wrong,
    /// Nobody can tell
    Unclear,
}

impl From<WantedGrade> for Grade {
    fn from(wanted: WantedGrade) -> Self {
        match wanted {
            WantedGrade::Right => Self::Right,
            WantedGrade::Wrong => Self::Wrong,
            WantedGrade::Unclear => Self::Unclear,
        }
    }
}

pub(super) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let row = find(context, &arguments.event)?;
    let graded = submit(context, &row.event_id, arguments.grade.into(), &arguments.why)?;
    if arguments.json {
        printer::json(&graded)?;
    } else {
        let before = match graded.prior {
            Some(prior) if prior != graded.verdict => format!(" (was {prior})"),
            _ => String::new(),
        };
        printer::line(format!("{}: {}{before}", graded.event_id, graded.verdict));
        tell_of(&graded);
    }
    Ok(ExitStatus::Success)
}

/// Says which rules have gone back to shadow by a grade.
pub(super) fn tell_of(graded: &Graded) {
    for Demoted { rule, why } in &graded.demoted {
        let name = rule.short();
        printer::note(format!(
            "{name} goes back to shadow: {}; it stays there until `stopgate mode enforce --rule {name}`",
            one_line(why, MAX_WHY)
        ));
    }
}

/// The one event whose id begins with `prefix`.
fn find(context: &CliContext, prefix: &str) -> anyhow::Result<GateLogRow> {
    let is_of_an_id = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    if prefix.len() < MIN_PREFIX || !prefix.bytes().all(is_of_an_id) {
        bail!(
            Failure::new(
                ErrorCode::NotFound,
                format!("{prefix:?} is not the beginning of an event's id ({MIN_PREFIX} characters or more)")
            )
            .with_remedy("see `stopgate gate log`")
        );
    }
    let tail = Some(MAX_CANDIDATES + 1);
    let filter = LogFilter { tail, event: Some(prefix.to_owned()), ..LogFilter::default() };
    let mut found = log::fetch(context, &filter)?.events;
    match (found.pop(), found.is_empty()) {
        (None, _) => bail!(
            Failure::new(ErrorCode::NotFound, format!("no event's id begins with {prefix}"))
                .with_remedy("see `stopgate gate log`")
        ),
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            found.push(last);
            bail!("{}", ambiguous(prefix, &found))
        }
    }
}

fn ambiguous(prefix: &str, found: &[GateLogRow]) -> String {
    let listed = MAX_CANDIDATES as usize;
    let mut text = format!("{prefix} begins several ids, write more of the one you mean:");
    for row in found.iter().take(listed) {
        let rule = row.rule.map_or("-", stopgate_gate::RuleId::id);
        let _ = write!(text, "\n  {}  {}  {}  {rule}", row.event_id, when::rfc3339(row.at_ms), log::session(row));
    }
    if found.len() > listed {
        text.push_str("\n  and more");
    }
    text
}

/// Has a verdict graded.
pub(super) fn submit(context: &CliContext, event_id: &str, grade: Grade, why: &str) -> anyhow::Result<Graded> {
    let why = one_line(&redact(why), MAX_WHY);
    let operator = ProcessEnv.text(env::USER).unwrap_or_else(|| "unknown".to_owned());
    let condition = Condition { seen: None, ..CliContext::condition("", ANSWER) };
    let wanted = SetGrade { event_id: event_id.to_owned(), verdict: grade, why, operator, condition };
    let asked = context.ensure_authority().and_then(|()| context.authority().call(&wanted));
    match asked {
        Ok(graded) => Ok(graded),
        Err(error) if error.is_decided() => Err(error.into()),
        // A grade is a row: it can be written with the authority down or broken.
        Err(error) => {
            context.operators_only(SetGrade::ACTION)?;
            directly(context, &wanted, &error)
        }
    }
}

fn directly(context: &CliContext, wanted: &SetGrade, error: &AskError) -> anyhow::Result<Graded> {
    printer::note(format!("note: {error}; writing to the store directly"));
    let SetGrade { event_id, verdict, why, operator, .. } = wanted;
    let new = NewGrade { event_id, grade: *verdict, why, operator, at_ms: context.now_ms };
    match context.open_store()?.grade(new)? {
        Grading::Written { prior } => {
            Ok(Graded { event_id: event_id.clone(), verdict: *verdict, prior, demoted: Vec::new() })
        }
        Grading::NoSuchEvent => {
            bail!(Failure::new(ErrorCode::NotFound, format!("{event_id}: no such stop in the log")))
        }
        Grading::NoVerdict => {
            bail!(Failure::new(ErrorCode::NoVerdict, format!("{event_id}: this stop has no verdict to grade")))
        }
    }
}
