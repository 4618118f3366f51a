//! Many made-up settings files: what goes in comes out again, and twice is once.

use std::path::Path;

use super::document::{Document, DocumentProblem};
use super::edit::{self, Created};
use super::locate::{Location, Scope};
use super::plan::{self, SettingsPlan};
use crate::ledger::Install;
use crate::wiring::Wiring;
use stopgate_core::hook::WireSet;
use stopgate_core::paths::Home;
use stopgate_core::session::Harness;

const BIN: &str = "/home/dev/.stopgate/bin";
const CASES: usize = 2_000;

/// A small, reproducible source of choices (xorshift).
struct Choices(u64);

impl Choices {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }

    fn of<'a>(&mut self, options: &[&'a str]) -> &'a str {
        options[self.next(options.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.next(100) < percent
    }
}

/// How a made-up file looks.
struct Look {
    newline: &'static str,
    unit: &'static str,
    one_line: bool,
    comments: bool,
    trailing_commas: bool,
    odd: bool,
}

struct Writer {
    choices: Choices,
    look: Look,
}

impl Writer {
    fn file(seed: u64) -> String {
        let mut choices = Choices(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            choices.next(2);
        }
        let one_line = choices.chance(15);
        let look = Look {
            newline: if choices.chance(25) { "\r\n" } else { "\n" },
            unit: choices.of(&["  ", "    ", "\t", " ", "   "]),
            one_line,
            comments: !one_line && choices.chance(40),
            trailing_commas: choices.chance(15),
            odd: choices.chance(30),
        };
        let mut writer = Self { choices, look };
        let mut text = String::new();
        if writer.choices.chance(20) {
            text.push('\u{feff}');
        }
        if writer.look.comments && writer.choices.chance(30) {
            text.push_str("// settings of dev");
            text.push_str(writer.look.newline);
        }
        let root = writer.root();
        text.push_str(&root);
        for _ in 0..writer.choices.next(3) {
            text.push_str(writer.look.newline);
        }
        text
    }

    fn root(&mut self) -> String {
        let mut members = Vec::new();
        for _ in 0..self.choices.next(4) {
            let name = self.choices.of(&["permissions", "model", "env", "na\\u006de", "x y", "", "statusLine"]);
            let value = self.value(2);
            members.push(format!("\"{name}\":{}{value}", self.space()));
        }
        if self.choices.chance(70) {
            let hooks = self.hooks();
            let at = self.choices.next(members.len() + 1);
            members.insert(at, format!("\"hooks\":{}{hooks}", self.space()));
        }
        self.list('{', '}', &members, 1)
    }

    fn hooks(&mut self) -> String {
        let events = ["Stop", "SessionStart", "PreToolUse", "SessionEnd", "Notification", "Stop"];
        let members: Vec<_> = (0..self.choices.next(4))
            .map(|_| {
                let event = self.choices.of(&events);
                let groups: Vec<_> = (0..self.choices.next(3)).map(|_| self.group()).collect();
                format!("\"{event}\":{}{}", self.space(), self.list('[', ']', &groups, 3))
            })
            .collect();
        self.list('{', '}', &members, 2)
    }

    fn group(&mut self) -> String {
        let entries: Vec<_> = (0..self.choices.next(3))
            .map(|_| {
                let command = self.choices.of(&[
                    "echo hi",
                    "/home/dev/.stopgate/bin/stop-gate-router --not-ours",
                    "/usr/bin/stop-gate-router",
                    "\\u002fopt/x \\\"y\\\"",
                ]);
                let timeout = self.choices.of(&["5", "1.50", "6e4", "600"]);
                let members = [format!("\"command\": \"{command}\""), format!("\"timeout\":{timeout}")];
                self.list('{', '}', &members, 6)
            })
            .collect();
        let mut members = vec![format!("\"hooks\":{}{}", self.space(), self.list('[', ']', &entries, 5))];
        if self.choices.chance(50) {
            members.insert(0, "\"matcher\": \"startup|resume\"".to_owned());
        }
        self.list('{', '}', &members, 4)
    }

