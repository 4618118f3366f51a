//! Gathers the evidence: the process table and every tmux server once a look, then each session.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

use stopgate_build_guard::store;
use stopgate_config::ReaperConfig;
use stopgate_core::clock::{Moment, UnixMillis, monotonic_ms, to_millis};
use stopgate_core::process::host;
use stopgate_core::process::{Liveness, ProcFs, ProcessTable as _};
use stopgate_core::session::state::{ClientStatus, Turn};
use stopgate_core::{checkout, fsx};
use stopgate_protocol::SessionRow;
use stopgate_reaper::activity::{CpuDelta, CpuSample, TranscriptDelta, TranscriptStamp};
use stopgate_reaper::candidacy::CandidateMemory;
use stopgate_reaper::gates::{Evidence, Foreground, Halt, LiveBuild, PaneEvidence, Seen};
use stopgate_reaper::screen;
use stopgate_registry::snapshot::{ProcessStat, Snapshot};

use super::panes::{self, Pane, Server};

/// Largest build state that is read.
const MAX_BUILD_BYTES: u64 = 1024 * 1024;

/// What all sessions of one look share.
pub(crate) struct LookWorld {
    now: Moment,
    /// How long the clocks have been as they are, if they were seen to be otherwise.
    settled_for: Option<i64>,
    /// The time of day, which files and tmux go by, whatever the clock says.
    wall_ms: UnixMillis,
    host: String,
    boot_id: Option<String>,
    snapshot: Option<Snapshot>,
    servers: HashMap<String, Server>,
}

impl LookWorld {
    /// Looks at the process table, and at the tmux servers of `rows`.
    pub(crate) fn look(rows: &mut [SessionRow], now: Moment, settled_for: Option<i64>) -> Self {
        let snapshot = Snapshot::take().ok();
        let host = host();
        let empty = Snapshot::default();
        for row in rows.iter_mut() {
            stopgate_registry::look_at(row, &host, snapshot.as_ref().unwrap_or(&empty), now.wall_ms);
        }
        let mut servers = HashMap::new();
        let live = rows.iter().filter(|row| row.liveness == Liveness::Alive && !row.state.is_over());
        for place in live.filter_map(|row| row.tmux.as_ref()) {
            if !servers.contains_key(&place.server) {
                servers.insert(place.server.clone(), panes::look(&place.server).unwrap_or_default());
            }
        }
        let wall_ms = to_millis(SystemTime::now());
        Self { now, settled_for, wall_ms, host, boot_id: ProcFs.boot_id(), snapshot, servers }
    }

    /// The evidence on one session, except for its screen; `memory` is brought up to date.
    pub(crate) fn evidence(
        &self,
        row: &SessionRow,
        rows: &[SessionRow],
        memory: &mut CandidateMemory,
        config: &ReaperConfig,
    ) -> Evidence {
        // What went by since the last event is told by a clock that nobody sets: the time of day as it was then goes on.
        let now_ms = row.booted_at_ms.map_or(self.now.wall_ms, |booted| booted.saturating_add(self.now.boot_ms));
        let ago = |at: UnixMillis| now_ms - at;
        let transcript = row.transcript_path.as_deref().and_then(stamp);
        let cpu = self.cpu(row);
        let evidence = Evidence {
            protected_by: protected_by(row, self.pane_of(row), &config.protected),
            other_host: row.host.as_ref().is_some_and(|host| *host != self.host),
            liveness: row.liveness,
            clock_settled_ms: self.settled_for,
            halt: self.halt(row),
            foreground: self.foreground(row),
            age_ms: row.started_at_ms.map(ago),
            pane: self.pane(row),
            shares_process: row.harness_process.as_ref().is_some_and(|process| process.shared)
                || rows.iter().any(|other| shares_process(row, other)),
            build: self.live_build(row, rows),
            held_ms_ago: held_at(row).map(ago),
            turn: turn(row).map(|(turn, at)| (turn, ago(at))),
            pending_tasks: row.pending_tasks,
            prompt_ms_ago: row.last_events.get("UserPromptSubmit").copied().map(ago),
            compaction_ms_ago: open_compaction(row).map(ago),
            cpu: CpuDelta::between(memory.cpu.as_ref(), cpu.as_ref()),
            transcript: TranscriptDelta::between(memory.transcript.as_ref(), transcript.as_ref()),
            screen: Seen::NotLooked,
        };
        memory.transcript = transcript;
        memory.cpu = cpu;
        evidence
    }

    /// The pane that a session's place names, as tmux shows it now.
    fn pane_of(&self, row: &SessionRow) -> Option<&Pane> {
        let place = row.tmux.as_ref()?;
        self.servers.get(&place.server)?.pane(place)
    }

