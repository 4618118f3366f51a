//! `stopgate build status`, `list`, `log`, `report`

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use stopgate_build_guard::state::{BuildState, Phase};
use stopgate_build_guard::store::{AuditLine, BuildAuditEvent};
use stopgate_core::clock::UnixMillis;
use stopgate_core::text::one_line;

use super::Common;
use crate::builds::{self, Build, Builds};
use crate::context::CliContext;
use crate::{ExitStatus, printer, when};

const DEFAULT_LIMIT: usize = 50;

#[derive(Args)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Args)]
pub(super) struct ListArguments {
    /// Also builds that have ended
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args)]
pub(super) struct LogArguments {
    /// Only events of this kind, such as `stop-blocked`
    #[arg(long, value_name = "EVENT", value_parser = event)]
    event: Option<BuildAuditEvent>,
    /// Only events from or to this phase
    #[arg(long, value_name = "PHASE", value_parser = phase)]
    phase: Option<Phase>,
    /// At most so many, the last ones
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT)]
    limit: usize,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Args)]
pub(super) struct ReportArguments {
    #[command(flatten)]
    pub(super) common: Common,
}

fn event(word: &str) -> Result<BuildAuditEvent, String> {
    serde_json::from_value(word.into()).map_err(|error| error.to_string())
}

fn phase(word: &str) -> Result<Phase, String> {
    serde_json::from_value(word.into()).map_err(|error| error.to_string())
}

/// The answer of `status` for programs.
#[derive(Serialize)]
struct Status<'a> {
    live: Vec<&'a BuildState>,
    /// The last build that ended; only if none is live.
    ended: Option<&'a BuildState>,
    /// Builds whose state was moved aside.
    broken: Vec<String>,
}

pub(super) fn status(context: &CliContext, builds: &Builds, arguments: &StatusArguments) -> anyhow::Result<ExitStatus> {
    if let Some(id) = &arguments.common.build {
        let build = builds.by_id(id)?;
        if arguments.common.json {
            printer::json(&build.state)?;
        } else {
            print(&build.state, context.now_ms);
        }
        return Ok(ExitStatus::Success);
    }
    let broken: Vec<String> = builds.broken().iter().map(|dir| builds::name(dir)).collect();
    let live = builds.live();
    let ended = if live.is_empty() { builds.ended().into_iter().next() } else { None };
    if arguments.common.json {
        let live = live.iter().map(|build| &build.state).collect();
        printer::json(&Status { live, ended: ended.as_ref().map(|build| &build.state), broken })?;
        return Ok(ExitStatus::Success);
    }
    for (index, build) in live.iter().enumerate() {
        if index > 0 {
            printer::line("");
        }
        print(&build.state, context.now_ms);
    }
    if live.is_empty() {
        printer::line(format!("no build is live in {}", builds.checkout.main.display()));
    }
    if let Some(Build { state, .. }) = ended {
        printer::line(format!("the last one, {}, is {}: {}", state.id, state.phase.name(), one_line(&state.task, 100)));
    }
    for id in broken {
        printer::line(format!(
            "build {id}: its state was not understood and moved aside, and it holds nobody; `stopgate build restore \
             --build {id}` brings it back from the audit file"
        ));
    }
    Ok(ExitStatus::Success)
}

fn print(state: &BuildState, now: UnixMillis) {
    let (tests, passing) = state.tests();
    let protection = match (&state.owner, state.pause) {
        _ if state.phase.is_terminal() => "ended".to_owned(),
        (None, _) => "nobody is held: the build has no owner".to_owned(),
        (_, Some(pause)) if pause.is_on(now) => match pause.until_ms {
            Some(until) => format!("paused until {}", when::rfc3339(until)),
            None => "paused".to_owned(),
        },
        _ if state.reminders_used >= state.size.reminders() => "spent: the owner may stop".to_owned(),
        _ => "on".to_owned(),
    };
    let reminders = format!("{} of {} reminders used", state.reminders_used, state.size.reminders());
    let mut rows = [
        ["build", &state.id],
        ["task", &one_line(&state.task, 200)],
        ["phase", state.phase.name()],
        ["protection", &format!("{}, {reminders}; {protection}", state.size.protection())],
        ["owner", &state.owner_name()],
        ["steps", &format!("{} recorded, {passing} of {tests} tests pass", state.steps.len())],
        ["fix cycles", &state.fix_cycles.to_string()],
        ["started", &format!("{} ({} ago)", when::rfc3339(state.created_at_ms), when::ago(state.created_at_ms, now))],
    ]
    .map(|row| row.map(str::to_owned).to_vec())
    .to_vec();
    if let Some(tree) = &state.worktree {
        let merged = if tree.merged { ", merged" } else { "" };
        rows.push(vec!["worktree".to_owned(), format!("{} (branch {}{merged})", tree.path, tree.branch)]);
    }
    if let Some(ended) = state.ended_at_ms {
        rows.push(vec!["ended".to_owned(), when::rfc3339(ended)]);
    }
    if let Some(reason) = &state.end_reason {
        rows.push(vec!["because".to_owned(), reason.clone()]);
    }
    for line in printer::columns(&rows) {
        printer::line(line);
    }
}

