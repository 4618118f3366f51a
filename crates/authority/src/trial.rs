//! A stop that is only tried: the pipeline of `evaluate` with the facts of the real checkout, for somebody who
//! asks what it would say. Reads alone: no home, no store, no authority, and nobody's judge.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stopgate_config::{Config, Faults};
use stopgate_core::checkout::{self, Checkout};
use stopgate_core::clock::{Clock as _, SystemClock, UnixMillis};
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::harness::MAX_MESSAGE_BYTES;
use stopgate_core::person::{End, Person, Prompt};
use stopgate_core::protocol::search_path;
use stopgate_core::redact::redact;
use stopgate_core::session::SessionKey;
use stopgate_core::stop_request::asks_to_stop;
use stopgate_core::text;
use stopgate_gate::EvidencePointer;
use stopgate_gate::asked::Asked;
use stopgate_gate::circumstances::{Circumstances, EndedBy};
use stopgate_gate::evidence::EvidenceFault;
use stopgate_gate::facts::{Facts, MAX_PLAN_KIB, Plan};
use stopgate_gate::model::Reading;
use stopgate_gate::pipeline::{self, Answers, Inputs, Judgement, PipelineWorld, Recording};
use stopgate_gate::reminder;
use stopgate_gate::rules::RuleModes;
use stopgate_gate::signals::{self, Signals};
use stopgate_gate::transcript::Transcript;
use stopgate_gate::trial::{CannotTry, Trial, Tried};
use stopgate_gate::turn::{Ceilings, PersonTurn, headless_lets_go};
use stopgate_gate::turn_end::TurnEnd;

use crate::evaluate::has_judge;
use crate::facts::{self as gathering, Memo, Session};

/// The session's id: no session has it, so that no build is its own.
const SESSION: &str = "tried";
/// How an agent would call the program.
const PROGRAM: &str = "stopgate";
/// A session that begins with the trial begins so long after it: what was written a moment ago was there before.
const BEGINS_AFTER_MS: UnixMillis = 1_000;
/// How long git is asked for the commit that the session began at.
const GIT_TIME: Duration = Duration::from_secs(5);

/// What the gate would do with a stop like `trial`, configured with `config`.
///
/// # Errors
/// An argument names what is not there.
pub fn try_stop(trial: &Trial, config: &Config) -> Result<Tried, CannotTry> {
    let directory = std::fs::canonicalize(&trial.directory).map_err(|error| CannotTry {
        argument: "--dir",
        problem: format!("{}: {error}", trial.directory.display()),
        remedy: "name the directory that the agent works in",
    })?;
    let checkout = checkout::find(&directory);
    let plan = trial.plan.as_deref().map(|file| NamedPlan::read(file, checkout.as_ref())).transpose()?;
    let tightened = tightened(config, checkout.as_ref())?;
    let began = Began::of(trial, &directory, checkout.as_ref())?;
    let message = redact(text::tail(&trial.message, MAX_MESSAGE_BYTES));
    let signals = signals::detect(&message);
    let rule_modes = RuleModes::of(&config.rules, &tightened.rules, &trial.rule_switches);
    let inputs = Inputs { rule_modes, ..inputs(trial, &tightened, &began, message) };
    let budget = env::patiently(Duration::from_millis(u64::from(tightened.gate.facts_budget_ms)));
    let mut world = TriedWorld {
        trial,
        directory: &directory,
        config: &tightened,
        plan,
        began,
        person: person(trial),
        key: key(trial)?,
        memo: Memo::default(),
        until: Instant::now() + budget,
        answers: Answers::default(),
    };
    let trace = pipeline::run_heard(&inputs, signals, &mut world).limited(&inputs.turn, &inputs.limits);
    let mut tried = Tried { recording: Recording { inputs, answers: world.answers }, trace, reminder: String::new() };
    if let (true, Some(evidence), Some(rule)) = (tried.would_hold(), &tried.trace.evidence, tried.trace.rule) {
        tried.reminder = reminder::render(rule, evidence, PROGRAM);
    }
    Ok(tried)
}