    fn pane(&self, row: &SessionRow) -> PaneEvidence {
        let Some(place) = &row.tmux else { return PaneEvidence::Outside };
        let server = self.servers.get(&place.server);
        let (Some(server), Some(process), Some(snapshot)) = (server, &row.harness_process, &self.snapshot) else {
            return PaneEvidence::Unresolved;
        };
        match server.pane(place) {
            Some(pane) if pane.is_named() && snapshot.is_at_or_below(process.pid, pane.pid) => {
                PaneEvidence::Resolved { client_used_ms_ago: server.client_used_ms_ago(pane, self.wall_ms) }
            }
            _ => PaneEvidence::Unresolved,
        }
    }

    /// Whether the session's process stands still, or somebody looks into it with a debugger.
    fn halt(&self, row: &SessionRow) -> Option<Halt> {
        let process = row.harness_process.as_ref()?;
        halt_of(self.snapshot.as_ref()?.get(process.pid)?)
    }

    /// Who is in front of the session's terminal, and of its pane.
    fn foreground(&self, row: &SessionRow) -> Foreground {
        let (Some(pane), Some(process), Some(snapshot)) = (self.pane_of(row), &row.harness_process, &self.snapshot)
        else {
            return Foreground::Unknown;
        };
        foreground(snapshot, process.pid, pane.pid)
    }

    /// The process, the pane and the terminal that a look at `row` is about; 0 if one of them is not known.
    pub(crate) fn holder(&self, row: &SessionRow) -> u64 {
        let (Some(pane), Some(snapshot)) = (self.pane_of(row), &self.snapshot) else { return 0 };
        holder(row, pane, snapshot)
    }

    fn cpu(&self, row: &SessionRow) -> Option<CpuSample> {
        let process = row.harness_process.as_ref()?;
        let snapshot = self.snapshot.as_ref()?;
        let main = snapshot.get(process.pid).filter(|main| main.start_ticks == process.start_ticks)?;
        let children = snapshot.below(process.pid);
        Some(CpuSample {
            at_monotonic_ms: monotonic_ms(),
            boot_id: self.boot_id.clone()?,
            main: (main.pid, main.start_ticks),
            main_cpu_ms: main.cpu_ms,
            ended_cpu_ms: main.waited_cpu_ms,
            children: children.iter().map(|c| (c.pid, c.start_ticks, c.cpu_ms + c.waited_cpu_ms)).collect(),
        })
    }

    /// The live build in the session's checkout that is its, or that is nobody's in particular. One that is known to
    /// be another session's does not count.
    fn live_build(&self, row: &SessionRow, rows: &[SessionRow]) -> Option<LiveBuild> {
        let checkout = checkout::find(row.checkout.as_deref().or(row.cwd.as_deref())?)?;
        let builds = store::directories(&checkout).into_iter().filter_map(|dir| {
            let path = dir.join("state.json");
            let meta = std::fs::symlink_metadata(&path).ok()?;
            let touched_ms_ago = self.wall_ms - meta.modified().ok().map_or(self.wall_ms, to_millis);
            let bytes = fsx::read_regular(&path, MAX_BUILD_BYTES).ok();
            // Not understood means not known to be another's.
            let state = bytes.and_then(|bytes| store::parse(&bytes));
            if state.as_ref().is_some_and(|state| state.phase.is_terminal()) {
                return None;
            }
            let owner = state.as_ref().and_then(|state| state.owner.as_ref());
            match owner.and_then(|owner| owner.session_id.as_deref()) {
                Some(id) if continues(row, id, rows) => Some(LiveBuild { own: true, touched_ms_ago }),
                Some(_) => None,
                None => Some(LiveBuild { own: false, touched_ms_ago }),
            }
        });
        // Its own first, then the one that was touched last.
        builds.min_by_key(|build| (!build.own, build.touched_ms_ago))
    }
}

/// Reads the panes of `wanted`; those that cannot be read are left out.
pub(crate) fn frames(wanted: &[&SessionRow], config: &ReaperConfig) -> HashMap<(String, String), String> {
    let mut by_server: HashMap<&str, Vec<&str>> = HashMap::new();
    for place in wanted.iter().filter_map(|row| row.tmux.as_ref()) {
        by_server.entry(&place.server).or_default().push(&place.pane);
    }
    let mut found = HashMap::new();
    for (server, panes) in by_server {
        let frames = panes::capture(server, &panes, config.pane_capture_lines);
        found.extend(frames.into_iter().map(|(pane, frame)| ((server.to_owned(), pane), frame)));
    }
    found
}

/// What the pane of `row` shows, among `frames`.
pub(crate) fn seen(row: &SessionRow, frames: &HashMap<(String, String), String>) -> Seen {
    let frame = row.tmux.as_ref().and_then(|place| frames.get(&(place.server.clone(), place.pane.clone())));
    frame.map_or(Seen::Unreadable, |frame| Seen::Frame(screen::read(row.harness, frame), screen::frame(frame)))
}

/// Whether `process` stands still, or somebody looks into it with a debugger.
pub(crate) fn halt_of(process: &ProcessStat) -> Option<Halt> {
    match process.state {
        'T' => Some(Halt::Stopped),
        't' => Some(Halt::Traced),
        _ => is_traced(process.pid).then_some(Halt::Traced),
    }
}

