//! What a settings file takes from us: which of the lines that the installer wrote into it are gone, or changed so that
//! the harness makes something else of them; and which variables it gives to hooks.
//!
//! Claude Code runs the hooks it had until then once more when a file of settings changes (`ConfigChange`, observed with
//! 2.1.329), also when the change is that they are gone. It is the last they hear.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{EventName, Harness, WRITTEN_FIELDS, variables};
use crate::fsx;
use crate::hook::{Hook, Timeout, WireSet};
use crate::json;
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
    /// What changed them: a field with its value, or a variable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
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
    /// A field of them, or of the group they stand in, was changed.
    Changed,
    /// The file gives hooks a variable by which they do not work for this home.
    Environment,
}

/// A field of a line of ours, or of its group, that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// Its name.
    pub field: String,
    /// What is wrong with it.
    pub what: String,
    /// What it does.
    pub kind: DeviationKind,
}

/// What a deviation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviationKind {
    /// The hook's answer is not waited for.
    Unheard,
    /// The harness makes something else of the line.
    Changing,
    /// A field that nobody knows.
    Unknown,
}

/// A line as it was written.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Key of the event.
    pub event: &'a str,
    /// Its program, or command line.
    pub command: &'a str,
    /// Its arguments.
    pub args: &'a [String],
    /// Seconds.
    pub timeout: u64,
    /// The matcher of its group; `None` for a line that is to run always.
    pub matcher: Option<&'a str>,
}

/// Fields by which a harness does not wait for a hook.
const UNWAITED: [&str; 2] = ["async", "asyncRewake"];
/// Events of which every line runs whatever its matcher says.
const UNMATCHED: [&str; 2] = ["Stop", "UserPromptSubmit"];
/// Matchers that mean everything, beside none.
const ALL: [&str; 4] = ["", "*", ".*", "^.*$"];

/// What is not as written in `entry`, a line of `group`.
pub fn deviations(harness: Harness, group: &Value, entry: &Value, written: Line<'_>) -> Vec<Deviation> {
    let mut found = Vec::new();
    let mut add = |field: &str, what: String, kind: DeviationKind| {
        found.push(Deviation { field: field.to_owned(), what, kind });
    };
    let args = (!written.args.is_empty()).then(|| Value::from(written.args));
    let wanted = [
        ("type", Some(Value::from("command"))),
        ("command", Some(Value::from(written.command))),
        ("args", args),
        ("timeout", Some(Value::from(written.timeout))),
    ];
    debug_assert!(wanted.iter().map(|(name, _)| *name).eq(WRITTEN_FIELDS));
    for (name, wanted) in wanted {
        let there = entry.get(name);
        match (there, &wanted) {
            (there, wanted) if there == wanted.as_ref() => {}
            (Some(there), Some(wanted)) if is_same_number(there, wanted) => {}
            // A harness without arguments ignores them.
            (Some(_), None) if !harness.spec().takes_arguments => {}
            (None, Some(wanted)) => {
                add(name, format!("`{name}` is not there, and was {wanted}"), DeviationKind::Changing);
            }
            (Some(there), None) => add(name, format!("`{name}` is {}", shown(there)), DeviationKind::Changing),
            (Some(there), Some(wanted)) => {
                add(name, format!("`{name}` is {}, not {wanted}", shown(there)), DeviationKind::Changing);
            }
            (None, None) => {}
        }
    }
    for (name, value) in entry.as_object().into_iter().flatten() {
        if let Some(kind) = kind_of_field(harness, name, value) {
            add(name, format!("`{name}` is {}", shown(value)), kind);
        }
    }
    if let Some(matcher) = narrows(written.event, group, written.matcher) {
        add("matcher", format!("`matcher` of its group is {}", shown(matcher)), DeviationKind::Changing);
    }
    found
}

/// Whether both are numbers, and the same one: `10.0` is 10 to Claude Code (seen with 2.1.332). Codex rejects the whole file
/// for it, which is found elsewhere.
pub fn is_same_number(one: &Value, other: &Value) -> bool {
    one.is_number() && one.as_f64() == other.as_f64()
}

/// What a field does that stands in a line beside what is written; `None` if nothing.
pub fn kind_of_field(harness: Harness, name: &str, value: &Value) -> Option<DeviationKind> {
    let spec = harness.spec();
    let is_known = WRITTEN_FIELDS.contains(&name) || spec.harmless_fields.contains(&name);
    let is_changing = spec.changing_fields.contains(&name);
    // What changes something does not if it says no. What nobody knows may mean anything by that (`"enabled": false`).
    if is_known || value.is_null() || is_changing && *value == Value::Bool(false) {
        return None;
    }
    Some(match is_changing {
        true if UNWAITED.contains(&name) => DeviationKind::Unheard,
        true => DeviationKind::Changing,
        false => DeviationKind::Unknown,
    })
}