fn tightened(config: &Config, checkout: Option<&Checkout>) -> Result<Config, CannotTry> {
    let Some(checkout) = checkout else { return Ok(config.clone()) };
    stopgate_config::load_for_checkout(config, &checkout.main).map_err(|Faults(faults)| CannotTry {
        argument: "the checkout's configuration",
        problem: faults.first().map(ToString::to_string).unwrap_or_default(),
        remedy: "mend it: the gate ignores it as it is",
    })
}

fn key(trial: &Trial) -> Result<SessionKey, CannotTry> {
    SessionKey::new(trial.harness, SESSION).ok_or(CannotTry {
        argument: "--harness",
        problem: "no session can have this name".to_owned(),
        remedy: "report this as a defect",
    })
}

/// What the person said.
fn person(trial: &Trial) -> Person {
    let mut prompts = trial.prompts.iter().rev().map(|text| Prompt { text: text.clone(), at_ms: None, reported: true });
    let prompt = prompts.next();
    let end = prompt.as_ref().filter(|prompt| asks_to_stop(&prompt.text)).map(|_| End::Asked);
    Person { prompt, earlier: prompts.collect(), end, headless: trial.headless }
}

fn inputs(trial: &Trial, config: &Config, began: &Began, message: String) -> Inputs {
    let now_ms = SystemClock.now_ms();
    let reading = Reading::of(&message, None).map(|reading| reading.corrected(trial.learned.as_ref(), &message));
    let asked = Asked::of(trial.prompts.iter().map(String::as_str));
    Inputs {
        circumstances: Circumstances {
            ended_by: trial.plan_mode.then_some(EndedBy::PlanMode),
            ..Circumstances::plain(began.at_ms)
        },
        message,
        turn: PersonTurn {
            headless: trial.headless && headless_lets_go(config.gate.headless, &asked),
            now_ms,
            prompt_at_ms: Some(now_ms),
            person_asked_to_stop: trial.prompts.last().is_some_and(|prompt| asks_to_stop(prompt)),
            asked,
            ..PersonTurn::default()
        },
        limits: Ceilings::from(&config.gate),
        has_judge: has_judge(config),
        turn_end: TurnEnd { headless: trial.headless, ..TurnEnd::default() },
        rule_modes: RuleModes::default(),
        reading,
    }
}

/// When and where the session began.
struct Began {
    at_ms: UnixMillis,
    head: Option<String>,
}

impl Began {
    fn of(trial: &Trial, directory: &Path, checkout: Option<&Checkout>) -> Result<Self, CannotTry> {
        let now_ms = SystemClock.now_ms();
        let found = checkout.and_then(|checkout| {
            let until = Instant::now() + env::patiently(GIT_TIME);
            gathering::commit_back(checkout, search_path(&ProcessEnv).as_deref(), trial.commits, until)
        });
        match (found, trial.commits) {
            (Some((id, at_ms)), 1..) => Ok(Self { at_ms, head: Some(id) }),
            (found, 0) => Ok(Self { at_ms: now_ms + BEGINS_AFTER_MS, head: found.map(|(id, _)| id) }),
            (None, commits) => Err(CannotTry {
                argument: "--commits",
                problem: format!("{} has not {commits} commits after another", directory.display()),
                remedy: "say how many of the newest commits of the checkout are the session's, or leave it out",
            }),
        }
    }
}

/// The plan that was named.
struct NamedPlan {
    file: PathBuf,
    /// Its path in the checkout, if it lies in it; else its name.
    path: String,
    in_checkout: bool,
    open: Vec<String>,
}

impl NamedPlan {
    fn read(file: &Path, checkout: Option<&Checkout>) -> Result<Self, CannotTry> {
        let wrong = |problem: String, remedy| CannotTry { argument: "--plan", problem, remedy };
        let name = || file.display().to_string();
        let real = std::fs::canonicalize(file)
            .map_err(|error| wrong(format!("{}: {error}", name()), "name a file that is there"))?;
        let inside = checkout.and_then(|checkout| real.strip_prefix(&checkout.worktree).ok());
        let path = inside.or_else(|| real.file_name().map(Path::new)).and_then(Path::to_str);
        let path = path.ok_or_else(|| wrong(format!("{}: not UTF-8", name()), "rename it"))?.to_owned();
        let open = Self::open_steps(&real, &path).map_err(|problem| {
            wrong(format!("{}: {problem}", name()), "name a text file with steps, such as a Markdown file with boxes")
        })?;
        Ok(Self { in_checkout: inside.is_some(), path, open, file: real })
    }

