//! Which hook runs on which event: the one table that init, uninstall and the live check read, and the one
//! test that tells an entry of ours from everybody else's.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stopgate_core::session::Harness;

/// An event of Claude Code that a hook of ours is registered on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    SessionStart,
    UserPromptSubmit,
    Stop,
    PreCompact,
    PostCompact,
    SessionEnd,
}

impl Event {
    /// The key in the settings file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SessionStart => "SessionStart",
            Self::UserPromptSubmit => "UserPromptSubmit",
            Self::Stop => "Stop",
            Self::PreCompact => "PreCompact",
            Self::PostCompact => "PostCompact",
            Self::SessionEnd => "SessionEnd",
        }
    }
}

/// A hook binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    StopGateRouter,
    BuildStop,
    SessionStartRecorder,
}

impl Hook {
    /// All hooks.
    pub(crate) const ALL: [Self; 3] = [Self::StopGateRouter, Self::BuildStop, Self::SessionStartRecorder];

    /// The binary's file name.
    pub(crate) const fn file_name(self) -> &'static str {
        match self {
            Self::StopGateRouter => "stop-gate-router",
            Self::BuildStop => "build-stop-hook",
            Self::SessionStartRecorder => "session-start-recorder",
        }
    }

    /// The hook that `command` runs if it is one of those installed in `bin`. The path is compared component by
    /// component: a command that merely mentions ours is somebody else's.
    pub(crate) fn of_command(command: &str, bin: &Path) -> Option<Self> {
        let command = Path::new(command);
        if command.parent() != Some(bin) {
            return None;
        }
        let name = command.file_name()?;
        Self::ALL.into_iter().find(|hook| name == hook.file_name())
    }
}

/// How long the harness lets a hook run: whole seconds, the one unit that every harness accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct HookTimeout(u16);

impl HookTimeout {
    /// A timeout of `seconds`.
    pub(crate) const fn seconds(seconds: u16) -> Self {
        Self(seconds)
    }

    /// The number in the settings file.
    pub(crate) const fn as_seconds(self) -> u16 {
        self.0
    }
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire {
    pub(crate) event: Event,
    pub(crate) hook: Hook,
    pub(crate) timeout: HookTimeout,
}

const fn wire(event: Event, hook: Hook, seconds: u16) -> Wire {
    Wire { event, hook, timeout: HookTimeout::seconds(seconds) }
}

/// What is registered with Claude Code, in the order of a session's life.
pub(crate) const CLAUDE: [Wire; 7] = [
    wire(Event::SessionStart, Hook::SessionStartRecorder, 10),
    wire(Event::UserPromptSubmit, Hook::SessionStartRecorder, 10),
    wire(Event::Stop, Hook::StopGateRouter, 10),
    wire(Event::Stop, Hook::BuildStop, 10),
    wire(Event::PreCompact, Hook::SessionStartRecorder, 10),
    wire(Event::PostCompact, Hook::SessionStartRecorder, 10),
    wire(Event::SessionEnd, Hook::SessionStartRecorder, 5),
];

/// A registered command line, as it stands in a settings file and in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Key of the event.
    pub(crate) event: String,
    /// Absolute path of the binary.
    pub(crate) command: String,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Seconds.
    pub(crate) timeout: HookTimeout,
}

/// The home's path is not UTF-8, so that JSON cannot hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnspeakableHome(PathBuf);

impl std::fmt::Display for UnspeakableHome {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.0.display();
        write!(out, "{path}: not UTF-8, and a JSON file can hold no other path; set STOPGATE_HOME to another directory")
    }
}

impl std::error::Error for UnspeakableHome {}

/// The table, for the hooks in one `bin` directory.
#[derive(Debug, Clone)]
pub(crate) struct Wiring {
    bin: PathBuf,
    entries: Vec<(Wire, Entry)>,
}

impl Wiring {
    /// The entries of [`CLAUDE`] for the binaries in `bin`.
    pub(crate) fn claude(bin: &Path) -> Result<Self, UnspeakableHome> {
        let text = bin.to_str().ok_or_else(|| UnspeakableHome(bin.to_owned()))?;
        let entry = |wire: Wire| Entry {
            event: wire.event.name().to_owned(),
            command: format!("{text}/{}", wire.hook.file_name()),
            args: vec![Harness::Claude.name().to_owned()],
            timeout: wire.timeout,
        };
        Ok(Self { bin: bin.to_owned(), entries: CLAUDE.into_iter().map(|wire| (wire, entry(wire))).collect() })
    }

    /// Where the binaries are.
    pub(crate) fn bin(&self) -> &Path {
        &self.bin
    }

    /// The entry of `hook` on the event with the key `event`.
    pub(crate) fn entry(&self, event: &str, hook: Hook) -> Option<&Entry> {
        self.entries.iter().find(|(wire, entry)| wire.hook == hook && entry.event == event).map(|(_, entry)| entry)
    }

    /// All entries, in the table's order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Hook, &Entry)> {
        self.entries.iter().map(|(wire, entry)| (wire.hook, entry))
    }

    /// Every event's key once, in the table's order.
    pub(crate) fn events(&self) -> Vec<&'static str> {
        let mut events: Vec<_> = self.entries.iter().map(|(wire, _)| wire.event.name()).collect();
        events.dedup();
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_directly_in_our_bin_is_ours() {
        let bin = Path::new("/home/dev/.stopgate/bin");
        let ours = "/home/dev/.stopgate/bin/stop-gate-router";
        assert_eq!(Hook::of_command(ours, bin), Some(Hook::StopGateRouter));
        for foreign in [
            "stop-gate-router",
            "/usr/bin/stop-gate-router",
            "/home/dev/.stopgate/bin/stop-gate-router.sh",
            "/home/dev/.stopgate/bin/sub/stop-gate-router",
            "/home/dev/.stopgate/bin/../bin2/stop-gate-router",
            "/home/dev/.stopgate/bin/other",
            "echo /home/dev/.stopgate/bin/stop-gate-router",
            "/home/dev/.stopgate/bin/stop-gate-router claude",
            "",
        ] {
            assert_eq!(Hook::of_command(foreign, bin), None, "{foreign}");
        }
    }

    #[test]
    fn the_table_is_consistent() {
        let wiring = Wiring::claude(Path::new("/h/bin")).unwrap();
        assert_eq!(
            wiring.events(),
            ["SessionStart", "UserPromptSubmit", "Stop", "PreCompact", "PostCompact", "SessionEnd"],
            "events of one key stand together"
        );
        for (hook, entry) in wiring.entries() {
            assert_eq!(Hook::of_command(&entry.command, wiring.bin()), Some(hook));
            assert_eq!(entry.args, ["claude"]);
            assert!((1..=60).contains(&entry.timeout.as_seconds()), "seconds, not milliseconds");
            assert_eq!(wiring.entry(&entry.event, hook), Some(entry));
        }
    }
}
