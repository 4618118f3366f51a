//! Hook entries of others in a settings file: looked at, never changed.

use std::path::Path;

use super::document::{Document, Value};
use stopgate_core::hook::Hook;

use crate::wiring::hook_of;

/// An entry of somebody else.
pub(crate) struct Foreign {
    pub(crate) event: String,
    pub(crate) command: String,
    /// Seconds.
    pub(crate) timeout: Option<f64>,
    /// The program of ours in `bin` that its command runs all the same, in words that are not ours: somebody has put
    /// something around a line of ours.
    pub(crate) wraps: Option<Hook>,
}

/// The entries of others in `document`.
pub(crate) fn all(document: &Document, bin: &Path) -> Vec<Foreign> {
    let mut found = Vec::new();
    let Some(Value::Object(events)) = document.value().and_then(|value| value.get("hooks").cloned()) else {
        return found;
    };
    for (event, groups) in events {
        let Value::Array(groups) = groups else { continue };
        for entry in groups.iter().filter_map(|group| group.get("hooks")).flat_map(|entries| match entries {
            Value::Array(entries) => entries.as_slice(),
            _ => &[],
        }) {
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
                let whole = args.iter().filter_map(Value::as_str).fold(command.clone(), |line, arg| line + " " + arg);
                let wraps = Hook::ALL.into_iter().find(|hook| names(&whole, &bin.join(hook.name())));
                found.push(Foreign { event: event.clone(), command, timeout, wraps });
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

/// What a person should know before entries of ours are put into `document`, or taken out of it.
pub(crate) fn warnings<'a>(document: &'a Document, bin: &'a Path) -> impl Iterator<Item = String> {
    all(document, bin).into_iter().filter_map(|one| {
        let hook = one.wraps?;
        Some(format!(
            "an entry on {} runs {} in other words than stopgate's own, and stays as it is; take it out by hand",
            one.event,
            hook.name()
        ))
    })
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