    fn open_steps(file: &Path, path: &str) -> Result<Vec<String>, String> {
        const MAX_BYTES: u64 = MAX_PLAN_KIB * 1024;
        let meta = std::fs::metadata(file).map_err(|error| error.to_string())?;
        if !meta.is_file() {
            return Err("not a file".to_owned());
        }
        let mut text = String::new();
        let read = File::open(file).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
        read.map_err(|error| error.to_string())?;
        if text.len() as u64 > MAX_BYTES {
            return Err(format!("larger than {MAX_PLAN_KIB} KiB, the most that is read of a plan"));
        }
        gathering::open_steps(path, &text).ok_or_else(|| "not read in time".to_owned())
    }

    /// As a plan that lies outside of every checkout.
    fn as_plan(&self, ticked: usize) -> Option<Plan> {
        Some(Plan {
            path: self.path.clone(),
            next_step: self.open.first()?.clone(),
            open_steps: self.open.len(),
            predates_session: true,
            touched_by_session: true,
            ticked_by_session: ticked,
            open_step_texts: self.open.clone(),
            ..Plan::default()
        })
    }
}

/// The checkout as it is, and a session that is made up.
struct TriedWorld<'a> {
    trial: &'a Trial,
    directory: &'a Path,
    config: &'a Config,
    plan: Option<NamedPlan>,
    began: Began,
    person: Person,
    key: SessionKey,
    memo: Memo,
    until: Instant,
    answers: Answers,
}

impl TriedWorld<'_> {
    fn gathered(&self) -> Facts {
        let mut told = Transcript::default();
        if let Some(plan) = &self.plan {
            told.files.written.insert(plan.file.clone());
            if self.trial.ticked > 0 {
                told.files.ticked.insert(plan.file.clone(), self.trial.ticked);
            }
        }
        let (home, search_path) = (ProcessEnv.os(env::HOME).map(PathBuf::from), search_path(&ProcessEnv));
        let session = Session {
            key: &self.key,
            cwd: self.directory,
            // Never opened: what it tells is known.
            transcript: Some(self.directory),
            told: Some(&told),
            person: &self.person,
            heard: None,
            started_at_ms: self.began.at_ms,
            clock_held: true,
            head_at_start: self.began.head.as_deref(),
            start_cwd: Some(self.directory),
            search_path: search_path.as_deref(),
            home: home.as_deref(),
            exclude: &self.config.gate.exclude_plans,
        };
        let mut facts = gathering::gather(&self.memo, &session, self.until);
        let outside = self.plan.iter().filter(|plan| !plan.in_checkout);
        facts.plans.splice(0..0, outside.filter_map(|plan| plan.as_plan(self.trial.ticked)));
        facts
    }

    fn look(&self, evidence: &EvidencePointer) -> Result<(), EvidenceFault> {
        match self.plan.as_ref().filter(|plan| !plan.in_checkout && plan.path == evidence.plan_file) {
            Some(plan) if plan.open.contains(&evidence.next_step) => Ok(()),
            Some(_) => Err(EvidenceFault::PlanChanged),
            None => {
                let search_path = search_path(&ProcessEnv);
                gathering::verify(&self.memo, self.directory, search_path.as_deref(), evidence, self.until)
            }
        }
    }
}

impl PipelineWorld for TriedWorld<'_> {
    fn facts(&mut self) -> Facts {
        let gathered = self.gathered();
        self.answers.facts.insert(gathered).clone()
    }

    fn judge(&mut self, _: &Signals, _: &Facts) -> Judgement {
        let why = "a trial asks nobody".to_owned();
        self.answers.judgement.insert(Judgement::NotAsked { why }).clone()
    }

    fn verify(&mut self, evidence: &EvidencePointer) -> Result<(), EvidenceFault> {
        let verified = self.look(evidence);
        self.answers.refused = verified.err();
        verified
    }
}