    fn value(&mut self, depth: usize) -> String {
        match self.choices.next(if depth > 5 { 4 } else { 6 }) {
            0 => self.choices.of(&["1.50", "-0", "1e400", "12345678901234567890", "0.10"]).to_owned(),
            1 => self.choices.of(&["true", "null", "false"]).to_owned(),
            2 | 3 => format!(
                "\"{}\"",
                self.choices.of(&["", "caf\\u00e9", "é // no comment", "a\\\\\\\"b", "/* no */", "😀"])
            ),
            4 => {
                let items: Vec<_> = (0..self.choices.next(3)).map(|_| self.value(depth + 1)).collect();
                self.list('[', ']', &items, depth)
            }
            _ => {
                let members: Vec<_> = (0..self.choices.next(3))
                    .map(|at| format!("\"k{at}\":{}{}", self.space(), self.value(depth + 1)))
                    .collect();
                self.list('{', '}', &members, depth)
            }
        }
    }

    fn list(&mut self, open: char, close: char, items: &[String], depth: usize) -> String {
        let broken = !self.look.one_line && (!self.look.odd || self.choices.chance(70));
        let pad = |depth: usize, unit: &str| unit.repeat(depth);
        let mut out = String::from(open);
        for (index, item) in items.iter().enumerate() {
            if self.look.comments && broken && self.choices.chance(15) {
                out.extend([self.look.newline, &pad(depth, self.look.unit), "// why"]);
            }
            if broken {
                out.push_str(self.look.newline);
                if self.look.odd && self.choices.chance(20) {
                    out.push_str(self.look.newline);
                }
                let extra = if self.look.odd { self.choices.next(2) } else { 0 };
                out.push_str(&pad(depth + extra, self.look.unit));
            } else if index > 0 || self.look.odd {
                out.push_str(self.space());
            }
            out.push_str(item);
            if self.look.comments && self.choices.chance(10) {
                out.push_str(" /* c */");
            }
            if index + 1 < items.len() || self.look.trailing_commas {
                out.push(',');
            }
            if self.look.comments && broken && self.choices.chance(15) {
                out.push_str(" // behind");
            }
        }
        if broken && !items.is_empty() || out.ends_with("// behind") {
            out.push_str(self.look.newline);
            out.push_str(&pad(depth - 1, self.look.unit));
        } else if self.look.odd && self.choices.chance(30) {
            out.push(' ');
        }
        out.push(close);
        out
    }

    fn space(&mut self) -> &'static str {
        if self.look.odd { self.choices.of(&["", " ", "  "]) } else { " " }
    }
}

fn wiring() -> Wiring {
    Wiring::of(Harness::Claude, Path::new(BIN)).unwrap()
}

fn is_subsequence(short: &str, long: &str) -> bool {
    let mut rest = long.bytes();
    short.bytes().all(|byte| rest.any(|other| other == byte))
}

/// `text` without the space in brackets that hold nothing else.
fn without_hollows(text: &str) -> String {
    let mut out = String::new();
    for symbol in text.chars() {
        if matches!(symbol, ']' | '}') && out.trim_end().ends_with(if symbol == ']' { '[' } else { '{' }) {
            out.truncate(out.trim_end().len());
        }
        out.push(symbol);
    }
    out
}

