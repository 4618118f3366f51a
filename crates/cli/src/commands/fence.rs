//! `stopgate fence`

mod text;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use stopgate_client::ANSWER;
use stopgate_coordination::fence::{mode, text::tell};
use stopgate_core::beat::{self, Beat};
use stopgate_core::clock::{UnixMillis, days};
use stopgate_core::harness::registration;
use stopgate_core::hook::{Hook, WireSet};
use stopgate_core::switch::{self, Mode, ModeReading};
use stopgate_protocol::{
    Condition, ExplainFence, FenceReport, FenceState, FenceStatus, GetFence, GradeFence, ReadFenceReport, SetFence,
};

pub(crate) use self::text::unfenced;
use crate::context::CliContext;
use crate::{ExitStatus, printer, when};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Judge and record what sessions that share a working tree would do to each other; refuse nothing
    Shadow(Flip),
    /// Refuse what would hit another session's work
    Enforce {
        #[command(flatten)]
        flip: Flip,
        /// Do not ask before
        #[arg(long, short)]
        yes: bool,
    },
    /// Look at no write
    Off(Flip),
    /// Show the mode, the working trees that are shared, leases, and sessions that are not fenced
    Status(Flip),
    /// Count what it did, or in shadow would have done, and what it would have saved
    Report {
        /// How many days back from now; all that is kept, if not given
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show how a verdict was reached, and reach it again
    Explain {
        /// The id, or its beginning
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say whether a denial was right; yours alone
    Grade {
        /// The id, or its beginning
        id: String,
        /// Your word
        word: Word,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct Flip {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Word {
    /// It would have hit another's work
    Right,
    /// It was in nobody's way
    Wrong,
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    match &arguments.action {
        Action::Shadow(flip) => set(context, Mode::Shadow, true, flip.json),
        Action::Off(flip) => set(context, Mode::Off, true, flip.json),
        Action::Enforce { flip, yes } => set(context, Mode::Enforce, *yes, flip.json),
        Action::Status(flip) => show(context, flip.json),
        Action::Report { days, json } => show_report(context, *days, *json),
        Action::Explain { id, json } => explain(context, id, *json),
        Action::Grade { id, word, json } => grade(context, id, *word == Word::Right, *json),
    }
}

fn set(context: &CliContext, wanted: Mode, yes: bool, json: bool) -> anyhow::Result<ExitStatus> {
    let file = context.home.fence_file();
    let seen = switch::stamp(&file);
    let prior = mode::of(mode::read(&context.home));
    if wanted == Mode::Enforce && prior != Mode::Enforce {
        // Not being ready is the person's to know, not ours to forbid.
        for missing in report(context, None).map(|report| report.missing).unwrap_or_default() {
            printer::note(format!("not ready: {missing}"));
        }
        let question = "Enforce: the fence may refuse agents' writes. Go on?";
        printer::consent(question, yes).required("not enforced")?;
    }
    let asked = context.ensure_authority().and_then(|()| {
        context.authority().call(&SetFence { mode: wanted, condition: CliContext::condition(&seen, ANSWER) })
    });
    let state = match asked {
        Ok(state) => state,
        Err(error) if error.is_decided() => return Err(error.into()),
        // The switch is a file: it can be set with the authority down or broken.
        Err(error) => {
            let flip = SetFence { mode: wanted, condition: Condition::default() };
            // What tightens is everybody's.
            if flip.loosens(prior) {
                context.operators_only(&flip.action())?;
            }
            if switch::stamp(&file) != seen && mode::of(mode::read(&context.home)) != wanted {
                bail!("not done: {} was changed meanwhile; look with `stopgate fence status`", file.display());
            }
            mode::write(&context.home, wanted)
                .with_context(|| format!("the fence is still {}: cannot write {}", prior.name(), file.display()))?;
            printer::note(format!("note: {error}; the mode was written to {}", file.display()));
            FenceState { mode: wanted, prior, changed: wanted != prior }
        }
    };
    if json {
        printer::json(&state)?;
    } else if state.changed {
        printer::line(format!("fence: {} -> {}", state.prior.name(), state.mode.name()));
    } else {
        printer::line(format!("fence: already {}", state.mode.name()));
    }
    if wanted != Mode::Off && is_registered(context) == Some(false) {
        printer::note(UNREGISTERED);
    }
    Ok(ExitStatus::Success)
}

/// What is said where the fence is on, and no settings file has its line.
const UNREGISTERED: &str = "warning: no settings file has the fence's hook, so that without a plugin no write is looked at: \
                            `stopgate coordination enable` puts it there";

/// Whether a settings file has the fence's line; `None` where it has installed nothing: a plugin may have it.
fn is_registered(context: &CliContext) -> Option<bool> {
    registration::has_set(&context.home, WireSet::Coordination)
}

/// The mode in a few words; `None` where coordination was never turned on.
pub(crate) fn describe(context: &CliContext) -> Option<String> {
    let reading = mode::read(&context.home);
    let current = mode::of(reading);
    let why = match reading {
        ModeReading::Default => return None,
        ModeReading::Chosen(_) => String::new(),
        ModeReading::Unreadable => {
            format!(", because {} is not understood", context.home.fence_file().display())
        }
    };
    let meaning = match is_registered(context) {
        Some(false) if current != Mode::Off => {
            "no settings file has its hook, so that without a plugin no write is looked at: `stopgate coordination enable`"
        }
        _ => mode::meaning(current),
    };
    Some(format!("{} ({meaning}{why})", current.name()))
}

/// How the fence is, where an authority says so.
pub(crate) fn status(context: &CliContext) -> Option<FenceStatus> {
    mode::of(mode::read(&context.home)).ne(&Mode::Off).then(|| context.authority().call(&GetFence {}).ok()).flatten()
}

/// When a write was last let go because the authority did not answer.
pub(crate) fn last_unchecked(context: &CliContext) -> Option<UnixMillis> {
    beat::last(&context.home, Hook::WriteFence.name(), Beat::Failed)
}

/// The fence in a line; `None` where it was never turned on. `is_up` is whether the authority answers.
pub(crate) fn in_a_line(context: &CliContext, is_up: bool) -> Option<String> {
    let reading = mode::read(&context.home);
    if reading == ModeReading::Default {
        return None;
    }
    let current = mode::of(reading);
    let status = if is_up { status(context) } else { None };
    let more = match status {
        Some(FenceStatus { problem: Some(problem), .. }) => format!(", OPEN: {problem}"),
        Some(status) => {
            let unfenced = match status.unfenced.len() {
                0 => String::new(),
                count => format!(", {count} sessions unfenced"),
            };
            format!(
                ", {} shared trees, {} leases{unfenced}",
                status.shared_trees.len(),
                status.declared + status.observed
            )
        }
        None if current == Mode::Off => String::new(),
        None => {
            let last = last_unchecked(context);
            let last = last.map(|at| format!("; a write went through unchecked {} ago", when::ago(at, context.now_ms)));
            format!(", OPEN: the authority does not answer{}", last.unwrap_or_default())
        }
    };
    Some(format!("{}{more}", current.name()))
}

fn show(context: &CliContext, json: bool) -> anyhow::Result<ExitStatus> {
    context.ensure_authority()?;
    let status = context.authority().call(&GetFence {})?;
    if json {
        printer::json(&status)?;
        return Ok(ExitStatus::Success);
    }
    let described = describe(context)
        .unwrap_or_else(|| "off (coordination was never turned on: `stopgate coordination enable`)".to_owned());
    printer::line(format!("fence        {described}"));
    for line in text::status(&status) {
        printer::line(line);
    }
    Ok(ExitStatus::Success)
}

fn report(context: &CliContext, since_ms: Option<i64>) -> anyhow::Result<FenceReport> {
    context.read(&ReadFenceReport { since_ms }, |store| store.fence_report(since_ms))
}

fn show_report(context: &CliContext, count: Option<u32>, json: bool) -> anyhow::Result<ExitStatus> {
    let since_ms = count.map(|count| context.now_ms.saturating_sub(days(count)).max(0));
    let report = report(context, since_ms)?;
    if json {
        printer::json(&report)?;
    } else {
        let current = mode::of(mode::read(&context.home));
        for line in text::report(&report, current, context.now_ms) {
            printer::line(line);
        }
    }
    Ok(ExitStatus::Success)
}

fn explain(context: &CliContext, id: &str, json: bool) -> anyhow::Result<ExitStatus> {
    let wanted = ExplainFence { id: id.to_owned() };
    let explained = context.read(&wanted, |store| {
        let found = store.fence_explanation(id)?;
        let mut found = found.ok_or_else(|| {
            let why = format!("{id}: no verdict of the fence has such an id, or more than one");
            std::io::Error::new(std::io::ErrorKind::NotFound, why)
        })?;
        found.text = tell(&found.replayed, &found.facts.acts, found.facts.at_ms, "stopgate", 0);
        Ok(found)
    })?;
    if json {
        printer::json(&explained)?;
    } else {
        for line in text::explanation(&explained) {
            printer::line(line);
        }
    }
    Ok(ExitStatus::Success)
}

fn grade(context: &CliContext, id: &str, right: bool, json: bool) -> anyhow::Result<ExitStatus> {
    context.ensure_authority()?;
    let graded = context.authority().call(&GradeFence { id: id.to_owned(), right })?;
    if json {
        printer::json(&graded)?;
    } else {
        printer::line(format!("{}: {}", graded.event_id, if right { "right" } else { "wrong" }));
    }
    Ok(ExitStatus::Success)
}
