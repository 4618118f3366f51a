//! The table of hooks ([`stopgate_core::hook`]) as entries of a settings file, which init, migrate, doctor, uninstall and
//! the plugins are made from; and the one test that tells an entry of ours from everybody else's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stopgate_config::LastGood;
use stopgate_core::hook::{Hook, TABLE, Timeout, Wire, WireSet};
use stopgate_core::paths::Home;
use stopgate_core::session::Harness;

use crate::shell;

/// The hook that `command` runs if it is one of those installed in `bin`: the bare path (Claude Code's exec form), or a
/// shell's command line of that path and a harness's name. The path is compared component by component: a command that
/// merely mentions ours is somebody else's.
pub(crate) fn hook_of(command: &str, bin: &Path) -> Option<Hook> {
    let of_path = |path: &str| {
        let path = Path::new(path);
        let name = path.file_name().filter(|_| path.parent() == Some(bin))?;
        Hook::ALL.into_iter().find(|hook| name == hook.name())
    };
    of_path(command).or_else(|| match shell::words(command)?.as_slice() {
        [path, harness] if harness.parse::<Harness>().is_ok() => of_path(path),
        _ => None,
    })
}

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
    pub(crate) timeout: Timeout,
    /// The matcher of its group, where it is not for everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) matcher: Option<String>,
    /// What the client shows while it runs, where that may take long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
}

/// How each [`Entry::status`] of ours begins. A model is shown it as well, before the reason of a block.
pub(crate) const STATUS: &str = "stopgate: judging this stop";

/// What a client shows while a stop waits for a judge for as long as `wait`.
fn status(wait: Duration) -> String {
    format!("{STATUS} (up to {} s; Esc ends it)", wait.as_millis().div_ceil(1_000))
}

impl Entry {
    /// Program and arguments that `harness` starts. Without arguments there is a shell in between: `sh` for Claude
    /// Code, `bash` for Codex, whatever the person's own is.
    pub(crate) fn argv(&self, harness: Harness) -> (String, Vec<String>) {
        if harness.spec().takes_arguments && !self.args.is_empty() {
            return (self.command.clone(), self.args.clone());
        }
        (harness.spec().shell.to_owned(), vec!["-c".to_owned(), self.command.clone()])
    }

    /// The same place as `other`: the hook of one event.
    pub(crate) fn is_place_of(&self, event: &str, hook: Hook, bin: &Path) -> bool {
        self.event == event && hook_of(&self.command, bin) == Some(hook)
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
    entries: Vec<(Hook, Entry)>,
    more: Vec<WireSet>,
}

impl Wiring {
    /// What is to be registered for `harness` by the home `home`, with what is configured there, and with the sets `more`.
    pub(crate) fn of_home(harness: Harness, home: &Home, more: &[WireSet]) -> Result<Self, UnspeakableHome> {
        Ok(Self::with(harness, &home.bin(), more)?.waiting(LastGood::peek(home).config.judge.wait()))
    }

    /// The same where a stop may wait for a judge for as long as `wait`.
    #[must_use]
    fn waiting(mut self, wait: Duration) -> Self {
        let waiting = self.entries.iter_mut().filter(|(hook, _)| !wait.is_zero() && hook.waits_for_judge());
        for (_, entry) in waiting {
            entry.timeout = entry.timeout.for_wait(wait);
            entry.status = Some(status(wait));
        }
        self
    }

    /// The entries that every installation has, for `harness` and the binaries in `bin`.
    pub(crate) fn of(harness: Harness, bin: &Path) -> Result<Self, UnspeakableHome> {
        Self::with(harness, bin, &[])
    }

    /// The entries of [`TABLE`] for `harness` and the binaries in `bin`: of the base, and of the sets `more`.
    pub(crate) fn with(harness: Harness, bin: &Path, more: &[WireSet]) -> Result<Self, UnspeakableHome> {
        let text = bin.to_str().ok_or_else(|| UnspeakableHome(bin.to_owned()))?;
        let entry = |(hook, wire): (Hook, Wire)| {
            let path = format!("{text}/{}", hook.name());
            let (command, args) = if harness.spec().takes_arguments {
                (path, vec![harness.name().to_owned()])
            } else {
                (format!("{} {}", shell::word(&path), harness.name()), Vec::new())
            };
            let (event, timeout, matcher) = (wire.event.name().to_owned(), wire.timeout, wire.matcher(harness));
            (hook, Entry { event, command, args, timeout, matcher, status: None })
        };
        let is_wanted = |set: WireSet| set.is_base() || more.contains(&set);
        let registered = |(hook, wire): &(Hook, Wire)| is_wanted(hook.set()) && wire.is_of(harness);
        let entries = TABLE.into_iter().filter(registered).map(entry).collect();
        Ok(Self { harness, bin: bin.to_owned(), entries, more: more.to_owned() })
    }

