//! That stopgate was uninstalled: a note outside of the home, which an uninstall may remove, for whoever installs it again.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_core::env::{self, Env};
use stopgate_core::fsx;
use stopgate_protocol::{CallerKind, CallerProcess, chain_text};

/// Notes that are kept, the newest.
const MAX_NOTES: usize = 20;
/// Largest file that is read, in bytes: so many notes are far smaller.
const MAX_BYTES: u64 = 1024 * 1024;

/// One uninstall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uninstall {
    /// When it began.
    pub at_ms: UnixMillis,
    /// Version of the installer.
    pub version: String,
    /// The home it belonged to.
    pub home: PathBuf,
    /// The settings files that it was taken out of.
    pub settings: Vec<PathBuf>,
    /// Whether nothing of it was to be left in any settings file.
    pub whole: bool,
    /// Whether the home was to be removed as well.
    pub purge: bool,
    /// What whoever did it was.
    pub caller: CallerKind,
    /// They and their ancestors, nearest first.
    pub chain: Vec<CallerProcess>,
    /// Whether a person has said that they know.
    #[serde(default)]
    pub seen: bool,
}

impl Uninstall {
    /// Whether a person who asks in `home` is to be told: what is left of a home tells of one that was not whole (`stopgate
    /// status`), and another home's end is none of this one's.
    pub fn is_news_in(&self, home: &Path) -> bool {
        self.whole && !self.seen && self.home == home
    }

    /// One line for people, but for when.
    pub fn described(&self) -> String {
        let from = if self.settings.is_empty() {
            String::new()
        } else {
            let files: Vec<_> = self.settings.iter().map(|file| file.display().to_string()).collect();
            format!(" out of {}", files.join(", "))
        };
        let home = if self.purge { ", with its home" } else { "" };
        let (who, chain) = (self.caller.described(), chain_text(&self.chain));
        format!("stopgate ({}) was taken{from}{home}, by {who}: {chain}", self.home.display())
    }
}

/// Where the notes are: `stopgate/uninstalled.json` in `XDG_STATE_HOME`, by default `~/.local/state`. `None` without either.
pub fn file(environment: &dyn Env) -> Option<PathBuf> {
    let absolute = |name: &str| environment.os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute(env::XDG_STATE_HOME).or_else(|| Some(absolute(env::HOME)?.join(".local/state")))?;
    Some(state.join("stopgate/uninstalled.json"))
}

/// The notes, oldest first; none where there is no file, or what is there is none of ours.
pub fn read(environment: &dyn Env) -> Vec<Uninstall> {
    let read = file(environment).and_then(|file| fsx::read_regular(&file, MAX_BYTES).ok());
    read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Adds a note.
///
/// # Errors
/// What the system says, and that there is no place for it.
pub fn note(environment: &dyn Env, uninstall: Uninstall) -> io::Result<()> {
    let mut notes = read(environment);
    notes.push(uninstall);
    write(environment, &notes[notes.len().saturating_sub(MAX_NOTES)..])
}

/// Notes that a person knows of all of them; of how many they had not.
///
/// # Errors
/// As [`note`].
pub fn mark_seen(environment: &dyn Env) -> io::Result<usize> {
    let mut notes = read(environment);
    let unseen = notes.iter().filter(|note| !note.seen).count();
    if unseen > 0 {
        for note in &mut notes {
            note.seen = true;
        }
        write(environment, &notes)?;
    }
    Ok(unseen)
}

fn write(environment: &dyn Env, notes: &[Uninstall]) -> io::Result<()> {
    let none = || io::Error::new(io::ErrorKind::NotFound, "neither XDG_STATE_HOME nor HOME is set");
    let file = file(environment).ok_or_else(none)?;
    if let Some(dir) = file.parent() {
        fsx::ensure_private_dir(dir)?;
    }
    fsx::write_atomic(&file, &serde_json::to_vec_pretty(notes)?, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use stopgate_core::env::MapEnv;

    #[test]
    fn the_newest_notes_are_kept_privately_and_what_is_none_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let home = MapEnv::of([("HOME", dir.path().to_str().unwrap()), ("XDG_STATE_HOME", "not/absolute")]);
        let of = |at_ms| Uninstall {
            at_ms,
            version: "1".into(),
            home: "/h".into(),
            settings: vec!["/s".into()],
            whole: true,
            purge: true,
            caller: CallerKind::Unattended,
            chain: vec![CallerProcess { pid: 7, start_ticks: 1, name: "installer".into() }],
            seen: false,
        };
        for at in 0..25 {
            note(&home, of(at)).unwrap();
        }
        let notes = read(&home);
        assert_eq!((notes.len(), notes[0].at_ms, notes[19].at_ms), (20, 5, 24));
        let file = file(&home).unwrap();
        assert_eq!(file, dir.path().join(".local/state/stopgate/uninstalled.json"));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let said = "stopgate (/h) was taken out of /s, with its home, by somebody without a terminal: installer (7)";
        assert_eq!(notes[0].described(), said);
        assert_eq!((mark_seen(&home).unwrap(), mark_seen(&home).unwrap()), (20, 0));
        assert!(read(&home).iter().all(|note| note.seen));
        std::fs::write(&file, "garbage").unwrap();
        assert_eq!(read(&home), []);
        note(&home, of(1)).unwrap();
        assert_eq!(read(&home).len(), 1);
        assert!(note(&MapEnv::default(), of(1)).is_err());
    }
}