#[test]
fn install_then_uninstall_gives_the_same_bytes_and_twice_is_once() {
    let (mut with_hooks, mut exact) = (0, 0);
    for seed in 1..=CASES {
        let harness = if seed % 3 == 0 { Harness::Codex } else { Harness::Claude };
        let wiring = Wiring::of(harness, Path::new(BIN)).unwrap();
        let wanted: Vec<_> = wiring.entries().map(|(_, entry)| entry.clone()).collect();
        let before = Writer::file(seed as u64);
        let document = Document::parse(before.as_bytes()).unwrap_or_else(|unfit| panic!("{seed}: {unfit}\n{before}"));
        with_hooks += usize::from(document.hooks().unwrap().is_some());
        let created = edit::missing_structure(&document, &wiring).unwrap();
        let installed = edit::install(&document, &wiring).unwrap_or_else(|unfit| panic!("{seed}: {unfit}\n{before}"));
        let after = String::from_utf8(installed.to_bytes()).unwrap();

        assert!(is_subsequence(&before, &after), "{seed}: something was taken away\n{before}\n{after}");
        assert!(
            edit::agree_on_the_foreign_part(&document, &installed, Path::new(BIN), &created),
            "{seed}\n{before}\n{after}"
        );
        let mut found = edit::registered(&installed, Path::new(BIN)).unwrap();
        found.sort_by_key(|entry| wanted.iter().position(|wanted| wanted == entry));
        assert_eq!(found, wanted, "{seed}\n{after}");
        for event in wiring.events() {
            let groups =
                super::document::last_prop(&installed.hooks().unwrap().unwrap(), event).unwrap().array_value().unwrap();
            let last = groups.elements().pop().unwrap().to_string();
            assert!(
                last.contains(&wanted.iter().find(|entry| entry.event == event).unwrap().command),
                "ours is last: {last}"
            );
        }
        let again = edit::install(&installed, &wiring).unwrap();
        assert_eq!(again.to_bytes(), installed.to_bytes(), "{seed}: twice is not once\n{before}");
        if document.strictness_problem().is_none() {
            assert_eq!(installed.strictness_problem(), None, "{seed}\n{after}");
        }

        // Even without the copy of the original, by taking out single entries. Only the space inside of brackets with
        // nothing else between them may differ then.
        let taken = edit::uninstall(&installed, Path::new(BIN), &created).unwrap();
        let taken = String::from_utf8(taken.to_bytes()).unwrap();
        exact += usize::from(taken == before);
        assert_eq!(without_hollows(&taken), without_hollows(&before), "{seed}\n{after}");
    }
    assert!(with_hooks > CASES / 3 && exact > CASES * 95 / 100, "{with_hooks} {exact}");
}

#[test]
fn a_set_that_comes_and_goes_leaves_the_bytes_as_they_were() {
    let mut exact = 0;
    for seed in 1..=CASES {
        let harness = if seed % 3 == 0 { Harness::Codex } else { Harness::Claude };
        let base = Wiring::of(harness, Path::new(BIN)).unwrap();
        let both = Wiring::with(harness, Path::new(BIN), &[WireSet::Coordination]).unwrap();
        let original = Writer::file(seed as u64);
        let document = Document::parse(original.as_bytes()).unwrap();
        let mut created = edit::missing_structure(&document, &base).unwrap();
        let before = edit::install(&document, &base).unwrap();
        created = created.and(edit::missing_structure(&before, &both).unwrap());
        let enabled = edit::install_over(&before, &both, &created).unwrap();
        let lines = edit::registered(&enabled, Path::new(BIN)).unwrap();
        assert_eq!(lines.len(), both.entries().count(), "{seed}\n{}", enabled.text());
        assert!(both.entries().all(|(_, entry)| lines.contains(entry)), "{seed}\n{}", enabled.text());
        assert!(edit::agree_on_the_foreign_part(&before, &enabled, Path::new(BIN), &created), "{seed}");
        assert_eq!(edit::install_over(&enabled, &both, &created).unwrap().text(), enabled.text(), "{seed}: twice");

        let disabled = edit::install_over(&enabled, &base, &created).unwrap();
        exact += usize::from(disabled.to_bytes() == before.to_bytes());
        assert_eq!(without_hollows(disabled.text()), without_hollows(before.text()), "{seed}\n{}", enabled.text());
        let taken = edit::uninstall(&enabled, Path::new(BIN), &created).unwrap();
        let taken = String::from_utf8(taken.to_bytes()).unwrap();
        assert_eq!(without_hollows(&taken), without_hollows(&original), "{seed}: both at once");
    }
    assert!(exact > CASES * 95 / 100, "{exact}");
}

