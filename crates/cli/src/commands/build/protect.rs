//! `stopgate build pause`, `resume`, `release`

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use stopgate_build_guard::machine::targets;
use stopgate_build_guard::reason::PROGRAM;
use stopgate_build_guard::state::{BuildState, Pause};
use stopgate_build_guard::store::BuildAuditEvent;
use stopgate_core::clock::{UnixMillis, days, hours, minutes, seconds};
use stopgate_core::env::ProcessEnv;

use super::start::refuse_second;
use super::{Common, say};
use crate::builds::{BuildChange, Builds};
use crate::context::CliContext;
use crate::identity::{self, OwnerFlags};
use crate::{ExitStatus, printer, when};

/// Longest pause: whoever needs more releases the build.
const MAX_PAUSE_MS: UnixMillis = days(7);

#[derive(Args)]
pub(super) struct PauseArguments {
    /// For how long, such as `30m` or `2h`; without it until `stopgate build resume`
    #[arg(long = "for", value_name = "TIME", value_parser = milliseconds)]
    duration: Option<i64>,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Args)]
pub(super) struct ResumeArguments {
    #[command(flatten)]
    owner: OwnerFlags,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Args)]
pub(super) struct ReleaseArguments {
    #[command(flatten)]
    pub(super) common: Common,
}

/// `90s`, `30m`, `2h`, `1d`.
fn milliseconds(text: &str) -> Result<i64, String> {
    let problem = || format!("{text:?}: a number and a unit, such as 90s, 30m, 2h or 1d; at most 7d");
    let unit = text.find(|symbol: char| !symbol.is_ascii_digit()).ok_or_else(problem)?;
    let (number, unit) = text.split_at(unit);
    let factor = match unit {
        "s" => seconds(1),
        "m" => minutes(1),
        "h" => hours(1),
        "d" => days(1),
        _ => return Err(problem()),
    };
    let number: i64 = number.parse().map_err(|_| problem())?;
    number.checked_mul(factor).filter(|all| (1..=MAX_PAUSE_MS).contains(all)).ok_or_else(problem)
}

pub(super) fn pause(context: &CliContext, builds: &Builds, arguments: &PauseArguments) -> anyhow::Result<ExitStatus> {
    context.operators_only("build pause")?;
    let build = arguments.common.choose(context, builds)?;
    let until_ms = arguments.duration.map(|duration| context.now_ms + duration);
    let until = until_ms
        .map_or_else(|| "until `stopgate build resume`".to_owned(), |at| format!("until {}", when::rfc3339(at)));
    let state = builds.update(&build, context.now_ms, |state| {
        state.pause = Some(Pause { until_ms });
        Ok(BuildChange::saying(BuildAuditEvent::BuildPaused, until.clone()))
    })?;
    say(arguments.common.json, &state, &format!("build {}: its owner may stop {until}", state.id))
}

pub(super) fn release(
    context: &CliContext,
    builds: &Builds,
    arguments: &ReleaseArguments,
) -> anyhow::Result<ExitStatus> {
    context.operators_only("build release")?;
    let build = arguments.common.choose(context, builds)?;
    let state = builds.update(&build, context.now_ms, |state| {
        let Some(owner) = state.owner.take() else { bail!("build {} has no owner already", state.id) };
        Ok(BuildChange::saying(BuildAuditEvent::OwnerReleased, owner.describe()))
    })?;
    let text = format!(
        "build {} holds nobody any more; `stopgate build resume --build {} --owner-session ID` gives it an owner",
        state.id, state.id
    );
    say(arguments.common.json, &state, &text)
}

/// The answer of `resume` for programs.
#[derive(Serialize)]
struct Resumable<'a> {
    can_resume: bool,
    why_not: Option<String>,
    build: Option<&'a BuildState>,
    next_phases: Vec<&'static str>,
}

pub(super) fn resume(context: &CliContext, builds: &Builds, arguments: &ResumeArguments) -> anyhow::Result<ExitStatus> {
    if arguments.owner.names_another(identity::own_session(&ProcessEnv, context).as_ref()) {
        context.operators_only("build resume --owner-...")?;
    }
    let build = match arguments.common.choose(context, builds) {
        Ok(build) => build,
        Err(error) => {
            if arguments.common.json {
                let why_not = Some(format!("{error:#}"));
                printer::json(&Resumable { can_resume: false, why_not, build: None, next_phases: Vec::new() })?;
            }
            printer::note(format!("{}: {error:#}", crate::NAME));
            return Ok(ExitStatus::Failure);
        }
    };
    let mut state = build.state.clone();
    if arguments.owner.is_given() {
        let stamp = identity::stamp(&ProcessEnv, context, &arguments.owner, context.now_ms)?;
        let _lock = builds.prepare()?;
        refuse_second(builds, &stamp, Some(&state.id))?;
        state = builds.update(&build, context.now_ms, |state| {
            let detail = stamp.describe();
            state.owner = Some(stamp);
            Ok(BuildChange::saying(BuildAuditEvent::OwnerStamped, detail))
        })?;
    }
    if state.pause.is_some() {
        state = builds.update(&build, context.now_ms, |state| {
            state.pause = None;
            Ok(BuildChange::of(BuildAuditEvent::BuildResumed))
        })?;
    }
    let next_phases: Vec<_> = targets(state.phase).iter().map(|phase| phase.name()).collect();
    if arguments.common.json {
        printer::json(&Resumable { can_resume: true, why_not: None, build: Some(&state), next_phases })?;
        return Ok(ExitStatus::Success);
    }
    let (tests, passing) = state.tests();
    printer::line(format!("build {}: {}", state.id, state.task));
    printer::line(format!("phase {}; from here to {}", state.phase.name(), next_phases.join(", ")));
    printer::line(format!("{} steps recorded, {passing} of {tests} tests pass", state.steps.len()));
    printer::line(format!("owner: {}", state.owner_name()));
    printer::line(format!(
        "record progress with {PROGRAM} build step N \"...\" --tests T --passing P --build {}",
        state.id
    ));
    Ok(ExitStatus::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_bounds() {
        assert_eq!(milliseconds("30m"), Ok(1_800_000));
        assert_eq!(milliseconds("90s"), Ok(90_000));
        for bad in ["", "30", "m", "-5m", "0s", "8d", "1w", "99999999999999999999d", "1.5h"] {
            assert!(milliseconds(bad).is_err(), "{bad}");
        }
    }
}
