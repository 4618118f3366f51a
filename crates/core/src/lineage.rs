//! Which session continues which, within one harness process: `/clear` and fork give a conversation a new id.
//!
//! The recorder appends to a small file for each harness process, so that the build guard can follow an owner
//! without authority and store. One rule serves both: it tells the predecessor only where there is no choice.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use crate::fsx;
use crate::harness::{EventKind, StartSource};
use crate::paths::Home;
use crate::process::ProcessIdentity;

/// Largest file that is read; a line has about 100 bytes and a process sees few sessions.
const MAX_BYTES: u64 = 256 * 1024;

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

/// Whether `descendant` continues `ancestor`, directly or through others.
pub fn descends(entries: &[LineageEntry], ancestor: &str, descendant: &str) -> bool {
    let links = links(entries);
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
    let path = path(home, process);
    if let Some(dir) = path.parent() {
        let _ = fsx::ensure_private_dir(dir);
    }
    if let Ok(mut file) = fsx::open_regular(OpenOptions::new().create(true).append(true), &path) {
        // One write: lines of two hooks at once do not mix.
        let _ = file.write_all(format!("{} {}\n", entry.event.name(), entry.session).as_bytes());
    }
    let entries = read(home, process);
    links(&entries).into_iter().find(|(new, _)| *new == entry.session).map(|(_, old)| old.to_owned())
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
        assert_eq!(descends(&entries(list), old, new), expected);
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
        assert!(descends(&read(&home, &process), "a", "b"));
        let other = ProcessIdentity { start_ticks: 71, ..process };
        assert_eq!(read(&home, &other), []);
    }
}