#[test]
fn the_original_bytes_come_back_through_files_and_ledger() {
    let wiring = wiring();
    for seed in 1..=120_usize {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        let path = dir.path().join("config/settings.json");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let before = (seed > 1).then(|| Writer::file(seed as u64));
        if let Some(before) = &before {
            std::fs::write(&path, before).unwrap();
        }
        let record = install(&path, &home, &wiring, None);
        let once = std::fs::read(&path).unwrap();
        let second = SettingsPlan::install(location(&path), &wiring, Some(&record)).unwrap();
        assert!(second.is_noop() && second.diff().is_empty());
        assert_eq!(std::fs::read(&path).unwrap(), once);
        uninstall(&path, &record);
        assert_eq!(std::fs::read(&path).ok(), before.map(String::into_bytes), "{seed}");
    }
}

fn location(path: &Path) -> Location {
    Location { harness: Harness::Claude, scope: Scope::User, path: path.to_owned(), project: None }
}

fn install(path: &Path, home: &Home, wiring: &Wiring, old: Option<&Install>) -> Install {
    let settings = SettingsPlan::install(location(path), wiring, old).unwrap();
    let backup = settings.backup(home, 0).unwrap();
    let record = settings.record(old, backup, 0);
    plan::write(&settings).unwrap();
    settings.verify(wiring.bin()).unwrap();
    record
}

fn uninstall(path: &Path, record: &Install) {
    let settings = SettingsPlan::uninstall(location(path), Path::new(BIN), Some(record)).unwrap();
    plan::write(&settings).unwrap();
    settings.verify(Path::new(BIN)).unwrap();
}

#[test]
fn what_a_person_changed_after_the_install_survives_the_uninstall() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path().join("home"));
    let path = dir.path().join("settings.json");
    std::fs::write(&path, "{\n  \"model\": \"opus\"\n}\n").unwrap();
    let record = install(&path, &home, &wiring(), None);
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("\"opus\"", "\"sonnet\"").replace("\"Stop\": [", "\"Stop\": [\n      {\"hooks\": []},");
    std::fs::write(&path, text).unwrap();
    uninstall(&path, &record);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "{\n  \"model\": \"sonnet\",\n  \"hooks\": {\n    \"Stop\": [\n      {\"hooks\": []}\n    ]\n  }\n}\n"
    );
}

#[test]
fn a_file_of_ours_goes_even_if_its_layout_was_changed() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path().join("home"));
    let path = dir.path().join("settings.json");
    let record = install(&path, &home, &wiring(), None);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("  ", "\t")).unwrap();
    uninstall(&path, &record);
    assert!(!path.exists());
}

#[test]
fn an_edit_between_two_installs_makes_the_old_copy_useless() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path().join("home"));
    let path = dir.path().join("settings.json");
    std::fs::write(&path, "{\"a\": 1}").unwrap();
    let first = install(&path, &home, &wiring(), None);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("{\"a\": 1", "{\"a\": 2").replacen("\"timeout\": 10", "\"timeout\": 99", 1))
        .unwrap();
    let second = install(&path, &home, &wiring(), Some(&first));
    assert!(!std::fs::read_to_string(&path).unwrap().contains("99"));
    uninstall(&path, &second);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"a\": 2}");
}

#[test]
fn stale_and_repeated_entries_are_repaired_and_foreign_ones_left() {
    let ours = |hook: &str, rest: &str| format!("{{\"type\": \"command\", \"command\": \"{BIN}/{hook}\", {rest}}}");
    let before = format!(
        "{{\"hooks\": {{\n\"Stop\": [{{\"hooks\": [{}, {{\"command\": \"mine\"}}]}}, {{\"hooks\": [{}, {}]}}],\n\"PreToolUse\": [{{\"hooks\": [{}]}}]}}}}",
        ours("stop-gate-router", "\"args\": [\"claude\", \"old\"], \"timeout\": 5000, \"statusMessage\": \"mine\""),
        ours("stop-gate-router", "\"args\": [\"claude\"], \"timeout\": 10"),
        ours("build-stop-hook", "\"timeout\": 10"),
        ours("stop-gate-router", "\"args\": []"),
    );
    let document = Document::parse(before.as_bytes()).unwrap();
    let wiring = wiring();
    let repaired = edit::install(&document, &wiring).unwrap();
    let found = edit::registered(&repaired, Path::new(BIN)).unwrap();
    assert_eq!(found.len(), 9, "{}", repaired.text());
    assert!(wiring.entries().all(|(_, entry)| found.contains(entry)), "{}", repaired.text());
    assert!(
        repaired.text().contains("\"statusMessage\": \"mine\"") && repaired.text().contains("{\"command\": \"mine\"}")
    );
    assert!(repaired.text().contains("\"PreToolUse\": []"), "{}", repaired.text());
    let created = edit::missing_structure(&document, &wiring).unwrap();
    assert!(edit::agree_on_the_foreign_part(&document, &repaired, Path::new(BIN), &created));
}

