//! `stopgate sessions show`

use std::path::Path;

use stopgate_core::text::one_line;
use stopgate_protocol::{SessionFence, SessionRow};

use super::list::{JsonSessionRow, memory, state_text, unheard_detail};
use crate::context::CliContext;
use crate::{ExitStatus, find, printer, when};

pub(super) fn run(context: &CliContext, id: &str, json: bool) -> anyhow::Result<ExitStatus> {
    let row = find::session(context, id)?;
    if json {
        printer::json(&JsonSessionRow::of(&row))?;
        return Ok(ExitStatus::Success);
    }
    for line in printer::columns(&lines(&row, context.now_ms)) {
        printer::line(line);
    }
    Ok(ExitStatus::Success)
}

/// Names and values, one a line.
pub(crate) fn lines(row: &SessionRow, now_ms: i64) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            out.push(vec![name.to_owned(), value]);
        }
    };
    let at = |at: i64| format!("{} ({} ago)", when::rfc3339(at), when::ago(at, now_ms));
    let path = |path: &Path| one_line(&path.to_string_lossy(), 400);
    add("session", Some(row.session_id.clone()));
    add("name", row.name.clone());
    add("harness", Some(row.harness.to_string()));
    add("state", Some(state_text(row)));
    add("waits for", row.waits_for.clone());
    add(
        "says of itself",
        row.told.as_ref().map(|told| {
            let what = told.waiting_for.as_deref().map(|what| format!(" for {}", one_line(what, 64)));
            format!("{}{} since {}", told.status.name(), what.unwrap_or_default(), at(told.at_ms))
        }),
    );
    add("its hooks", unheard_detail(row, now_ms));
    add("resume", Some(one_line(&row.resume_command, 1_000)));
    add("started", row.started_at_ms.map(at));
    add("source", row.source.clone());
    add("ended", row.ended_at_ms.map(at));
    add("directory", row.cwd.as_deref().map(path));
    add("checkout", row.checkout.as_deref().map(path));
    add("HEAD at start", row.head_at_start.clone());
    add("uncommitted then", row.dirty_at_start.clone());
    add("transcript", row.transcript_path.as_deref().map(path));
    add("model", row.model.as_deref().map(|model| one_line(model, 80)));
    add("permission mode", row.permission_mode.as_deref().map(|mode| one_line(mode, 40)));
    add(
        "process",
        row.harness_process.as_ref().map(|process| {
            let command = one_line(&process.command, 32);
            let shared = if process.shared { ", shared with other sessions" } else { "" };
            format!("{} {command}, {} (boot {}){shared}", process.pid, row.liveness.name(), process.boot_id)
        }),
    );
    add("memory", row.memory_bytes.map(memory));
    add("host", row.host.clone());
    add(
        "tmux",
        row.tmux.as_ref().map(|place| {
            let session = place.session.as_deref().map(|name| format!("session {} at its start, ", one_line(name, 40)));
            format!("{}pane {} of {}", session.unwrap_or_default(), place.pane, one_line(&place.server, 100))
        }),
    );
    add("holds", (!row.leases.is_empty()).then(|| one_line(&row.leases.join(", "), 400)));
    add(
        "fence",
        row.fence.as_ref().map(|fence| match fence {
            _ if fence.is_unfenced => {
                "unfenced: it shares a working tree, and no write of its has come to the fence".to_owned()
            }
            SessionFence { last: Some(last), last_at_ms: Some(when), denials, observed, .. } => {
                format!("{denials} denied, {observed} files seen to be written, last {last} {}", at(*when))
            }
            _ => format!("{} files seen to be written", fence.observed),
        }),
    );
    add("continues", row.predecessor.clone());
    add("continued by", row.successor.clone());
    add("held by the gate", row.held_at_ms.map(at));
    let mut events: Vec<_> = row.last_events.iter().collect();
    events.sort_by_key(|(_, at)| std::cmp::Reverse(**at));
    for (event, when) in events {
        add(&format!("last {event}"), Some(at(*when)));
    }
    out
}
