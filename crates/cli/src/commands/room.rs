//! `stopgate room`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use stopgate_client::{Arrival, AskError};
use stopgate_coordination::lease::LeaseMode;
use stopgate_core::client::ClientError;
use stopgate_core::session::SessionKey;
use stopgate_core::text::one_line;
use stopgate_protocol::{FollowRoom, GetRoom, LeaseEvent, RoomMark, RoomNews, RoomSession, RoomTree, RoomView};

use crate::context::CliContext;
use crate::{ExitStatus, printer, when};

/// Events that are shown without being asked for.
const EVENTS: u32 = 5;
/// The same with `--events`.
const MANY_EVENTS: u32 = 50;
/// How long one request waits for news; then it is sent again.
const WAIT: Duration = Duration::from_mins(5);
/// How much longer the answer may take.
const MARGIN: Duration = Duration::from_secs(30);

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    show: Show,
}

#[derive(Subcommand)]
enum Action {
    /// Show the room (the same as without a word)
    Show(Show),
}

#[derive(Args)]
struct Show {
    /// A directory or file in it; the current directory by default
    path: Option<PathBuf>,
    /// What happened to leases there, instead of how it stands
    #[arg(long)]
    events: bool,
    /// Go on with what happens, as it happens, until interrupted
    #[arg(long, short)]
    follow: bool,
    /// Print JSON: one object, with --follow one a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let show = match &arguments.action {
        Some(Action::Show(show)) => show,
        None => &arguments.show,
    };
    let here = std::env::current_dir().context("the current directory")?;
    let path = show.path.as_ref().map_or_else(|| here.clone(), |path| here.join(path));
    if path.to_str().is_none() {
        bail!("{}: a path that is not UTF-8 cannot be asked for; ask for a directory above it", path.display());
    }
    // What is no word of ours is a path, and hardly one that is not there.
    if arguments.action.is_none() && show.path.is_some() && path.symlink_metadata().is_err() {
        bail!("{}: is not there, and no subcommand; for what will be there: `stopgate room show PATH`", path.display());
    }
    context.ensure_authority()?;
    let view = context.authority().call(&GetRoom { path, events: if show.events { MANY_EVENTS } else { EVENTS } })?;
    if show.follow {
        return follow(context, show, view);
    }
    if show.json {
        printer::json(&view)?;
    } else if show.events {
        if view.events.is_empty() {
            printer::line("nothing has happened to leases here");
        }
        view.events.iter().for_each(|event| printer::line(event_line(event, &view.names)));
    } else {
        lines(&view, context.now_ms).into_iter().for_each(printer::line);
    }
    Ok(ExitStatus::Success)
}

fn lines(view: &RoomView, now_ms: i64) -> Vec<String> {
    let mut out = vec![format!("room  {}", one_line(&view.room, 400))];
    for RoomTree { tree, sessions } in &view.trees {
        out.push(format!("tree  {}", one_line(tree, 400)));
        if sessions.is_empty() {
            out.push("      nobody lives here".to_owned());
        }
        let rows: Vec<Vec<String>> = sessions.iter().map(|session| columns(session, now_ms)).collect();
        out.extend(printer::columns(&rows).into_iter().map(|line| format!("      {line}")));
    }
    let mut section = |title: &str, rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            out.extend([String::new(), title.to_owned()]);
            out.extend(printer::columns(&rows).into_iter().map(|line| format!("      {line}")));
        }
    };
    let leases = view.leases.leases.iter().map(|row| {
        let mode = match row.lease.mode {
            LeaseMode::Read => "read",
            LeaseMode::Write => "write",
        };
        let tree = row.lease.tree.as_ref().filter(|_| view.trees.len() > 1);
        vec![
            one_line(row.lease.resource.as_str(), 200),
            mode.to_owned(),
            format!("{} ({})", row.name, row.lease.holder.harness),
            format!("token {}", row.lease.token),
            format!("for {}", when::ago(row.lease.since_ms, now_ms)),
            tree.map(|tree| one_line(&tree.to_string_lossy(), 200)).unwrap_or_default(),
        ]
    });
    section("leases", leases.collect());
    let waiters = view.leases.waiters.iter().enumerate().map(|(place, row)| {
        let what: Vec<String> = row.waiter.claims.iter().map(|claim| one_line(claim.resource.as_str(), 80)).collect();
        vec![format!("{}.", place + 1), format!("{} ({})", row.name, row.waiter.session.harness), what.join(", ")]
    });
    section("waiting", waiters.collect());
    let events = view.events.iter().map(|event| vec![event_line(event, &view.names)]);
    section("last events", events.collect());
    out
}

fn columns(session: &RoomSession, now_ms: i64) -> Vec<String> {
    let doubt = if session.is_proven { "" } else { "?" };
    vec![
        session.name.clone(),
        session.harness.to_string(),
        format!("{}{doubt}", session.state),
        session.since_ms.map_or_else(|| "-".to_owned(), |since| format!("for {}", when::ago(since, now_ms))),
    ]
}