#[test]
fn an_entry_under_a_repeated_key_that_does_not_count_is_moved() {
    let entry = format!(
        "{{\"type\": \"command\", \"command\": \"{BIN}/stop-gate-router\", \"args\": [\"claude\"], \"timeout\": 10}}"
    );
    let before = format!("{{\"hooks\": {{\"Stop\": [{{\"hooks\": [{entry}]}}], \"Stop\": []}}}}");
    let document = Document::parse(before.as_bytes()).unwrap();
    let text = edit::install(&document, &wiring()).unwrap().text().to_owned();
    assert!(text.starts_with("{\"hooks\": {\"Stop\": [], \"Stop\": [{\"hooks\": [{"), "{text}");
}

#[test]
fn comments_in_a_group_of_ours_keep_the_group() {
    let wiring = wiring();
    let document = edit::install(&Document::parse(b"{}").unwrap(), &wiring).unwrap();
    let text = document.text().replacen("\"hooks\": [", "// mine\n\"hooks\": [", 1);
    let document = Document::parse(text.as_bytes()).unwrap();
    let created = Created { hooks_key: true, event_keys: vec!["SessionStart".into()], ..Created::default() };
    let taken = edit::uninstall(&document, Path::new(BIN), &created).unwrap();
    assert_eq!(taken.comments(), ["// mine"]);
    assert!(edit::agree_on_the_foreign_part(&document, &taken, Path::new(BIN), &created), "{}", taken.text());
    assert!(edit::registered(&taken, Path::new(BIN)).unwrap().is_empty());
}

#[test]
fn files_that_cannot_be_edited_are_refused_with_their_place() {
    let install = |text: &str| {
        let document = Document::parse(text.as_bytes())?;
        edit::install(&document, &wiring()).map(|_| ())
    };
    for (text, problem, line) in [
        ("[]", DocumentProblem::RootNotObject, 1),
        ("{\n\"hooks\": []}", DocumentProblem::HooksNotObject, 2),
        ("{\n\"hooks\": null}", DocumentProblem::HooksNotObject, 2),
        ("{\"hooks\": {\n\"Other\": {}}}", DocumentProblem::EventNotArray("Other".into()), 2),
        ("{\"hooks\": {\n\"Stop\": \"x\"}}", DocumentProblem::EventNotArray("Stop".into()), 2),
    ] {
        let unfit = install(text).unwrap_err();
        assert_eq!((unfit.problem, unfit.at.map(|at| at.line)), (problem, Some(line)), "{text}");
    }
    for text in ["", " \n", "{}", "{\"hooks\": {\"Stop\": [\"odd\", {\"hooks\": 1}]}}"] {
        install(text).unwrap_or_else(|unfit| panic!("{text:?}: {unfit}"));
    }
}

