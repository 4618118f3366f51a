//! What sessions are doing right now: the store's rows, confirmed by the process table and the file system. Asked by the
//! authority, and by `stopgate` where no authority answers.
//!
//! [`look`] fills in the rows; `silence` is one thing that it looks for, `transcript` where, `told` what a client says of
//! itself, and `writer_lock` who has loaded a session of a process that many share. [`snapshot`] is the whole process table.
//! `operator` asks who a caller is, `switched_off` which settings forbid all hooks, and `taken_back` keeps that stopgate was uninstalled.

pub mod caller;
pub mod neighbours;
pub mod snapshot;
pub mod taken_back;

mod operator;
mod silence;
mod switched_off;
mod told;
mod transcript;
mod writer_lock;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use stopgate_core::clock::UnixMillis;
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::paths::Home;
use stopgate_core::person;
use stopgate_core::process::host;
use stopgate_core::process::{FIRST_NAMESPACE, Liveness, ProcFs, ProcessIdentity, ProcessTable, liveness};
use stopgate_core::session::SessionKey;
use stopgate_core::session::resume::{ResumeCommand, resume_command};
use stopgate_core::session::state::{ClientStatus, Known, Turn, state};
use stopgate_core::silenced::{self, Whose};
use stopgate_protocol::{SessionRow, SilencedHooks};

pub use self::operator::{Caller, Refusal};
use self::snapshot::Snapshot;
pub use self::switched_off::{HooksOff, hooks_off};
pub use self::transcript::end_of_transcript;

/// How long a transcript is looked at, of a session that may have fallen silent.
const LOOK: Duration = Duration::from_millis(200);

/// Fills in what the store of `home` cannot know: liveness, state, memory, what silences hooks, and the command to resume
/// with. Blocks.
pub fn look(rows: &mut [SessionRow], home: &Home, now_ms: UnixMillis) {
    let host = host();
    let snapshot = Snapshot::take().unwrap_or_default();
    for row in rows {
        look_at(row, &host, &snapshot, now_ms);
        row.hooks_silenced = if row.state.is_over() { None } else { silenced_hooks(row, home) };
    }
}

/// What keeps the hooks of the row's session from working for `home`, unless one has been heard since.
fn silenced_hooks(row: &SessionRow, home: &Home) -> Option<SilencedHooks> {
    let of = |whose| silenced::read(home, row.harness, whose);
    // What many sessions share is none of them.
    let process = row.harness_process.as_ref().filter(|process| row.liveness == Liveness::Alive && !process.shared);
    let note = of(Whose::Session(&row.session_id)).or_else(|| of(Whose::Process(process?.pid)))?;
    let is_last = row.last_event_at_ms.is_none_or(|heard| heard < note.at_ms);
    is_last.then_some(SilencedHooks { at_ms: note.at_ms, by: note.by })
}

/// [`look`] at one row, with the machine's name and process table at hand.
pub fn look_at(row: &mut SessionRow, host: &str, snapshot: &Snapshot, now_ms: UnixMillis) {
    row.liveness = liveness_of(row, host, snapshot);
    row.told = told::read(row);
    let known = Known {
        turn: row.turn.zip(row.turn_at_ms),
        ended_at_ms: row.ended_at_ms,
        held_at_ms: row.held_at_ms,
        written_at_ms: row.transcript_path.as_deref().filter(|_| row.ended_at_ms.is_none()).and_then(written_at),
        liveness: row.liveness,
        told: row.told.as_ref().map(|told| (told.status, told.at_ms)),
    };
    row.state = state(&known, now_ms);
    // Later than the last event, the client's word is what it waits for now.
    if let Some(told) = row.told.as_ref().filter(|told| row.turn_at_ms.is_none_or(|at| told.at_ms > at)) {
        match told.status {
            ClientStatus::Busy => row.waits_for = None,
            ClientStatus::Idle if row.waits_for.is_none() => row.waits_for = Some("a prompt".to_owned()),
            ClientStatus::Waiting if row.waits_for.is_none() || row.turn != Some(Turn::Asked) => {
                row.waits_for = Some(told.waiting_for.clone().unwrap_or_else(|| "an answer".to_owned()));
            }
            ClientStatus::Idle | ClientStatus::Waiting => {}
        }
    }
    row.silent_since_ms = silent_since_ms(row, known.written_at_ms, now_ms);
    if row.state.is_over() {
        row.waits_for = None;
    }
    // What many sessions share is the memory of none.
    let process = row.harness_process.as_ref().filter(|process| row.liveness == Liveness::Alive && !process.shared);
    row.memory_bytes = process.and_then(|process| snapshot.tree_bytes(process.pid));
    row.resume_command = resume(row).shell();
}

