//! One stop, judged: an agent with work left says that it would rather go on in another session.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use stopgate_core::decision::Decision;
use stopgate_core::env::{self, Env};
use stopgate_core::harness::EventName;
use stopgate_core::hook::Hook;
use stopgate_core::paths::Home;
use stopgate_core::session::Harness;
use stopgate_core::switch::{self, Mode};
use stopgate_gate::reminder;
use stopgate_protocol::{GateLogRow, LogFilter};

use super::repo::{GitProblem, Repo};
use super::run::{Call, run};
use super::{DEADLINE, HookAnswer, hook_environment, payload, session_id};
use crate::authority::{self, AuthorityState};
use crate::shell;
use crate::wiring::Entry;

/// How long the verdict may take to appear in the log.
const VERDICT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);
const TAIL: u32 = 50;
/// What the store keeps in the place of a failure while a stop is being judged.
const PENDING: &str = "pending";
/// The excuse.
const MESSAGE: &str = "The tokenizer is in and committed. I'm running low on context, so this is a good place to stop; \
                       let's continue with the parser in a fresh session.";

/// What was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(crate) enum Shown {
    /// The stop was judged as it should be.
    Judged {
        /// `shadow` or `enforce`.
        mode: Mode,
        /// The rule that decided.
        rule: String,
        /// How long the judgement took.
        latency_ms: u64,
        /// What the agent was told, or in shadow would have been.
        reason: Option<String>,
    },
    /// There was nothing to show, for a reason that is no fault.
    Skipped {
        /// The reason.
        reason: String,
    },
    /// It did not work.
    Problem {
        /// What went wrong.
        problem: String,
    },
}

impl Shown {
    pub(crate) const fn is_problem(&self) -> bool {
        matches!(self, Self::Problem { .. })
    }

    /// For people.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Judged { mode, rule, latency_ms, reason } => {
                let (held, told) = match mode {
                    Mode::Enforce => ("blocked", "the agent was told"),
                    Mode::Off | Mode::Shadow => ("would block", "the agent would be told"),
                };
                let told = reason.as_ref().map(|_| format!("; {told}:")).unwrap_or_default();
                let mut lines =
                    vec![format!("stop judged in {}: {held}, rule {rule} ({latency_ms} ms){told}", mode.name())];
                lines.extend(reason.iter().flat_map(|reason| reason.lines()).map(|line| format!("    {line}")));
                lines
            }
            Self::Skipped { reason } => vec![format!("stop attempt skipped: {reason}")],
            Self::Problem { problem } => vec![format!("PROBLEM: stop attempt: {problem}")],
        }
    }
}

/// Shows a stop through the entries of the settings file.
pub(crate) fn show(
    environment: &dyn Env,
    home: &Home,
    harness: Harness,
    entries: &[Entry],
    authority: &AuthorityState,
) -> Shown {
    let bin = home.bin();
    let registered = RegisteredStop { environment, harness, entries, bin: &bin };
    match attempt(&registered, home, authority) {
        Ok(shown) => shown,
        Err(problem) => Shown::Problem { problem },
    }
}

/// What is fired, and how.
struct RegisteredStop<'a> {
    environment: &'a dyn Env,
    harness: Harness,
    entries: &'a [Entry],
    bin: &'a Path,
}

fn attempt(registered: &RegisteredStop<'_>, home: &Home, authority: &AuthorityState) -> Result<Shown, String> {
    let environment = registered.environment;
    let skipped = |reason: String| Ok(Shown::Skipped { reason });
    match authority {
        AuthorityState::Running { .. } => {}
        AuthorityState::NotStarted { reason } => return skipped(format!("the authority is not running ({reason})")),
        AuthorityState::Failed { problem } => return Err(format!("the authority does not work: {problem}")),
    }
    if switch::is_killed(environment, home) {
        return skipped("the kill switch is on; `stopgate kill off` lifts it".to_owned());
    }
    let mode = switch::read_mode(home).mode();
    if mode == Mode::Off {
        return skipped("the mode is off; `stopgate mode shadow` turns it on".to_owned());
    }
    let dir = tempfile::Builder::new()
        .prefix("live-check-")
        .tempdir()
        .map_err(|error| format!("no temporary directory: {error}"))?;
    let top = dir.path().canonicalize().map_err(|error| format!("{}: {error}", dir.path().display()))?;
    let repo = match Repo::with_plan(&top, environment.os(env::PATH)) {
        Ok(repo) => repo,
        Err(GitProblem::NotInstalled) => {
            return skipped("git is not installed, and the gate's facts come from git".to_owned());
        }
        Err(GitProblem::Failed(problem)) => return Err(problem),
    };
    let session = session_id();
    let fire = |event: EventName, hook: Hook| registered.fire(event, hook, &session, &top);
    fire(EventName::SessionStart, Hook::SessionStartRecorder)?;
    let transcript = payload::transcript(&top);
    std::fs::write(&transcript, payload::prompted(registered.harness))
        .map_err(|error| format!("{}: {error}", transcript.display()))?;
    repo.make_progress().map_err(|problem| match problem {
        GitProblem::NotInstalled => "git is gone".to_owned(),
        GitProblem::Failed(problem) => problem,
    })?;
    let answer = fire(EventName::Stop, Hook::StopGateRouter);
    let row = wait_for_verdict(home, &session);
    fire(EventName::SessionEnd, Hook::SessionStartRecorder)?;
    judge(mode, answer?, &row?, &home.bin())
}