#[test]
fn the_generated_settings() {
    let document = edit::install(&Document::parse(b"{\n  \"model\": \"opus\"\n}\n").unwrap(), &wiring()).unwrap();
    insta::assert_snapshot!(document.text(), @r#"
    {
      "model": "opus",
      "hooks": {
        "SessionStart": [
          {
            "hooks": [
              {
                "type": "command",
                "command": "/home/dev/.stopgate/bin/session-start-recorder",
                "args": [
                  "claude"
                ],
                "timeout": 10
              }
            ]
          }
        ],
        "UserPromptSubmit": [
          {
            "hooks": [
              {
                "type": "command",
                "command": "/home/dev/.stopgate/bin/session-start-recorder",
                "args": [
                  "claude"
                ],
                "timeout": 10
              }
            ]
          }
        ],
        "PermissionRequest": [
          {
            "hooks": [
              {
                "type": "command",
                "command": "/home/dev/.stopgate/bin/session-start-recorder",
                "args": [
                  "claude"
                ],
                "timeout": 10
              }
            ]
          }
        ],
        "Stop": [
          {
            "hooks": [
              {
                "type": "command",
                "command": "/home/dev/.stopgate/bin/stop-gate-router",
                "args": [
                  "claude"
                ],
                "timeout": 10
              },
              {
                "type": "command",
                "command": "/home/dev/.stopgate/bin/build-stop-hook",
                "args": [
                  "claude"
                ],
                "timeout": 10
              }
            ]
          }
        ],
        "PreCompact": [
          {
            "hooks": [
              {
                "type": "command",
                "command": "/home/dev/.stopgate/bin/session-start-recorder",
                "args": [
                  "claude"
                ],
                "timeout": 10
              }
            ]
          }
        ],
        "PostCompact": [
          {
            "hooks": [
              {
                "type": "command",
                "command": "/home/dev/.stopgate/bin/session-start-recorder",
                "args": [
                  "claude"
                ],
                "timeout": 10
              }
            ]
          }
        ],
        "ConfigChange": [
          {
            "hooks": [
              {
                "type": "command",
                "command": "/home/dev/.stopgate/bin/session-start-recorder",
                "args": [
                  "claude"
                ],
                "timeout": 10
              }
            ]
          }
        ],
        "SessionEnd": [
          {
            "hooks": [
              {
                "type": "command",
                "command": "/home/dev/.stopgate/bin/session-start-recorder",
                "args": [
                  "claude"
                ],
                "timeout": 3
              }
            ]
          }
        ]
      }
    }
    "#);
}

#[test]
fn keys_are_not_shown_in_a_diff() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.json");
    std::fs::write(&path, "{\n  \"env\": {\n    \"DB_PASSWORD\": \"hunter22\"\n  }\n}\n").unwrap();
    let plan = SettingsPlan::install(location(&path), &wiring(), None).unwrap();
    let diff = plan.diff();
    assert!(diff.contains("\"DB_PASSWORD\": \"[redacted]\"") && !diff.contains("hunter22"), "{diff}");
    assert!(diff.contains("stop-gate-router"));
}

/// Processor time of this thread that install, checks and uninstall of a file with so many events take, in seconds: what
/// else the machine does is not in it.
fn cost(events: usize, top: usize) -> f64 {
    let events: Vec<_> = (0..events).map(|number| format!("\"E{number}\": [{{\"hooks\": []}}]")).collect();
    let top: Vec<_> = (0..top).map(|number| format!("\"k{number}\": {number},\n")).collect();
    let text = format!("{{\n{}\"hooks\": {{\n{}\n}}\n}}\n", top.concat(), events.join(",\n"));
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        std::time::Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
    };
    let began = now();
    let wiring = Wiring::of(Harness::Claude, Path::new(BIN)).unwrap();
    let before = Document::parse(text.as_bytes()).unwrap();
    assert_eq!(super::ignored::flaws(&before), []);
    let created = edit::missing_structure(&before, &wiring).unwrap();
    let installed = edit::install(&before, &wiring).unwrap();
    assert!(edit::agree_on_the_foreign_part(&before, &installed, wiring.bin(), &created));
    assert_eq!(edit::deviations(&installed, &wiring).unwrap(), []);
    let after = edit::uninstall(&installed, wiring.bin(), &created).unwrap();
    assert_eq!(after.text(), text);
    now().checked_sub(began).unwrap().as_secs_f64()
}

#[test]
fn ten_times_the_keys_take_about_ten_times_as_long() {
    for (what, few, many) in [("events", (1_000, 0), (10_000, 0)), ("keys", (0, 1_000), (0, 10_000))] {
        let least = |(events, top): (usize, usize)| (0..2).map(|_| cost(events, top)).fold(f64::MAX, f64::min);
        let (few, many) = (least(few), least(many));
        // Squares would be a hundred.
        assert!(many < 25.0 * few, "{what}: {many} s, and {few} s for a tenth");
    }
}
