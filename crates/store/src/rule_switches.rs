//! What was said of single rules: one small file, which can be read and set with everything else broken.

use std::io;

use stopgate_core::fsx;
use stopgate_core::paths::Home;
use stopgate_gate::rules::switches::RuleSwitches;

/// Largest file that is believed: a few hundred bytes a rule.
const MAX_BYTES: u64 = 64 * 1024;

/// What `home` has. A file that is not understood has every rule in shadow: in doubt nobody is held.
pub fn read(home: &Home) -> RuleSwitches {
    match fsx::read_regular(&home.rules_file(), MAX_BYTES) {
        Ok(bytes) => RuleSwitches::from_json(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => RuleSwitches::default(),
        Err(_) => RuleSwitches::unreadable(),
    }
}

/// Has `switches` count from now on.
pub fn write(home: &Home, switches: &RuleSwitches) -> io::Result<()> {
    let text = switches.to_json().map_err(io::Error::other)?;
    let file = home.rules_file();
    if let Some(dir) = file.parent() {
        fsx::ensure_private_dir(dir)?;
    }
    fsx::write_atomic(&file, text.as_bytes(), 0o600)
}

#[cfg(test)]
mod tests {
    use stopgate_core::switch::Mode;
    use stopgate_gate::rules::RuleId;
    use stopgate_gate::rules::switches::{RuleSwitch, SwitchedBy};

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
        assert_eq!(read(&home), RuleSwitches::default());
        let mut switches = RuleSwitches::default();
        switches.set(RuleId::RecentCommit, shadow());
        write(&home, &switches).unwrap();
        let found = read(&home);
        assert_eq!((found.of(RuleId::RecentCommit), found.of(RuleId::DurableArtifact)), (Some(shadow()), None));
        assert!(!found.is_unreadable());
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
            let mut found = read(&home);
            assert!(found.is_unreadable());
            assert!(RuleId::holding().all(|rule| found.of(rule).is_some_and(|said| said.mode == Mode::Shadow)));
            found.set(RuleId::RecentCommit, RuleSwitch { mode: Mode::Enforce, ..shadow() });
            write(&home, &found).unwrap();
            let found = read(&home);
            assert!(!found.is_unreadable());
            assert_eq!(found.of(RuleId::RecentCommit).map(|said| said.mode), Some(Mode::Enforce));
            assert_eq!(found.of(RuleId::DurableArtifact).map(|said| said.by), Some(SwitchedBy::Unknown));
        }
    }

    #[test]
    fn what_a_newer_version_said_is_kept() {
        let (_dir, home) = home();
        std::fs::create_dir_all(home.rules_file().parent().unwrap()).unwrap();
        let newer = r#"{"rules": {"U9_NEW": {"mode": "shadow", "by": "moon", "at_ms": 1, "more": 2}}}"#;
        std::fs::write(home.rules_file(), newer).unwrap();
        let mut found = read(&home);
        found.set(RuleId::RecentCommit, shadow());
        write(&home, &found).unwrap();
        assert!(std::fs::read_to_string(home.rules_file()).unwrap().contains("U9_NEW"));
        assert!(!read(&home).is_unreadable());
    }
}