/// Whether another process traces `pid`, as debuggers do.
fn is_traced(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() != "0")
}

/// Whether the harness `pid` is in front of its terminal, and it or what it was started by in front of the pane whose
/// first process is `first`: behind a shell's prompt, or an editor, it is not.
pub(crate) fn foreground(snapshot: &Snapshot, pid: u32, first: u32) -> Foreground {
    let (Some(harness), Some(first)) = (snapshot.get(pid), snapshot.get(first)) else { return Foreground::Unknown };
    if harness.foreground == 0 || first.foreground == 0 {
        return Foreground::Unknown;
    }
    let is_above = snapshot.at_and_above(pid).iter().any(|process| process.group == first.foreground);
    if harness.foreground == harness.group && is_above { Foreground::Own } else { Foreground::Foreign }
}

/// See [`LookWorld::holder`].
pub(crate) fn holder(row: &SessionRow, pane: &Pane, snapshot: &Snapshot) -> u64 {
    let (Some(place), Some(process)) = (&row.tmux, &row.harness_process) else { return 0 };
    let (Some(harness), Some(first)) = (snapshot.get(process.pid), snapshot.get(pane.pid)) else { return 0 };
    if harness.start_ticks != process.start_ticks {
        return 0;
    }
    screen::frame(&format!(
        "{} {} {} {} {} {} {} {} {} {}",
        process.boot_id,
        harness.pid,
        harness.start_ticks,
        harness.group,
        harness.foreground,
        place.server,
        pane.server_pid,
        place.pane,
        first.pid,
        first.foreground
    ))
}

/// A transcript as it lies on disk.
pub(crate) fn stamp(path: &Path) -> Option<TranscriptStamp> {
    let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    Some(TranscriptStamp {
        path: path.to_string_lossy().into_owned(),
        file: (meta.dev(), meta.ino()),
        length: meta.len(),
        modified_ns: meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()),
    })
}

/// The entry of `protected` that names a session: by its id, by a present name of its `pane`, or by a directory. Without
/// a pane no name counts; then it is kept for that.
pub(crate) fn protected_by(row: &SessionRow, pane: Option<&Pane>, protected: &[String]) -> Option<String> {
    let dirs = [row.cwd.as_deref(), row.start_cwd.as_deref(), row.checkout.as_deref()];
    let names = |entry: &&String| {
        let entry = entry.as_str();
        entry == row.session_id
            || pane.is_some_and(|pane| pane.is_called(entry))
            || (entry.starts_with('/') && dirs.into_iter().flatten().any(|dir| dir.starts_with(entry)))
    };
    protected.iter().find(names).cloned()
}

/// Whether `other` is another session that is not over, in the same process.
pub(crate) fn shares_process(row: &SessionRow, other: &SessionRow) -> bool {
    row.key() != other.key()
        && !other.state.is_over()
        && matches!((&row.harness_process, &other.harness_process), (Some(own), Some(others)) if own.is(others))
}

/// Whose turn it is. What the client says can keep a session that hooks take for idle, and never the reverse: its word has no
/// form that anybody promises.
fn turn(row: &SessionRow) -> Option<(Turn, UnixMillis)> {
    let told = row.told.as_ref().filter(|told| row.turn_at_ms.is_none_or(|at| told.at_ms > at));
    match told.map(|told| (told.status, told.at_ms)) {
        Some((ClientStatus::Busy, at)) => Some((Turn::Prompted, at)),
        Some((ClientStatus::Waiting, at)) => Some((Turn::Asked, at)),
        Some((ClientStatus::Idle, _)) | None => row.turn.zip(row.turn_at_ms),
    }
}

/// When the gate held the turn that is open now.
fn held_at(row: &SessionRow) -> Option<UnixMillis> {
    let held = row.held_at_ms?;
    match (row.turn, row.turn_at_ms) {
        (Some(Turn::Stopped), Some(at)) => (held >= at).then_some(held),
        _ => None,
    }
}

/// When a compaction began that has not ended.
fn open_compaction(row: &SessionRow) -> Option<UnixMillis> {
    let last = |event: &str| row.last_events.get(event).copied();
    let began = last("PreCompact")?;
    let ended =
        ["PostCompact", "SessionStart", "Stop", "Interrupt", "UserPromptSubmit"].into_iter().filter_map(last).max();
    ended.is_none_or(|ended| ended < began).then_some(began)
}

/// Whether the session is `id`, or continues it through `/clear`.
fn continues(row: &SessionRow, id: &str, rows: &[SessionRow]) -> bool {
    let mut current = Some(row.session_id.as_str());
    let mut before = row.predecessor.as_deref();
    // Each step goes to another row, so there are no more steps than rows.
    for _ in 0..=rows.len() {
        match current {
            Some(session) if session == id => return true,
            None => return false,
            Some(_) => {}
        }
        current = before;
        before = current.and_then(|id| rows.iter().find(|row| row.session_id == id)?.predecessor.as_deref());
    }
    false
}
