//! Versions: which is newer, and which a home was brought to.

use std::cmp::Ordering;

use anyhow::{Context as _, Result};
use stopgate_core::VERSION;
use stopgate_core::fsx;
use stopgate_core::hook;
use stopgate_core::paths::Home;

use crate::ledger::Ledger;
use crate::manifest::{MANIFEST, Manifest};

/// `major.minor.patch`, perhaps with `-` and a pre-release name, which is older than the release itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    numbers: [u64; 3],
    pre_release: Option<String>,
}

impl Version {
    /// Reads a version.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (numbers, pre_release) = match text.split_once('-') {
            Some((numbers, name)) if !name.is_empty() => (numbers, Some(name.to_owned())),
            Some(_) => return None,
            None => (text, None),
        };
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let parts: Vec<u64> =
            numbers.split('.').map(|part| is_number(part).then(|| part.parse().ok())?).collect::<Option<_>>()?;
        Some(Self { numbers: parts.try_into().ok()?, pre_release })
    }

    /// The version of this program.
    pub(crate) fn own() -> Option<Self> {
        Self::parse(VERSION)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (&self.pre_release, &other.pre_release) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(left), Some(right)) => left.cmp(right),
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Whether `version` is newer than this program. What is no version is not.
pub(crate) fn is_from_the_future(version: &str) -> bool {
    Version::parse(version).zip(Version::own()).is_some_and(|(version, own)| version > own)
}

/// The way back to an older version, for whoever is refused a downgrade.
pub(crate) fn way_back(home: &Home) -> String {
    format!(
        "to go back, run the newer version's `installer uninstall --all`, put {} back from {} if its schema is newer, \
         then run the older version's `installer init`",
        home.database().display(),
        home.backups().display()
    )
}

/// Notes that everything in `home` is of this version now.
pub(crate) fn mark(home: &Home, ledger: &mut Ledger) -> Result<()> {
    ledger.version = Some(VERSION.to_owned());
    ledger.wiring = hook::WIRING;
    ledger.save(home)?;
    Manifest::of(&home.bin())?.save(&home.root().join(MANIFEST), 0o600)?;
    let file = home.version_file();
    let text = format!("{VERSION}\n");
    if std::fs::read(&file).is_ok_and(|bytes| bytes == text.as_bytes()) {
        return Ok(());
    }
    fsx::write_atomic(&file, text.as_bytes(), 0o600).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let texts = ["0.0.9", "0.1.0-rc1", "0.1.0", "0.2.0", "0.10.0", "1.0.0"];
        let versions: Vec<_> = texts.iter().map(|text| Version::parse(text).unwrap()).collect();
        assert!(versions.is_sorted(), "{versions:?}");
        for bad in ["", "1", "1.0", "1.0.0.0", "a.b.c", "1.0.x", "1.0.0-", "+1.0.0", " 1.0.0"] {
            assert_eq!(Version::parse(bad), None, "{bad:?}");
        }
        assert!(Version::own().is_some());
        assert!(is_from_the_future("999.0.0") && !is_from_the_future(VERSION) && !is_from_the_future("nonsense"));
    }
}
