//! A real client in a real terminal, at which a person types.

use std::cell::Cell;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use stopgate_tests::claude_driver::{LOOPBACK_UP, namespace};
use stopgate_tests::mock_anthropic::{Recorded, Script, flatten};
use stopgate_tests::mock_openai::item_text;
use stopgate_tests::world::binary;

use crate::site::Site;

/// What nothing here takes: it tells a hang from a slow machine.
const HANG: Duration = Duration::from_mins(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(60);
/// So many looks in a row have to agree that a turn is over.
const LOOKS: usize = 8;
/// What either client shows while it works.
const BUSY: [&str; 2] = ["esc to interrupt", "ctrl+c to interrupt"];

/// A running client.
pub(crate) struct Live<'a> {
    site: &'a Site,
    /// Its pane.
    pub(crate) pane: String,
    journal: PathBuf,
    /// How often the model was asked before the turn in hand.
    asked: Cell<usize>,
}

/// What one request of the conversation brought the model.
#[derive(Clone)]
pub(crate) struct Asked {
    /// Which turn of the script answered.
    pub(crate) answer: String,
    /// What stands behind the last words of the assistant: a prompt, results of tools, words of hooks.
    pub(crate) new: Vec<String>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first request begins with pages of the client's own.
        let end = |text: &String| text.chars().skip(text.chars().count().saturating_sub(600)).collect::<String>();
        write!(formatter, "{} after {:#?}", self.answer, self.new.iter().map(end).collect::<Vec<_>>())
    }
}

impl<'a> Live<'a> {
    pub(crate) fn start(site: &'a Site, name: &str, script: &Script, line: &str) -> Self {
        let root = site.person.world.root();
        let file = |ending: &str| root.join(format!("{name}.{ending}"));
        std::fs::write(file("script"), serde_json::to_vec(script).unwrap()).unwrap();
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut command: Vec<String> =
            ["new-session", "-d", "-P", "-F", "#{pane_id}", "-x", "140", "-y", "50"].map(str::to_owned).to_vec();
        command.extend(["-s".to_owned(), name.to_owned(), "-c".to_owned(), path(site.checkout.top.clone())]);
        command.push("env".to_owned());
        command.extend(site.environment().into_iter().map(|(name, value)| format!("{name}={value}")));
        if let Some(flag) = namespace() {
            command.extend(["unshare", flag, "sh", "-c", LOOPBACK_UP].map(str::to_owned));
        }
        command.push(path(binary("with-mock")));
        command.extend(site.client.is_codex().then(|| "--codex".to_owned()));
        command.extend(["--journal".to_owned(), path(file("journal")), path(file("script"))]);
        // The shell stays, so that the last screen can be looked at.
        let line = format!("{line}; echo CLIENT-ENDED; exec sleep 100000");
        command.extend(["sh".to_owned(), "-c".to_owned(), line]);
        let pane = site.tmux(&command.iter().map(String::as_str).collect::<Vec<_>>()).trim().to_owned();
        Self { site, pane, journal: file("journal"), asked: Cell::new(0) }
    }

    /// What the terminal shows.
    pub(crate) fn screen(&self) -> String {
        self.site.tmux(&["capture-pane", "-p", "-t", &self.pane])
    }

    /// Waits for something; if it never comes, the panic shows the terminal and what the model was asked.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + HANG;
        loop {
            if let Some(found) = found() {
                return found;
            }
            assert!(Instant::now() < end, "never: {what}\n{}\n{:#?}", self.screen(), self.asked());
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until the terminal shows `text`.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        self.until(&format!("the screen shows {text:?}"), || self.screen().contains(text).then_some(()));
    }

    pub(crate) fn keys(&self, keys: &[&str]) {
        self.site.tmux(&[&["send-keys", "-t", &self.pane], keys].concat());
    }

    /// Types a line, and sends it once it stands there.
    #[track_caller]
    pub(crate) fn types(&self, text: &str) {
        self.until("a prompt to type at", || {
            let screen = self.screen();
            screen.lines().any(|line| line.starts_with('❯') || line.starts_with('›')).then_some(())
        });
        self.asked.set(self.asked().len());
        self.keys(&["-l", text]);
        self.shows(text);
        // Codex takes keys that come at once for something pasted, and an Enter right behind them for a part of it.
        std::thread::sleep(Duration::from_millis(300));
        self.keys(&["Enter"]);
    }

