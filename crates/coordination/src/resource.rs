//! What a lease is of: a path of one working tree, or a name that a whole room shares.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest resource, in bytes: the longest path that Linux takes.
pub const MAX_RESOURCE_BYTES: usize = 4096;

/// A resource, as people and programs write it.
///
/// A path is literal and relative to the top of its working tree, with `/` between its parts: `src/a.rs` is a file, `src/`
/// is everything below it, and `/` is the tree. A name begins with `@`: `@leader`, `@merge:main`, `@stash`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Resource(String);

/// Why a text is no resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAResource {
    /// It is empty.
    Empty,
    /// It is longer than [`MAX_RESOURCE_BYTES`].
    TooLong,
    /// It has a control character in it.
    ControlCharacter,
    /// It is an absolute path.
    Absolute,
    /// It has `..`, `.` or nothing between two slashes.
    NotPlain,
    /// A name has none, ends in `/`, or has other characters than letters, digits and `:._/-`.
    Name,
}

impl fmt::Display for NotAResource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Empty => "it is empty",
            Self::TooLong => "it is longer than 4,096 bytes",
            Self::ControlCharacter => "it has a control character in it",
            Self::Absolute => "it is an absolute path: name it from the top of the working tree",
            Self::NotPlain => "it has \"..\", \".\" or an empty part: name it from the top of the working tree",
            Self::Name => {
                "a name is letters, digits and : . _ / - after the @, without a / at its end; a file is ./@..."
            }
        })
    }
}

impl std::error::Error for NotAResource {}

impl Resource {
    /// The whole working tree.
    pub fn tree() -> Self {
        Self("/".to_owned())
    }

    /// The file at `relative`, which is named from the top of its working tree, or all below it. A file whose name begins
    /// with `@` is none the less a file.
    pub fn of_path(relative: &str, is_subtree: bool) -> Result<Self, NotAResource> {
        let dot = if relative.starts_with('@') { "./" } else { "" };
        let slash = if is_subtree { "/" } else { "" };
        format!("{dot}{relative}{slash}").parse()
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a name, which all working trees of a room share.
    pub fn is_name(&self) -> bool {
        self.0.starts_with('@')
    }

    /// Whether it is a directory with all that is below it.
    pub fn is_directory(&self) -> bool {
        self.0.ends_with('/')
    }

    /// Where it is, of a path of the working tree `tree`.
    pub fn within(&self, tree: &Path) -> PathBuf {
        tree.join(self.0.strip_prefix("./").unwrap_or(&self.0).trim_matches('/'))
    }

    /// Whether one of the two lies in the other, or they are the same. Of the same working tree, or of the same room.
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.is_name() || other.is_name() {
            return self == other;
        }
        self.covers(other) || other.covers(self)
    }

    /// Whether all of `other` lies in this, or takes its place. A slash at the end tells nothing of that: a file in a
    /// directory's place takes the directory away, and what does not exist yet may become either.
    pub fn covers(&self, other: &Self) -> bool {
        if self.is_name() || other.is_name() {
            return self == other;
        }
        let own = self.0.strip_suffix('/').unwrap_or(&self.0);
        own.is_empty() || other.0.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for Resource {
    type Err = NotAResource;

    fn from_str(text: &str) -> Result<Self, NotAResource> {
        if text.is_empty() {
            return Err(NotAResource::Empty);
        }
        if text.len() > MAX_RESOURCE_BYTES {
            return Err(NotAResource::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(NotAResource::ControlCharacter);
        }
        if let Some(name) = text.strip_prefix('@') {
            let is_plain = |sign: char| sign.is_alphanumeric() || ":._/-".contains(sign);
            return if !name.is_empty() && !name.ends_with('/') && name.chars().all(is_plain) {
                Ok(Self(text.to_owned()))
            } else {
                Err(NotAResource::Name)
            };
        }
        if text == "/" {
            return Ok(Self::tree());
        }
        // A file whose name begins so is written with the directory before it, and stays so: it is no name.
        let (text, path) = match text.strip_prefix("./") {
            Some(path) if path.starts_with('@') => (text, path),
            Some(path) => (path, path),
            None => (text, text),
        };
        if path.starts_with('/') {
            return Err(NotAResource::Absolute);
        }
        let parts = path.strip_suffix('/').unwrap_or(path);
        if parts.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(NotAResource::NotPlain);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Resource {
    type Error = NotAResource;

    fn try_from(text: String) -> Result<Self, NotAResource> {
        text.parse()
    }
}

impl From<Resource> for String {
    fn from(resource: Resource) -> Self {
        resource.0
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn of(text: &str) -> Resource {
        text.parse().unwrap_or_else(|why| panic!("{text:?}: {why}"))
    }

    #[rstest]
    #[case("src/a.rs", "src/a.rs", true)]
    #[case("src/", "src/a.rs", true)]
    #[case("src/", "src/deep/a.rs", true)]
    #[case("src/", "src", true)]
    #[case("src", "src/a.rs", true)]
    #[case("src", "src/deep/", true)]
    #[case("src", "src/", true)]
    #[case("./@leader", "./@leader/a", true)]
    #[case("src/a", "src/a.rs", false)]
    #[case("src/", "source/a.rs", false)]
    #[case("/", "anything", true)]
    #[case("/", "@leader", false)]
    #[case("/", "./@leader", true)]
    #[case("./@leader", "@leader", false)]
    #[case("./@dir/", "./@dir/a", true)]
    #[case("@leader", "@leader", true)]
    #[case("@merge:main", "@merge:maint", false)]
    fn two_overlap_by_one_prefix_test(#[case] left: &str, #[case] right: &str, #[case] expected: bool) {
        assert_eq!(of(left).overlaps(&of(right)), expected);
        assert_eq!(of(right).overlaps(&of(left)), expected, "the other way round");
    }

    #[rstest]
    #[case("", NotAResource::Empty)]
    #[case("/etc/passwd", NotAResource::Absolute)]
    #[case("../x", NotAResource::NotPlain)]
    #[case("a/../b", NotAResource::NotPlain)]
    #[case("a//b", NotAResource::NotPlain)]
    #[case("a/./b", NotAResource::NotPlain)]
    #[case("a\0b", NotAResource::ControlCharacter)]
    #[case("a\nb", NotAResource::ControlCharacter)]
    #[case("@", NotAResource::Name)]
    #[case("@types/", NotAResource::Name)]
    #[case("@two words", NotAResource::Name)]
    fn what_is_none_is_refused(#[case] text: &str, #[case] why: NotAResource) {
        assert_eq!(text.parse::<Resource>(), Err(why));
    }

    #[test]
    fn one_that_is_too_long_is_refused() {
        assert!("x".repeat(MAX_RESOURCE_BYTES).parse::<Resource>().is_ok());
        assert_eq!("x".repeat(MAX_RESOURCE_BYTES + 1).parse::<Resource>(), Err(NotAResource::TooLong));
    }
}
