//! Which of two versions is newer: asked by the authority that is to make way, and by whoever wants it to or updates it.

use std::cmp::Ordering;

use stopgate_core::VERSION;

/// A version by the rules of semver.org: a pre-release is older than its release, and what a build adds says nothing.
#[derive(Debug, Clone)]
pub struct Version(semver::Version);

impl Version {
    /// Reads a version; `None` if `text` is none.
    pub fn parse(text: &str) -> Option<Self> {
        semver::Version::parse(text).ok().map(Self)
    }

    /// The version of this program.
    pub fn own() -> Option<Self> {
        Self::parse(VERSION)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp_precedence(&other.0)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

/// Whether the version `left` is newer than `right`. What is no version is never newer, nor is anything newer than it.
pub fn is_newer(left: &str, right: &str) -> bool {
    Version::parse(left).zip(Version::parse(right)).is_some_and(|(left, right)| left > right)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each newer than the one before.
    const ASCENDING: [&str; 14] = [
        "0.0.9",
        "0.1.0-alpha",
        "0.1.0-alpha.1",
        "0.1.0-beta",
        "0.1.0-rc.9",
        "0.1.0-rc.10",
        "0.1.0-rc1",
        "0.1.0",
        "0.2.0-rc1",
        "0.2.0",
        "0.9.9",
        "0.10.0",
        "1.0.0",
        "10.0.0",
    ];

    #[test]
    fn versions_are_ordered_by_numbers_and_a_pre_release_comes_before_its_release() {
        for (left, older) in ASCENDING.iter().enumerate() {
            for (right, newer) in ASCENDING.iter().enumerate() {
                assert_eq!(is_newer(newer, older), right > left, "{newer} after {older}");
            }
        }
    }

    #[test]
    fn what_a_build_adds_says_nothing() {
        for (left, right) in [("1.0.0+b", "1.0.0+a"), ("1.0.0+a", "1.0.0"), ("1.0.0-rc.1+b", "1.0.0-rc.1")] {
            assert!(!is_newer(left, right) && !is_newer(right, left), "{left} {right}");
            assert_eq!(Version::parse(left), Version::parse(right), "{left} {right}");
        }
        assert!(is_newer("1.0.1", "1.0.0+z") && is_newer("1.0.1+a", "1.0.0"));
    }

    #[test]
    fn garbage_is_never_newer_and_nothing_is_newer_than_it() {
        for garbage in [
            "",
            "1",
            "1.0",
            "1.0.0.0",
            "a.b.c",
            "1.0.x",
            "1.0.0-",
            "+1.0.0",
            " 1.0.0",
            "1.0.0\n",
            "01.0.0",
            "v1.0.0",
            "-1.0.0",
            "99999999999999999999.0.0",
            "999.0.0-rc..1",
        ] {
            assert_eq!(Version::parse(garbage), None, "{garbage:?}");
            assert!(!is_newer(garbage, "0.0.1") && !is_newer("0.0.1", garbage), "{garbage:?}");
        }
    }

    #[test]
    fn this_program_has_a_version() {
        assert!(Version::own().is_some());
        assert!(is_newer("999.0.0", VERSION) && !is_newer(VERSION, VERSION));
    }
}