pub(super) fn list(context: &CliContext, builds: &Builds, arguments: &ListArguments) -> anyhow::Result<ExitStatus> {
    let mut found = builds.live();
    if arguments.all {
        found.extend(builds.ended());
    }
    if arguments.json {
        printer::json(&found.iter().map(|build| &build.state).collect::<Vec<_>>())?;
        return Ok(ExitStatus::Success);
    }
    if found.is_empty() {
        let hint = if arguments.all { "" } else { " (--all shows those that have ended)" };
        printer::line(format!("no builds{hint}"));
        return Ok(ExitStatus::Success);
    }
    let head = ["BUILD", "PHASE", "REMINDERS", "AGE", "OWNER", "TASK"].map(str::to_owned).to_vec();
    let row = |Build { state, .. }: &Build| {
        vec![
            state.id.clone(),
            state.phase.name().to_owned(),
            format!("{}/{}", state.reminders_used, state.size.reminders()),
            when::ago(state.created_at_ms, context.now_ms),
            one_line(&state.owner_name(), 60),
            one_line(&state.task, 60),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(found.iter().map(row)).collect();
    for line in printer::columns(&rows) {
        printer::line(line);
    }
    Ok(ExitStatus::Success)
}

/// The build that is meant by a command that only looks: a live one as elsewhere, else the last that ended.
fn look(context: &CliContext, builds: &Builds, common: &Common) -> anyhow::Result<Build> {
    match &common.build {
        Some(id) => builds.by_id(id),
        None => common.choose(context, builds).or_else(|error| builds.ended().into_iter().next().ok_or(error)),
    }
}

/// A line of the log for programs: the state after it is left out, as it repeats everything.
#[derive(Serialize)]
struct LogRow<'a> {
    at: String,
    event: BuildAuditEvent,
    from: Option<Phase>,
    phase: Phase,
    reminders_used: u32,
    detail: Option<Cow<'a, str>>,
}

pub(super) fn log(context: &CliContext, builds: &Builds, arguments: &LogArguments) -> anyhow::Result<ExitStatus> {
    let build = look(context, builds, &arguments.common)?;
    let lines = builds::audit(&build.dir)?;
    let meant: Vec<&AuditLine> = lines
        .iter()
        .filter(|line| arguments.event.is_none_or(|event| line.event == event))
        .filter(|line| arguments.phase.is_none_or(|phase| builds::phases(line).contains(&Some(phase))))
        .collect();
    let rows: Vec<LogRow<'_>> = meant[meant.len().saturating_sub(arguments.limit)..]
        .iter()
        .map(|line| LogRow {
            at: when::rfc3339(line.at_ms),
            event: line.event,
            from: line.from,
            phase: line.state.phase,
            reminders_used: line.state.reminders_used,
            detail: detail(line),
        })
        .collect();
    if arguments.common.json {
        printer::json(&rows)?;
        return Ok(ExitStatus::Success);
    }
    let cells = |row: &LogRow<'_>| {
        let phase = row
            .from
            .map_or_else(|| row.phase.name().to_owned(), |from| format!("{} -> {}", from.name(), row.phase.name()));
        let detail = row.detail.as_deref().map(|text| one_line(text, 120)).unwrap_or_default();
        vec![row.at.clone(), name(row.event), phase, detail]
    };
    for line in printer::columns(&rows.iter().map(cells).collect::<Vec<_>>()) {
        printer::line(line);
    }
    Ok(ExitStatus::Success)
}

fn detail(line: &AuditLine) -> Option<Cow<'_, str>> {
    let state = &line.state;
    let reminder = (line.event == BuildAuditEvent::StopBlocked)
        .then(|| format!("reminder {} of {}", state.reminders_used, state.size.reminders()));
    match (reminder, line.detail.as_deref()) {
        (Some(reminder), Some(detail)) => Some(format!("{reminder}; {detail}").into()),
        (Some(reminder), None) => Some(reminder.into()),
        (None, detail) => detail.map(Cow::from),
    }
}

/// The event's word in the audit file.
fn name(event: BuildAuditEvent) -> String {
    serde_json::to_value(event).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The answer of `report` for programs.
#[derive(Serialize)]
struct BuildReport<'a> {
    duration_ms: u64,
    tests: u64,
    passing: u64,
    events: BTreeMap<String, usize>,
    build: &'a BuildState,
}

pub(super) fn report(context: &CliContext, builds: &Builds, arguments: &ReportArguments) -> anyhow::Result<ExitStatus> {
    let build = look(context, builds, &arguments.common)?;
    let state = &build.state;
    let mut events = BTreeMap::new();
    for line in builds::audit(&build.dir)? {
        *events.entry(name(line.event)).or_insert(0) += 1;
    }
    let until = state.ended_at_ms.unwrap_or(context.now_ms);
    let duration = Duration::from_millis(u64::try_from(until - state.created_at_ms).unwrap_or(0));
    let (tests, passing) = state.tests();
    if arguments.common.json {
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        printer::json(&BuildReport { duration_ms, tests, passing, events, build: state })?;
        return Ok(ExitStatus::Success);
    }
    print(state, context.now_ms);
    printer::line(format!("duration    {}", when::ago(state.created_at_ms, until)));
    if !state.steps.is_empty() {
        printer::line("");
    }
    let step = |step: &stopgate_build_guard::state::BuildStep| {
        let verdict = if step.passing == step.tests { "PASS" } else { "FAIL" };
        let tests = format!("{}/{}", step.passing, step.tests);
        vec![format!("step {}", step.number), verdict.to_owned(), tests, one_line(&step.description, 100)]
    };
    for line in printer::columns(&state.steps.iter().map(step).collect::<Vec<_>>()) {
        printer::line(line);
    }
    printer::line("");
    for (event, count) in events {
        printer::line(format!("{count:>4} x {event}"));
    }
    Ok(ExitStatus::Success)
}
