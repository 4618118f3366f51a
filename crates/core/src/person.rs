//! What the person said last in a session, as its transcript shows it.
//!
//! `UserPromptSubmit` is not the person: it fires for notices of background tasks, messages of other sessions, wake-ups,
//! schedules and queues as well, and its payload does not say for which. The transcript does: each prompt stands there
//! with its sender when the turn ends, not yet when the hook runs. So who is asked is the transcript, at the stop.
//!
//! Only what is shown to be the person's counts: what is somebody else's, and what nothing is said of, neither lets a
//! session go, nor takes back that the person did, nor begins a count anew. Whoever sends prompts of its own has them
//! marked by the harness as another sender's; a sender that no harness marks belongs into `person::claude` or `person::codex`.

mod claude;
mod codex;
mod lines;

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::clock::{UnixMillis, parse_utc};
use crate::env;
use crate::session::Harness;
use crate::stop_request::{self, Meaning};

pub use claude::is_local_command;
pub use lines::backwards;
use lines::backwards_within;

/// Something that a person did in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    /// Sent a prompt. Its two ends, if it is long.
    Prompt(String),
    /// Said something in the midst of a turn: an answer to a question, or why a tool may not be used.
    Answer(String),
    /// Ended the turn by a key.
    Interrupted,
}

/// An [`Act`], and when it was, if the transcript says so.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    act: Act,
    at_ms: Option<UnixMillis>,
    /// Whether the harness reports it to hooks in every version.
    reported: bool,
    /// Whether a program is given the answer ([`Person::headless`]).
    headless: bool,
}

/// How the person ended a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In words.
    Asked,
    /// By a key.
    Interrupted,
}

/// The person's last prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Its two ends, if it is long, as they were said: with secrets.
    pub text: String,
    /// When it was sent, if the transcript says it.
    pub at_ms: Option<UnixMillis>,
    /// Whether hooks were told of it. Of one that is sent while the agent works they are not, in some versions.
    pub reported: bool,
}

/// What a transcript shows of the person. What it does not show is unknown, not absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// The last prompt.
    pub prompt: Option<Prompt>,
    /// Those before it that were asked for, the latest first, as far as they stand within 1 MiB of it.
    pub earlier: Vec<Prompt>,
    /// How the person ended the last turn, if nothing of the person's came after that.
    pub end: Option<End>,
    /// The last prompt was given to a client that ends with its answer (`claude -p`, `codex exec`): whoever reads that may
    /// be a script.
    pub headless: bool,
}

impl Person {
    /// Takes in what was done before everything that was taken in so far; `is_last` as long as nothing was that could
    /// take an end back. True when that is all there is to know, with `most` prompts.
    fn before(&mut self, seen: Seen, is_last: &mut bool, most: usize) -> bool {
        if *is_last {
            let meaning = match &seen.act {
                Act::Interrupted => Meaning::Other,
                Act::Prompt(text) | Act::Answer(text) => stop_request::meaning(text),
            };
            match (&seen.act, meaning) {
                (Act::Interrupted, _) => self.end = Some(End::Interrupted),
                (_, Meaning::Stop) => self.end = Some(End::Asked),
                _ => {}
            }
            *is_last = meaning == Meaning::Courtesy;
        }
        if let Act::Prompt(text) = seen.act {
            let prompt = Prompt { text, at_ms: seen.at_ms, reported: seen.reported };
            if self.prompt.is_none() {
                self.headless = seen.headless;
                self.prompt = Some(prompt);
            } else if self.earlier.len() + 1 < most {
                self.earlier.push(prompt);
            }
        }
        self.prompt.is_some() && !*is_last && self.earlier.len() + 1 >= most
    }

    /// The prompts that are known, the earliest first.
    pub fn prompts(&self) -> impl Iterator<Item = &Prompt> {
        self.earlier.iter().rev().chain(&self.prompt)
    }
}

/// Whether a line of a transcript begins a turn that the person prompted, as far as the line itself tells.
pub fn is_prompt(harness: Harness, line: &Map<String, Value>) -> bool {
    match harness {
        Harness::Claude => claude::seen(line).is_some_and(|seen| matches!(seen.act, Act::Prompt(_))),
        Harness::Codex => codex::is_persons(line),
    }
}

