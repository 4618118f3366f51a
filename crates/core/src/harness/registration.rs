//! What a change of a settings file takes from us: which of the lines that the installer wrote into it are gone.
//!
//! Claude Code runs the hooks it had until then once more when a file of settings changes (`ConfigChange`, observed with
//! 2.1.329), also when the change is that they are gone. It is the last they hear.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fsx;
use crate::paths::Home;

/// Largest settings file, and largest ledger, that is read.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Lines of ours that a settings file does not hold any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HooksLost {
    /// The file, by the harness's name for it.
    pub file: PathBuf,
    /// How they were lost.
    pub how: Loss,
    /// The events of which nothing is heard any more; none named: all.
    #[serde(default)]
    pub events: Vec<String>,
}

/// How lines were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// They were taken out, or the file was.
    Removed,
    /// The file says `disableAllHooks`.
    SwitchedOff,
    /// The file cannot be read as JSON, so that the harness ignores it as a whole.
    Unreadable,
}

impl std::fmt::Display for HooksLost {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = self.file.display();
        match self.how {
            Loss::Removed => write!(out, "{file} has lost stopgate's hooks on {}", self.events.join(", ")),
            Loss::SwitchedOff => write!(out, "{file} switches all hooks off (disableAllHooks)"),
            Loss::Unreadable => write!(out, "{file} is no JSON any more, and none of its hooks runs"),
        }
    }
}

/// What `file`, which has just changed, has lost of what the ledger of `home` says was written into it; `None` if
/// nothing, or if nothing can be said.
pub fn lost(home: &Home, file: &Path) -> Option<HooksLost> {
    let ledger = fsx::read_regular(&home.ledger(), MAX_BYTES).ok();
    let ledger = ledger.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null);
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let same = |recorded: &Path| recorded == file || real(recorded) == real(file);
    let text = match read(file) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        // Not to be looked at, which says nothing of what the harness sees.
        Err(_) => return None,
    };
    judge(&registered(&ledger, same), file, text.as_deref())
}

/// A person's settings may be a link into a collection of such files; anything but a file is not waited for.
fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    fsx::read_regular(&std::fs::canonicalize(file)?, MAX_BYTES)
}

/// Event and command of each line that the ledger has for a file of which `same` holds.
fn registered(ledger: &Value, same: impl Fn(&Path) -> bool) -> Vec<(String, String)> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let installs = ledger.get("installs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    installs
        .iter()
        .filter(|install| text(install, "settings").is_some_and(|path| same(Path::new(&path))))
        .filter_map(|install| install.get("entries")?.as_array())
        .flatten()
        .filter_map(|entry| Some((text(entry, "event")?, text(entry, "command")?)))
        .collect()
}

fn judge(registered: &[(String, String)], file: &Path, text: Option<&[u8]>) -> Option<HooksLost> {
    let loss = |how: Loss, events: Vec<String>| Some(HooksLost { file: file.to_owned(), how, events });
    let settings: Option<Value> = match text.map(serde_json::from_slice) {
        None => Some(Value::Null),
        Some(read) => read.ok(),
    };
    let Some(settings) = settings else {
        return if registered.is_empty() { None } else { loss(Loss::Unreadable, names(registered)) };
    };
    if settings.get("disableAllHooks") == Some(&Value::Bool(true)) {
        return loss(Loss::SwitchedOff, Vec::new());
    }
    let gone: Vec<_> = registered.iter().filter(|(event, command)| !has(&settings, event, command)).cloned().collect();
    if gone.is_empty() { None } else { loss(Loss::Removed, names(&gone)) }
}

/// Every event once, in the order of the lines.
fn names(lines: &[(String, String)]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (event, _) in lines {
        if !names.contains(event) {
            names.push(event.clone());
        }
    }
    names
}

