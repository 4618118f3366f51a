//! A real client in a real terminal, at which a person types.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use stopgate_reaper::screen::{self, Screen};
use stopgate_tests::claude_driver::{LOOPBACK_UP, namespace};
use stopgate_tests::mock_anthropic::{Recorded, Script, flatten};
use stopgate_tests::mock_openai::item_text;
use stopgate_tests::world::binary;

use crate::client::Client;
use crate::site::Site;

/// What nothing here takes: it tells a hang from a slow machine.
const HANG: Duration = Duration::from_mins(2);
/// What a key takes that was not missed.
const MOMENT: Duration = Duration::from_secs(8);
/// Clients take keys that come at once for something pasted, and an Enter right behind them for a part of it.
const APART: Duration = Duration::from_millis(300);
/// Said by the shell behind the client.
const ENDED: &str = "CLIENT-ENDED";
/// Between two looks.
const LOOK: Duration = Duration::from_millis(60);
/// So many looks in a row have to agree that a turn is over.
const LOOKS: usize = 8;
/// What either client shows while it works.
const BUSY: [&str; 2] = ["esc to interrupt", "ctrl+c to interrupt"];

/// A running client.
pub(crate) struct Live<'a> {
    site: &'a Site,
    client: Client,
    /// Its pane.
    pub(crate) pane: String,
    journal: PathBuf,
    /// How often the model was asked before the turn in hand.
    asked: Cell<usize>,
    read_so_far: RefCell<Journal>,
}

/// How far the journal is read: its requests are large, and it is looked at often.
#[derive(Default)]
struct Journal {
    bytes: u64,
    asked: Vec<Asked>,
}

/// What one request of the conversation brought the model.
#[derive(Clone)]
pub(crate) struct Asked {
    /// Which turn of the script answered.
    pub(crate) answer: String,
    /// What stands behind the last words of the assistant: a prompt, results of tools, words of hooks.
    pub(crate) new: Vec<String>,
    /// What stands there in the name of the system: context that hooks have given beside a result.
    pub(crate) beside: Vec<String>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first request begins with pages of the client's own.
        let end = |text: &String| text.chars().skip(text.chars().count().saturating_sub(600)).collect::<String>();
        write!(formatter, "{} after {:#?}", self.answer, self.new.iter().map(end).collect::<Vec<_>>())
    }
}

impl<'a> Live<'a> {
    pub(crate) fn start(site: &'a Site, client: Client, name: &str, script: &Script, line: &str) -> Self {
        let root = site.person.world.root();
        let file = |ending: &str| root.join(format!("{name}.{ending}"));
        std::fs::write(file("script"), serde_json::to_vec(script).unwrap()).unwrap();
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut command: Vec<String> =
            ["new-session", "-d", "-P", "-F", "#{pane_id}", "-x", "140", "-y", "50"].map(str::to_owned).to_vec();
        command.extend(["-s".to_owned(), name.to_owned(), "-c".to_owned(), path(site.checkout.top.clone())]);
        command.push("env".to_owned());
        command.extend(site.environment(client).into_iter().map(|(name, value)| format!("{name}={value}")));
        // Where sessions share a process, they share a network: that of the tmux server.
        if let Some(flag) = namespace().filter(|_| !client.has_daemon()) {
            command.extend(["unshare", flag, "sh", "-c", LOOPBACK_UP].map(str::to_owned));
        }
        command.push(path(binary("with-mock")));
        command.extend(client.is_codex().then(|| "--codex".to_owned()));
        command.extend(["--journal".to_owned(), path(file("journal")), path(file("script"))]);
        // The shell stays, so that the last screen can be looked at.
        let line = format!("{line}; echo {ENDED}; exec sleep 100000");
        command.extend(["sh".to_owned(), "-c".to_owned(), line]);
        let pane = site.tmux(&command.iter().map(String::as_str).collect::<Vec<_>>()).trim().to_owned();
        Self { site, client, pane, journal: file("journal"), asked: Cell::new(0), read_so_far: RefCell::default() }
    }

    /// What the terminal shows.
    pub(crate) fn screen(&self) -> String {
        self.site.tmux(&["capture-pane", "-p", "-t", &self.pane])
    }

