//! The one place that ends sessions, for the reaper and for the operator: each session by one at a time, and only the
//! very process that the registry knows.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use stopgate_config::ReaperConfig;
use stopgate_core::process::{Liveness, ProcFs, ProcessIdentity, ProcessRole, identify, liveness, role_of};
use stopgate_core::session::SessionKey;
use stopgate_protocol::SessionRow;
use stopgate_reaper::activity::TranscriptStamp;
use stopgate_reaper::gates::Foreground;
use stopgate_reaper::report::{AuditRow, ReaperAuditEvent};
use stopgate_reaper::screen;
use stopgate_registry::snapshot::Snapshot;
use stopgate_store::StoreError;

use super::state::{Reaper, lock};
use super::{collect, panes};

/// How long a process may take to go after SIGKILL.
const AFTER_KILL: Duration = Duration::from_secs(5);
/// How long a pane may take to close by itself once its process has gone.
const PANE_CLOSES: Duration = Duration::from_secs(1);
/// Sessions that are looked through for one that shares a process.
const MAX_SESSIONS: u32 = 1_000;
const POLL: Duration = Duration::from_millis(20);

/// Who ends a session.
#[derive(Debug, Clone)]
pub(crate) enum By {
    /// The operator, who need not give reasons.
    Operator,
    /// The reaper, if its proof still holds.
    Reaper {
        /// The transcript that did not change.
        transcript: Option<TranscriptStamp>,
        /// The screen that did not change.
        frame: u64,
        /// The process, pane and terminal that were looked at.
        holder: u64,
    },
}

/// A session that is to be ended.
pub(crate) struct SessionEnding<'a> {
    pub(crate) row: &'a SessionRow,
    pub(crate) by: By,
    /// The inputs of the decision, for the audit.
    pub(crate) detail: serde_json::Value,
    pub(crate) tier: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum EndedSession {
    /// It was ended.
    Done(Done),
    /// It was not, for this reason: all is well.
    Refused(EndRefusal),
    /// It was not, and it should have been.
    Failed(String),
}

/// How a session was ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    /// SIGTERM did not help.
    pub(crate) killed: bool,
    /// Its pane is closed, too.
    pub(crate) pane_closed: bool,
}

/// Why a session is not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndRefusal {
    /// It is being ended already.
    InFlight,
    /// Its process has gone.
    NotRunning,
    /// Its process is not known, or cannot be told from others.
    Unidentified,
    /// Its process is, or may be, that of other sessions as well.
    SharedProcess,
    /// Its process is the first of its PID namespace, which takes no signal from inside.
    FirstProcess,
    /// The command that takes it up again could not be written down first.
    NotRecorded,
    /// Something moved since it was found idle.
    Moved,
    /// It is protected now, or whether it is cannot be told.
    Protected,
    /// Its process stands still, or is in front of its terminal no more.
    NotInFront,
}

impl EndRefusal {
    /// The word in the audit.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::InFlight => "in-flight",
            Self::NotRunning => "not-running",
            Self::Unidentified => "unidentified",
            Self::SharedProcess => "shared-process",
            Self::FirstProcess => "first-process",
            Self::NotRecorded => "not-recorded",
            Self::Moved => "moved",
            Self::Protected => "protected",
            Self::NotInFront => "not-in-front",
        }
    }

    /// A sentence for the operator.
    pub(crate) const fn explained(self) -> &'static str {
        match self {
            Self::InFlight => "it is being ended already",
            Self::NotRunning => "its process has ended",
            Self::Unidentified => "its process is not known for certain, so that another could be hit",
            Self::SharedProcess => "its process runs other sessions as well, which would end with it",
            Self::FirstProcess => "its process is the first of its container, which ends with it: stop the container",
            Self::NotRecorded => "the command to resume it could not be recorded first",
            Self::Moved => "it did something just now",
            Self::Protected => "it is protected by now",
            Self::NotInFront => "its process stands still, or something else is in front of its terminal",
        }
    }
}

/// Marks a session as being ended, until the guard goes.
struct InFlight<'a>(&'a Reaper, SessionKey);

impl<'a> InFlight<'a> {
    fn mark(reaper: &'a Reaper, key: SessionKey) -> Option<Self> {
        lock(&reaper.ending).insert(key.clone()).then_some(Self(reaper, key))
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        lock(&self.0.ending).remove(&self.1);
    }
}

