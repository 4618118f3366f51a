//! Mode and kill switch: tiny files that can be read, and set, with everything else broken.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::UnixMillis;
use crate::env::{self, Env};
use crate::fsx;
use crate::paths::Home;

/// How much the gate, a rule of it, or the fence may do: the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// No stop is judged, and no verdict recorded.
    Off,
    /// Every stop is judged and recorded, none is blocked.
    Shadow,
    /// A stop that the verdict says should go on is blocked.
    Enforce,
}

impl Mode {
    /// The word in the mode file and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Enforce => "enforce",
        }
    }

    /// What it means, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Off => "no stop is judged or recorded",
            Self::Shadow => "every stop is judged and recorded, none is blocked",
            Self::Enforce => "stops that should go on are blocked",
        }
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(word: &str) -> Result<Self, UnknownMode> {
        match word {
            "off" => Ok(Self::Off),
            "shadow" => Ok(Self::Shadow),
            "enforce" => Ok(Self::Enforce),
            _ => Err(UnknownMode),
        }
    }
}

/// The word is none of `off`, `shadow`, `enforce`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownMode;

/// What the mode file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeReading {
    /// An operator chose this mode.
    Chosen(Mode),
    /// Nobody chose: [`Mode::Shadow`] applies. The default is never written down, so that it can change.
    Default,
    /// The file is there but cannot be read or understood: doubt means [`Mode::Off`].
    Unreadable,
}

impl ModeReading {
    /// The mode that applies.
    pub const fn mode(self) -> Mode {
        match self {
            Self::Chosen(mode) => mode,
            Self::Default => Mode::Shadow,
            Self::Unreadable => Mode::Off,
        }
    }
}

/// Longest mode file that is believed; the longest word has seven letters.
const MAX_MODE_BYTES: u64 = 64;

/// Reads the mode file.
pub fn read_mode(home: &Home) -> ModeReading {
    read_word(&home.mode_file())
}

/// Reads a file with the word of a mode in it. What applies where nobody chose one is the reader's to say.
pub fn read_word(file: &Path) -> ModeReading {
    match fsx::read_regular(file, MAX_MODE_BYTES) {
        Ok(bytes) => std::str::from_utf8(&bytes)
            .ok()
            .and_then(|word| word.trim().parse().ok())
            .map_or(ModeReading::Unreadable, ModeReading::Chosen),
        Err(error) if error.kind() == io::ErrorKind::NotFound => ModeReading::Default,
        Err(_) => ModeReading::Unreadable,
    }
}

/// Writes down an operator's choice.
pub fn write_mode(home: &Home, mode: Mode) -> io::Result<()> {
    write_word(&home.mode_file(), mode)
}

/// Writes the word of a mode into `file`.
pub fn write_word(file: &Path, mode: Mode) -> io::Result<()> {
    write_switch(file, mode.name())
}

/// Why the kill switch is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KillSource {
    /// `STOPGATE_KILL` is set in this process.
    Environment,
    /// The file is there; the record may be missing if it was made by hand (`touch`).
    File(Option<KillRecord>),
    /// Whether the file is there cannot be told; doubt means on.
    Unknown,
}

/// Who turned the kill switch on, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillRecord {
    /// User name, as far as it is known.
    pub by: String,
    /// When, in milliseconds UTC.
    #[serde(alias = "atMs")]
    pub at_ms: UnixMillis,
    /// Why; may be empty.
    pub reason: String,
}

