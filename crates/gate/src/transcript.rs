//! What the end of a session's transcript tells: the harness's own task list, the files the agent touched, which of its
//! teammates wait for work, and how the last turn ended: what failed, what was refused, how full the context window was. What the person said is [`stopgate_core::person`]'s.
//!
//! Observed with Claude Code 2.1.197 to 2.1.332 (`TodoWrite`, `TaskCreate`, `TaskUpdate`, `TaskList`) and Codex 0.169.0
//! to 0.171.0 (`update_plan`). A transcript is no interface: a line that is not understood is skipped, and what is
//! missing is unknown, not absent.

mod calls;
mod claude;
mod codex;
mod files;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::calls::Calls;
use crate::circumstances::EndedBy;
use crate::turn_end::{ContextUsage, TurnEnd};
use stopgate_core::redact::redact;
use stopgate_core::session::Harness;
use stopgate_core::text::one_line;

use self::files::Doings;
pub use self::files::{ApprovedPlan, TEXT_EXTENSIONS, TouchedFiles, is_text};

/// How much of a transcript's end is read. Claude Code 2.1.332 writes all that it sends into it: 170 KiB for one prompt.
pub const MAX_TAIL_BYTES: u64 = 2 * 1024 * 1024;
/// Longest text of a task that is kept, as that of a plan's step.
const MAX_TASK_CHARS: usize = 160;
/// Most tasks and teammates that are kept.
const MAX_ITEMS: usize = 200;

/// How far a task of the list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Not begun.
    Pending,
    /// Being worked on.
    InProgress,
    /// Done.
    Completed,
}

impl TaskStatus {
    /// The status that both harnesses call by `word`; `None` for any other, such as that of a task that is cancelled.
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "pending" => Some(Self::Pending),
            "in_progress" => Some(Self::InProgress),
            "completed" => Some(Self::Completed),
            _ => None,
        }
    }
}

/// A task of the harness's own list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskItem {
    /// What is to be done: one line, without secrets.
    pub text: String,
    /// How far it is.
    pub status: TaskStatus,
}

/// What the end of a transcript tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The task list as it stands, in its order.
    pub tasks: Vec<TaskItem>,
    /// The harness's ids of those, where it gives each task one.
    pub task_ids: Vec<Option<String>>,
    /// Text files that the agent had to do with.
    pub files: TouchedFiles,
    /// What ended the last turn besides what the agent said.
    pub ended_by: Option<EndedBy>,
    /// The session's teammates that are known, and whether each waits for work.
    pub teammates: BTreeMap<String, bool>,
    /// What it shows of how the last turn ended.
    pub turn_end: TurnEnd,
}

impl Transcript {
    /// Whether each of `count` teammates is known to wait for work. Then none of them wakes the session.
    pub fn all_wait(&self, count: usize) -> bool {
        self.teammates.len() >= count && self.teammates.values().all(|waits| *waits)
    }

    /// Keeps the tasks of which `of` says how far they are, with what it says; those without an id as they are.
    pub fn settle(&mut self, mut of: impl FnMut(&str) -> Option<TaskStatus>) {
        let mut kept = Vec::new();
        for (id, mut task) in self.task_ids.drain(..).zip(self.tasks.drain(..)) {
            if let Some(id) = &id {
                match of(id) {
                    Some(status) => task.status = status,
                    None => continue,
                }
            }
            kept.push((id, task));
        }
        (self.task_ids, self.tasks) = kept.into_iter().unzip();
    }
}

/// Reads `tail`, the end of a transcript. `is_whole` when it is all of it; else the first line is a part and is dropped.
pub fn read(harness: Harness, tail: &str, is_whole: bool) -> Transcript {
    read_while(harness, tail, is_whole, || true).unwrap_or_default()
}

/// [`read`] for as long as `goes_on`, which is asked before each line that tells something; `None` if that was not to the
/// end: what stands there may take back what stands before.
pub fn read_while(
    harness: Harness,
    tail: &str,
    is_whole: bool,
    mut goes_on: impl FnMut() -> bool,
) -> Option<Transcript> {
    let mut reader = Reader::default();
    // The last two counts of tokens: of the last, half may be written.
    let mut counts = [None; 2];
    let marks: &[&str] = match harness {
        Harness::Claude => &claude::MARKS,
        Harness::Codex => &codex::MARKS,
    };
    for line in tail.lines().skip(usize::from(!is_whole)).filter(|line| marks.iter().any(|mark| line.contains(mark))) {
        if !goes_on() {
            return None;
        }
        if harness == Harness::Codex && line.contains(codex::COUNT) {
            counts = [Some(line), counts[0]];
            continue;
        }
        let Ok(Value::Object(line)) = serde_json::from_str(line) else {
            continue;
        };
        match harness {
            Harness::Claude => reader.claude(&line),
            Harness::Codex => reader.codex(&line),
        }
    }
    reader.usage = reader.usage.or_else(|| counts.into_iter().flatten().find_map(codex::usage));
    Some(reader.done())
}