fn called(key: &SessionKey, names: &BTreeMap<String, String>) -> String {
    let id = key.to_string();
    names.get(&id).map_or_else(|| one_line(&id, 24), |name| format!("{name} ({})", key.harness))
}

/// An event in one line.
fn event_line(event: &LeaseEvent, names: &BTreeMap<String, String>) -> String {
    let what: Vec<String> = event.claims.iter().map(|claim| one_line(claim.resource.as_str(), 80)).collect();
    let other = event.other.as_ref().map(|other| format!(", {}", called(other, names)));
    let why = event.why.as_deref().map(|why| format!(": {}", one_line(&why.replace('_', " "), 80)));
    let reason = event.reason.as_deref().map(|reason| format!(" (\"{}\")", one_line(reason, 120)));
    let token = event.token.map(|token| format!(" (token {token})"));
    format!(
        "{}  {}  {}  {}{}{}{}{}",
        when::rfc3339(event.at_ms),
        called(&event.session, names),
        event.kind.name().replace('_', " "),
        what.join(", "),
        token.unwrap_or_default(),
        other.unwrap_or_default(),
        why.unwrap_or_default(),
        reason.unwrap_or_default()
    )
}

/// Somebody came or went, as a line of `--follow --json`.
#[derive(Serialize)]
struct JsonMove<'a> {
    what: &'static str,
    at: String,
    tree: &'a str,
    #[serde(flatten)]
    session: &'a RoomSession,
}

/// Prints what happens, as it is pushed. An authority that ends is waited for, and asked again where it was left.
fn follow(context: &CliContext, show: &Show, view: RoomView) -> anyhow::Result<ExitStatus> {
    if show.json {
        printer::line(serde_json::to_string(&view)?);
    } else {
        lines(&view, context.now_ms).into_iter().for_each(printer::line);
        printer::line("");
    }
    let RoomView { room, mut trees, mut mark, .. } = view;
    while !printer::hung_up() {
        let RoomMark { last_event, living } = mark;
        let wait_ms = u64::try_from(WAIT.as_millis()).unwrap_or(u64::MAX);
        let asked = FollowRoom { room: PathBuf::from(&room), last_event, living, wait_ms };
        let news = match context.authority().call_within(WAIT + MARGIN, &asked) {
            Ok(news) => news,
            Err(error @ AskError::Unreachable(_)) => {
                printer::note(format!("note: {error}; waiting for the next authority"));
                wait_for_authority(context)?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        print_news(&news, &trees, context.now().now_ms, show.json)?;
        (trees, mark) = (news.trees, news.mark);
    }
    Ok(ExitStatus::Success)
}

fn print_news(news: &RoomNews, before: &[RoomTree], now_ms: i64, json: bool) -> anyhow::Result<()> {
    let at = when::rfc3339(now_ms);
    let moves = moved(before, &news.trees, "left").into_iter().chain(moved(&news.trees, before, "came"));
    for (what, tree, session) in moves {
        if json {
            printer::line(serde_json::to_string(&JsonMove { what, at: at.clone(), tree, session })?);
        } else {
            let who = format!("{} ({})", session.name, session.harness);
            printer::line(format!("{at}  {who}  {what}  {}", one_line(tree, 400)));
        }
    }
    for event in &news.events {
        printer::line(if json { serde_json::to_string(event)? } else { event_line(event, &news.names) });
    }
    Ok(())
}

/// Sessions of `here` that are not where they are, by the same name, in `elsewhere`.
fn moved<'a>(
    here: &'a [RoomTree],
    elsewhere: &[RoomTree],
    what: &'static str,
) -> Vec<(&'static str, &'a str, &'a RoomSession)> {
    let is_there = |tree: &str, one: &RoomSession| {
        let same = |other: &RoomSession| {
            (other.harness, &other.session_id, &other.name) == (one.harness, &one.session_id, &one.name)
        };
        elsewhere.iter().any(|other| other.tree == tree && other.sessions.iter().any(same))
    };
    let all = here.iter().flat_map(|tree| tree.sessions.iter().map(move |session| (tree.tree.as_str(), session)));
    all.filter(|(tree, session)| !is_there(tree, session)).map(|(tree, session)| (what, tree, session)).collect()
}

/// Waits until an authority serves, as the kernel tells of its socket.
fn wait_for_authority(context: &CliContext) -> anyhow::Result<()> {
    loop {
        let removed = || format!("{}: was removed", context.home.root().display());
        let arrival = Arrival::watch(&context.home).with_context(removed)?;
        match context.authority().health() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) | Err(AskError::Unreachable(ClientError::Absent)) => arrival.wait(None).with_context(removed)?,
            // Somebody is there, and cannot be asked yet.
            Err(_) => arrival.wait(Some(std::time::Instant::now() + Duration::from_secs(1))).with_context(removed)?,
        }
        if printer::hung_up() {
            return Ok(());
        }
    }
}
