//! The table of sessions.

use serde::Serialize;
use stopgate_coordination::fence::FenceVerdict;
use stopgate_core::clock::{DAY_MS, UnixMillis};
use stopgate_core::process::Liveness;
use stopgate_core::session::LIVE_CHECK_PREFIX;
use stopgate_core::session::state::SessionState;
use stopgate_core::text::one_line;
use stopgate_protocol::SessionRow;
use stopgate_terminal::Tone;

use crate::{printer, when};

/// How long a session that vanished stays in the list: somebody may want to take it up again.
const LOST_MS: UnixMillis = DAY_MS;

/// A row as scripts read it: the row, and its times in RFC 3339.
#[derive(Serialize)]
pub(crate) struct JsonSessionRow<'a> {
    started_at: Option<String>,
    last_event_at: Option<String>,
    ended_at: Option<String>,
    #[serde(flatten)]
    row: &'a SessionRow,
}

impl<'a> JsonSessionRow<'a> {
    pub(crate) fn of(row: &'a SessionRow) -> Self {
        Self {
            started_at: row.started_at_ms.map(when::rfc3339),
            last_event_at: row.last_event_at_ms.map(when::rfc3339),
            ended_at: row.ended_at_ms.map(when::rfc3339),
            row,
        }
    }
}

pub(super) fn json(rows: &[SessionRow]) -> Vec<JsonSessionRow<'_>> {
    rows.iter().map(JsonSessionRow::of).collect()
}

/// Whether a session is listed without `--all`.
pub(crate) fn is_of_interest(row: &SessionRow, now_ms: UnixMillis) -> bool {
    let recent = row.last_event_at_ms.is_some_and(|at| now_ms - at < LOST_MS);
    !row.session_id.starts_with(LIVE_CHECK_PREFIX)
        && match row.state {
            SessionState::Ended => false,
            SessionState::Gone => recent,
            _ => true,
        }
}

pub(super) fn print(rows: &[SessionRow], hidden: usize, now_ms: UnixMillis) {
    if rows.is_empty() {
        let hidden = if hidden > 0 { format!(" ({hidden} are over: --all shows them)") } else { String::new() };
        printer::line(format!("no sessions{hidden}"));
        return;
    }
    let head = ["STATE", "NAME", "AGE", "IDLE", "PROJECT", "HARNESS", "MEMORY", "WAITS FOR", "LAST EVENT", "RESUME"];
    let mut lines: Vec<_> =
        std::iter::once(head.map(str::to_owned).to_vec()).chain(rows.iter().map(|row| columns(row, now_ms))).collect();
    // Of use only where somebody holds something.
    if rows.iter().any(|row| !row.leases.is_empty()) {
        let cells = rows.iter().map(|row| if row.leases.is_empty() { "-".to_owned() } else { leases(row) });
        let column = std::iter::once("LEASES".to_owned()).chain(cells);
        for (line, cell) in lines.iter_mut().zip(column) {
            line.insert(6, cell);
        }
    }
    if rows.iter().any(|row| row.fence.is_some()) {
        let column = std::iter::once("FENCE".to_owned()).chain(rows.iter().map(|row| fence(row, now_ms)));
        let place = lines[0].iter().position(|name| name == "MEMORY").unwrap_or(0);
        for (line, cell) in lines.iter_mut().zip(column) {
            line.insert(place, cell);
        }
    }
    for (number, line) in printer::columns(&lines).into_iter().enumerate() {
        let line = printer::fitted(&line);
        match number.checked_sub(1).and_then(|number| rows.get(number)) {
            Some(row) => printer::line(printer::painted(&line, tone(row.state), row.state.name().len())),
            None => printer::line(line),
        }
    }
}

const fn tone(state: SessionState) -> Tone {
    match state {
        SessionState::Working => Tone::Good,
        SessionState::Waiting => Tone::Waiting,
        SessionState::Gone => Tone::Bad,
        SessionState::Starting | SessionState::Idle | SessionState::Ended => Tone::Plain,
    }
}