/// A task as it is followed.
#[derive(Debug, Clone)]
struct Listed {
    /// The harness's id; empty until that is known.
    id: Option<String>,
    /// The call that made it.
    call: String,
    item: TaskItem,
}

/// How the last turn stands.
#[derive(Debug, Default)]
struct LastTurn {
    /// It is one in plan mode.
    plans: bool,
    /// The client has said in the agent's place that the model could not be reached.
    failed: bool,
    /// The last tool call, if it asks the person and nobody has answered.
    asks: Option<String>,
    /// The last tool calls.
    calls: Calls,
}

impl LastTurn {
    fn ended_by(&self) -> Option<EndedBy> {
        if self.failed {
            Some(EndedBy::ApiError)
        } else if self.plans {
            Some(EndedBy::PlanMode)
        } else {
            self.asks.as_ref().map(|_| EndedBy::Question)
        }
    }
}

/// What stood before the call `call` wrote the list.
#[derive(Debug)]
struct Before {
    call: String,
    list: Vec<Listed>,
    tasks_moved: bool,
}

#[derive(Debug, Default)]
struct Reader {
    done: Transcript,
    list: Vec<Listed>,
    files: Doings,
    turn: LastTurn,
    /// Where Codex's tools run.
    cwd: Option<String>,
    /// The list before a call that wrote it whole: it stands again if the call fails.
    before: Option<Before>,
    /// How full the context window was last.
    usage: Option<ContextUsage>,
    /// A task was begun or finished since the person's last prompt.
    tasks_moved: bool,
}

impl Reader {
    /// What was found. A task whose making was never confirmed is none.
    fn done(mut self) -> Transcript {
        self.done.ended_by = self.turn.ended_by();
        self.done.turn_end = TurnEnd {
            failed_call: self.turn.calls.failed(),
            denied_call: self.turn.calls.refused(),
            usage: self.usage,
            tasks_moved: self.tasks_moved,
            ..TurnEnd::default()
        };
        self.done.files = self.files.done();
        for listed in self.list.into_iter().filter(|listed| listed.id.as_deref() != Some("")) {
            self.done.task_ids.push(listed.id);
            self.done.tasks.push(listed.item);
        }
        self.done
    }

    /// A list that the call `call` writes whole.
    fn rewrite(&mut self, call: &str, items: &Value, name: &str) {
        let Some(items) = items.as_array() else {
            return;
        };
        let before = std::mem::take(&mut self.list);
        for item in items {
            let status = item["status"].as_str().and_then(TaskStatus::of);
            self.task(None, call, item[name].as_str(), status);
        }
        let stood: BTreeMap<&str, TaskStatus> =
            before.iter().map(|listed| (listed.item.text.as_str(), listed.item.status)).collect();
        let has_moved =
            |item: &TaskItem| item.status != TaskStatus::Pending && stood.get(item.text.as_str()) != Some(&item.status);
        let moved = self.list.iter().any(|listed| has_moved(&listed.item));
        self.before = Some(Before { call: call.to_owned(), list: before, tasks_moved: self.tasks_moved });
        self.tasks_moved |= moved;
    }

    /// The person has sent a prompt.
    fn prompted(&mut self) {
        self.tasks_moved = false;
    }

    /// A call has failed: what it would have done to the list was not done.
    fn failed(&mut self, call: &str) {
        self.files.failed(call);
        if let Some(before) = self.before.take_if(|before| before.call == call) {
            (self.list, self.tasks_moved) = (before.list, before.tasks_moved);
        }
        self.list.retain(|listed| listed.id.as_deref() != Some("") || listed.call != call);
    }

    fn task(&mut self, id: Option<String>, call: &str, text: Option<&str>, status: Option<TaskStatus>) {
        if let (Some(text), Some(status)) = (text, status)
            && self.list.len() < MAX_ITEMS
            && !text.trim().is_empty()
        {
            let item = TaskItem { text: shown(text, MAX_TASK_CHARS), status };
            self.list.push(Listed { id, call: call.to_owned(), item });
        }
    }

    /// A tool is called, one that `asks` the person or any other; with `command` where it runs one.
    fn calls(&mut self, call: &str, tool: &str, command: Option<&str>, asks: bool) {
        self.turn.asks = asks.then(|| call.to_owned());
        self.turn.calls.begin(call, tool, command);
    }

    /// The call `call` has done what it was to do: one that asked has its answer.
    fn answered(&mut self, call: &str) {
        self.turn.asks.take_if(|asks| asks == call);
    }

    fn teammate(&mut self, name: &str, waits: bool) {
        if self.done.teammates.len() < MAX_ITEMS || self.done.teammates.contains_key(name) {
            self.done.teammates.insert(one_line(name, 64), waits);
        }
    }
}

fn text_of<'a>(line: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    line.get(name).and_then(Value::as_str)
}

/// Redacted before it is cut, so that no half of a secret is left.
fn shown(text: &str, chars: usize) -> String {
    one_line(&redact(text), chars)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod turn_end_tests;
