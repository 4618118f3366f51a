//! `stopgate status`

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use stopgate_client::{AskError, Secluded};
use stopgate_config::{Config, LastGood};
use stopgate_coordination::fence::mode as fence_mode;
use stopgate_core::VERSION;
use stopgate_core::autostart;
use stopgate_core::beat::{self, Beat};
use stopgate_core::client::ClientError;
use stopgate_core::clock::UnixMillis;
use stopgate_core::env::ProcessEnv;
use stopgate_core::harness::{EventName, registration};
use stopgate_core::hook::Hook;
use stopgate_core::session::Harness;
use stopgate_core::switch::{self, Mode};
use stopgate_core::text::one_line;
use stopgate_gate::model::reading;
use stopgate_protocol::{
    FenceStatus, Health, ListUnattended, MarkSeen, MarkedSeen, SessionRow, UnattendedAct, chain_text,
};
use stopgate_registry::taken_back;
use stopgate_store::{Store, learned};

use super::sessions::{is_of_interest, name, unheard_detail};
use super::{authority, fence, kill, mode};
use crate::context::CliContext;
use crate::exclusions;
use crate::registered::Registered;
use crate::{ExitStatus, find, printer, rule_modes, when};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Mark what was done without a terminal as seen, from a terminal
    #[arg(long)]
    seen: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How many acts are shown one by one.