fn columns(row: &SessionRow, now_ms: UnixMillis) -> Vec<String> {
    vec![
        state_text(row),
        name(row).to_owned(),
        age(row.started_at_ms, now_ms),
        age(row.last_event_at_ms, now_ms),
        project(row),
        row.harness.to_string(),
        row.memory_bytes.map_or_else(|| "-".to_owned(), memory),
        unheard(row).map(str::to_owned).or_else(|| row.waits_for.clone()).unwrap_or_else(|| "-".to_owned()),
        row.last_event.clone().unwrap_or_else(|| "-".to_owned()),
        one_line(&row.resume_command, 400),
    ]
}

/// The state, and what qualifies it.
pub(crate) fn state_text(row: &SessionRow) -> String {
    match &row.end_reason {
        Some(reason) if row.state == SessionState::Ended => format!("ended ({})", one_line(reason, 20)),
        _ if row.liveness == Liveness::Unknown && !row.state.is_over() => format!("{}?", row.state),
        _ => row.state.to_string(),
    }
}

/// Why nothing is heard of a session that goes on, in two words.
pub(crate) fn unheard(row: &SessionRow) -> Option<&'static str> {
    match row {
        _ if row.state.is_over() => None,
        SessionRow { hooks_lost: Some(_), .. } => Some("hooks lost"),
        SessionRow { hooks_silenced: Some(_), .. } => Some("hooks silenced"),
        SessionRow { silent_since_ms: Some(_), .. } => Some("hooks silent"),
        _ => None,
    }
}

/// The same with the circumstances.
pub(crate) fn unheard_detail(row: &SessionRow, now_ms: UnixMillis) -> Option<String> {
    unheard(row)?;
    if let Some(found) = &row.hooks_lost {
        return Some(format!("{}, {} ago", one_line(&found.lost.to_string(), 400), when::ago(found.at_ms, now_ms)));
    }
    if let Some(found) = &row.hooks_silenced {
        let by = one_line(&found.by, 200);
        return Some(format!("its hooks run with {by}, and do nothing here, {} ago", when::ago(found.at_ms, now_ms)));
    }
    let since = row.silent_since_ms?;
    Some(format!("silent since {} ago, though it has newer prompts", when::ago(since, now_ms)))
}

/// The span since `at`.
pub(crate) fn age(at: Option<UnixMillis>, now_ms: UnixMillis) -> String {
    at.map_or_else(|| "?".to_owned(), |at| when::ago(at, now_ms))
}

/// What the session is called.
pub(crate) fn name(row: &SessionRow) -> &str {
    row.name.as_deref().unwrap_or("-")
}

/// What the session holds: one resource, and how many more.
fn leases(row: &SessionRow) -> String {
    let first = row.leases.first().map(|first| one_line(first, 24)).unwrap_or_default();
    match row.leases.len() {
        0 | 1 => first,
        count => format!("{first} +{}", count - 1),
    }
}

/// What the fence made of the session, in a few words: whether it is fenced, its denials, or its last verdict.
pub(crate) fn fence(row: &SessionRow, now_ms: UnixMillis) -> String {
    match &row.fence {
        None => "-".to_owned(),
        Some(fence) if fence.is_unfenced => "unfenced".to_owned(),
        Some(fence) if fence.denials > 0 => {
            let denied = if fence.last == Some(FenceVerdict::Deny) {
                format!(", last {} ago", age(fence.last_at_ms, now_ms))
            } else {
                String::new()
            };
            format!("{} denied{denied}", fence.denials)
        }
        Some(fence) => fence.last.map_or_else(|| "-".to_owned(), |last| last.to_string()),
    }
}

/// The name of the directory that a session works in.
pub(crate) fn project(row: &SessionRow) -> String {
    let dir = row.checkout.as_ref().or(row.start_cwd.as_ref()).or(row.cwd.as_ref());
    let name = dir.and_then(|dir| dir.file_name()).map(|name| name.to_string_lossy().into_owned());
    name.map_or_else(|| "-".to_owned(), |name| one_line(&name, 24))
}

/// An amount of memory in the unit that fits.
pub(crate) fn memory(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes / MIB {
        0 => format!("{} KiB", bytes / 1_024),
        mib @ 1..1_024 => format!("{mib} MiB"),
        mib => format!("{}.{} GiB", mib / 1_024, mib % 1_024 * 10 / 1_024),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_the_unit_that_fits() {
        assert_eq!([900 << 10, 5 << 20, 1_536 << 20].map(memory), ["900 KiB", "5 MiB", "1.5 GiB"]);
    }
}