    /// The same without the entries that `is_refused` holds of: a person took them out.
    #[must_use]
    pub(crate) fn without(mut self, is_refused: impl Fn(&str, Hook) -> bool) -> Self {
        self.entries.retain(|(hook, entry)| !is_refused(&entry.event, *hook));
        self
    }

    /// The sets of its entries beside the base.
    pub(crate) fn sets(&self) -> Vec<WireSet> {
        let is_there = |set: &WireSet| !set.is_base() && self.more.contains(set);
        WireSet::ALL.into_iter().filter(is_there).collect()
    }

    /// Whose settings it is for.
    pub(crate) fn harness(&self) -> Harness {
        self.harness
    }

    /// Where the binaries are.
    pub(crate) fn bin(&self) -> &Path {
        &self.bin
    }

    /// The matcher that `hook` is registered with on `event` for `harness`, whether it is wanted here or not.
    pub(crate) fn matcher(harness: Harness, event: &str, hook: Hook) -> Option<String> {
        let is_it = |(of, wire): &&(Hook, Wire)| *of == hook && wire.event.name() == event;
        TABLE.iter().find(is_it).and_then(|(_, wire)| wire.matcher(harness))
    }

    /// The entry of `hook` on the event with the key `event`.
    pub(crate) fn entry(&self, event: &str, hook: Hook) -> Option<&Entry> {
        self.entries.iter().find(|(own, entry)| *own == hook && entry.event == event).map(|(_, entry)| entry)
    }

    /// All entries, in the table's order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Hook, &Entry)> {
        self.entries.iter().map(|(hook, entry)| (*hook, entry))
    }

    /// Every event's key once, in the table's order.
    pub(crate) fn events(&self) -> Vec<&str> {
        let mut events: Vec<_> = self.entries.iter().map(|(_, entry)| entry.event.as_str()).collect();
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
        assert_eq!(hook_of(ours, bin), Some(Hook::StopGateRouter));
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
            assert_eq!(hook_of(foreign, bin), None, "{foreign}");
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
            assert_eq!(hook_of(ours, Path::new(bin)), Some(Hook::BuildStop), "{ours}");
        }
        assert_eq!(hook_of("/my h/bin/build-stop-hook codex", Path::new("/my h/bin")), None, "a shell splits it");
    }

    #[test]
    fn the_hook_that_waits_for_a_judge_is_registered_with_its_time_and_the_others_are_not() {
        for harness in Harness::ALL {
            let plain = Wiring::of(harness, Path::new("/h/bin")).unwrap();
            assert_eq!(plain.clone().waiting(Duration::ZERO).entries, plain.entries);
            let waiting = plain.clone().waiting(Duration::from_millis(19_500));
            for ((hook, entry), (_, before)) in waiting.entries().zip(plain.entries()) {
                if hook == Hook::StopGateRouter {
                    assert_eq!(entry.timeout.as_seconds(), 25);
                    let status = entry.status.as_deref().unwrap();
                    assert_eq!(status, "stopgate: judging this stop (up to 20 s; Esc ends it)");
                } else {
                    assert_eq!(entry, before);
                }
            }
        }
    }

    #[test]
    fn a_set_adds_its_own_lines_and_changes_no_other() {
        for harness in Harness::ALL {
            let base = Wiring::of(harness, Path::new("/h/bin")).unwrap();
            let more = Wiring::with(harness, Path::new("/h/bin"), &[WireSet::Coordination]).unwrap();
            let (mut kept, added): (Vec<_>, Vec<_>) =
                more.entries.into_iter().partition(|(hook, _)| hook.set().is_base());
            assert!(base.entries.iter().all(|(_, entry)| entry.matcher.is_none()));
            assert_eq!(std::mem::take(&mut kept), base.entries);
            let [(Hook::WriteFence, entry)] = added.as_slice() else { panic!("{added:?}") };
            assert_eq!((entry.event.as_str(), entry.timeout.as_seconds()), ("PreToolUse", 5));
            assert!(entry.matcher.as_ref().unwrap().split('|').any(|tool| tool == "Bash"));
        }
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
                "Interrupt",
                "PreCompact",
                "PostCompact",
                "ConfigChange",
                "SessionEnd",
            ];
            let other = if harness == Harness::Claude { "Interrupt" } else { "ConfigChange" };
            let expected = all.into_iter().filter(|event| *event != other);
            assert_eq!(wiring.events(), expected.collect::<Vec<_>>(), "events of one key stand together");
            for (hook, entry) in wiring.entries() {
                assert_eq!(hook_of(&entry.command, wiring.bin()), Some(hook));
                assert_eq!(entry.args.is_empty(), harness == Harness::Codex);
                assert_eq!(wiring.entry(&entry.event, hook), Some(entry));
            }
        }
    }
}