/// Since when the row's hooks are silent. Its transcript is read only if it was written since.
fn silent_since_ms(row: &SessionRow, written_at_ms: Option<UnixMillis>, now_ms: UnixMillis) -> Option<UnixMillis> {
    let written_since = written_at_ms? > row.last_event_at_ms?.saturating_add(silence::SLACK_MS);
    if row.state.is_over() || !written_since {
        return None;
    }
    let person = person::look(row.harness, row.transcript_path.as_deref()?, None, Instant::now() + LOOK);
    // A prompt that was sent while the agent worked is reported by some versions only.
    let prompted = person.prompt.filter(|prompt| prompt.reported).and_then(|prompt| prompt.at_ms);
    silence::silent_since(row.last_event_at_ms, prompted, now_ms)
}

/// Whether the session `key`, whose transcript is `transcript`, is loaded in `process`, which many share, or in another one.
/// Looks at the kernel's list of locks, and not at the process table.
pub fn of_shared_process(key: &SessionKey, transcript: Option<&Path>, process: &ProcessIdentity) -> Liveness {
    writer_lock::of_shared(key, transcript, process, &writer_lock::FileLocks::take())
}

/// Whether the row's process lives; on another machine that cannot be told.
fn liveness_of(row: &SessionRow, host: &str, snapshot: &Snapshot) -> Liveness {
    match &row.harness_process {
        Some(_) if row.host.as_deref().is_some_and(|of_row| of_row != host) => Liveness::Unknown,
        Some(process) if process.shared => {
            writer_lock::of_shared(&row.key(), row.transcript_path.as_deref(), process, snapshot.locks())
        }
        Some(process) => match liveness(&ProcFs, process) {
            Liveness::Unknown if has_gone(process, &ProcFs, snapshot) => Liveness::Gone,
            found => found,
        },
        None => Liveness::Unknown,
    }
}

/// Whether a process of this boot of which no PID namespace was recorded, as older versions did not, is known to have gone:
/// whoever looks from the machine's first namespace sees all processes, by whatever number, and none began when it did.
fn has_gone(process: &ProcessIdentity, table: &dyn ProcessTable, snapshot: &Snapshot) -> bool {
    process.pid_namespace.is_none()
        && table.namespace() == Some(FIRST_NAMESPACE)
        && table.boot_id().is_some_and(|boot| boot == process.boot_id)
        && snapshot.has_only_others(process.start_ticks)
}

/// How the session of `row` is taken up again.
pub fn resume(row: &SessionRow) -> ResumeCommand {
    let home = ProcessEnv.os(env::HOME).map(PathBuf::from);
    let dir = row.start_cwd.as_deref().or(row.cwd.as_deref());
    resume_command(&row.key(), dir, row.transcript_path.as_deref(), home.as_deref())
}

/// When a regular file was last written.
fn written_at(path: &Path) -> Option<UnixMillis> {
    let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let since = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::process::Lookup;

    use crate::snapshot::ProcessStat;

    /// A table of one boot, in a namespace.
    struct Table(Option<u64>);

    impl ProcessTable for Table {
        fn row(&self, _: u32) -> Lookup {
            Lookup::Absent
        }
        fn executable(&self, _: u32) -> Option<String> {
            None
        }
        fn command_line(&self, _: u32) -> Vec<u8> {
            Vec::new()
        }
        fn boot_id(&self) -> Option<String> {
            Some("boot".to_owned())
        }
        fn namespace(&self) -> Option<u64> {
            self.0
        }
    }

    #[test]
    fn a_process_without_a_namespace_has_gone_if_none_that_can_be_seen_began_with_it() {
        let old = ProcessIdentity { pid: 7, start_ticks: 70, boot_id: "boot".into(), ..ProcessIdentity::default() };
        let seen = |start_ticks| Snapshot::of([ProcessStat { pid: 900, start_ticks, ..ProcessStat::default() }]);
        let first = Table(Some(FIRST_NAMESPACE));
        assert!(has_gone(&old, &first, &seen(71)));
        assert!(!has_gone(&old, &first, &seen(70)), "by another number, in a container");
        assert!(!has_gone(&old, &first, &Snapshot::default()), "nothing can be seen");
        assert!(!has_gone(&old, &Table(Some(4)), &seen(71)), "not all can be seen from a container");
        assert!(!has_gone(&old, &Table(None), &seen(71)));
        let other_boot = ProcessIdentity { boot_id: "other".into(), ..old.clone() };
        assert!(!has_gone(&other_boot, &first, &seen(71)), "said by others");
        assert!(!has_gone(&ProcessIdentity { pid_namespace: Some(4), ..old }, &first, &seen(71)));
    }
}