/// The matcher of `group`, if it keeps lines on `event` from running now and then although it is not the one that was
/// `written`.
pub fn narrows<'a>(event: &str, group: &'a Value, written: Option<&str>) -> Option<&'a Value> {
    let matcher = group.get("matcher").filter(|matcher| !matcher.is_null() && matcher.as_str() != written)?;
    let is_all = matcher.as_str().is_some_and(|matcher| ALL.contains(&matcher));
    (!is_all && !UNMATCHED.contains(&event)).then_some(matcher)
}

fn shown(value: &Value) -> String {
    crate::text::head(&value.to_string(), 80).to_owned()
}

impl std::fmt::Display for HooksLost {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = self.file.display();
        match self.how {
            Loss::Removed => write!(out, "{file} has lost stopgate's hooks on {}", self.events.join(", ")),
            Loss::SwitchedOff => write!(out, "{file} switches all hooks off (disableAllHooks)"),
            Loss::Unreadable => write!(out, "{file} is no JSON any more, and none of its hooks runs"),
            Loss::Changed => {
                let (events, by) = (self.events.join(", "), self.by.join(", "));
                write!(out, "{file} has changed stopgate's hooks on {events}: {by}")
            }
            Loss::Environment => write!(out, "{file} gives hooks {}", self.by.join(", ")),
        }
    }
}

/// What `file`, which has just changed, has lost of what the ledger of `home` says was written into it; `None` if
/// nothing, or if nothing can be said.
pub fn lost(home: &Home, file: &Path) -> Option<HooksLost> {
    lost_of(home, &ledger(home), file)
}

/// What settings files say now of what stopgate registered in them, as far as the ledger knows.
#[derive(Debug, Default)]
pub struct Registrations {
    /// What each has lost.
    pub lost: Vec<HooksLost>,
    /// Lines whose answer no harness waits for: file and command.
    pub unheard: Vec<(PathBuf, String)>,
    /// The directory of each file's harness or project.
    pub places: Vec<RegisteredPlace>,
}

/// A directory with something of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredPlace {
    /// Whose.
    pub harness: Harness,
    /// Where.
    pub dir: PathBuf,
    /// Whether it is a project, and not the person's own directory of the harness.
    pub is_project: bool,
}

impl Registrations {
    /// Looks at every settings file that the ledger of `home` knows, and whose place is still there.
    pub fn look(home: &Home) -> Self {
        let ledger = ledger(home);
        let mut found = Self::default();
        for install in installs(&ledger) {
            let Some(file) = text(install, "settings").map(Path::new) else { continue };
            let Some(harness) = text(install, "harness").and_then(|name| name.parse().ok()) else { continue };
            let project = text(install, "project").map(PathBuf::from);
            let is_project = project.is_some();
            let Some(dir) = project.or_else(|| file.parent().map(Path::to_owned)).filter(|dir| dir.is_dir()) else {
                continue;
            };
            found.places.push(RegisteredPlace { harness, dir, is_project });
            found.lost.extend(lost_of(home, &ledger, file));
            let settings = read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null);
            for line in registered(&ledger, |recorded| recorded == file) {
                let changes = changes(&settings, &line).unwrap_or_default();
                if changes.iter().any(|change| change.kind == DeviationKind::Unheard) {
                    found.unheard.push((file.to_owned(), line.command));
                }
            }
        }
        found
    }
}

/// The shortest time that `hook` is registered with for `harness` on `event`, as far as the ledger of `home` knows; `None`
/// if that knows none.
pub fn shortest_timeout(home: &Home, harness: Harness, event: EventName, hook: Hook) -> Option<Timeout> {
    let program = home.bin().join(hook.name());
    let program = program.to_str()?;
    let lines = registered(&ledger(home), |_| true);
    let ours = lines
        .into_iter()
        .filter(|line| line.harness == harness && line.event == event.name() && line.command.contains(program));
    let seconds = ours.filter_map(|line| u16::try_from(line.timeout?).ok());
    seconds.min().map(Timeout::seconds)
}

/// Whether the lines of `set` are registered anywhere, as far as the ledger of `home` knows; `None` where it knows of no
/// settings file: a plugin may have them.
pub fn has_set(home: &Home, set: WireSet) -> Option<bool> {
    let ledger = ledger(home);
    let installs = installs(&ledger);
    let has = |install: &Value| {
        let sets = install.get("sets").and_then(Value::as_array);
        sets.is_some_and(|sets| sets.iter().any(|one| one == set.name()))
    };
    (!installs.is_empty()).then(|| installs.iter().any(has))
}

