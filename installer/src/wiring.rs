//! Which hook runs on which event of which harness, how long, and in which place: the one table that init, migrate,
//! doctor, uninstall, the plugins and the documentation are made from; and the one test that tells an entry of ours
//! from everybody else's.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stopgate_core::session::Harness;

use crate::shell;

/// An event that a hook of ours is registered on; harnesses that have it spell it alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    SessionStart,
    UserPromptSubmit,
    PermissionRequest,
    Stop,
    PreCompact,
    PostCompact,
    ConfigChange,
    SessionEnd,
}

impl Event {
    /// The key in the settings file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SessionStart => "SessionStart",
            Self::UserPromptSubmit => "UserPromptSubmit",
            Self::PermissionRequest => "PermissionRequest",
            Self::Stop => "Stop",
            Self::PreCompact => "PreCompact",
            Self::PostCompact => "PostCompact",
            Self::ConfigChange => "ConfigChange",
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

    /// The hook that `command` runs if it is one of those installed in `bin`: the bare path (Claude Code's exec form),
    /// or a shell's command line of that path and a harness's name. The path is compared component by component: a
    /// command that merely mentions ours is somebody else's.
    pub(crate) fn of_command(command: &str, bin: &Path) -> Option<Self> {
        let of_path = |path: &str| {
            let path = Path::new(path);
            let name = path.file_name().filter(|_| path.parent() == Some(bin))?;
            Self::ALL.into_iter().find(|hook| name == hook.file_name())
        };
        of_path(command).or_else(|| match shell::words(command)?.as_slice() {
            [path, harness] if harness.parse::<Harness>().is_ok() => of_path(path),
            _ => None,
        })
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

/// One line of the table; its place there is its place in the event's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) event: Event,
    pub(crate) hook: Hook,
    pub(crate) timeout: HookTimeout,
    /// The harness that has the event; `None`: both.
    pub(crate) only: Option<Harness>,
}

impl Wire {
    /// Whether it is registered for `harness`.
    pub(crate) fn is_of(self, harness: Harness) -> bool {
        self.only.is_none_or(|only| only == harness)
    }

    const fn only(self, harness: Harness) -> Self {
        Self { only: Some(harness), ..self }
    }
}

const fn wire(event: Event, hook: Hook, seconds: u16) -> Wire {
    Wire { event, hook, timeout: HookTimeout::seconds(seconds), only: None }
}

/// What is registered, in the order of a session's life. One table for both harnesses: both take whole seconds, and
/// have these events where nothing else is said.
///
/// A change here is a change of what stands in people's files. It needs a new file in `migrations/wiring`, and makes
/// Codex ask for trust again.
pub(crate) const TABLE: [Wire; 9] = [
    wire(Event::SessionStart, Hook::SessionStartRecorder, 10),
    wire(Event::UserPromptSubmit, Hook::SessionStartRecorder, 10),
    // A hook that says nothing decides nothing: the harness asks the person as it would have without one.
    wire(Event::PermissionRequest, Hook::SessionStartRecorder, 10),
    wire(Event::Stop, Hook::StopGateRouter, 10),
    wire(Event::Stop, Hook::BuildStop, 10),
    wire(Event::PreCompact, Hook::SessionStartRecorder, 10),
    wire(Event::PostCompact, Hook::SessionStartRecorder, 10),
    // The last that a session's hooks hear when they are taken out.
    wire(Event::ConfigChange, Hook::SessionStartRecorder, 10).only(Harness::Claude),
    // Codex gives the end of a session no more, and shows a warning in every session that would have more.
    wire(Event::SessionEnd, Hook::SessionStartRecorder, 3),
];

/// A registered command line, as it stands in a settings file and in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Key of the event.
    pub(crate) event: String,
    /// Absolute path of the binary (Claude Code), or a shell's command line (Codex, which knows no arguments).
    pub(crate) command: String,
    /// Its arguments; empty if `command` is a whole command line.
    pub(crate) args: Vec<String>,
    /// Seconds.
    pub(crate) timeout: HookTimeout,
}

impl Entry {
    /// Program and arguments that `harness` starts. Without arguments there is a shell in between: `sh` for Claude
    /// Code, `bash` for Codex, whatever the person's own is.
    pub(crate) fn argv(&self, harness: Harness) -> (String, Vec<String>) {
        if harness == Harness::Claude && !self.args.is_empty() {
            return (self.command.clone(), self.args.clone());
        }
        (shell::of(harness).to_owned(), vec!["-c".to_owned(), self.command.clone()])
    }

