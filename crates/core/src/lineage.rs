//! Which session continues which, within one harness process: `/clear` and fork give a conversation a new id.
//!
//! The recorder appends to a small file for each harness process, so that the build guard can follow an owner
//! without authority and store. One rule serves both: it tells the predecessor only where there is no choice. The file
//! also says which processes had ended in the same pane of tmux when this one began: whoever began beside another one
//! does not take its place when that ends.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::fsx;
use crate::harness::{EventKind, StartSource};
use crate::paths::Home;
use crate::process::{ProcFs, ProcessIdentity, has_ended};
use crate::tmux::TmuxPlace;

/// Largest file that is read; a line has about 100 bytes and a process sees few sessions.
const MAX_BYTES: u64 = 256 * 1024;
/// How many processes of a pane are remembered.
const MAX_IN_PANE: usize = 32;
/// Before the key of a process that had ended in the pane.
const AFTER: &str = "after ";

/// Something that happened to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineageEntry {
    /// The session.
    pub session: String,
    /// What happened to it.
    pub event: What,
}

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It began anew, or went on under its own id.
    Started,
    /// It began as the continuation of another one (`/clear`, fork).
    Continued,
    /// It ended because of `/clear`: another one continues it.
    Cleared,
    /// It ended.
    Ended,
}

impl What {
    const ALL: [Self; 4] = [Self::Started, Self::Continued, Self::Cleared, Self::Ended];

    /// The word in the file.
    const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Continued => "continued",
            Self::Cleared => "cleared",
            Self::Ended => "ended",
        }
    }

    /// What an event means for lineage; `None` for events that mean nothing.
    pub fn of(event: &EventKind) -> Option<Self> {
        match event {
            EventKind::SessionStart { source: StartSource::Clear | StartSource::Fork } => Some(Self::Continued),
            EventKind::SessionStart { .. } => Some(Self::Started),
            EventKind::SessionEnd { reason } if reason.as_deref() == Some("clear") => Some(Self::Cleared),
            EventKind::SessionEnd { .. } => Some(Self::Ended),
            _ => None,
        }
    }
}

/// Pairs of (session, the one it continues), as far as `entries` leave no choice.
///
/// A session continues the last one of the process that ended by `/clear` and is not continued yet (Claude Code
/// says so), or else the only one that lives there (Codex says nothing at `/clear`).
pub fn links(entries: &[LineageEntry]) -> Vec<(&str, &str)> {
    let mut links: Vec<(&str, &str)> = Vec::new();
    let mut live: Vec<&str> = Vec::new();
    let mut cleared: Vec<&str> = Vec::new();
    for LineageEntry { session, event } in entries {
        let session = session.as_str();
        match event {
            What::Started => {}
            What::Continued => {
                let candidates: Vec<&str> = live.iter().copied().filter(|other| *other != session).collect();
                let known = links.iter().any(|(new, _)| *new == session);
                let old = match (cleared.pop(), candidates.as_slice()) {
                    (Some(old), _) => Some(old),
                    (None, [only]) => Some(*only),
                    (None, _) => None,
                };
                if let Some(old) = old.filter(|_| !known) {
                    links.push((session, old));
                    live.retain(|other| *other != old);
                }
            }
            What::Cleared | What::Ended => {
                live.retain(|other| *other != session);
                if *event == What::Cleared && !cleared.contains(&session) {
                    cleared.push(session);
                }
                continue;
            }
        }
        if !live.contains(&session) {
            live.push(session);
        }
    }
    links
}

/// Whether `descendant` continues `ancestor`, directly or through others, by what is recorded of some processes.
pub fn descends(processes: &[Vec<LineageEntry>], ancestor: &str, descendant: &str) -> bool {
    let links: Vec<_> = processes.iter().flat_map(|entries| links(entries)).collect();
    let mut current = descendant;
    // Each step follows another link, so there are no more steps than links.
    for _ in 0..links.len() {
        let Some((_, old)) = links.iter().find(|(new, _)| *new == current) else { return false };
        if *old == ancestor {
            return true;
        }
        current = old;
    }
    false
}

