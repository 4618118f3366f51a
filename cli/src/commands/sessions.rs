//! `stopgate sessions`

use clap::Args;
use serde::Serialize;
use stopgate_core::protocol::{ROUTE_SESSIONS, SessionRow};
use stopgate_core::session::LIVE_CHECK_PREFIX;
use stopgate_core::text::one_line;

use crate::context::Context;
use crate::{ExitStatus, printer, when};

/// Sessions that are read when the store is read directly.
const MAX_SESSIONS: u32 = 1_000;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Also sessions that have ended, and those of the installer's live check
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A row as scripts read it: the stored row, and its times in RFC 3339.
#[derive(Serialize)]
struct JsonRow<'a> {
    started_at: Option<String>,
    last_event_at: Option<String>,
    #[serde(flatten)]
    row: &'a SessionRow,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let mut sessions: Vec<SessionRow> = context.read(ROUTE_SESSIONS, |store| store.sessions(MAX_SESSIONS))?;
    let known = sessions.len();
    if !arguments.all {
        sessions.retain(|row| row.state != "ended" && !row.session_id.starts_with(LIVE_CHECK_PREFIX));
    }
    if arguments.json {
        let rows: Vec<_> = sessions
            .iter()
            .map(|row| JsonRow {
                started_at: row.started_at_ms.map(when::rfc3339),
                last_event_at: row.last_event_at_ms.map(when::rfc3339),
                row,
            })
            .collect();
        printer::json(&rows)?;
        return Ok(ExitStatus::Success);
    }
    if sessions.is_empty() {
        let hidden = if known > 0 {
            format!(" ({known} ended or made up by live checks: --all shows them)")
        } else {
            String::new()
        };
        printer::line(format!("no sessions{hidden}"));
        return Ok(ExitStatus::Success);
    }
    let head = ["HARNESS", "SESSION", "STATE", "AGE", "LAST EVENT", "IDLE", "DIRECTORY"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(head).chain(sessions.iter().map(|row| columns(row, context.now_ms))).collect();
    for line in printer::columns(&rows) {
        printer::line(line);
    }
    Ok(ExitStatus::Success)
}

fn columns(row: &SessionRow, now_ms: i64) -> Vec<String> {
    let span = |at: Option<i64>| at.map_or_else(|| "?".to_owned(), |at| when::ago(at, now_ms));
    let state = match &row.end_reason {
        Some(reason) if row.state == "ended" => format!("ended ({})", one_line(reason, 20)),
        _ => row.state.clone(),
    };
    vec![
        row.harness.to_string(),
        one_line(&row.session_id, 40),
        state,
        span(row.started_at_ms),
        row.last_event.clone().unwrap_or_default(),
        span(row.last_event_at_ms),
        row.cwd.as_ref().map(|cwd| one_line(&cwd.to_string_lossy(), 80)).unwrap_or_default(),
    ]
}
