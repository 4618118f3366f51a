//! Which guides a person has not seen yet.

use std::path::Path;

use anyhow::{Context, Result};
use stopgate_core::paths::Home;
use stopgate_protocol::version::Version;

use super::{FOR_PEOPLE, section};
use crate::ledger::Ledger;

/// A guide's version, and what it says to the person.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Guide {
    pub(crate) version: String,
    pub(crate) text: String,
}

/// Where the guides of the installed release are.
pub(crate) fn directory(home: &Home) -> std::path::PathBuf {
    home.root().join("upgrades")
}

/// Every guide `<version>.md` in `dir`, oldest first. What cannot be read is an error: it must not count as seen.
pub(crate) fn all(dir: &Path) -> Result<Vec<Guide>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", dir.display())),
    };
    let mut found = Vec::new();
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".md"));
        let Some((name, version)) = name.and_then(|name| Some((name.to_owned(), Version::parse(name)?))) else {
            continue;
        };
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = section(&text, FOR_PEOPLE).unwrap_or_default().to_owned();
        found.push((version, Guide { version: name, text }));
    }
    found.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(found.into_iter().map(|(_, guide)| guide).collect())
}

/// The guides that the person has not acknowledged; notes in `ledger` which came with the update from `previous`.
pub(crate) fn pending(home: &Home, ledger: &mut Ledger, previous: Option<&str>) -> Result<Vec<Guide>> {
    let guides = all(&directory(home))?;
    let previous = previous.and_then(Version::parse);
    let own = Version::own();
    for guide in &guides {
        let version = Version::parse(&guide.version);
        let is_of_this_update =
            version <= own && previous.as_ref().is_none_or(|previous| version.as_ref() > Some(previous));
        let is_known = ledger.pending_guides.contains(&guide.version) || ledger.acknowledged.contains(&guide.version);
        if is_of_this_update && !is_known {
            ledger.pending_guides.push(guide.version.clone());
        }
    }
    Ok(guides.into_iter().filter(|guide| ledger.pending_guides.contains(&guide.version)).collect())
}

/// Notes that the person has read what was pending; which that was.
pub(crate) fn acknowledge(ledger: &mut Ledger) -> Vec<String> {
    let read = std::mem::take(&mut ledger.pending_guides);
    ledger.acknowledged.extend(read.iter().cloned());
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guide_is_shown_until_it_is_acknowledged_and_then_never_again() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let upgrades = directory(&home);
        std::fs::create_dir(&upgrades).unwrap();
        for version in ["0.0.1", "0.0.9", stopgate_core::VERSION, "999.0.0"] {
            let text = format!("# x\n\n## {FOR_PEOPLE}\n\nSay {version}.\n\n## Other\n");
            std::fs::write(upgrades.join(format!("{version}.md")), text).unwrap();
        }
        std::fs::write(upgrades.join("NEXT.md"), "").unwrap();
        let mut ledger = Ledger::default();
        let versions = |guides: Vec<Guide>| guides.into_iter().map(|guide| guide.version).collect::<Vec<_>>();
        let first = pending(&home, &mut ledger, Some("0.0.5")).unwrap();
        assert_eq!(first[0].text, "Say 0.0.9.");
        assert_eq!(versions(first), ["0.0.9", stopgate_core::VERSION]);
        // The update is over, the text is still unread.
        let again = pending(&home, &mut ledger, Some(stopgate_core::VERSION)).unwrap();
        assert_eq!(again.len(), 2);
        assert_eq!(acknowledge(&mut ledger).len(), 2);
        assert_eq!(pending(&home, &mut ledger, Some("0.0.5")).unwrap(), []);
    }
}