fn ledger(home: &Home) -> Value {
    let ledger = fsx::read_regular(&home.ledger(), MAX_BYTES).ok();
    ledger.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null)
}

fn installs(ledger: &Value) -> &[Value] {
    ledger.get("installs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn lost_of(home: &Home, ledger: &Value, file: &Path) -> Option<HooksLost> {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let same = |recorded: &Path| recorded == file || real(recorded) == real(file);
    let text = match read(file) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        // Not to be looked at, which says nothing of what the harness sees.
        Err(_) => return None,
    };
    judge(home, &registered(ledger, same), file, text.as_deref())
}

/// A person's settings may be a link into a collection of such files; anything but a file is not waited for.
fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    fsx::read_regular(&std::fs::canonicalize(file)?, MAX_BYTES)
}

/// A line that the ledger has.
#[derive(Debug, Clone)]
struct Registered {
    harness: Harness,
    event: String,
    command: String,
    args: Vec<String>,
    timeout: Option<u64>,
    matcher: Option<String>,
}

/// Each line that the ledger has for a file of which `same` holds.
fn registered(ledger: &Value, same: impl Fn(&Path) -> bool) -> Vec<Registered> {
    let line = |install: &Value, entry: &Value| {
        let args = entry.get("args").and_then(Value::as_array).into_iter().flatten();
        Some(Registered {
            harness: text(install, "harness").and_then(|name| name.parse().ok()).unwrap_or(Harness::DEFAULT),
            event: text(entry, "event")?.to_owned(),
            command: text(entry, "command")?.to_owned(),
            args: args.filter_map(|arg| arg.as_str().map(str::to_owned)).collect(),
            timeout: entry.get("timeout").and_then(Value::as_u64),
            matcher: text(entry, "matcher").map(str::to_owned),
        })
    };
    let of_file =
        installs(ledger).iter().filter(|install| text(install, "settings").is_some_and(|path| same(Path::new(path))));
    let entries = |install: &'_ Value| -> Vec<Registered> {
        let entries = install.get("entries").and_then(Value::as_array).into_iter().flatten();
        entries.filter_map(|entry| line(install, entry)).collect()
    };
    of_file.flat_map(entries).collect()
}

fn judge(home: &Home, registered: &[Registered], file: &Path, text: Option<&[u8]>) -> Option<HooksLost> {
    let loss =
        |how: Loss, events: Vec<String>, by: Vec<String>| Some(HooksLost { file: file.to_owned(), how, events, by });
    let settings: Option<Value> = match text.map(json::with_comments) {
        None => Some(Value::Null),
        Some(read) => read,
    };
    let Some(settings) = settings else {
        return if registered.is_empty() { None } else { loss(Loss::Unreadable, names(registered), Vec::new()) };
    };
    if settings.get("disableAllHooks") == Some(&Value::Bool(true)) {
        return loss(Loss::SwitchedOff, Vec::new(), Vec::new());
    }
    let variables = variables::silencing(&settings, home);
    if !variables.is_empty() {
        return loss(Loss::Environment, Vec::new(), variables);
    }
    let (mut gone, mut changed, mut by) = (Vec::new(), Vec::new(), Vec::new());
    for line in registered {
        match changes(&settings, line) {
            None => gone.push(line.clone()),
            Some(found) if found.is_empty() => {}
            Some(found) => {
                changed.push(line.clone());
                for Deviation { what, .. } in found {
                    if !by.contains(&what) {
                        by.push(what);
                    }
                }
            }
        }
    }
    match (gone.as_slice(), changed.as_slice()) {
        ([], []) => None,
        ([], changed) => loss(Loss::Changed, names(changed), by),
        (gone, _) => loss(Loss::Removed, names(gone), Vec::new()),
    }
}

/// Every event once, in the order of the lines.
fn names(lines: &[Registered]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for Registered { event, .. } in lines {
        if !names.contains(event) {
            names.push(event.clone());
        }
    }
    names
}

