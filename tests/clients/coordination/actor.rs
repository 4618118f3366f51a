//! A session whose model does one thing after the other, each when it is asked to go on.

use std::cell::Cell;
use std::path::Path;

use serde_json::json;
use stopgate_tests::mock_anthropic::{Rule, Script, Turn};
use stopgate_tests::world::PLAIN;

use crate::client::Client;
use crate::live::{Asked, Live};
use crate::site::Site;

/// What the model does in one turn: calls of tools, each an answer of its own, and then it stops.
pub(crate) type Scene = Vec<Turn>;

/// The session.
pub(crate) struct Actor<'a> {
    pub(crate) live: Live<'a>,
    /// How many answers each scene takes.
    lengths: Vec<usize>,
    played: Cell<usize>,
}

impl<'a> Actor<'a> {
    pub(crate) fn start(site: &'a Site, client: Client, name: &str, scenes: Vec<Scene>) -> Self {
        Self::start_with(site, client, name, scenes, "")
    }

    /// The same, with arguments of the client.
    pub(crate) fn start_with(site: &'a Site, client: Client, name: &str, scenes: Vec<Scene>, arguments: &str) -> Self {
        let lengths = scenes.iter().map(|scene| scene.len() + 1).collect();
        let stops = || Turn::text(PLAIN);
        let turns = scenes.into_iter().flat_map(|scene| scene.into_iter().chain([stops()])).collect();
        let summary = |words: &str| Rule::contains(words, [Turn::text("We work on the parser.")]).repeated();
        let rules = vec![summary("create a detailed summary"), summary("CONTEXT CHECKPOINT COMPACTION")];
        let script = Script { rules, turns, default_turn: stops(), ..Script::default() };
        Self { live: site.live_of(client, name, script, arguments), lengths, played: Cell::new(0) }
    }

    /// Has the next scene begin.
    #[track_caller]
    pub(crate) fn begins(&self) {
        self.live.types(&format!("go on {}", self.played.get() + 1));
    }

    /// Waits for the end of the scene; what the model was asked in it.
    #[track_caller]
    pub(crate) fn ends(&self) -> Vec<Asked> {
        let number = self.played.get();
        self.played.set(number + 1);
        self.live.turn_ends(self.lengths[number])
    }

    /// The next scene, from its beginning to its end.
    #[track_caller]
    pub(crate) fn plays(&self) -> Vec<Asked> {
        self.begins();
        self.ends()
    }

    /// Ends the client as a person does.
    #[track_caller]
    pub(crate) fn quits(&self) {
        self.live.quits();
    }
}

/// A command in the client's shell tool, which waits for its end.
pub(crate) fn runs(client: Client, command: &str) -> Turn {
    if client.is_codex() {
        return Turn::tool("exec_command", json!({ "cmd": command, "yield_time_ms": 100_000 }));
    }
    Turn::bash(command)
}

fn patch(body: &str) -> Turn {
    Turn::tool("apply_patch", json!({ "input": format!("*** Begin Patch\n{body}\n*** End Patch\n") }))
}

/// A file is read, which Claude Code wants before it is changed.
pub(crate) fn reads(client: Client, file: &Path) -> Scene {
    if client.is_codex() { Vec::new() } else { vec![Turn::tool("Read", json!({ "file_path": file }))] }
}

/// A line of a file is changed by the client's edit tool.
pub(crate) fn edits(client: Client, file: &Path, old: &str, new: &str) -> Turn {
    if client.is_codex() {
        return patch(&format!("*** Update File: {}\n@@\n-{old}\n+{new}", file.display()));
    }
    Turn::tool("Edit", json!({ "file_path": file, "old_string": old, "new_string": new }))
}

/// A file of `src` with one line is written anew: by Claude Code's `Write`; by a patch that names it from the top of the
/// checkout.
pub(crate) fn overwrites(client: Client, file: &Path, old: &str, new: &str) -> Turn {
    if client.is_codex() {
        let name = file.file_name().unwrap().display();
        return patch(&format!("*** Update File: src/{name}\n@@\n-{old}\n+{new}"));
    }
    creates(client, file, new)
}

/// A file of one line is made.
pub(crate) fn creates(client: Client, file: &Path, line: &str) -> Turn {
    if client.is_codex() {
        return patch(&format!("*** Add File: {}\n+{line}", file.display()));
    }
    Turn::tool("Write", json!({ "file_path": file, "content": format!("{line}\n") }))
}
