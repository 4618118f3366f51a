//! The live check: runs what was registered, exactly as it stands in the settings file, and shows the gate at work.

pub(crate) mod fence;
pub(crate) mod payload;
pub(crate) mod repo;
pub(crate) mod run;
pub(crate) mod stop;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use stopgate_core::clock::SystemClock;
use stopgate_core::env::{self, Env};
use stopgate_core::event_id::new_event_id;
use stopgate_core::hook::TABLE;
use stopgate_core::session::{Harness, LIVE_CHECK_PREFIX};
use stopgate_core::subprocess::{Ending, ProgramEnded};
use stopgate_core::text::one_line;

use crate::printer::{Printer, Tone, columns};
use crate::wiring::{Entry, hook_of};
use run::{Call, Ran};

/// How long one hook may take.
const DEADLINE: Duration = Duration::from_secs(10);
const SHOWN_CHARS: usize = 100;

/// What a hook answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub(crate) enum HookAnswer {
    /// Nothing: go on.
    Allowed,
    /// A valid answer that does not block.
    Answered {
        /// The fields of the answer.
        fields: Vec<String>,
    },
    /// The turn may not end.
    Blocked {
        /// What the agent is told.
        reason: String,
    },
    /// The tool is not used.
    Refused {
        /// What the agent is told.
        reason: String,
    },
    /// Not what a hook may answer.
    Problem {
        /// What is wrong.
        problem: String,
    },
}

impl HookAnswer {
    /// Reads a hook's answer off its output.
    pub(crate) fn of(ran: &Ran) -> Self {
        let problem = |problem: String| Self::Problem { problem };
        let ProgramEnded { ending, stdout, stderr } = match &ran.ended {
            Ok(ended) => ended,
            Err(error) => return problem(format!("cannot be started: {error}")),
        };
        match ending {
            Ending::Deadline => return problem(format!("no end within {} s; killed", DEADLINE.as_secs())),
            Ending::TooMuch => return problem("prints without end; killed".to_owned()),
            Ending::Lost => return problem("was lost sight of".to_owned()),
            Ending::Exited(status) if !status.success() => {
                return problem(format!("{status}: {}", one_line(&String::from_utf8_lossy(stderr), SHOWN_CHARS)));
            }
            Ending::Exited(_) => {}
        }
        if stdout.is_empty() {
            return Self::Allowed;
        }
        let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice(stdout) else {
            let text = String::from_utf8_lossy(stdout);
            return problem(format!("standard output is not one JSON object: {}", one_line(&text, SHOWN_CHARS)));
        };
        let text = |name: &str| fields.get(name).and_then(serde_json::Value::as_str);
        match (text("decision"), text("reason")) {
            (Some("block"), Some(reason)) if !reason.trim().is_empty() => Self::Blocked { reason: reason.to_owned() },
            (Some("block"), _) => problem("blocks without a reason".to_owned()),
            _ if fields.get("hookSpecificOutput").is_some_and(|said| said["permissionDecision"] == "deny") => {
                match fields["hookSpecificOutput"]["permissionDecisionReason"].as_str() {
                    Some(reason) if !reason.trim().is_empty() => Self::Refused { reason: reason.to_owned() },
                    _ => problem("refuses without a reason".to_owned()),
                }
            }
            _ => Self::Answered { fields: fields.keys().cloned().collect() },
        }
    }

    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Allowed => "allowed (no output)".to_owned(),
            Self::Answered { fields } => format!("allowed ({})", fields.join(", ")),
            Self::Blocked { reason } => format!("blocked: {}", one_line(reason, SHOWN_CHARS)),
            Self::Refused { reason } => format!("refused: {}", one_line(reason, SHOWN_CHARS)),
            Self::Problem { problem } => format!("PROBLEM: {problem}"),
        }
    }

    pub(crate) const fn is_problem(&self) -> bool {
        matches!(self, Self::Problem { .. })
    }
}

/// One registered command line, run once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Probe {
    pub(crate) event: String,
    pub(crate) command: String,
    #[serde(flatten)]
    pub(crate) answer: HookAnswer,
    pub(crate) milliseconds: f64,
}

/// All that the live check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct LiveCheck {
    pub(crate) hooks: Vec<Probe>,
    pub(crate) stop: stop::Shown,
}

