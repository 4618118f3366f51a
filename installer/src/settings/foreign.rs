//! Hook entries of others in a settings file: looked at, never changed.

use std::path::{Path, PathBuf};

use super::document::{Document, Value};
use super::running::Surroundings;
use stopgate_core::hook::Hook;
use stopgate_core::redact::redact;
use stopgate_core::text::one_line;

use crate::wiring::hook_of;

/// An entry of somebody else.
pub(crate) struct Foreign {
    pub(crate) event: String,
    pub(crate) command: String,
    /// Seconds.
    pub(crate) timeout: Option<f64>,
    /// The group that it stands in, and it.
    pub(crate) group: serde_json::Value,
    pub(crate) entry: serde_json::Value,
    /// The program of stopgate's that it runs.
    pub(crate) runs: Option<Running>,
    /// The program of ours in `bin` that its command mentions, where it cannot be told whether it runs it: somebody has put
    /// something around a line of ours.
    pub(crate) mentions: Option<Hook>,
}

/// A program of stopgate's that an entry of somebody else runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) hook: Hook,
    /// The file itself, whatever leads to it.
    pub(crate) program: PathBuf,
    /// Whether it is this home's.
    pub(crate) is_own: bool,
}

impl Running {
    /// The home that the program is installed in.
    pub(crate) fn home(&self) -> &Path {
        self.program.parent().and_then(Path::parent).unwrap_or(&self.program)
    }
}

/// The entries of others in `document`.
pub(crate) fn all(document: &Document, bin: &Path, surroundings: &Surroundings<'_>) -> Vec<Foreign> {
    let mut found = Vec::new();
    let Some(Value::Object(events)) = document.value().and_then(|value| value.get("hooks").cloned()) else {
        return found;
    };
    let real_bin = bin.canonicalize().ok();
    for (event, groups) in events {
        let Value::Array(groups) = groups else { continue };
        let entries = |group: &Value| match group.get("hooks") {
            Some(Value::Array(entries)) => entries.clone(),
            _ => Vec::new(),
        };
        for (group, entry) in
            groups.iter().flat_map(|group| entries(group).into_iter().map(move |entry| (group, entry)))
        {
            let command = entry.get("command").and_then(Value::as_str).unwrap_or_default().to_owned();
            let timeout = match entry.get("timeout") {
                Some(Value::Number(number)) => number.parse().ok(),
                _ => None,
            };
            if hook_of(&command, bin).is_none() {
                let args = match entry.get("args") {
                    Some(Value::Array(args)) => args.as_slice(),
                    _ => &[],
                };
                let args: Vec<&str> = args.iter().filter_map(Value::as_str).collect();
                let runs = surroundings.hook(&command, &args).map(|(hook, program)| {
                    let is_own = program.parent() == real_bin.as_deref();
                    Running { hook, program, is_own }
                });
                let whole = args.iter().fold(command.clone(), |line, arg| line + " " + arg);
                let mentions = || Hook::ALL.into_iter().find(|hook| names(&whole, &bin.join(hook.name())));
                let mentions = if runs.is_none() { mentions() } else { None };
                let (group, entry) = (group.to_json(), entry.to_json());
                found.push(Foreign { event: event.clone(), command, timeout, group, entry, runs, mentions });
            }
        }
    }
    found
}

/// Whether `command` names the file `path`, and not one whose name begins or ends like it.
fn names(command: &str, path: &Path) -> bool {
    let path = path.to_string_lossy();
    let is_part = |symbol: char| symbol.is_alphanumeric() || "/._-".contains(symbol);
    command.match_indices(&*path).any(|(at, _)| {
        let (before, after) = (&command[..at], &command[at + path.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

/// What a person should know before entries of ours are put into a file with the entries `foreign`, or taken out of it.
pub(crate) fn warnings(foreign: &[Foreign]) -> impl Iterator<Item = String> {
    foreign.iter().filter_map(|one| {
        let own = one.runs.as_ref().filter(|running| running.is_own).map(|running| running.hook);
        let (hook, how) = match (own, one.mentions) {
            (Some(hook), _) => (hook, "is written in other words than stopgate's own, and stays as it is"),
            (None, Some(hook)) => (hook, "has something around it, and stays as it is"),
            (None, None) => return None,
        };
        Some(format!("an entry on {} runs {}: it {how}: `{}`", one.event, hook.name(), shown(&one.command)))
    })
}

/// A command line, as long as it is shown.
pub(crate) fn shown(command: &str) -> String {
    one_line(&redact(command), 120)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_around_ours_is_told_from_one_that_is_like_it() {
        let bin = Path::new("/h/.stopgate/bin");
        for (command, wraps) in [
            ("env A=1 /h/.stopgate/bin/stop-gate-router claude", true),
            ("sh -c '/h/.stopgate/bin/stop-gate-router claude; true'", true),
            ("\"/h/.stopgate/bin/stop-gate-router\" claude >/dev/null", true),
            ("env /h/.stopgate/bin/stop-gate-router.old claude", false),
            ("env /mnt/h/.stopgate/bin/stop-gate-router claude", false),
            ("/usr/bin/other stop-gate-router", false),
        ] {
            assert_eq!(names(command, &bin.join("stop-gate-router")), wraps, "{command}");
        }
    }
}