const MAX_ACTS: usize = 10;
/// How many sessions are named.
const MAX_NAMED: usize = 8;
/// How long the store is waited for.
const STORE_PATIENCE: Duration = Duration::from_millis(500);

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    if arguments.seen {
        return mark_seen(context, arguments.json);
    }
    let reading = switch::read_mode(&context.home);
    let kill = switch::read_kill(&ProcessEnv, &context.home);
    let health = context.authority().health();
    let secluded = context.authority().secluded();
    // One that does not answer this is not asked again.
    let sessions = match &health {
        Err(AskError::Unreachable(ClientError::Deadline)) => find::sessions_in_store(context),
        _ => find::sessions_at_hand(context),
    };
    let acts = match &health {
        Ok(Some(_)) => context.authority().call(&ListUnattended {}).unwrap_or_default(),
        _ => unattended_in_store(context),
    };
    let is_news = |note: &taken_back::Uninstall| note.is_news_in(context.home.root());
    let taken_back: Vec<_> = taken_back::read(&ProcessEnv).into_iter().filter(is_news).collect();
    let living: Vec<_> =
        sessions.iter().filter(|row| is_of_interest(row, context.now_ms) && !row.state.is_over()).collect();
    let unheard: Vec<_> = sessions.iter().filter_map(|row| Some((row, unheard_detail(row, context.now_ms)?))).collect();
    let registered = Registered::look(context, &sessions);
    let exclusions = exclusions::of(context, &sessions);
    let config = LastGood::peek(&context.home);
    let waits = judge_waits(context, &config.config);
    // What a harness does not wait for, it cannot have heard.
    let last = |hook: &str, kind: Beat| {
        let is_heard = kind != Beat::Delivered || registered.unheard(hook).is_empty();
        beat::last(&context.home, hook, kind).filter(|_| is_heard)
    };
    let rules = rule_modes::shown(&context.home);
    let learned = learned::read(&context.home, reading::weights_id());
    let in_checkouts = rule_modes::in_checkouts(context, &sessions);
    let fence_status = matches!(health, Ok(Some(_))).then(|| fence::status(context)).flatten();
    // Only a start that failed is worth a word: an authority ends when nothing happens.
    let problem = matches!(health, Ok(None)).then(|| autostart::problem(&context.home)).flatten();
    // What is not turned on is not missed.
    let is_coordinating = context.home.fence_file().exists();
    let hooks = || Hook::ALL.into_iter().filter(|hook| hook.set().is_base() || is_coordinating).map(Hook::name);
    if arguments.json {
        let hooks: BTreeMap<_, _> = hooks()
            .map(|hook| {
                let beats = Beat::ALL.map(|kind| (kind.name(), last(hook, kind).map(when::rfc3339)));
                (hook, BTreeMap::from(beats))
            })
            .collect();
        printer::json(&serde_json::json!({
            "version": VERSION,
            "home": context.home.root(),
            "mode": reading.mode(),
            "rules": rules,
            "learned": learned.as_ref().ok().and_then(Option::as_ref).map(|one| {
                serde_json::json!({"hash": one.hash(), "grades": one.grades, "model": one.model})
            }),
            "learned_problem": learned.as_ref().err().map(|error| error.meaning()),
            "kill_switch": kill.is_some(),
            "authority": health.as_ref().ok().and_then(Option::as_ref),
            "authority_error": match &health {
                Ok(Some(_)) => None,
                Ok(None) => authority::silent(context),
                Err(error) => Some(unanswered(context, error)),
            },
            "config_problem": config.faults.as_ref().map(ToString::to_string),
            "judge_wait": waits,
            "authority_secluded": secluded.as_ref().map(Secluded::meaning),
            "authority_problem": problem,
            "hooks": hooks,
            "hooks_lost": registered.lost,
            "hooks_environment": registered.given,
            "hooks_switched_off": registered.off,
            "fence": fence_json(context, fence_status.as_ref()),
            "unattended_acts": acts,
            "uninstalls": taken_back,
            "excluded_plans": exclusions,
            "rules_in_checkouts": in_checkouts,
            "sessions": living.iter().map(|row| serde_json::json!({
                "harness": row.harness,
                "session_id": row.session_id,
                "name": row.name,
                "state": row.state,
            })).collect::<Vec<_>>(),
            "unheard_sessions": unheard.iter().map(|(row, what)| serde_json::json!({
                "harness": row.harness,
                "session_id": row.session_id,
                "hooks_lost": row.hooks_lost,
                "hooks_silenced": row.hooks_silenced,
                "silent_since": row.silent_since_ms.map(when::rfc3339),
                "what": what,
            })).collect::<Vec<_>>(),
        }))?;
        return Ok(ExitStatus::Success);
    }
    let authority = match &health {
        Ok(Some(health)) => authority::describe(health, context.now_ms),
        Ok(None) => authority::silent(context).map_or_else(
            || match &problem {
                Some(problem) => format!("not running; the last start failed: {}", one_line(problem, 600)),
                None => "not running (the next session starts it, or `stopgate authority start`)".to_owned(),
            },
            |what| format!("not answering: {what}"),
        ),
        Err(error) => format!("not answering: {}", unanswered(context, error)),
    };
    printer::line(format!("mode         {}", mode::describe(context, reading)));
    for rule in &rules {
        printer::line(format!("rule         {}", rule.line()));
    }
    match &learned {
        Ok(None) => {}
        Ok(Some(one)) => printer::line(format!(
            "learned      correction {} of {} grades (`stopgate gate learn --show`)",
            one.hash(),
            one.grades
        )),
        Err(error) => printer::line(format!(
            "learned      not used: {} {}",
            context.home.correction_file().display(),
            error.meaning()
        )),
    }
    fence_lines(context, fence_status.as_ref(), &health, last(Hook::WriteFence.name(), Beat::Failed))
        .into_iter()
        .for_each(printer::line);
    printer::line(format!("kill switch  {}", kill::describe(kill.as_ref(), context.now_ms)));
    printer::line(format!("authority    {authority}"));
    if let Some(secluded) = &secluded {
        printer::line(format!("authority    {secluded}"));
    }
    printer::line(format!("home         {}", context.home.root().display()));
    if let Some(problem) = &config.faults {
        printer::line(format!("config       {problem}; the last configuration without a fault stays in force"));
    }
    for wait in &waits {
        let (seconds, harness) = (f64::from(wait.wait_ms) / 1_000.0, wait.harness.spec().product);
        printer::line(if wait.registered_ms < wait.wait_ms {
            format!(
                "judge        {harness} waits up to {} s for it, not {seconds} s: its hook is registered with less \
                 (`installer migrate` mends it)",
                f64::from(wait.registered_ms) / 1_000.0
            )
        } else {
            format!("judge        {harness} waits up to {seconds} s for it in enforce")
        });
    }
    for seen in health.iter().flatten().flat_map(|health| &health.git_troubles) {
        let (what, fix) = (seen.trouble.meaning(), seen.trouble.remedy());
        printer::line(format!("git          every stop in {} is let go: {what} ({fix})", seen.checkout.display()));
    }
    for one in &registered.given {
        printer::line(format!("hooks        {} {} ({})", one.file.display(), one.what(), one.remedy()));
    }
    for one in &registered.off {
        printer::line(format!(
            "hooks        {}: {} (take it out there if you want hooks)",
            one.file.display(),
            one.what()
        ));
    }
    for one in &registered.lost {
        printer::line(format!("hooks        {} (`installer doctor` says what to do)", one_line(&one.to_string(), 600)));
    }
    for note in &taken_back {
        printer::line(format!("uninstalled  {}: {}", when::rfc3339(note.at_ms), note.described()));
    }
    for line in unattended_lines(&acts) {
        printer::line(format!("unattended   {line}"));
    }
    for one in &exclusions {
        let (paths, file) = (one_line(&one.paths.join(", "), 200), one.file.display());
        printer::line(format!("plans        {file} takes {paths} for no plan (gate.exclude_plans)"));
    }
    for one in &in_checkouts {
        printer::line(format!("rules        {} has {} (gate.rules)", one.file.display(), one.described()));
    }
    if !living.is_empty() {
        printer::line(format!("sessions     {}", named(&living)));
    }
    for (row, what) in &unheard {
        printer::line(format!("hooks        {} ({}) is not guarded: {what}", name(row), row.key()));
    }
    // Seldom there, and of no use where it is not.
    let is_silenced = hooks().any(|hook| last(hook, Beat::Silenced).is_some());
    let shown = Beat::ALL.into_iter().filter(|kind| is_silenced || *kind != Beat::Silenced);
    let head: Vec<_> = std::iter::once("HOOK".to_owned())
        .chain(shown.clone().map(|kind| format!("LAST {}", kind.name().to_uppercase())))
        .collect();
    let rows: Vec<_> = std::iter::once(head)
        .chain(hooks().map(|hook| {
            let seen = shown.clone().map(|kind| match last(hook, kind) {
                Some(at) => format!("{} ago", when::ago(at, context.now_ms)),
                None if kind == Beat::Delivered && !registered.unheard(hook).is_empty() => "not heard".to_owned(),
                None => "never".to_owned(),
            });
            std::iter::once(hook.to_owned()).chain(seen).collect()
        }))
        .collect();
    printer::line("");
    for line in printer::columns(&rows) {
        printer::line(line);
    }
    Ok(ExitStatus::Success)
}

