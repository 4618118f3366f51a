//! What was said of single rules beside the configuration: by the operator, and by a rule's own grades. One small file, which
//! can be read and set with everything else broken.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_core::fsx;
use stopgate_core::paths::Home;
use stopgate_core::switch::Mode;

use super::RuleId;

/// Largest file that is believed: a few hundred bytes a rule.
const MAX_BYTES: u64 = 64 * 1024;

/// Who has set the mode of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchedBy {
    /// The operator.
    Operator,
    /// The rule's grades: too many of its verdicts were wrong.
    Grades,
    /// Nobody knows: what was written down is not understood.
    #[serde(other)]
    Unknown,
}

/// What was said of a rule last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSwitch {
    /// What it may do.
    pub mode: Mode,
    /// Who says so.
    pub by: SwitchedBy,
    /// When, milliseconds UTC.
    pub at_ms: UnixMillis,
    /// The last grade there was then, by its number: those up to it do not count against the rule any more.
    #[serde(default)]
    pub after_grade: i64,
    /// Why, for people; may be empty.
    #[serde(default)]
    pub why: String,
}

/// What was said of all rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleSwitches {
    /// By id: one of a rule that only a newer version knows is kept.
    rules: BTreeMap<String, RuleSwitch>,
    unreadable: bool,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Written {
    rules: BTreeMap<String, RuleSwitch>,
}

impl RuleSwitches {
    /// Reads the file. One that is not understood has every rule in shadow: in doubt nobody is held.
    pub fn read(home: &Home) -> Self {
        let unreadable = || Self { unreadable: true, ..Self::default() };
        match fsx::read_regular(&home.rules_file(), MAX_BYTES) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_or_else(|_| unreadable(), |Written { rules }| Self { rules, unreadable: false }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(_) => unreadable(),
        }
    }

    /// Writes the file. What was not understood before stays in shadow, rule by rule.
    pub fn write(&self, home: &Home) -> io::Result<()> {
        let all = RuleId::holding().filter_map(|rule| Some((rule.id().to_owned(), self.of(rule)?)));
        let mut rules = self.rules.clone();
        rules.extend(all);
        let text = serde_json::to_string_pretty(&Written { rules }).map_err(io::Error::other)?;
        let file = home.rules_file();
        if let Some(dir) = file.parent() {
            fsx::ensure_private_dir(dir)?;
        }
        fsx::write_atomic(&file, format!("{text}\n").as_bytes(), 0o600)
    }

    /// What was said of `rule`; `None` if nothing was.
    pub fn of(&self, rule: RuleId) -> Option<RuleSwitch> {
        let unknown = || RuleSwitch {
            mode: Mode::Shadow,
            by: SwitchedBy::Unknown,
            at_ms: 0,
            after_grade: 0,
            why: "the file was not understood".to_owned(),
        };
        self.rules.get(rule.id()).cloned().or_else(|| self.unreadable.then(unknown))
    }

    /// Says something new of `rule`.
    pub fn set(&mut self, rule: RuleId, switch: RuleSwitch) {
        self.rules.insert(rule.id().to_owned(), switch);
    }

    /// Whether the file is there and not understood.
    pub const fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// The rules of which something was said.
    pub fn iter(&self) -> impl Iterator<Item = (RuleId, RuleSwitch)> + '_ {
        RuleId::holding().filter_map(|rule| Some((rule, self.of(rule)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        (dir, home)
    }

    fn shadow() -> RuleSwitch {
        RuleSwitch { mode: Mode::Shadow, by: SwitchedBy::Grades, at_ms: 7, after_grade: 3, why: "2 of 5".into() }
    }

    #[test]
    fn what_is_written_is_read() {
        let (_dir, home) = home();
        assert_eq!(RuleSwitches::read(&home), RuleSwitches::default());
        let mut switches = RuleSwitches::default();
        switches.set(RuleId::RecentCommit, shadow());
        switches.write(&home).unwrap();
        let read = RuleSwitches::read(&home);
        assert_eq!((read.of(RuleId::RecentCommit), read.of(RuleId::DurableArtifact)), (Some(shadow()), None));
        assert!(!read.is_unreadable());
    }

    #[test]
    fn a_file_that_is_not_understood_holds_nobody_and_stays_so_rule_by_rule() {
        let (_dir, home) = home();
        std::fs::create_dir_all(home.rules_file().parent().unwrap()).unwrap();
        let large = format!("{{\"rules\": {{}}, \"x\": \"{}\"}}", "x".repeat(64 * 1024));
        for garbage in
            ["", "[]", "{\"rules\": {\"U3\": 1}}", "{\"rules\": {\"U3\": {\"mode\": \"loud\"}}}", "\u{0}", &large]
        {
            std::fs::write(home.rules_file(), garbage).unwrap();
            let mut read = RuleSwitches::read(&home);
            assert!(read.is_unreadable());
            assert!(RuleId::holding().all(|rule| read.of(rule).is_some_and(|said| said.mode == Mode::Shadow)));
            read.set(RuleId::RecentCommit, RuleSwitch { mode: Mode::Enforce, ..shadow() });
            read.write(&home).unwrap();
            let read = RuleSwitches::read(&home);
            assert!(!read.is_unreadable());
            assert_eq!(read.of(RuleId::RecentCommit).map(|said| said.mode), Some(Mode::Enforce));
            assert_eq!(read.of(RuleId::DurableArtifact).map(|said| said.by), Some(SwitchedBy::Unknown));
        }
    }

    #[test]
    fn what_a_newer_version_said_is_kept() {
        let (_dir, home) = home();
        std::fs::create_dir_all(home.rules_file().parent().unwrap()).unwrap();
        let newer = r#"{"rules": {"U9_NEW": {"mode": "shadow", "by": "moon", "at_ms": 1, "more": 2}}}"#;
        std::fs::write(home.rules_file(), newer).unwrap();
        let mut read = RuleSwitches::read(&home);
        read.set(RuleId::RecentCommit, shadow());
        read.write(&home).unwrap();
        assert!(std::fs::read_to_string(home.rules_file()).unwrap().contains("U9_NEW"));
        assert!(!RuleSwitches::read(&home).is_unreadable());
    }
}