/// Ends a session: records the command that takes it up again, sends SIGTERM, waits, sends SIGKILL, closes the pane.
pub(crate) fn end(reaper: &Reaper, ending: &SessionEnding<'_>, config: &ReaperConfig) -> EndedSession {
    let row = ending.row;
    let Some(_in_flight) = InFlight::mark(reaper, row.key()) else {
        return EndedSession::Refused(EndRefusal::InFlight);
    };
    let handle = match handle(row).and_then(|handle| alone(reaper, row).map(|()| handle)) {
        Ok(handle) => handle,
        Err(refusal) => return EndedSession::Refused(refusal),
    };
    if let Err(refusal) = still_so(reaper, ending) {
        return EndedSession::Refused(refusal);
    }
    let (before, after, reason) = match ending.by {
        By::Operator => (ReaperAuditEvent::Ending, ReaperAuditEvent::Ended, "ended-by-operator"),
        By::Reaper { .. } => (ReaperAuditEvent::Reaping, ReaperAuditEvent::Reaped, "reaped-idle"),
    };
    let resume = stopgate_registry::resume(row).shell();
    let detail = serde_json::json!({ "resume_command": resume, "inputs": ending.detail });
    let noted = match ending.by {
        By::Operator => note(reaper, ending, before, detail).map(|()| true),
        By::Reaper { .. } => note_if_still(reaper, ending, before, detail),
    };
    match noted {
        Ok(true) => {}
        Ok(false) => return EndedSession::Refused(EndRefusal::Moved),
        Err(()) => return EndedSession::Refused(EndRefusal::NotRecorded),
    }
    // Once more: writing that down took its time.
    if let By::Reaper { holder, .. } = ending.by
        && let Err(refusal) = in_front(row, holder)
    {
        return EndedSession::Refused(refusal);
    }
    let killed = match stop(&handle, Duration::from_secs(u64::from(config.terminate_grace_seconds))) {
        Ok(killed) => killed,
        Err(why) => return EndedSession::Failed(why),
    };
    let pane_closed = close_pane(row);
    let key = row.key();
    let now_ms = reaper.storage.now_ms();
    let _ = reaper.storage.with_store(|store| store.mark_ended(&key, now_ms, reason));
    let _ = note(
        reaper,
        ending,
        after,
        serde_json::json!({ "resume_command": resume, "killed": killed, "pane_closed": pane_closed }),
    );
    EndedSession::Done(Done { killed, pane_closed })
}

/// A handle on the session's very process. Taken before it is recognised: from then on the pid cannot become
/// another's unnoticed.
fn handle(row: &SessionRow) -> Result<OwnedFd, EndRefusal> {
    let process = row.harness_process.as_ref().ok_or(EndRefusal::Unidentified)?;
    if process.shared {
        return Err(EndRefusal::SharedProcess);
    }
    if process.pid == 1 {
        return Err(EndRefusal::FirstProcess);
    }
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    let handle =
        pidfd_open(pid.ok_or(EndRefusal::Unidentified)?, PidfdFlags::empty()).map_err(|_| EndRefusal::NotRunning)?;
    match liveness(&ProcFs, process) {
        Liveness::Alive if is_harness(row, process) => Ok(handle),
        Liveness::Gone => Err(EndRefusal::NotRunning),
        Liveness::Alive | Liveness::Unknown => Err(EndRefusal::Unidentified),
    }
}

/// Whether the process still is what it was recorded as: one that became another program is not ours to end, nor is one
/// of the client's that runs no session, or several.
fn is_harness(row: &SessionRow, process: &ProcessIdentity) -> bool {
    let role = role_of(&ProcFs, process.pid, row.harness);
    identify(&ProcFs, process.pid).is_some_and(|now| now.command == process.command)
        && !matches!(role, Some(ProcessRole::Helper | ProcessRole::Shared))
}

/// That no other session which has not ended is known to live in the same process.
fn alone(reaper: &Reaper, row: &SessionRow) -> Result<(), EndRefusal> {
    let rows = reaper.storage.with_store(|store| store.sessions_not_ended(MAX_SESSIONS));
    // Who cannot be asked may name one.
    let rows = rows.map_err(|_| EndRefusal::Unidentified)?;
    let shared = rows.iter().any(|other| collect::shares_process(row, other));
    if shared { Err(EndRefusal::SharedProcess) } else { Ok(()) }
}

/// Whether the reaper's proof still holds at the last moment: not a byte of transcript, not a changed cell, and no name
/// on the list of what is protected, neither that of its pane nor of any other, as they are now. That there was no event
/// is seen last, by [`note_if_still`].
fn still_so(reaper: &Reaper, ending: &SessionEnding<'_>) -> Result<(), EndRefusal> {
    let By::Reaper { transcript, frame, holder } = &ending.by else { return Ok(()) };
    let row = ending.row;
    let config = reaper.config();
    let place = row.tmux.as_ref().ok_or(EndRefusal::Moved)?;
    let now = row.transcript_path.as_deref().and_then(collect::stamp);
    let frames = panes::capture(&place.server, &[&place.pane], config.pane_capture_lines);
    let is_same = frames.get(&place.pane).is_some_and(|seen| screen::frame(seen) == *frame);
    if transcript.is_none() || now != *transcript || !is_same {
        return Err(EndRefusal::Moved);
    }
    let server = panes::look(&place.server);
    let pane = server
        .as_ref()
        .and_then(|server| server.pane(place))
        .filter(|pane| pane.is_named())
        .ok_or(EndRefusal::Protected)?;
    collect::protected_by(row, Some(pane), &config.protected).map_or(Ok(()), |_| Err(EndRefusal::Protected))?;
    in_front(row, *holder)
}

