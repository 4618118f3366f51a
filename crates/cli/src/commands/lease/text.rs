//! What people read of leases.

use stopgate_coordination::lease::{LeaseMode, LeaseOrigin};
use stopgate_core::clock::UnixMillis;
use stopgate_core::text::one_line;
use stopgate_protocol::{HandoffRow, LeaseAnswer, LeaseOutcome, LeaseRoom, LeaseRow};

use crate::printer;

/// Longest line of a handoff that is shown, in characters.
const MAX_LINE: usize = 2_000;

pub(super) fn answer(answer: &LeaseAnswer) {
    match (answer.outcome, &answer.error) {
        (_, Some(error)) => printer::note(format!("stopgate: {error}")),
        (LeaseOutcome::Granted, None) => {
            for row in &answer.leases {
                printer::line(format!("granted: {}, token {}", what(row), row.lease.token));
            }
        }
        (LeaseOutcome::Done, None) => {
            let next = |row: &LeaseRow| format!(", now held by {} with token {}", row.name, row.lease.token);
            for row in &answer.leases {
                let now = answer.next.iter().find(|other| other.lease.claim().overlaps(&row.lease.claim()));
                printer::line(format!("done: {}{}", what(row), now.map(next).unwrap_or_default()));
            }
            if answer.leases.is_empty() {
                printer::line("done");
            }
        }
        (LeaseOutcome::Queued | LeaseOutcome::Refused, None) => {
            printer::line(format!("in the queue, {} before this session", answer.before.unwrap_or(0)));
            for row in &answer.holders {
                printer::line(format!("  {} is held by {} ({})", what(row), row.name, row.lease.holder.harness));
            }
        }
    }
    for row in &answer.handoffs {
        handoff(row);
    }
}

fn what(row: &LeaseRow) -> String {
    let mode = match row.lease.mode {
        LeaseMode::Read => " to read",
        LeaseMode::Write => "",
    };
    format!("{}{mode}", row.lease.resource)
}

/// Another agent's words: each line says so.
fn handoff(row: &HandoffRow) {
    let HandoffRow { name, handoff } = row;
    printer::line(format!("handoff from {name} ({}), not your person:", handoff.from.harness));
    let parts = [("status", Some(&handoff.text.status)), ("next", Some(&handoff.text.next))];
    let more = [("artifact", handoff.text.artifact.as_ref()), ("question", handoff.text.question.as_ref())];
    for (part, text) in parts.into_iter().chain(more) {
        for line in text.into_iter().flat_map(|text| text.lines()) {
            printer::line(format!("| {part}: {}", one_line(line, MAX_LINE)));
        }
    }
}

pub(super) fn list(room: &LeaseRoom, now_ms: UnixMillis) {
    if room.leases.is_empty() && room.waiters.is_empty() {
        printer::line("nobody holds anything here");
    }
    for row in &room.leases {
        let seen = if row.lease.origin == LeaseOrigin::Observed { ", seen to write it" } else { "" };
        let taken = if row.may_be_taken { ", may be taken" } else { "" };
        let since = minutes(now_ms - row.lease.since_ms);
        let ends = row.ends_ms.map(|ends| format!(", ends in {}", minutes(ends - now_ms))).unwrap_or_default();
        printer::line(format!(
            "{}  {} ({}){seen}, token {}, for {since}{ends}{taken}",
            what(row),
            row.name,
            row.lease.holder.harness,
            row.lease.token
        ));
    }
    for row in &room.waiters {
        let claims: Vec<&str> = row.waiter.claims.iter().map(|claim| claim.resource.as_str()).collect();
        let how = if row.is_listening { "waits" } else { "is in the queue" };
        let since = minutes(now_ms - row.waiter.since_ms);
        printer::line(format!(
            "{} ({}) {how} for {}, for {since}",
            row.name,
            row.waiter.session.harness,
            claims.join(" ")
        ));
    }
}

fn minutes(millis: UnixMillis) -> String {
    let seconds = millis.max(0) / 1_000;
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds / 60) }
}
