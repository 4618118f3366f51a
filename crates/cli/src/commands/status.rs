//! `stopgate status`

use std::collections::BTreeMap;

use clap::Args;
use stopgate_client::AskError;
use stopgate_config::LastGood;
use stopgate_core::VERSION;
use stopgate_core::beat::{self, Beat};
use stopgate_core::client::ClientError;
use stopgate_core::env::ProcessEnv;
use stopgate_core::hook::Hook;
use stopgate_core::switch;
use stopgate_core::text::one_line;

use super::sessions::unheard_detail;
use super::{authority, kill, mode};
use crate::context::CliContext;
use crate::registered::Registered;
use crate::{ExitStatus, find, printer, when};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let reading = switch::read_mode(&context.home);
    let kill = switch::read_kill(&ProcessEnv, &context.home);
    let health = context.authority().health();
    // One that does not answer this is not asked again.
    let sessions = match &health {
        Err(AskError::Unreachable(ClientError::Deadline)) => find::sessions_in_store(context),
        _ => find::sessions_at_hand(context),
    };
    let unheard: Vec<_> = sessions.iter().filter_map(|row| Some((row, unheard_detail(row, context.now_ms)?))).collect();
    let registered = Registered::look(context, &sessions);
    // What a harness does not wait for, it cannot have heard.
    let last = |hook: &str, kind: Beat| {
        let is_heard = kind != Beat::Delivered || registered.unheard(hook).is_empty();
        beat::last(&context.home, hook, kind).filter(|_| is_heard)
    };
    if arguments.json {
        let hooks: BTreeMap<_, _> = Hook::NAMES
            .iter()
            .map(|hook| {
                let beats = Beat::ALL.map(|kind| (kind.name(), last(hook, kind).map(when::rfc3339)));
                (*hook, BTreeMap::from(beats))
            })
            .collect();
        printer::json(&serde_json::json!({
            "version": VERSION,
            "home": context.home.root(),
            "mode": reading.mode(),
            "kill_switch": kill.is_some(),
            "authority": health.as_ref().ok().and_then(Option::as_ref),
            "authority_error": match &health {
                Ok(Some(_)) => None,
                Ok(None) => authority::silent(context),
                Err(error) => Some(unanswered(context, error)),
            },
            "config_problem": LastGood::peek(&context.home).faults.map(|faults| faults.to_string()),
            "hooks": hooks,
            "hooks_lost": registered.lost,
            "hooks_environment": registered.given,
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
            || "not running (the next session starts it, or `stopgate authority start`)".to_owned(),
            |what| format!("not answering: {what}"),
        ),
        Err(error) => format!("not answering: {}", unanswered(context, error)),
    };
    printer::line(format!("mode         {}", mode::describe(context, reading)));
    printer::line(format!("kill switch  {}", kill::describe(kill.as_ref(), context.now_ms)));
    printer::line(format!("authority    {authority}"));
    printer::line(format!("home         {}", context.home.root().display()));
    if let Some(problem) = LastGood::peek(&context.home).faults {
        printer::line(format!("config       {problem}; the last configuration without a fault stays in force"));
    }
    for seen in health.iter().flatten().flat_map(|health| &health.git_troubles) {
        let (what, fix) = (seen.trouble.meaning(), seen.trouble.remedy());
        printer::line(format!("git          every stop in {} is let go: {what} ({fix})", seen.checkout.display()));
    }
    for one in &registered.given {
        printer::line(format!("hooks        {} {} ({})", one.file.display(), one.what(), one.remedy()));
    }
    for one in &registered.lost {
        printer::line(format!("hooks        {} (`installer doctor` says what to do)", one_line(&one.to_string(), 600)));
    }
    for (row, what) in &unheard {
        printer::line(format!("hooks        {} is not guarded: {what}", row.key()));
    }
    // Seldom there, and of no use where it is not.
    let is_silenced = Hook::NAMES.iter().any(|hook| last(hook, Beat::Silenced).is_some());
    let shown = Beat::ALL.into_iter().filter(|kind| is_silenced || *kind != Beat::Silenced);
    let head: Vec<_> = std::iter::once("HOOK".to_owned())
        .chain(shown.clone().map(|kind| format!("LAST {}", kind.name().to_uppercase())))
        .collect();
    let rows: Vec<_> = std::iter::once(head)
        .chain(Hook::NAMES.iter().map(|hook| {
            let seen = shown.clone().map(|kind| match last(hook, kind) {
                Some(at) => format!("{} ago", when::ago(at, context.now_ms)),
                None if kind == Beat::Delivered && !registered.unheard(hook).is_empty() => "not heard".to_owned(),
                None => "never".to_owned(),
            });
            std::iter::once((*hook).to_owned()).chain(seen).collect()
        }))
        .collect();
    printer::line("");
    for line in printer::columns(&rows) {
        printer::line(line);
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
