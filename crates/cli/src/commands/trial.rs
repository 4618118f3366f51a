//! `stopgate try`: what the gate would do with a stop that nobody made. Nothing has to be installed, and nothing is kept.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use stopgate_config::LastGood;
use stopgate_core::harness::MAX_MESSAGE_BYTES;
use stopgate_core::release::Release;
use stopgate_core::session::Harness;
use stopgate_core::text::one_line;
use stopgate_gate::RuleId;
use stopgate_gate::model::reading;
use stopgate_gate::pipeline::Recording;
use stopgate_gate::trial::{Trial, Tried};
use stopgate_protocol::{ErrorCode, Failure};
use stopgate_store::{learned, rule_switches};

use super::explain::{self, Stage};
use crate::context::CliContext;
use crate::{ExitStatus, TryStop, bounded, printer};

/// Longest part of a prompt that is shown.
const MAX_PROMPT_CHARS: usize = 120;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What the agent says last, before it stops
    #[arg(required_unless_present_any = ["stdin", "file"], conflicts_with_all = ["stdin", "file"])]
    message: Option<String>,
    /// Read the message from standard input
    #[arg(long, conflicts_with = "file")]
    stdin: bool,
    /// Read the message from a file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What the person asked for; several are taken as said one after the other. By default the person wants the plan done
    #[arg(long, value_name = "TEXT")]
    prompt: Vec<String>,
    /// The plan that the job is about: the session has worked on it. Others count as the checkout has them
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// How many steps of the plan the session has ticked
    #[arg(long, value_name = "NUMBER", default_value_t = 0, requires = "plan")]
    ticked: usize,
    /// How many of the newest commits of the checkout are the session's
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    commits: u32,
    /// The directory that the agent works in
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The agent's client
    #[arg(long, value_parser = Harness::ALL.map(Harness::name), default_value = Harness::DEFAULT.name())]
    harness: String,
    /// A script reads the answer (`claude -p`, `codex exec`)
    #[arg(long)]
    headless: bool,
    /// The client is in plan mode
    #[arg(long)]
    plan_mode: bool,
    /// End with exit code 1 if the agent would be sent back
    #[arg(long)]
    exit_code: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "Examples:
  stopgate try \"I am low on context. Let's continue in a fresh session.\" --plan docs/plan.md
  stopgate try --prompt \"Which steps are open?\" \"Steps 3 and 4 are open.\"
  stopgate try --stdin --commits 2 --json < last-message.txt

The gate judges as in enforce, in the checkout of --dir as it is, with your config.toml if there is one. No judge is asked.";

#[derive(Serialize)]
struct Json<'a> {
    /// Whether the agent would be sent back.
    would_hold: bool,
    decision: &'static str,
    rule: Option<&'static str>,
    release: Option<&'static str>,
    /// What the agent would receive; empty unless it would be sent back.
    reminder: &'a str,
    prompts: &'a [String],
    /// What was taken for granted, because nothing was said of it.
    assumed: &'a [String],
    stages: &'a [Stage],
    recording: &'a Recording,
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments, try_stop: TryStop) -> anyhow::Result<ExitStatus> {
    let message = message(arguments)?;
    let mut assumed = Vec::new();
    if message.len() > MAX_MESSAGE_BYTES {
        assumed.push(format!("of the message the last {} KiB are read, as of every message", MAX_MESSAGE_BYTES >> 10));
    }
    let prompts = if arguments.prompt.is_empty() {
        let prompt = default_prompt(arguments.plan.as_deref());
        assumed
            .push(format!("the person asked: \"{}\" (--prompt says otherwise)", one_line(&prompt, MAX_PROMPT_CHARS)));
        vec![prompt]
    } else {
        arguments.prompt.clone()
    };
    let last_good = LastGood::peek(&context.home);
    if let Some(fault) = last_good.faults.as_ref().and_then(|faults| faults.0.first()) {
        printer::note(format!("note: {fault}; the last configuration without a fault, or the defaults, are taken"));
    }
    let trial = Trial {
        message,
        prompts,
        directory: arguments.dir.clone(),
        plan: arguments.plan.clone(),
        ticked: arguments.ticked,
        commits: arguments.commits,
        harness: arguments.harness.parse().unwrap_or(Harness::DEFAULT),
        headless: arguments.headless,
        plan_mode: arguments.plan_mode,
        rule_switches: rule_switches::read(&context.home),
        learned: learned::read(&context.home, reading::weights_id()).ok().flatten(),
    };
    let tried = try_stop(&trial, &last_good.config)?;
    show(&trial, &tried, &assumed, arguments.json)?;
    Ok(if arguments.exit_code && tried.would_hold() { ExitStatus::Failure } else { ExitStatus::Success })
}

fn message(arguments: &Arguments) -> anyhow::Result<String> {
    let message = match (&arguments.file, &arguments.message) {
        (Some(file), _) => bounded::read(file).with_context(|| format!("--file {}", file.display()))?,
        (None, _) if arguments.stdin => bounded::read_from(io::stdin().lock()).context("standard input")?,
        (None, message) => message.clone().unwrap_or_default(),
    };
    if message.trim().is_empty() {
        let empty = Failure::new(ErrorCode::Usage, "message: there is none");
        bail!(empty.with_remedy("say what the agent says last, or give it with --stdin or --file"));
    }
    Ok(message)
}

/// What a person asks for whose plan is to be worked through.
fn default_prompt(plan: Option<&Path>) -> String {
    let plan = plan.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    plan.map_or_else(
        || "Execute the plan until all of its steps are done.".to_owned(),
        |plan| format!("Execute {plan} until all of its steps are done."),
    )
}

fn show(trial: &Trial, tried: &Tried, assumed: &[String], as_json: bool) -> anyhow::Result<()> {
    let stages = explain::stages(&tried.recording, &tried.trace);
    let (rule, release) = (tried.trace.rule, tried.trace.release);
    if as_json {
        return printer::json(&Json {
            would_hold: tried.would_hold(),
            decision: tried.trace.decision().name(),
            rule: rule.map(RuleId::id),
            release: release.map(Release::name),
            reminder: &tried.reminder,
            prompts: &trial.prompts,
            assumed,
            stages: &stages,
            recording: &tried.recording,
        });
    }
    let why = match (release, rule, tried.kept_back()) {
        (Some(release), ..) => format!("{} ({})", release.meaning(), release.name()),
        (None, Some(rule), Some(own)) => format!("{} is {}, by {}", rule.id(), own.place(), own.by.meaning()),
        (None, Some(rule), None) => rule.id().to_owned(),
        (None, None, _) => "no rule speaks".to_owned(),
    };
    printer::line(format!("would be {}: {why}", if tried.would_hold() { "sent back" } else { "let go" }));
    printer::line("");
    stages.iter().for_each(Stage::print);
    for (at, text) in assumed.iter().enumerate() {
        printer::line(format!("{:<12}{text}", if at == 0 { "assumed" } else { "" }));
    }
    if !tried.reminder.is_empty() {
        printer::line("");
        printer::line("The agent would receive, in enforce:");
        printer::line("");
        printer::line(tried.reminder.trim_end());
    }
    Ok(())
}