    /// A prompt, and the turn until its end: the model is asked `times` times.
    #[track_caller]
    pub(crate) fn turn(&self, prompt: &str, times: usize) -> Vec<Asked> {
        self.types(prompt);
        self.turn_ends(times)
    }

    /// Waits until the model was asked since the last prompt, and the client waits for the next one; those requests.
    #[track_caller]
    pub(crate) fn rests(&self) -> Vec<Asked> {
        self.rests_after(1)
    }

    /// Waits until the client waits for a prompt, whatever became of the last one.
    #[track_caller]
    pub(crate) fn is_quiet(&self) {
        self.rests_after(0);
    }

    /// What the terminal shows of the turn after `prompt`, without what stands around the next one: Claude Code keeps
    /// a notice of an earlier turn there.
    pub(crate) fn shown_since(&self, prompt: &str) -> String {
        let screen = self.screen();
        let since = screen.rsplit_once(prompt).map_or("", |(_, since)| since);
        since.split("────────").next().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn rests_after(&self, times: usize) -> Vec<Asked> {
        let (before, mut quiet) = (self.asked.get(), 0);
        self.until(&format!("the turn ends after {times} requests"), || {
            let asked = self.asked();
            let screen = self.screen();
            let rests = asked.len() >= before + times && !BUSY.iter().any(|busy| screen.contains(busy));
            quiet = if rests { quiet + 1 } else { 0 };
            (quiet >= LOOKS).then(|| asked[before..].to_vec())
        })
    }

    /// Waits for the end of a turn in which the model is asked `times` times; those requests.
    #[track_caller]
    pub(crate) fn turn_ends(&self, times: usize) -> Vec<Asked> {
        let before = self.asked.get();
        let asked = self.rests_after(times);
        assert_eq!(asked.len(), times, "requests of the turn: {asked:#?}");
        self.asked.set(before + times);
        asked
    }

    /// What the model was asked so far, in the conversation.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.journal().into_iter().filter(Recorded::is_main).map(Asked::from).collect()
    }

    /// Every request so far.
    pub(crate) fn journal(&self) -> Vec<Recorded> {
        let text = std::fs::read_to_string(&self.journal).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Ends the client as a person does, and waits until it has ended; how often the model was asked in all.
    #[track_caller]
    pub(crate) fn quits(&self) -> usize {
        self.types(if self.site.client.is_codex() { "/quit" } else { "/exit" });
        self.shows("CLIENT-ENDED");
        self.asked().len()
    }
}

impl From<Recorded> for Asked {
    fn from(request: Recorded) -> Self {
        let body = request.body;
        let new = if let Some(input) = body["input"].as_array() {
            let is_own = |item: &Value| {
                item["role"] == "assistant" || matches!(item["type"].as_str(), Some("function_call" | "reasoning"))
            };
            let from = input.iter().rposition(is_own).map_or(0, |at| at + 1);
            input[from..].iter().filter(|item| item["role"] != "developer").map(item_text).collect()
        } else {
            let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
            let from = messages.iter().rposition(|message| message["role"] == "assistant").map_or(0, |at| at + 1);
            // Claude Code repeats a hook's words in the system's role.
            messages[from..]
                .iter()
                .filter(|item| item["role"] == "user")
                .map(|item| flatten(&item["content"]))
                .collect()
        };
        Self { answer: request.answer.unwrap_or_default(), new }
    }
}

impl Asked {
    /// Whether this brought the model `text`.
    pub(crate) fn brings(&self, text: &str) -> bool {
        self.new.iter().any(|new| new.contains(text))
    }
}

/// The gate's reminders among `asked`.
pub(crate) fn reminders(asked: &[Asked]) -> Vec<String> {
    among(asked, "[stopgate] Nothing failed, but this turn ends")
}

/// The build guard's reminders among `asked`.
pub(crate) fn reminders_of_build(asked: &[Asked]) -> Vec<String> {
    among(asked, "[stopgate] Nothing failed, but this session owns a build")
}

fn among(asked: &[Asked], words: &str) -> Vec<String> {
    asked.iter().flat_map(|asked| &asked.new).filter(|text| text.contains(words)).cloned().collect()
}
