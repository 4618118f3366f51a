//! `stopgate explain`: a verdict reached again from what was written down, stage by stage.

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use stopgate_core::text::one_line;
use stopgate_gate::asked::{Asked, PromptClass};
use stopgate_gate::facts::{Facts, MAX_PLAN_KIB, Plan};
use stopgate_gate::model::{Reading, reading};
use stopgate_gate::pipeline::{self, JobGrounds, Judgement, Recording, Trace};
use stopgate_gate::transcript::TaskStatus;
use stopgate_protocol::{ErrorCode, ExplainStop, Failure, GateLogRow};

use crate::context::CliContext;
use crate::{ExitStatus, printer, when};

/// Where event ids are.
const SHOWN: &str = "`stopgate gate log --json` shows them";

/// Longest part of the message that is shown with a signal.
const MAX_WORDS_CHARS: usize = 80;
/// Plans that were not read are named up to this many, with this much of their path.
const MAX_NAMED: usize = 3;
const MAX_PATH_CHARS: usize = 120;

/// Longest part of what an agent said against a verdict.
const MAX_WHY_CHARS: usize = 500;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The stop's event id, or how it begins as `stopgate gate log` shows it
    event: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One stage of the pipeline.
#[derive(Serialize)]
pub(super) struct Stage {
    pub(super) stage: &'static str,
    pub(super) found: Vec<String>,
}

impl Stage {
    /// Prints what it found, a line each.
    pub(super) fn print(&self) {
        for (at, text) in self.found.iter().enumerate() {
            printer::line(format!("{:<12}{text}", if at == 0 { self.stage } else { "" }));
        }
    }
}

#[derive(Serialize)]
struct Json<'a> {
    event: &'a GateLogRow,
    stages: &'a [Stage],
    /// The decision that this program reaches now.
    decision: &'static str,
    /// Whether that is the one in the log.
    agrees: bool,
    recording: &'a Recording,
    /// What the agent said against it, or for it where it let the stop go.
    contest: Option<&'a str>,
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let wanted = arguments.event.trim().to_ascii_lowercase();
    if wanted.is_empty() || !wanted.chars().all(|symbol| symbol.is_ascii_hexdigit() || symbol == '-') {
        bail!(Failure::new(ErrorCode::NotFound, format!("{:?} is no event id", arguments.event)).with_remedy(SHOWN));
    }
    let asked = ExplainStop { event: wanted.clone() };
    let explanation = context.read(&asked, |store| store.explain(&wanted))?;
    let event = match (explanation.found, explanation.event) {
        (0, _) => bail!(
            Failure::new(ErrorCode::NotFound, format!("no stop has an event id that begins with {wanted}"))
                .with_remedy(SHOWN)
        ),
        (_, Some(event)) => event,
        (found, None) => bail!("{found} stops have an event id that begins with {wanted}: give more of it"),
    };
    let Some(recording) = explanation.recording else {
        bail!("{} was not judged ({}): there is nothing to explain", event.event_id, outcome(&event));
    };
    let trace = recording.replay();
    let decision = trace.decision();
    let stages = stages(&recording, &trace);
    let agrees = event.decision == Some(decision);
    if arguments.json {
        let json = Json {
            event: &event,
            stages: &stages,
            decision: decision.name(),
            agrees,
            recording: &recording,
            contest: explanation.contest.as_deref(),
        };
        printer::json(&json)?;
        return Ok(ExitStatus::Success);
    }
    let (at, session) = (when::rfc3339(event.at_ms), one_line(&event.session_id, 40));
    printer::line(format!("stop {}  {at}  {} {session}  {}", event.event_id, event.harness, event.mode.name()));
    stages.iter().for_each(Stage::print);
    if let Some(why) = &explanation.contest {
        printer::line(format!("{:<12}the agent: \"{}\"", "contested", one_line(why, MAX_WHY_CHARS)));
    }
    printer::line(format!("{:<12}{}", "in the log", outcome(&event)));
    if !agrees {
        printer::note("note: this program decides otherwise than the one that judged; the rules have changed since");
    }
    Ok(ExitStatus::Success)
}