    /// What the reaper sees in the terminal.
    pub(crate) fn read(&self) -> Screen {
        let capture = self.site.tmux(&["capture-pane", "-e", "-p", "-t", &self.pane]);
        screen::read(self.client.harness(), &capture)
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

    fn keys(&self, keys: &[&str]) {
        self.site.tmux(&[&["send-keys", "-t", &self.pane], keys].concat());
    }

    /// What stands at the prompt: behind the last mark of one. Those before it are the conversation's, which a menu
    /// that opens below may push out of the window.
    fn at_prompt(&self) -> Option<String> {
        let screen = self.screen();
        screen.lines().rev().find_map(|line| line.strip_prefix(['❯', '›'])).map(|text| text.trim().to_owned())
    }

    /// Types a line, and sends it once it stands there. A client that draws itself anew may miss a key: then again.
    #[track_caller]
    pub(crate) fn types(&self, text: &str) {
        self.until("a prompt to type at", || self.at_prompt());
        self.asked.set(self.asked().len());
        let stands = || self.at_prompt().is_some_and(|line| line == text);
        self.until(&format!("{text:?} stands at the prompt"), || {
            self.keys(&["-l", text]);
            // The second look is for a moment in which the client has not drawn its prompt, and the last mark is that
            // of the same words said before.
            let stood = soon(stands).inspect(|()| std::thread::sleep(APART)).filter(|()| stands());
            if stood.is_none() {
                self.keys(&["C-u"]);
                std::thread::sleep(APART);
            }
            stood
        });
        self.until(&format!("{text:?} is sent"), || {
            self.keys(&["Enter"]);
            soon(|| !stands() || self.screen().contains(ENDED))
        });
    }

    /// Presses `keys`, and again, until `what` is so, if the client missed them.
    #[track_caller]
    pub(crate) fn presses(&self, keys: &[&str], what: &str, is_so: impl Fn() -> bool) {
        self.until(what, || {
            std::thread::sleep(APART);
            self.keys(keys);
            soon(&is_so)
        });
    }

    /// Answers the menu that shows `title`.
    #[track_caller]
    pub(crate) fn chooses(&self, title: &str, keys: &[&str]) {
        self.shows(title);
        self.presses(keys, &format!("{title:?} is answered"), || !self.screen().contains(title));
        self.is_quiet();
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
        let mut read = self.read_so_far.borrow_mut();
        let Ok(mut journal) = File::open(&self.journal) else { return Vec::new() };
        let mut text = String::new();
        journal.seek(SeekFrom::Start(read.bytes)).unwrap();
        journal.read_to_string(&mut text).unwrap();
        // The last line may be half written.
        let whole = &text[..text.rfind('\n').map_or(0, |at| at + 1)];
        read.bytes += whole.len() as u64;
        let fresh = whole.lines().map(|line| serde_json::from_str::<Recorded>(line).unwrap());
        read.asked.extend(fresh.filter(Recorded::is_main).map(Asked::from));
        read.asked.clone()
    }

    /// Ends the client as a person does, and waits until it has ended; how often the model was asked in all.
    #[track_caller]
    pub(crate) fn quits(&self) -> usize {
        self.types(if self.client.is_codex() { "/quit" } else { "/exit" });
        self.shows(ENDED);
        self.asked().len()
    }
}

impl From<Recorded> for Asked {
    fn from(request: Recorded) -> Self {
        let body = request.body;
        let (new, beside) = if let Some(input) = body["input"].as_array() {
            let is_own = |item: &Value| {
                item["role"] == "assistant"
                    || matches!(item["type"].as_str(), Some("function_call" | "custom_tool_call" | "reasoning"))
            };
            let from = input.iter().rposition(is_own).map_or(0, |at| at + 1);
            let (beside, new): (Vec<_>, Vec<_>) = input[from..].iter().partition(|item| item["role"] == "developer");
            (new.into_iter().map(item_text).collect(), beside.into_iter().map(item_text).collect())
        } else {
            let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
            let from = messages.iter().rposition(|message| message["role"] == "assistant").map_or(0, |at| at + 1);
            // Claude Code repeats a hook's words in the system's role.
            let of = |role: &str| -> Vec<String> {
                let those = messages[from..].iter().filter(|item| item["role"] == role);
                those.map(|item| flatten(&item["content"])).collect()
            };
            (of("user"), of("system"))
        };
        Self { answer: request.answer.unwrap_or_default(), new, beside }
    }
}

impl Asked {
    /// Whether this brought the model `text`.
    pub(crate) fn brings(&self, text: &str) -> bool {
        self.new.iter().any(|new| new.contains(text))
    }
}

/// Whether something happens that takes a moment at most.
fn soon(happens: impl Fn() -> bool) -> Option<()> {
    let end = Instant::now() + MOMENT;
    while Instant::now() < end {
        if happens() {
            return Some(());
        }
        std::thread::sleep(LOOK);
    }
    None
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