/// That the process, the pane and who is in front of the terminal are those that were looked at.
fn in_front(row: &SessionRow, holder: u64) -> Result<(), EndRefusal> {
    let process = row.harness_process.as_ref().ok_or(EndRefusal::Unidentified)?;
    let place = row.tmux.as_ref().ok_or(EndRefusal::NotInFront)?;
    let server = panes::look(&place.server).ok_or(EndRefusal::NotInFront)?;
    let pane = server.pane(place).ok_or(EndRefusal::NotInFront)?;
    let snapshot = Snapshot::take().map_err(|_| EndRefusal::NotInFront)?;
    let is_going = snapshot.get(process.pid).is_some_and(|process| collect::halt_of(process).is_none());
    let is_same = holder != 0 && collect::holder(row, pane, &snapshot) == holder;
    let is_own = collect::foreground(&snapshot, process.pid, pane.pid) == Foreground::Own;
    if is_going && is_same && is_own { Ok(()) } else { Err(EndRefusal::NotInFront) }
}

fn note(
    reaper: &Reaper,
    ending: &SessionEnding<'_>,
    event: ReaperAuditEvent,
    detail: serde_json::Value,
) -> Result<(), ()> {
    let row = line(reaper, ending, event, detail);
    reaper.storage.with_store(|store| store.record_reaper_event(&row)).map_err(|error| unrecorded(&row, &error))
}

/// [`note`], unless the session has reported something since it was looked at; in one transaction with that question.
fn note_if_still(
    reaper: &Reaper,
    ending: &SessionEnding<'_>,
    event: ReaperAuditEvent,
    detail: serde_json::Value,
) -> Result<bool, ()> {
    let row = line(reaper, ending, event, detail);
    let last = ending.row.last_event_at_ms;
    reaper
        .storage
        .with_store(|store| store.record_reaper_event_if_still(&row, last))
        .map_err(|error| unrecorded(&row, &error))
}

fn line(reaper: &Reaper, ending: &SessionEnding<'_>, event: ReaperAuditEvent, detail: serde_json::Value) -> AuditRow {
    AuditRow {
        at_ms: reaper.storage.now_ms(),
        harness: ending.row.harness,
        session_id: ending.row.session_id.clone(),
        event,
        kept_by: None,
        tier: ending.tier.clone(),
        detail,
    }
}

fn unrecorded(row: &AuditRow, error: &StoreError) {
    tracing::error!(%error, event = row.event.name(), session = row.session_id, "not recorded");
}

/// Ends the process; whether it took SIGKILL.
fn stop(handle: &OwnedFd, grace: Duration) -> Result<bool, String> {
    for (signal, patience) in [(Signal::TERM, grace), (Signal::KILL, AFTER_KILL)] {
        match pidfd_send_signal(handle, signal) {
            Ok(()) => {}
            // It has ended by itself meanwhile.
            Err(rustix::io::Errno::SRCH) => return Ok(signal == Signal::KILL),
            Err(error) => return Err(format!("the signal could not be sent: {error}")),
        }
        if has_ended(handle, patience) {
            return Ok(signal == Signal::KILL);
        }
    }
    Err("its process is still there after SIGKILL".to_owned())
}

/// Waits for the process to end, for `patience` at most.
fn has_ended(handle: &OwnedFd, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) if ready > 0 => return true,
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) | Err(_) => return false,
        }
    }
}

/// Closes the session's pane, if it is the one that held its process and nothing else runs in it: a shell that waits
/// is closed with it, a shell that does something is a person's. Whether it is closed.
fn close_pane(row: &SessionRow) -> bool {
    let Some(place) = &row.tmux else { return false };
    let find = || panes::look(&place.server).and_then(|server| server.pane(place).cloned());
    let until = Instant::now() + PANE_CLOSES;
    loop {
        let Some(pane) = find() else { return true };
        if Instant::now() >= until {
            let busy = Snapshot::take().map_or(true, |now| !now.below(pane.pid).is_empty());
            return !busy && panes::close(&place.server, &place.pane);
        }
        std::thread::sleep(POLL);
    }
}