/// Sessions by their names.
fn named(living: &[&SessionRow]) -> String {
    let one = |row: &&SessionRow| {
        let leases = match row.leases.len() {
            0 => String::new(),
            1 => ", 1 lease".to_owned(),
            count => format!(", {count} leases"),
        };
        format!("{} ({}, {}{leases})", name(row), row.harness, row.state)
    };
    let shown: Vec<_> = living.iter().take(MAX_NAMED).map(one).collect();
    let more = living.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// The fence; `null` where coordination was never turned on.
fn fence_json(context: &CliContext, status: Option<&FenceStatus>) -> Option<serde_json::Value> {
    fence::describe(context)?;
    let current = fence_mode::of(fence_mode::read(&context.home));
    let is_open = status.is_none() && current != Mode::Off;
    Some(serde_json::json!({"mode": current, "is_open": is_open, "status": status}))
}

/// What there is to say of the fence; nothing where coordination was never turned on. `failed_at` is when its hook last
/// could not ask.
fn fence_lines(
    context: &CliContext,
    status: Option<&FenceStatus>,
    health: &Result<Option<Health>, AskError>,
    failed_at: Option<UnixMillis>,
) -> Vec<String> {
    let Some(described) = fence::describe(context) else { return Vec::new() };
    let mut lines = vec![format!("fence        {described}")];
    if let Some(status) = status {
        let trees = status.shared_trees.len();
        if trees > 0 || status.declared > 0 {
            let leases = status.declared + status.observed;
            let counted = format!("{trees} working trees with more than one session, {leases} leases");
            lines.push(format!("fence        {counted} (`stopgate fence status`)"));
        }
        lines.extend(fence::unfenced(status));
        lines.extend(status.problem.as_ref().map(|problem| format!("fence        open: {problem}")));
    } else if fence_mode::of(fence_mode::read(&context.home)) != Mode::Off && !matches!(health, Ok(Some(_))) {
        let since =
            failed_at.map(|at| format!("; a write was last let go unchecked {} ago", when::ago(at, context.now_ms)));
        let since = since.unwrap_or_default();
        lines.push(format!("fence        open: the authority does not answer, and every write goes through{since}"));
    }
    lines
}

/// How long a client's stops wait for a judge.
#[derive(Serialize)]
struct JudgeWait {
    harness: Harness,
    /// As the operator says.
    wait_ms: u32,
    /// As the client lets the hook that is registered.
    registered_ms: u32,
}

/// How long stops wait for a judge, for each client that has hooks; none where nothing waits.
fn judge_waits(context: &CliContext, config: &Config) -> Vec<JudgeWait> {
    let millis = |wait: Duration| u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
    let wait_ms = millis(config.judge.wait());
    let of = |harness: &Harness| {
        let registered =
            registration::shortest_timeout(&context.home, *harness, EventName::Stop, Hook::StopGateRouter)?;
        Some(JudgeWait { harness: *harness, wait_ms, registered_ms: millis(registered.wait()) })
    };
    if wait_ms == 0 { Vec::new() } else { Harness::ALL.iter().filter_map(of).collect() }
}

/// What was done without a terminal, and nobody has seen, past the authority.
fn unattended_in_store(context: &CliContext) -> Vec<UnattendedAct> {
    if !context.home.database().exists() {
        return Vec::new();
    }
    Store::open_to_read(&context.home, STORE_PATIENCE).and_then(|store| store.unattended_acts()).unwrap_or_default()
}

/// A line for each, and one that says what to do.
fn unattended_lines(acts: &[UnattendedAct]) -> Vec<String> {
    let line = |act: &UnattendedAct| {
        let (at, chain) = (when::rfc3339(act.at_ms), one_line(&chain_text(&act.chain), 300));
        format!("{at}: `{}`, without a terminal, by {chain}", one_line(&act.action, 80))
    };
    let mut lines: Vec<_> = acts.iter().rev().take(MAX_ACTS).map(line).collect();
    match acts.len() {
        0 => {}
        count if count > MAX_ACTS => lines.push(format!(
            "and {} more before that (--json has them); `stopgate status --seen` in a terminal says that you know",
            count - MAX_ACTS
        )),
        _ => lines.push("`stopgate status --seen` in a terminal says that you know".to_owned()),
    }
    lines
}

/// Marks everything up to now as seen.
fn mark_seen(context: &CliContext, json: bool) -> anyhow::Result<ExitStatus> {
    let asked = context.ensure_authority().and_then(|()| {
        let acts = context.authority().call(&ListUnattended {})?;
        context.authority().call(&MarkSeen { up_to: acts.last().map_or(0, |act| act.id) })
    });
    let marked = match asked {
        Ok(marked) => marked,
        Err(error) if error.is_decided() => return Err(error.into()),
        Err(_) => {
            if let Some(refused) = context.refused_without_terminal(MarkSeen::ACTION) {
                return Err(refused.into());
            }
            let store = context.open_store()?;
            let up_to = store.unattended_acts()?.last().map_or(0, |act| act.id);
            MarkedSeen { marked: store.mark_seen(up_to, context.now_ms)? }
        }
    };
    let uninstalls = taken_back::mark_seen(&ProcessEnv)?;
    let marked = MarkedSeen { marked: marked.marked + u64::try_from(uninstalls).unwrap_or(0) };
    if json {
        printer::json(&marked)?;
    } else {
        printer::line(match marked.marked {
            0 => "there is nothing that you had not seen".to_owned(),
            count => format!("{count} marked as seen"),
        });
    }
    Ok(ExitStatus::Success)
}

fn unanswered(context: &CliContext, error: &AskError) -> String {
    match error {
        AskError::Unreachable(ClientError::Deadline) => authority::silent(context),
        _ => None,
    }
    .unwrap_or_else(|| error.to_string())
}