/// What the log says became of a stop.
fn outcome(event: &GateLogRow) -> String {
    let decision = event.decision.map_or("no decision", |decision| decision.name());
    let delivered = if event.blocked { ", blocked" } else { "" };
    let failure = event.fail_open.as_ref().map(|kind| format!(", fail-open: {kind}")).unwrap_or_default();
    format!("{decision}{delivered}{failure}, {} ms", event.latency_ms)
}

pub(super) fn stages(recording: &Recording, trace: &Trace) -> Vec<Stage> {
    let inputs = &recording.inputs;
    let turn = &inputs.turn;
    let mut stages = Vec::new();
    let mut stage = |stage, found: Vec<String>| stages.push(Stage { stage, found });
    let since = turn.prompt_at_ms.map_or_else(|| "unknown".to_owned(), when::rfc3339);
    stage(
        "turn",
        vec![format!(
            "prompt {since}; sent back {} of {} times for it, {} of {} today",
            turn.continues_since_prompt, inputs.limits.per_prompt, turn.continues_today, inputs.limits.per_day
        )],
    );
    if !turn.asked.is_unknown() {
        stage("asked", vec![describe_asked(&turn.asked)]);
    }
    let Some(signals) = &trace.signals else {
        stage(
            "release",
            trace.release.map(|release| format!("{}: {}", release.name(), release.meaning())).into_iter().collect(),
        );
        stage("verdict", vec![trace.decision().name().to_owned()]);
        return stages;
    };
    let heard: Vec<String> = signals
        .sightings()
        .iter()
        .map(|seen| {
            let words = inputs.message.get(seen.span.clone()).unwrap_or_default();
            format!("{}: \"{}\"", seen.signal.name(), one_line(words, MAX_WORDS_CHARS))
        })
        .collect();
    stage("signals", if heard.is_empty() { vec!["none".to_owned()] } else { heard });
    if let Some(reading) = &inputs.reading {
        let mut lines = read_as(reading, &inputs.message, inputs.turn_end.failed_call.as_deref());
        lines.extend(pipeline::grounds(inputs, signals).map(weighed));
        stage("model", lines);
    }
    if let Some(facts) = &trace.facts {
        stage("facts", describe(facts, inputs.reading.is_some()));
    }
    match &trace.judgement {
        Some(Judgement::Opinion { rule, rationale, .. }) => stage("judge", vec![format!("{}: {rationale}", rule.id())]),
        Some(Judgement::Failed { kind, detail }) => stage("judge", vec![format!("failed, {kind}: {detail}")]),
        Some(Judgement::NotAsked { why }) => stage("judge", vec![format!("not asked: {why}")]),
        None => {}
    }
    let rule = trace.rule.map_or("none", |rule| rule.id());
    let modes = inputs
        .rule_modes
        .iter()
        .map(|(rule, own)| format!("{} is {}, by {}", rule.short(), own.place(), own.by.meaning()));
    let why = trace.why.filter(|_| inputs.reading.is_some()).map(|why| why.sentence().to_owned());
    stage("rule", std::iter::once(rule.to_owned()).chain(why).chain(modes).collect());
    if let Some(evidence) = &trace.evidence {
        let refused = trace.refused.map_or("holds", |fault| fault.name());
        stage("evidence", vec![format!("{}: {} ({refused})", evidence.place(), evidence.next_step)]);
    }
    if let Some(release) = trace.release {
        stage("release", vec![format!("{}: {}", release.name(), release.meaning())]);
    }
    stage("verdict", vec![trace.decision().name().to_owned()]);
    stages
}

fn describe_asked(asked: &Asked) -> String {
    let class = asked.class.map_or("unknown", PromptClass::name);
    let job = if asked.has_job { "; a job was asked for" } else { "" };
    let bounds: Vec<_> = asked.bounds.iter().map(|bound| one_line(bound, MAX_WORDS_CHARS)).collect();
    let bounds = if bounds.is_empty() { String::new() } else { format!("; bounded by {}", bounds.join(", ")) };
    format!("{class}{job}{bounds}")
}

