//! What a tool call would do to files, and what is asked and answered about it.

pub mod mode;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::SessionKey;

mod classify;
mod command;
mod fetch;
mod git;
mod glob;
mod options;
mod parts;
mod patch;
mod place;
mod put;
mod read;
mod script;
pub mod text;
pub mod verdict;
mod words;

pub use self::place::{Around, FileLinks, Kind, Links, NoLinks};
pub use self::read::{MAX_TARGETS, read, read_alias};

/// What git can do to a whole working tree, or to what all of them share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TreeVerb {
    /// `git stash`, `stash push|save`: takes all edits away.
    Stash,
    /// `git stash pop|apply|branch`: takes what may be another's.
    StashTake,
    /// `git stash drop|clear`: loses what may be another's.
    StashDrop,
    /// `git reset --hard|--merge|--keep`.
    ResetHard,
    /// `git checkout|switch` to another branch or commit.
    Switch,
    /// `git restore .`, `git checkout .`, `git checkout -- .`.
    RestoreAll,
    /// `git clean -f`.
    Clean,
    /// `git merge`, `pull`, `rebase`, `cherry-pick`, `revert`, `am`.
    Merge,
    /// `git commit -a`: commits all edits.
    CommitAll,
    /// `git add -A|.|-u`: stages all edits.
    AddAll,
    /// `git worktree remove`.
    WorktreeRemove,
    /// `rm`, `git rm -f`.
    Remove,
    /// `mv`, `cp` and their like, over what is there.
    Overwrite,
}

impl TreeVerb {
    /// Whether it is about what is stashed, which all working trees of a repository share.
    pub const fn is_about_the_stash(self) -> bool {
        matches!(self, Self::Stash | Self::StashTake | Self::StashDrop)
    }
}

/// A path that would be written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WriteTarget {
    /// Absolute, without `.` and `..`.
    pub path: PathBuf,
    /// Everything below it too: a directory that is moved or removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_subtree: bool,
    /// Of what is below it only what a shell makes of this (`*.rs`, `{a,b}.c`), which is relative to it; with a `/` at its
    /// end with all below that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

impl WriteTarget {
    /// Whether it is a pattern that means nothing at `path`, and nothing above and below it. `path` is absolute; `is_subtree`:
    /// a directory with all that is below it.
    pub fn passes_by(&self, path: &Path, is_subtree: bool) -> bool {
        let Some(pattern) = &self.pattern else { return false };
        // What has the whole directory has whatever the pattern means.
        let Ok(relative) = path.strip_prefix(&self.path) else { return false };
        let Some(relative) = relative.to_str() else { return true };
        !relative.is_empty() && !glob::touches(pattern, &format!("{relative}{}", if is_subtree { "/" } else { "" }))
    }
}

/// Which uncommitted work a verb touches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ActFiles {
    /// Tracked files that are not as the index has them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
    /// What the index has, and is not committed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub staged: bool,
    /// Files that are neither tracked nor ignored.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub untracked: bool,
    /// Files that are ignored.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignored: bool,
    /// Files that are not tracked, where the commit that files are taken from has one of that name.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub overwritten: bool,
    /// Other working trees that lie below, with all that is in them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nested: bool,
    /// Only in the directory that git would be started in.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_below: bool,
}

impl ActFiles {
    /// None of it, in all of the tree.
    pub const NONE: Self = Self {
        edited: false,
        staged: false,
        untracked: false,
        ignored: false,
        overwritten: false,
        nested: false,
        is_below: false,
    };

    /// What either of the two touches.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            edited: self.edited || other.edited,
            staged: self.staged || other.staged,
            untracked: self.untracked || other.untracked,
            ignored: self.ignored || other.ignored,
            overwritten: self.overwritten || other.overwritten,
            nested: self.nested || other.nested,
            is_below: self.is_below && other.is_below,
        }
    }
}

/// A commit as a command names it, by words that git takes for no option and for no range, whoever says them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitName(String);

impl CommitName {
    /// `text`, if it is plainly one.
    pub fn new(text: &str) -> Option<Self> {
        let is_plain = |sign: char| sign.is_alphanumeric() || "-._/@{}~^+#".contains(sign);
        let is_one = !text.is_empty() && !text.starts_with('-') && !text.contains("..") && text.chars().all(is_plain);
        is_one.then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CommitName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text).ok_or("no name of a commit")
    }
}

impl From<CommitName> for String {
    fn from(name: CommitName) -> Self {
        name.0
    }
}

/// A commit that files get their content from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CommitSource {
    /// As the command names it.
    pub commit: CommitName,
    /// Whether files that it does not have stay.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_added: bool,
}

/// A verb that would be run, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TreeAct {
    /// Which.
    pub verb: TreeVerb,
    /// The directory that git would be started in: absolute. For [`TreeVerb::WorktreeRemove`] the tree that is removed.
    pub directory: PathBuf,
    /// What it touches; `None`: what the verb does without options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<ActFiles>,
    /// The file, or the directory with all below it, that it is limited to; absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<PathBuf>,
    /// Whether that part is a file that the command names itself, to take it into a commit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_named: bool,
    /// The commit that files get their content from, where one is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<CommitSource>,
    /// The command, as it is typed (`git checkout`), if that is known to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl TreeAct {
    /// `verb` in `directory`, with what it does without options.
    pub fn plain(verb: TreeVerb, directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self { verb, directory, files: None, part: None, is_named: false, source: None, command: None }
    }
}

/// A command that git itself does not have: maybe an alias, which the person's configuration or the repository's explains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitAlias {
    /// The directory that git would be started in: absolute.
    pub directory: PathBuf,
    /// The command.
    pub name: String,
    /// The words behind it, as a shell reads them.
    pub rest: String,
}

/// What a tool call would do, as far as it is seen. What is not understood is opaque: let go, and recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Intent {
    /// What it would write.
    pub writes: Vec<WriteTarget>,
    /// What it would do to a whole tree.
    pub acts: Vec<TreeAct>,
    /// What git would do to the uncommitted work in a part of a tree.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<TreeAct>,
    /// What git would be told that may be an alias.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<GitAlias>,
    /// Whether a part of it is not understood, and may write.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_opaque: bool,
}

/// What the fence's hook asks the authority, of a call that touches a working tree in which there is another session or
/// another's lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceQuestion {
    /// Id of this call's event.
    pub event_id: String,
    /// Who calls.
    #[serde(flatten)]
    pub session: SessionKey,
    /// The subagent of that session that calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// When.
    pub at_ms: UnixMillis,
    /// The tool, as the harness calls it.
    pub tool: String,
    /// What the call would do.
    #[serde(flatten)]
    pub intent: Intent,
    /// The shell command or the tool's own words, without secrets, bounded.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub said: String,
}

/// What becomes of a call, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FenceVerdict {
    /// Nothing is said.
    Allow,
    /// The call goes on, and the agent is told something.
    Note,
    /// The call is refused.
    Deny,
}

impl FenceVerdict {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Note, Self::Deny];
}

impl fmt::Display for FenceVerdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Allow => "allow",
            Self::Note => "note",
            Self::Deny => "deny",
        })
    }
}

/// The authority's answer: what the hook does, which in shadow is always to allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceAnswer {
    /// What becomes of the call.
    pub verdict: FenceVerdict,
    /// What the agent is told; empty with [`FenceVerdict::Allow`]. It begins with `[stopgate]`: a hook shows nothing else, and
    /// refuses nothing for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}
