//! `stopgate build step`, `to`, `complete`, `fail`, `escalate`

use anyhow::bail;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use stopgate_build_guard::machine::{self, Moved};
use stopgate_build_guard::state::{BuildState, BuildStep, Phase};
use stopgate_build_guard::store::BuildAuditEvent;
use stopgate_core::redact::redact;
use stopgate_core::text::one_line;
use stopgate_protocol::{ErrorCode, Failure};

use super::{Common, say};
use crate::builds::{BuildChange, Builds};
use crate::context::CliContext;
use crate::{ExitStatus, printer};

/// Longest description of a step, evidence or reason.
const MAX_TEXT_CHARS: usize = 500;

#[derive(Args)]
pub(super) struct StepArguments {
    /// Its number in the plan, from 1; a step that is recorded again replaces what was recorded before
    number: u32,
    /// What was done
    description: String,
    /// How many tests cover it
    #[arg(long, value_name = "N")]
    tests: u32,
    /// How many of them pass
    #[arg(long, value_name = "N")]
    passing: u32,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Args)]
pub(super) struct ToArguments {
    #[arg(value_parser = phase())]
    phase: Phase,
    /// What shows that the phase before is done
    #[arg(long, value_name = "TEXT")]
    evidence: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Args)]
pub(super) struct CompleteArguments {
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Args)]
pub(super) struct GiveUpArguments {
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Every phase is taken, so that the answer says why it cannot be gone to; those that can are shown.
fn phase() -> impl TypedValueParser<Value = Phase> {
    let shown = |phase: Phase| PossibleValue::new(phase.name()).hide(phase == Phase::Idle || phase.is_terminal());
    PossibleValuesParser::new(Phase::ALL.map(shown))
        .try_map(|name| Phase::ALL.into_iter().find(|phase| phase.name() == name).ok_or("no such phase"))
}

/// Free text as it may lie on disk.
fn clean(text: &str) -> String {
    redact(&one_line(text, MAX_TEXT_CHARS))
}

pub(super) fn step(context: &CliContext, builds: &Builds, arguments: &StepArguments) -> anyhow::Result<ExitStatus> {
    let description = clean(&arguments.description);
    if description.is_empty() {
        bail!(Failure::new(ErrorCode::Usage, "<description>: has to say what was done"));
    }
    let build = arguments.common.choose(context, builds)?;
    let step = BuildStep {
        number: arguments.number,
        description,
        tests: arguments.tests,
        passing: arguments.passing,
        recorded_at_ms: context.now_ms,
    };
    let state = builds.update(&build, context.now_ms, |state| {
        let detail = format!("step {}: {} of {} tests pass", step.number, step.passing, step.tests);
        machine::step(state, step)?;
        Ok(BuildChange::saying(BuildAuditEvent::StepRecorded, detail))
    })?;
    let (tests, passing) = state.tests();
    let text =
        format!("step {} recorded; {} in all, {passing} of {tests} tests pass", arguments.number, state.steps.len());
    say(arguments.common.json, &state, &text)
}

pub(super) fn to(context: &CliContext, builds: &Builds, arguments: &ToArguments) -> anyhow::Result<ExitStatus> {
    let target = arguments.phase;
    let build = arguments.common.choose(context, builds)?;
    let mut moved = None;
    let state = builds.update(&build, context.now_ms, |state| {
        let outcome = machine::go(state, target, context.now_ms)?;
        moved = Some(outcome);
        Ok(match outcome {
            Moved::To(_) => {
                BuildChange { event: BuildAuditEvent::PhaseChanged, detail: arguments.evidence.as_deref().map(clean) }
            }
            Moved::Escalated { limit } => {
                BuildChange::saying(BuildAuditEvent::BuildEscalated, format!("too many {limit}"))
            }
        })
    })?;
    if let Some(Moved::Escalated { limit }) = moved {
        if arguments.common.json {
            printer::json(&state)?;
        }
        printer::note(format!(
            "stopgate: build {} had too many {limit} and is escalated: a person has to look at it; it holds nobody any \
             more",
            state.id
        ));
        return Ok(ExitStatus::Failure);
    }
    say(
        arguments.common.json,
        &state,
        &format!("build {}: {} -> {}", state.id, build.state.phase.name(), target.name()),
    )
}

pub(super) fn complete(
    context: &CliContext,
    builds: &Builds,
    arguments: &CompleteArguments,
) -> anyhow::Result<ExitStatus> {
    let build = arguments.common.choose(context, builds)?;
    let state = builds.update(&build, context.now_ms, |state| {
        machine::complete(state, context.now_ms)?;
        Ok(BuildChange::of(BuildAuditEvent::BuildCompleted))
    })?;
    let (tests, _) = state.tests();
    let steps = if state.steps.len() == 1 { "1 step".to_owned() } else { format!("{} steps", state.steps.len()) };
    let text = format!("build {} is complete ({steps}, {tests} tests pass) and archived", state.id);
    say(arguments.common.json, &state, &format!("{text}{}", worktree_hint(&state)))
}

fn worktree_hint(state: &BuildState) -> String {
    match &state.worktree {
        Some(tree) if !tree.merged => {
            format!("\nits branch {} is not merged: stopgate build worktree merge --build {}", tree.branch, state.id)
        }
        _ => String::new(),
    }
}

pub(super) fn fail(context: &CliContext, builds: &Builds, arguments: &GiveUpArguments) -> anyhow::Result<ExitStatus> {
    give_up(context, builds, arguments, Phase::Failed, BuildAuditEvent::BuildFailed)
}

pub(super) fn escalate(
    context: &CliContext,
    builds: &Builds,
    arguments: &GiveUpArguments,
) -> anyhow::Result<ExitStatus> {
    give_up(context, builds, arguments, Phase::Escalated, BuildAuditEvent::BuildEscalated)
}

fn give_up(
    context: &CliContext,
    builds: &Builds,
    arguments: &GiveUpArguments,
    phase: Phase,
    event: BuildAuditEvent,
) -> anyhow::Result<ExitStatus> {
    let reason = clean(&arguments.reason);
    if reason.is_empty() {
        bail!(Failure::new(ErrorCode::Usage, "--reason: has to say why"));
    }
    let build = arguments.common.choose(context, builds)?;
    let state = builds.update(&build, context.now_ms, |state| {
        machine::give_up(state, phase, reason.clone(), context.now_ms)?;
        Ok(BuildChange::saying(event, reason))
    })?;
    let text = format!("build {} is {} and holds nobody any more; archived", state.id, phase.name());
    say(arguments.common.json, &state, &format!("{text}{}", worktree_hint(&state)))
}