/// What is not as written in `line`; `None` if it is not there. Of several, the best counts.
fn changes(settings: &Value, line: &Registered) -> Option<Vec<Deviation>> {
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let groups = settings.get("hooks").and_then(|hooks| hooks.get(&line.event)).map(list).unwrap_or_default();
    let mut best: Option<Vec<Deviation>> = None;
    for group in &groups {
        for entry in group.get("hooks").map(list).unwrap_or_default() {
            if text(&entry, "command") != Some(&line.command) {
                continue;
            }
            // What an older ledger does not say is not compared.
            let timeout = line.timeout.or_else(|| entry.get("timeout")?.as_u64()).unwrap_or_default();
            let (event, command, args) = (line.event.as_str(), line.command.as_str(), line.args.as_slice());
            let written = Line { event, command, args, timeout, matcher: line.matcher.as_deref() };
            let found = deviations(line.harness, group, &entry, written).into_iter();
            let found: Vec<_> = found.filter(|one| one.kind != DeviationKind::Unknown).collect();
            if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                best = Some(found);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    const STOP: &str = "/h/bin/stop-gate-router";

    fn line() -> Value {
        json!({"type": "command", "command": STOP, "args": ["claude"], "timeout": 10})
    }

    fn registered_on(events: &[&str]) -> Vec<Registered> {
        let of = |event: &&str| Registered {
            harness: Harness::Claude,
            event: (*event).to_owned(),
            command: STOP.to_owned(),
            args: vec!["claude".to_owned()],
            timeout: Some(10),
            matcher: None,
        };
        events.iter().map(of).collect()
    }

    fn settings(events: &[&str]) -> Value {
        let groups = |_: &&str| json!([{"hooks": [{"command": "x"}, line()]}]);
        json!({"hooks": events.iter().map(|event| ((*event).to_owned(), groups(event))).collect::<serde_json::Map<_, _>>()})
    }

    fn of(text: Option<&str>) -> Option<(Loss, Vec<String>)> {
        let registered = registered_on(&["Stop", "Stop", "SessionEnd"]);
        let home = Home::at("/h");
        judge(&home, &registered, Path::new("/s.json"), text.map(str::as_bytes)).map(|lost| (lost.how, lost.events))
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
    #[case("{ // mine\n}", Loss::Removed)]
    #[case("{ \"a\": }", Loss::Unreadable)]
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
        let home = Home::at("/h");
        let judge = |text: &str| judge(&home, &[], Path::new("/s.json"), Some(text.as_bytes())).map(|lost| lost.how);
        assert_eq!(["{}", "garbage", "{\"disableAllHooks\": true}"].map(judge), [None, None, Some(Loss::SwitchedOff)]);
    }

    #[rstest]
    #[case("async", json!(true), true)]
    #[case("async", json!(false), false)]
    #[case("asyncRewake", json!(true), true)]
    #[case("if", json!("Bash(nothing *)"), true)]
    #[case("type", json!("prompt"), true)]
    #[case("timeout", json!(1), true)]
    #[case("args", json!(["codex"]), true)]
    #[case("shell", json!("powershell"), true)]
    #[case("once", json!(true), true)]
    #[case("onFailure", json!("block"), true)]
    #[case("statusMessage", json!("mine"), false)]
    #[case("of the future", json!(1), false)]
    fn a_line_that_is_changed_is_lost_and_one_with_what_changes_nothing_is_not(
        #[case] field: &str,
        #[case] value: Value,
        #[case] is_lost: bool,
    ) {
        let mut changed = settings(&["Stop", "SessionEnd"]);
        changed["hooks"]["Stop"][0]["hooks"][1][field] = value;
        let expected = is_lost.then(|| (Loss::Changed, vec!["Stop".to_owned()]));
        assert_eq!(of(Some(&changed.to_string())), expected);
    }

    #[test]
    fn a_matcher_counts_where_the_harness_looks_at_it() {
        for (event, matcher, is_lost) in [
            ("SessionEnd", "clear", true),
            ("SessionEnd", "*", false),
            ("SessionEnd", "", false),
            ("Stop", "anything", false),
        ] {
            let mut changed = settings(&["Stop", "SessionEnd"]);
            changed["hooks"][event][0]["matcher"] = json!(matcher);
            assert_eq!(of(Some(&changed.to_string())).is_some(), is_lost, "{event} {matcher}");
        }
    }

    #[test]
    fn a_variable_that_silences_is_a_loss_and_another_one_is_not() {
        let home = Home::at("/h");
        let judge = |text: &str| judge(&home, &[], Path::new("/s.json"), Some(text.as_bytes())).map(|lost| lost.how);
        for (env, how) in [
            (json!({"STOPGATE_KILL": "1"}), Some(Loss::Environment)),
            (json!({"STOPGATE_HOME": "/elsewhere"}), Some(Loss::Environment)),
            (json!({"STOPGATE_HOME": "/h"}), None),
            (json!({"STOPGATE_NO_AUTOSTART": "1"}), None),
            (json!({"PATH": "/bin"}), None),
        ] {
            assert_eq!(judge(&json!({"env": env}).to_string()), how, "{env}");
        }
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