impl RegisteredStop<'_> {
    fn fire(&self, event: EventName, hook: Hook, session: &str, cwd: &Path) -> Result<HookAnswer, String> {
        let name = hook.name();
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.is_place_of(event.name(), hook, self.bin))
            .ok_or_else(|| format!("{name} is not registered on {}", event.name()))?;
        let stdin = payload::of(event.name(), session, cwd, MESSAGE);
        let variables = hook_environment(self.environment);
        let (program, args) = entry.argv(self.harness);
        let call = Call { command: &program, args: &args, cwd, variables: &variables, stdin: &stdin };
        match HookAnswer::of(&run(&call, DEADLINE)) {
            HookAnswer::Problem { problem } => Err(format!("{name}: {problem}")),
            answer => Ok(answer),
        }
    }
}

fn wait_for_verdict(home: &Home, session: &str) -> Result<GateLogRow, String> {
    let began = Instant::now();
    loop {
        let asked = authority::of(home).call(&LogFilter { tail: Some(TAIL), ..LogFilter::default() });
        let log = asked.map_err(|error| error.to_string())?;
        let judged = |row: &GateLogRow| row.session_id == session && row.fail_open.as_deref() != Some(PENDING);
        if let Some(row) = log.events.into_iter().find(judged) {
            return Ok(row);
        }
        if began.elapsed() > VERDICT {
            let seconds = VERDICT.as_secs();
            return Err(format!("no verdict within {seconds} s; see `stopgate gate log` and {}", home.log().display()));
        }
        std::thread::sleep(POLL);
    }
}

/// Whether the hook's answer and the log's row are what this stop calls for.
fn judge(mode: Mode, answer: HookAnswer, row: &GateLogRow, bin: &Path) -> Result<Shown, String> {
    let unexpected = |what: &str| {
        let rule = row.rule.map_or("none", |rule| rule.id());
        let short = row.short_circuit.as_deref().or(row.fail_open.as_deref()).unwrap_or("none");
        let decision = row.decision.map_or("none", Decision::name);
        Err(format!("{what}: decision {decision}, rule {rule}, cut short by {short}; see `stopgate gate log`"))
    };
    let (true, Some(rule)) = (row.would_block, row.rule) else { return unexpected("judged, but not as it should be") };
    let program = shell::word(&bin.join("stopgate").to_string_lossy());
    let would_be = row.evidence.as_ref().map(|evidence| reminder::render(rule, evidence, &program));
    let (rule, latency_ms) = (rule.id().to_owned(), row.latency_ms);
    match (mode, answer) {
        (Mode::Enforce, HookAnswer::Blocked { reason }) => {
            Ok(Shown::Judged { mode, rule, latency_ms, reason: Some(reason) })
        }
        (Mode::Enforce, _) => unexpected("the verdict did not reach the agent"),
        (_, HookAnswer::Blocked { .. }) => unexpected("blocked, although the mode is shadow"),
        (mode, _) => Ok(Shown::Judged { mode, rule, latency_ms, reason: would_be }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_gate::signals::{Signal, detect};
    use stopgate_gate::{EvidencePointer, RuleId};

    fn row(would_block: bool) -> GateLogRow {
        GateLogRow {
            event_id: "e".into(),
            harness: Harness::Claude,
            session_id: "s".into(),
            name: None,
            at_ms: 0,
            mode: Mode::Shadow,
            decision: Some(if would_block { Decision::Continue } else { Decision::Allow }),
            rule: would_block.then_some(RuleId::DurableArtifact),
            short_circuit: (!would_block).then(|| "no-signal".to_owned()),
            would_block,
            blocked: false,
            noted: false,
            checkout: None,
            fail_open: None,
            detail: None,
            signals: Vec::new(),
            evidence: None,
            latency_ms: 12,
            cwd: None,
            preview: String::new(),
        }
    }

    #[test]
    fn the_excuse_is_one() {
        let signals = detect(MESSAGE);
        assert!(signals.has(Signal::FreshSession) && signals.wants_to_leave());
        assert!(!signals.has(Signal::ClaimsCompletion) && !signals.has(Signal::AsksQuestion));
    }

    #[test]
    fn what_is_shown_is_what_happened() {
        let block = || HookAnswer::Blocked { reason: "[stopgate] Go on\nwith it.".into() };
        let lines = |mode, answer, would_block| match judge(mode, answer, &row(would_block), Path::new("/h/bin")) {
            Ok(shown) => shown.lines(),
            Err(problem) => vec![problem],
        };
        assert_eq!(
            lines(Mode::Shadow, HookAnswer::Allowed, true),
            ["stop judged in shadow: would block, rule U1_DURABLE_ARTIFACT_CONTINUATION_SAFE (12 ms)"]
        );
        let evidence = EvidencePointer {
            plan_file: "docs/plan.md".into(),
            plan_commit_sha: None,
            incremental_commit_sha: Some("b".repeat(40)),
            next_step: "write it".into(),
            task: None,
        };
        let with_evidence = GateLogRow { evidence: Some(evidence), ..row(true) };
        let shown = judge(Mode::Shadow, HookAnswer::Allowed, &with_evidence, Path::new("/my h/bin")).unwrap().lines();
        assert!(shown[0].ends_with("(12 ms); the agent would be told:"), "{shown:?}");
        assert!(
            shown[1].starts_with("    [stopgate] ") && shown.join("\n").contains("'/my h/bin/stopgate' gate contest")
        );
        assert_eq!(
            lines(Mode::Enforce, block(), true),
            [
                "stop judged in enforce: blocked, rule U1_DURABLE_ARTIFACT_CONTINUATION_SAFE (12 ms); the agent was told:",
                "    [stopgate] Go on",
                "    with it.",
            ]
        );
        assert!(lines(Mode::Shadow, HookAnswer::Allowed, false)[0].contains("cut short by no-signal"));
        assert!(lines(Mode::Shadow, block(), true)[0].contains("although the mode is shadow"));
        assert!(lines(Mode::Enforce, HookAnswer::Allowed, true)[0].contains("did not reach the agent"));
    }
}