/// What is recorded of the sessions of `process`.
pub fn read(home: &Home, process: &ProcessIdentity) -> Vec<LineageEntry> {
    let Ok(text) = fsx::read_regular_text(&path(home, process), MAX_BYTES) else { return Vec::new() };
    text.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<LineageEntry> {
    let (word, session) = line.split_once(' ')?;
    let event = What::ALL.into_iter().find(|what| what.name() == word)?;
    Some(LineageEntry { session: session.to_owned(), event })
}

/// Adds an entry, and returns the session that `entry.session` continues, if it can be told.
pub fn record(home: &Home, process: &ProcessIdentity, entry: LineageEntry) -> Option<String> {
    append(&path(home, process), &format!("{} {}\n", entry.event.name(), entry.session));
    let entries = read(home, process);
    links(&entries).into_iter().find(|(new, _)| *new == entry.session).map(|(_, old)| old.to_owned())
}

/// Appends by one write: lines of two hooks at once do not mix.
fn append(path: &Path, lines: &str) {
    if let Some(dir) = path.parent() {
        let _ = fsx::ensure_private_dir(dir);
    }
    if let Ok(mut file) = fsx::open_regular(OpenOptions::new().create(true).append(true), path) {
        let _ = file.write_all(lines.as_bytes());
    }
}

/// Notes of `process`, which begins in `place`, which others had ended there before.
pub fn begin_in(home: &Home, place: &TmuxPlace, process: &ProcessIdentity) {
    let Some(server) = place.server_pid else { return };
    let own = process.file_key();
    let pane = home.run().join("panes").join(format!("{server}-{}", place.pane.trim_start_matches('%')));
    let text = fsx::read_regular_text(&pane, MAX_BYTES).unwrap_or_default();
    let known: Vec<&str> = text.lines().collect();
    if known.contains(&own.as_str()) {
        return;
    }
    let kept = &known[known.len().saturating_sub(MAX_IN_PANE - 1)..];
    let after: String = kept.iter().filter(|key| has_ended(&ProcFs, key)).flat_map(|key| [AFTER, key, "\n"]).collect();
    if !after.is_empty() {
        append(&path(home, process), &after);
    }
    if kept.len() == known.len() {
        append(&pane, &format!("{own}\n"));
    } else {
        let lines: String = kept.iter().chain([&own.as_str()]).flat_map(|key| [*key, "\n"]).collect();
        let _ = fsx::write_atomic(&pane, lines.as_bytes(), 0o600);
    }
}

/// Whether `earlier` is known to have ended in the same pane before `process` began.
pub fn follows(home: &Home, process: &ProcessIdentity, earlier: &ProcessIdentity) -> bool {
    let key = earlier.file_key();
    fsx::read_regular_text(&path(home, process), MAX_BYTES)
        .is_ok_and(|text| text.lines().any(|line| line.strip_prefix(AFTER) == Some(&key)))
}

fn path(home: &Home, process: &ProcessIdentity) -> PathBuf {
    home.run().join("lineage").join(process.file_key())
}

#[cfg(test)]
mod tests {
    use super::*;
    use What::{Cleared, Continued, Ended, Started};
    use rstest::rstest;

    fn entries(list: &[(&str, What)]) -> Vec<LineageEntry> {
        list.iter().map(|(session, event)| LineageEntry { session: (*session).to_owned(), event: *event }).collect()
    }

    #[rstest]
    #[case::claude_clear(&[("a", Started), ("a", Cleared), ("b", Continued)], "a", "b", true)]
    #[case::codex_clear(&[("a", Started), ("b", Continued)], "a", "b", true)]
    #[case::twice(&[("a", Started), ("a", Cleared), ("b", Continued), ("b", Cleared), ("c", Continued)], "a", "c", true)]
    #[case::resume_in_between(&[("a", Started), ("a", Started), ("a", Cleared), ("b", Continued), ("b", Started)], "a", "b", true)]
    #[case::another_startup(&[("a", Started), ("b", Started)], "a", "b", false)]
    #[case::ended_not_cleared(&[("a", Started), ("a", Ended), ("b", Continued)], "a", "b", false)]
    #[case::two_live_there_is_a_choice(&[("a", Started), ("b", Started), ("c", Continued)], "a", "c", false)]
    #[case::two_live_one_cleared(&[("a", Started), ("b", Started), ("a", Cleared), ("c", Continued)], "a", "c", true)]
    #[case::two_live_other_cleared(&[("a", Started), ("b", Started), ("b", Cleared), ("c", Continued)], "a", "c", false)]
    #[case::not_itself(&[("a", Started)], "a", "a", false)]
    #[case::not_backwards(&[("a", Started), ("b", Continued)], "b", "a", false)]
    fn descent(#[case] list: &[(&str, What)], #[case] old: &str, #[case] new: &str, #[case] expected: bool) {
        assert_eq!(descends(&[entries(list)], old, new), expected);
    }

    #[test]
    fn descent_goes_on_in_the_process_that_a_session_was_resumed_in() {
        let first = entries(&[("a", Started), ("a", Cleared), ("b", Continued), ("b", Ended)]);
        let second = entries(&[("b", Started), ("b", Cleared), ("c", Continued)]);
        assert!(
            descends(&[first.clone(), second.clone()], "a", "c") && !descends(std::slice::from_ref(&second), "a", "c")
        );
        assert!(!descends(&[first.clone(), second.clone()], "c", "a"));
        let round = entries(&[("b", Started), ("b", Cleared), ("a", Continued)]);
        assert!(!descends(&[first, round], "x", "a"), "a circle ends");
    }

    #[test]
    fn whoever_began_in_a_pane_when_another_had_ended_follows_that() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let place = TmuxPlace { server: "/s".into(), server_pid: Some(7), session: None, pane: "%3".into() };
        let own = crate::process::identify(&ProcFs, std::process::id()).unwrap();
        let ended = |ticks| ProcessIdentity { start_ticks: ticks, ..own.clone() };
        begin_in(&home, &place, &own);
        begin_in(&home, &place, &ended(1));
        assert!(!follows(&home, &ended(1), &own), "it began beside a living one");
        begin_in(&home, &place, &ended(2));
        assert!(follows(&home, &ended(2), &ended(1)) && !follows(&home, &ended(2), &own));
        begin_in(&home, &TmuxPlace { pane: "%4".into(), ..place.clone() }, &ended(3));
        assert!(!follows(&home, &ended(3), &ended(1)), "another pane");
        for ticks in 10..60 {
            begin_in(&home, &place, &ended(ticks));
        }
        assert!(follows(&home, &ended(59), &ended(58)) && !follows(&home, &ended(59), &ended(10)));
        let pane = home.run().join("panes/7-3");
        assert_eq!(std::fs::read_to_string(pane).unwrap().lines().count(), MAX_IN_PANE);
    }

    #[test]
    fn the_file_survives_and_strangers_lines_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let process = ProcessIdentity {
            pid: 7,
            start_ticks: 70,
            command: "claude".into(),
            boot_id: "b00d".into(),
            ..ProcessIdentity::default()
        };
        let add = |session: &str, event| record(&home, &process, LineageEntry { session: session.into(), event });
        assert_eq!(add("a", Started), None);
        assert_eq!(add("a", Cleared), None);
        std::fs::OpenOptions::new().append(true).open(path(&home, &process)).unwrap().write_all(b"torn\n").unwrap();
        assert_eq!(add("b", Continued).as_deref(), Some("a"));
        assert!(descends(&[read(&home, &process)], "a", "b"));
        let other = ProcessIdentity { start_ticks: 71, ..process };
        assert_eq!(read(&home, &other), []);
    }
}
