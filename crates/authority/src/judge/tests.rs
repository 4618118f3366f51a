//! The judge, end to end below the pipeline: a real store, real programs, and a judge on loopback that does everything
//! wrong that one can.

mod commands;
mod models;
mod standing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use stopgate_config::{JudgeConfig, JudgeKind, JudgeWire};
use stopgate_core::clock::Clock;
use stopgate_core::env::{self, MapEnv};
use stopgate_core::paths::Home;
use stopgate_gate::RuleId;
use stopgate_gate::facts::{Facts, Plan};
use stopgate_gate::judge::{FailureKind, JudgeFailure, JudgeQuestion, Opinion};
use stopgate_gate::signals::{Signal, Signals};

use super::{JudgeOutcome, NotAsked, ask_in};
use crate::state::State;

const KEY: &str = "key-0123456789-of-the-operator";
const GO_ON: &str = r#"{"decision": "continue", "rule": "U2_PLAN_FILE_NEXT_STEP_EXPLICIT", "plan": 1, "commit": null,
                        "rationale": "the plan says what comes next"}"#;
/// Far above every deadline here: it tells a hang from a slow machine, and is no measurement.
const AMPLE: Duration = Duration::from_secs(50);

/// A home of its own, the authority's state in it, and the environment that a judge is asked from.
struct Court {
    dir: tempfile::TempDir,
    state: Arc<State>,
    environment: MapEnv,
}

impl Court {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.create().unwrap();
        let path = dir.path().to_str().unwrap().to_owned();
        let environment = MapEnv::of([
            (env::PATH, "/usr/local/bin:/usr/bin:/bin"),
            (env::HOME, &path),
            (env::TMPDIR, &path),
            ("JUDGE_KEY", KEY),
            ("SECRET_OF_THE_PERSON", "hunter2"),
        ]);
        Self { state: State::open(home), dir, environment }
    }

    /// Another authority over the same store, as after a restart.
    fn restarted(&mut self, clock: Box<dyn Clock>) {
        self.state = State::with_clock(self.state.home.clone(), clock);
    }

    fn ask(&self, judge: &JudgeConfig, message: &str) -> JudgeOutcome {
        self.ask_within(judge, message, AMPLE)
    }

    fn ask_within(&self, judge: &JudgeConfig, message: &str, patience: Duration) -> JudgeOutcome {
        let question = JudgeQuestion::new(message, Signals::of([Signal::FreshSession]), &facts());
        ask_in(
            &self.environment,
            &self.state.judges,
            &self.state.storage,
            judge,
            &question,
            Instant::now() + patience,
            &|| None,
        )
    }
}

fn facts() -> Facts {
    let plan = Plan { path: "docs/plan.md".into(), open_steps: 1, predates_session: true, ..Plan::default() };
    let plan = Plan { next_step: "write the parser".into(), introduced_by: Some("a".repeat(40)), ..plan };
    Facts { plans: vec![plan], session_commits: vec!["c".repeat(40)], ..Facts::default() }
}

/// A program of one shell script.
fn program(script: &str) -> JudgeConfig {
    let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    JudgeConfig { kind: JudgeKind::Command, command, ..JudgeConfig::default() }
}

fn model(url: String, wire: JudgeWire) -> JudgeConfig {
    let (model, api_key_env) = ("judge-1".to_owned(), "JUDGE_KEY".to_owned());
    JudgeConfig { kind: JudgeKind::Http, url, wire, model, api_key_env, ..JudgeConfig::default() }
}

fn opinion(outcome: JudgeOutcome) -> Opinion {
    match outcome {
        JudgeOutcome::Opinion(opinion) => opinion,
        other => panic!("no opinion: {other:?}"),
    }
}

fn failure(outcome: JudgeOutcome) -> JudgeFailure {
    match outcome {
        JudgeOutcome::Failed(failure) => failure,
        other => panic!("no failure: {other:?}"),
    }
}

/// The judge held the session by the offered plan, and nothing of its own words is in what that rests on.
fn assert_holds(opinion: &Opinion) {
    assert_eq!(opinion.rule, RuleId::PlanNextStep);
    let evidence = opinion.evidence.as_ref().unwrap();
    assert_eq!((evidence.plan_file.as_str(), evidence.next_step.as_str()), ("docs/plan.md", "write the parser"));
    assert_eq!(opinion.rationale, "the plan says what comes next");
}

#[test]
fn nobody_is_asked_without_a_judge_without_a_plan_or_without_time() {
    let court = Court::new();
    let counting = court.dir.path().join("asked");
    let judge = program(&format!("echo x >> '{}'; printf '%s' '{GO_ON}'", counting.display()));
    let none = JudgeConfig { kind: JudgeKind::None, ..judge.clone() };
    let question = JudgeQuestion::new("m", Signals::default(), &facts());
    let nobody =
        super::ask(&court.state.judges, &court.state.storage, &none, &question, Instant::now() + AMPLE, &|| None);
    assert_eq!(nobody, JudgeOutcome::NotAsked(NotAsked::NoJudge));
    let early = court.ask_within(&judge, "m", Duration::from_millis(60));
    assert_eq!(early, JudgeOutcome::NotAsked(NotAsked::NoTime));
    let question = JudgeQuestion::new("m", Signals::default(), &Facts::default());
    let nothing = ask_in(
        &court.environment,
        &court.state.judges,
        &court.state.storage,
        &judge,
        &question,
        Instant::now() + AMPLE,
        &|| None,
    );
    assert_eq!(nothing, JudgeOutcome::NotAsked(NotAsked::NothingOffered));
    assert!(!counting.exists());
    assert_holds(&opinion(court.ask(&judge, "m")));
    assert_eq!(std::fs::read_to_string(counting).unwrap(), "x\n");
    let names = [NotAsked::NoJudge, NotAsked::NothingOffered, NotAsked::NoTime].map(NotAsked::name);
    assert_eq!(names, ["no-judge", "nothing-offered", "no-time"]);
}