/// Whether the kill switch is on. Made for the hooks: an environment read and one `stat`.
pub fn is_killed(environment: &dyn Env, home: &Home) -> bool {
    if environment.flag(env::STOPGATE_KILL) {
        return true;
    }
    !matches!(std::fs::symlink_metadata(home.kill_file()), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Whether and why the kill switch is on, for people.
pub fn read_kill(environment: &dyn Env, home: &Home) -> Option<KillSource> {
    if environment.flag(env::STOPGATE_KILL) {
        return Some(KillSource::Environment);
    }
    match std::fs::symlink_metadata(home.kill_file()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(_) => Some(KillSource::Unknown),
        Ok(_) => {
            let record = fsx::read_regular(&home.kill_file(), 64 * 1024).ok();
            Some(KillSource::File(record.and_then(|bytes| serde_json::from_slice(&bytes).ok())))
        }
    }
}

/// How the kill switch was turned on.
#[derive(Debug)]
pub enum KillSet {
    /// With its record.
    Recorded,
    /// Only the file is there, which is the switch; the record could not be written, because of this.
    Bare(io::Error),
}

/// Turns the kill switch on. Anyone may: it only ever lets agents go. A full disk takes an empty file all the same.
pub fn set_kill(home: &Home, record: &KillRecord) -> io::Result<KillSet> {
    let text = serde_json::to_string(record).map_err(io::Error::other)?;
    let Err(error) = write_switch(&home.kill_file(), &text) else { return Ok(KillSet::Recorded) };
    let path = home.kill_file();
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    match created {
        Ok(_) => Ok(KillSet::Bare(error)),
        Err(_) if std::fs::symlink_metadata(&path).is_ok() => Ok(KillSet::Bare(error)),
        Err(error) => Err(error),
    }
}

/// Turns the kill switch off; `false` if it was off.
pub fn clear_kill(home: &Home) -> io::Result<bool> {
    match std::fs::remove_file(home.kill_file()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Which version of a switch's file this is. It changes with every write, removal and `touch`, also when the content
/// stays the same: whoever flips a switch says which version they saw.
pub fn stamp(path: &Path) -> String {
    match std::fs::symlink_metadata(path) {
        Ok(meta) => format!("{}-{}.{:09}-{}", meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "absent".to_owned(),
        Err(error) => format!("unknown ({})", error.kind()),
    }
}

fn write_switch(path: &Path, text: &str) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fsx::ensure_private_dir(dir)?;
    }
    fsx::write_atomic(path, format!("{text}\n").as_bytes(), 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::MapEnv;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        (dir, home)
    }

    #[test]
    fn an_unset_mode_is_shadow_and_a_garbled_one_is_off() {
        let (_dir, home) = home();
        assert_eq!(read_mode(&home), ModeReading::Default);
        assert_eq!(ModeReading::Default.mode(), Mode::Shadow);
        write_mode(&home, Mode::Enforce).unwrap();
        assert_eq!(read_mode(&home), ModeReading::Chosen(Mode::Enforce));
        for garbage in ["", "Enforce", "enforce now", "\u{0}"] {
            std::fs::write(home.mode_file(), garbage).unwrap();
            assert_eq!(read_mode(&home), ModeReading::Unreadable, "{garbage:?}");
        }
        assert_eq!(ModeReading::Unreadable.mode(), Mode::Off);
    }

    #[test]
    fn the_kill_switch_is_on_by_variable_file_or_doubt() {
        let (_dir, home) = home();
        let quiet = MapEnv::default();
        assert!(!is_killed(&quiet, &home));
        assert!(is_killed(&MapEnv::of([(env::STOPGATE_KILL, "1")]), &home));
        let record = KillRecord { by: "dev".into(), at_ms: 7, reason: "loop".into() };
        set_kill(&home, &record).unwrap();
        assert!(is_killed(&quiet, &home));
        assert_eq!(read_kill(&quiet, &home), Some(KillSource::File(Some(record))));
        assert!(clear_kill(&home).unwrap());
        assert!(!clear_kill(&home).unwrap());
        std::fs::remove_dir(home.root().join("switches")).unwrap();
        std::fs::write(home.root().join("switches"), "a file where a directory should be").unwrap();
        assert!(is_killed(&quiet, &home), "ENOTDIR is doubt");
        assert!(set_kill(&home, &KillRecord { by: String::new(), at_ms: 7, reason: String::new() }).is_err());
    }

    #[test]
    fn what_is_in_the_place_of_the_kill_file_is_the_switch() {
        let (_dir, home) = home();
        std::fs::create_dir_all(home.kill_file()).unwrap();
        let record = KillRecord { by: "dev".into(), at_ms: 7, reason: String::new() };
        assert!(matches!(set_kill(&home, &record), Ok(KillSet::Bare(_))));
    }

    #[test]
    fn every_change_of_a_switch_is_another_version() {
        let (_dir, home) = home();
        let mut seen = vec![stamp(&home.mode_file())];
        for mode in [Mode::Enforce, Mode::Off, Mode::Off] {
            write_mode(&home, mode).unwrap();
            assert_eq!(stamp(&home.mode_file()), stamp(&home.mode_file()));
            seen.push(stamp(&home.mode_file()));
        }
        assert_eq!(seen[0], "absent");
        assert!(seen.iter().enumerate().all(|(at, one)| !seen[..at].contains(one)), "{seen:?}");
    }
}