    /// The same place as `other`: the hook of one event.
    pub(crate) fn is_place_of(&self, event: &str, hook: Hook, bin: &Path) -> bool {
        self.event == event && Hook::of_command(&self.command, bin) == Some(hook)
    }
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

/// The table, for one harness and the hooks in one `bin` directory.
#[derive(Debug, Clone)]
pub(crate) struct Wiring {
    harness: Harness,
    bin: PathBuf,
    entries: Vec<(Wire, Entry)>,
}

impl Wiring {
    /// The entries of [`TABLE`] for `harness` and the binaries in `bin`.
    pub(crate) fn of(harness: Harness, bin: &Path) -> Result<Self, UnspeakableHome> {
        let text = bin.to_str().ok_or_else(|| UnspeakableHome(bin.to_owned()))?;
        let entry = |wire: Wire| {
            let path = format!("{text}/{}", wire.hook.file_name());
            let (command, args) = match harness {
                Harness::Claude => (path, vec![harness.name().to_owned()]),
                Harness::Codex => (format!("{} {}", shell::word(&path), harness.name()), Vec::new()),
            };
            Entry { event: wire.event.name().to_owned(), command, args, timeout: wire.timeout }
        };
        let entries = TABLE.into_iter().filter(|wire| wire.is_of(harness)).map(|wire| (wire, entry(wire))).collect();
        Ok(Self { harness, bin: bin.to_owned(), entries })
    }

    /// The same without the entries that `is_refused` holds of: a person took them out.
    #[must_use]
    pub(crate) fn without(mut self, is_refused: impl Fn(&str, Hook) -> bool) -> Self {
        self.entries.retain(|(wire, entry)| !is_refused(&entry.event, wire.hook));
        self
    }

    /// Whose settings it is for.
    pub(crate) fn harness(&self) -> Harness {
        self.harness
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
            "/home/dev/.stopgate/bin/stop-gate-router --not-ours",
            "/home/dev/.stopgate/bin/stop-gate-router claude; rm x",
            "/home/dev/.stopgate/bin/stop-gate-router claude codex",
            "X=1 /home/dev/.stopgate/bin/stop-gate-router claude",
            "",
        ] {
            assert_eq!(Hook::of_command(foreign, bin), None, "{foreign}");
        }
    }

    #[test]
    fn a_command_line_of_our_path_and_a_harness_is_ours_however_it_is_quoted() {
        for (bin, ours) in [
            ("/h/bin", "/h/bin/build-stop-hook codex"),
            ("/h/bin", "\"/h/bin/build-stop-hook\" claude"),
            ("/my h/bin", "'/my h/bin/build-stop-hook' codex"),
            ("/it's/bin", "'/it'\\''s/bin/build-stop-hook' codex"),
        ] {
            assert_eq!(Hook::of_command(ours, Path::new(bin)), Some(Hook::BuildStop), "{ours}");
        }
        assert_eq!(
            Hook::of_command("/my h/bin/build-stop-hook codex", Path::new("/my h/bin")),
            None,
            "a shell splits it"
        );
    }

    #[test]
    fn the_table_is_consistent() {
        for (harness, home) in [(Harness::Claude, "/h"), (Harness::Codex, "/h"), (Harness::Codex, "/it's é h")] {
            let wiring = Wiring::of(harness, &Path::new(home).join("bin")).unwrap();
            let all = [
                "SessionStart",
                "UserPromptSubmit",
                "PermissionRequest",
                "Stop",
                "PreCompact",
                "PostCompact",
                "ConfigChange",
                "SessionEnd",
            ];
            let expected = all.into_iter().filter(|event| harness == Harness::Claude || *event != "ConfigChange");
            assert_eq!(wiring.events(), expected.collect::<Vec<_>>(), "events of one key stand together");
            for (hook, entry) in wiring.entries() {
                assert_eq!(Hook::of_command(&entry.command, wiring.bin()), Some(hook));
                assert_eq!(entry.args.is_empty(), harness == Harness::Codex);
                assert!((1..=60).contains(&entry.timeout.as_seconds()), "seconds, not milliseconds");
                assert_eq!(wiring.entry(&entry.event, hook), Some(entry));
            }
        }
    }
}