impl LiveCheck {
    /// Whether something does not work.
    pub(crate) fn has_problem(&self) -> bool {
        self.hooks.iter().any(|probe| probe.answer.is_problem()) || self.stop.is_problem()
    }
}

/// A session id that nobody has, and that lists leave out.
pub(crate) fn session_id() -> String {
    format!("{LIVE_CHECK_PREFIX}{}", new_event_id(&SystemClock))
}

/// The environment of a hook under test: what a harness surely has, and the switches that this process obeys.
pub(crate) fn hook_environment(environment: &dyn Env) -> Vec<(&'static str, std::ffi::OsString)> {
    [env::HOME, env::PATH, env::STOPGATE_HOME, env::STOPGATE_NO_AUTOSTART, env::STOPGATE_KILL]
        .into_iter()
        .filter_map(|name| Some((name, environment.os(name)?)))
        .collect()
}

/// Runs every entry once, in the order of a session's life, in the directory `cwd`.
pub(crate) fn probe(environment: &dyn Env, harness: Harness, entries: &[Entry], cwd: &Path) -> Vec<Probe> {
    let session = session_id();
    let mut entries: Vec<&Entry> = entries.iter().collect();
    let place = |entry: &Entry| TABLE.iter().position(|(_, wire)| wire.event.name() == entry.event);
    entries.sort_by_key(|entry| place(entry).unwrap_or(TABLE.len()));
    let variables = hook_environment(environment);
    entries
        .into_iter()
        .map(|entry| {
            let stdin = payload::of(&entry.event, &session, cwd, "The live check is done.");
            let (program, args) = entry.argv(harness);
            let call = Call { command: &program, args: &args, cwd, variables: &variables, stdin: &stdin };
            let ran = run::run(&call, DEADLINE);
            Probe {
                event: entry.event.clone(),
                command: entry.command.clone(),
                answer: HookAnswer::of(&ran),
                milliseconds: (ran.took.as_secs_f64() * 10_000.0).round() / 10.0,
            }
        })
        .collect()
}

/// Prints the table of `probes` of the hooks in `bin`.
pub(crate) fn print_table(printer: Printer, probes: &[Probe], bin: &Path) {
    let heading = ["event", "hook", "ms", "answer"].map(str::to_owned).to_vec();
    let rows = probes.iter().map(|probe| {
        let hook = hook_of(&probe.command, bin).map_or(probe.command.clone(), |hook| hook.name().to_owned());
        vec![probe.event.clone(), hook, format!("{:.1}", probe.milliseconds), probe.answer.shown()]
    });
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    for (index, line) in columns(&rows).iter().enumerate() {
        let is_problem = index.checked_sub(1).and_then(|at| probes.get(at)).is_some_and(|p| p.answer.is_problem());
        let line = if is_problem { printer.toned(Tone::Bad, line) } else { line.clone() };
        printer.line(format!("  {line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn ended(ending: Ending, stdout: &str) -> Ran {
        let ended = ProgramEnded { ending, stdout: stdout.into(), stderr: b"oops\n".to_vec() };
        Ran { ended: Ok(ended), took: Duration::ZERO }
    }

    fn ran(code: i32, stdout: &str) -> Ran {
        ended(Ending::Exited(ExitStatus::from_raw(code << 8)), stdout)
    }

    #[test]
    fn only_documented_answers_are_well() {
        assert_eq!(HookAnswer::of(&ran(0, "")), HookAnswer::Allowed);
        let block = r#"{"decision":"block","reason":"[stopgate] go on"}"#;
        assert_eq!(HookAnswer::of(&ran(0, block)), HookAnswer::Blocked { reason: "[stopgate] go on".into() });
        assert_eq!(HookAnswer::of(&ran(0, "{}")), HookAnswer::Answered { fields: Vec::new() });
        for (code, stdout) in
            [(1, ""), (0, "hello"), (0, "{} {}"), (0, "\n"), (0, "[]"), (0, r#"{"decision":"block"}"#)]
        {
            assert!(HookAnswer::of(&ran(code, stdout)).is_problem(), "{code} {stdout:?}");
        }
        let late = ended(Ending::Deadline, "");
        assert_eq!(HookAnswer::of(&late).shown(), "PROBLEM: no end within 10 s; killed");
    }
}