/// How long a client may take to write down the prompt of a turn that has ended, and how often it is looked for meanwhile.
/// Claude Code 2.1.197 and 2.1.332 were seen to be behind by up to 0.3 s, when the model answered at once; in a session's
/// first turn there is no file at all until then.
const BEHIND: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// The id of the last prompt that a transcript holds, whoever sent it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum LastPrompt {
    /// There is none (yet): the session's first turn, maybe.
    #[default]
    Missing,
    /// The client writes down no such ids.
    Nameless,
    /// This one.
    Id(String),
}

impl LastPrompt {
    /// Whether the prompt `id` is still to come.
    fn is_behind(&self, id: &str) -> bool {
        match self {
            Self::Missing => true,
            Self::Nameless => false,
            Self::Id(last) => last != id,
        }
    }
}

/// How much further than to the last prompt a transcript is read for the prompts before it.
const EARLIER_BYTES: u64 = 1024 * 1024;

/// What `transcript` shows of the person, as far as it can be read before `until`, when a turn that began with the prompt
/// `prompt_id` has ended: that is waited for, unless the client writes down no such ids.
pub fn look(harness: Harness, transcript: &Path, prompt_id: Option<&str>, until: Instant) -> Person {
    look_back(harness, transcript, prompt_id, until, 1)
}

/// [`look`] with up to `most` prompts.
pub fn look_back(harness: Harness, transcript: &Path, prompt_id: Option<&str>, until: Instant, most: usize) -> Person {
    let now = Instant::now();
    // Half of the time at most: where a transcript is never written, the rest is for all else.
    let patience = now + env::patiently(BEHIND).min(until.saturating_duration_since(now) / 2);
    loop {
        let (person, last) = look_once(harness, transcript, until, most);
        let is_behind = prompt_id.is_some_and(|id| last.is_behind(id));
        if !is_behind || Instant::now() + LOOK_AGAIN >= patience {
            return person;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// What `transcript` shows of the person now, and the id of the last prompt, whoever sent it.
fn look_once(harness: Harness, transcript: &Path, until: Instant, most: usize) -> (Person, LastPrompt) {
    let mut person = Person::default();
    let mut last = LastPrompt::default();
    let mut is_last = true;
    let bytes = Cell::new(lines::MAX_BYTES);
    // All that has to be known is: of what stands before that, no more than a piece is read.
    let mut take = |seen: Option<Seen>, read: u64| {
        let Some(seen) = seen else { return false };
        let is_all = person.before(seen, &mut is_last, most);
        if person.prompt.is_some() && !is_last {
            bytes.set(bytes.get().min(read + EARLIER_BYTES));
        }
        is_all
    };
    match harness {
        Harness::Claude => backwards_within(transcript, until, &claude::MARKS, &bytes, |line, read| {
            let seen = claude::seen(line);
            if last == LastPrompt::Missing {
                match (text_of(line, "promptId"), &seen) {
                    (Some(id), _) => last = LastPrompt::Id(id.to_owned()),
                    (None, Some(Seen { act: Act::Prompt(_), reported: true, .. })) => last = LastPrompt::Nameless,
                    _ => {}
                }
            }
            take(seen, read)
        }),
        Harness::Codex => {
            last = LastPrompt::Nameless;
            // Who began a turn is said at its beginning: the lines are kept until there.
            let mut later: Vec<Map<String, Value>> = Vec::new();
            backwards_within(transcript, until, &codex::MARKS, &bytes, |line, read| {
                let is_start = codex::is_start(line);
                later.push(line.clone());
                is_start && codex::seen(later.drain(..).rev()).into_iter().rev().any(|seen| take(Some(seen), read))
            });
        }
    }
    (person, last)
}

fn text_of<'a>(line: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    line.get(name).and_then(Value::as_str)
}

/// When a line was written: both harnesses say it in the same field.
fn said_at(line: &Map<String, Value>) -> Option<UnixMillis> {
    text_of(line, "timestamp").and_then(parse_utc)
}

/// The texts among the blocks of a message, or the message itself if it is one text.
fn joined(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