/// How the message reads to the model, and by which words.
fn read_as(reading: &Reading, message: &str, failed_call: Option<&str>) -> Vec<String> {
    let learned = reading.learned.as_ref().map_or_else(String::new, |learned| {
        let by = f64::from(learned.milli_log_odds) / 1000.0;
        format!(", {by:+.2} of it by correction {}", one_line(&learned.correction, 16))
    });
    let odds = f64::from(reading.milli_log_odds) / 1000.0;
    let weights = &reading.weights;
    let percent = reading.percent();
    let mut lines =
        vec![format!("{percent} % like work handed back (log-odds {odds:+.2}{learned}; weights {weights})")];
    if reading.is_current() {
        let words = reading::strongest_words(message);
        let word = |(name, weight): &(String, f32)| format!("\"{}\" {weight:+.2}", one_line(name, MAX_WORDS_CHARS));
        lines.extend((!words.is_empty()).then(|| words.iter().map(word).collect::<Vec<_>>().join(", ")));
    } else if let Some(now) = Reading::of(message, failed_call) {
        // The verdict is what the weights of then made of it.
        lines.push(format!("{} % by the weights of this program, {}", now.percent(), now.weights));
    }
    lines
}

/// What speaks for holding a stop together with the prompt and what is on record, and what of it counts most.
fn weighed(grounds: JobGrounds) -> String {
    let odds = |thousandths: i32| format!("{:+.2}", f64::from(thousandths) / 1000.0);
    let each: Vec<_> = grounds.strongest.iter().map(|(name, added)| format!("{name} {}", odds(*added))).collect();
    let (all, above) = (odds(grounds.log_odds), odds(grounds.holds_above));
    format!("with all that is known {all}, held above {above}: {}", each.join(", "))
}

/// The facts; `is_related` if it was asked what a plan has to do with the session, which 0.1.0 did not.
fn describe(facts: &Facts, is_related: bool) -> Vec<String> {
    let plan = |plan: &Plan| {
        if let Some(aside) = plan.set_aside().filter(|_| is_related) {
            return aside;
        }
        let age = if plan.predates_session { "older than the session" } else { "made in this session" };
        let relation = if is_related { format!(", {}", plan.relation().meaning()) } else { String::new() };
        let commits = plan.session_commits.len();
        let ticked =
            if plan.ticked_by_session > 0 { format!(", {} ticked", plan.ticked_by_session) } else { String::new() };
        format!(
            "{}: {} open, {age}{relation}{ticked}, {commits} commits of it; next: {}",
            plan.path, plan.open_steps, plan.next_step
        )
    };
    let large = |path: &String| {
        format!(
            "{}: too large, {MAX_PLAN_KIB} KiB is the most that is read of a plan; split it",
            one_line(path, MAX_PATH_CHARS)
        )
    };
    let open = facts.tasks.iter().filter(|task| task.status != TaskStatus::Completed);
    let mut lines: Vec<String> = facts.plans.iter().map(plan).collect();
    lines.extend(facts.too_large_plans.iter().take(MAX_NAMED).map(large));
    let excluded = |path: &String| {
        format!(
            "{}: no plan because of `gate.exclude_plans`, in config.toml or in the checkout's own .stopgate/config.toml",
            one_line(path, MAX_PATH_CHARS)
        )
    };
    lines.extend(facts.excluded_plans.iter().take(MAX_NAMED).map(excluded));
    lines.extend(open.take(5).map(|task| format!("open task: {}", task.text)));
    if facts.git_trouble.is_none() {
        let commits = facts.session_commits.len();
        lines.push(format!("{commits} commits of the session, {} changed files", facts.dirty_files));
    }
    let told_later = "what was checked out at the start was not noted then; git's log of HEAD tells it";
    lines.extend(facts.start_from_reflog.then(|| told_later.to_owned()));
    lines.extend(facts.live_builds.iter().map(|id| format!("live build {id}")));
    lines.extend(
        facts
            .git_trouble
            .map(|trouble| format!("no plan and no commit can be seen: {}; {}", trouble.meaning(), trouble.remedy())),
    );
    lines.extend(
        facts
            .incomplete
            .then(|| "not known in time: `gate.facts_budget_ms` was over before everything was looked at".to_owned()),
    );
    lines
}