/// Whether `command` is registered on `event`.
fn has(settings: &Value, event: &str, command: &str) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let groups = settings.get("hooks").and_then(|hooks| hooks.get(event)).map(list).unwrap_or_default();
    groups.iter().filter_map(|group| group.get("hooks")).flat_map(list).any(|entry| entry["command"] == command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    const STOP: &str = "/h/bin/stop-gate-router";

    fn settings(events: &[&str]) -> Value {
        let groups = |_: &&str| json!([{"hooks": [{"command": "x"}, {"command": STOP}]}]);
        json!({"hooks": events.iter().map(|event| ((*event).to_owned(), groups(event))).collect::<serde_json::Map<_, _>>()})
    }

    fn of(text: Option<&str>) -> Option<(Loss, Vec<String>)> {
        let registered = ["Stop", "Stop", "SessionEnd"].map(|event| (event.to_owned(), STOP.to_owned()));
        judge(&registered, Path::new("/s.json"), text.map(str::as_bytes)).map(|lost| (lost.how, lost.events))
    }

    fn all() -> Vec<String> {
        vec!["Stop".to_owned(), "SessionEnd".to_owned()]
    }

    #[test]
    fn a_change_that_leaves_our_lines_is_no_loss() {
        assert_eq!(of(Some(&settings(&["Stop", "SessionEnd", "Other"]).to_string())), None);
    }

    #[rstest]
    #[case("{}", Loss::Removed)]
    #[case("{\"hooks\": 7}", Loss::Removed)]
    #[case("null", Loss::Removed)]
    #[case("{\"hooks\": {\"Stop\": [{\"hooks\": {}}], \"SessionEnd\": [3]}}", Loss::Removed)]
    #[case("{ // mine\n}", Loss::Unreadable)]
    #[case("", Loss::Unreadable)]
    fn what_holds_none_of_our_lines_has_lost_all(#[case] text: &str, #[case] how: Loss) {
        assert_eq!(of(Some(text)), Some((how, all())));
    }

    #[test]
    fn a_part_a_file_that_is_gone_and_the_switch() {
        assert_eq!(of(Some(&settings(&["Stop"]).to_string())), Some((Loss::Removed, vec!["SessionEnd".to_owned()])));
        assert_eq!(of(None), Some((Loss::Removed, all())));
        let mut off = settings(&["Stop", "SessionEnd"]);
        off["disableAllHooks"] = json!(true);
        assert_eq!(of(Some(&off.to_string())), Some((Loss::SwitchedOff, Vec::new())));
        off["disableAllHooks"] = json!("true");
        assert_eq!(of(Some(&off.to_string())), None);
    }

    #[test]
    fn a_file_that_never_held_a_line_can_only_switch_off() {
        let judge = |text: &str| judge(&[], Path::new("/s.json"), Some(text.as_bytes())).map(|lost| lost.how);
        assert_eq!(["{}", "garbage", "{\"disableAllHooks\": true}"].map(judge), [None, None, Some(Loss::SwitchedOff)]);
    }

    #[test]
    fn the_ledger_says_which_lines_a_file_held_and_a_link_is_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        std::fs::create_dir(home.root()).unwrap();
        let (file, link) = (dir.path().join("real.json"), dir.path().join("settings.json"));
        std::fs::write(&file, "{}").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(lost(&home, &link), None, "no ledger, nothing to miss");
        let ledger = json!({"installs": [
            {"settings": link, "entries": [{"event": "Stop", "command": STOP}]},
            {"settings": "/other", "entries": [{"event": "PreCompact", "command": STOP}]},
        ]});
        std::fs::write(home.ledger(), ledger.to_string()).unwrap();
        for path in [&link, &file] {
            assert_eq!(lost(&home, path).unwrap().events, ["Stop"], "{}", path.display());
        }
        std::fs::remove_file(&link).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(lost(&home, &link).unwrap().how, Loss::Removed);
        std::fs::create_dir(&link).unwrap();
        assert_eq!(lost(&home, &link), None, "a directory says nothing");
    }
}
