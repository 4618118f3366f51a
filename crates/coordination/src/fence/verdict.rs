//! What becomes of a call, from what is known of the sessions and the files that it would touch. [`decide`] is pure: what
//! it was given is recorded, and `stopgate fence explain` has it decide again.
//!
//! Only what is proven refuses: another session's declared lease, and work that another session is known to have done. What
//! may be so is told, and goes on.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::SessionKey;

use super::{ActFiles, FenceVerdict, TreeAct, TreeVerb, WriteTarget};
use crate::lease::{LeaseMode, LeaseOrigin};
use crate::resource::Resource;

/// Files of another session's that are named; the rest are counted.
pub const MAX_NAMED: usize = 20;

/// A session, by the name that the registry gave it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Party {
    /// Who.
    #[serde(flatten)]
    pub key: SessionKey,
    /// Its name.
    pub name: String,
}

/// A lease of another session's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignLease {
    /// Who holds it.
    pub holder: Party,
    /// What it is of.
    pub resource: Resource,
    /// Whether others may read beside it.
    pub mode: LeaseMode,
    /// Whether it was asked for, or seen.
    pub origin: LeaseOrigin,
    /// Since when.
    pub since_ms: UnixMillis,
}

/// What is known of a file that would be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteFacts {
    /// The file.
    pub target: WriteTarget,
    /// The working tree that it lies in.
    pub tree: PathBuf,
    /// What a lease of it would be of; `None` where it can have none.
    pub resource: Option<Resource>,
    /// Other sessions that live in that tree.
    #[serde(default)]
    pub others: Vec<Party>,
    /// The leases of others that overlap it.
    #[serde(default)]
    pub leases: Vec<ForeignLease>,
}

/// What is known of something that would be done to a whole tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActFacts {
    /// What, and where.
    pub act: TreeAct,
    /// The working tree.
    pub tree: PathBuf,
    /// Other sessions that live in it; for what is done to the stash, in the room.
    #[serde(default)]
    pub others: Vec<Party>,
    /// The declared leases of others in that tree.
    #[serde(default)]
    pub leases: Vec<ForeignLease>,
    /// Uncommitted work in it.
    pub work: WorkSeen,
    /// Leases of others by the name that stands for what would be done: `@stash`, `@merge:main`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<ForeignLease>,
    /// Whether the caller does not live in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_elsewhere: bool,
    /// Who is known to be at work in the part that it is limited to, if it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others_at_work: Vec<Party>,
    /// Whose stash entry it is, where that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<StashEntry>,
}

/// Uncommitted work, as git told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkSeen {
    /// It was not asked: no other session is concerned, or the files do not matter.
    NotAsked,
    /// It did not answer, or not in time.
    Silent,
    /// It answered.
    Known(Work),
}

/// Uncommitted work that a verb would touch, by who did it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Work {
    /// Files that other sessions are known to have written or hold, the first [`MAX_NAMED`].
    pub foreign: Vec<ForeignFile>,
    /// How many there are of those.
    pub foreign_count: usize,
    /// Files that the caller is known to have written.
    pub own_count: usize,
    /// Files that nobody is known to have written.
    pub unknown_count: usize,
    /// Others' files that the verb would touch in some of its forms only, as earlier versions counted them.
    #[serde(skip_serializing_if = "is_zero")]
    pub perhaps_count: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A changed file of another session's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignFile {
    /// From the top of the tree.
    pub path: Resource,
    /// By which lease it is another's.
    pub lease: ForeignLease,
}

/// How a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is tracked, and differs from the index.
    Edited,
    /// The index differs from what is checked out.
    Staged,
    /// It is neither tracked nor ignored.
    Untracked,
    /// It is ignored.
    Ignored,
    /// It is not tracked, and the commit that files are taken from has another one of its name.
    Overwritten,
    /// It has no uncommitted work, and the commit that files are taken from has another content of it.
    Rewritten,
}

/// A file with uncommitted work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// From the top of the tree; `None` where no lease can be of it.
    pub path: Option<Resource>,
    /// How it differs.
    pub change: Change,
    /// Whether it lies in what the command is limited to: the directory that it is started in, or what it names.
    pub is_below: bool,
}

/// Whose entry of the stash would be taken or dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StashEntry {
    /// There is none.
    Empty,
    /// The caller's.
    Own,
    /// Another's, by what the fence saw of it.
    Of {
        /// Whose.
        who: Party,
        /// When it was stashed.
        since_ms: UnixMillis,
    },
    /// Nobody knows.
    Unknown,
}

/// What the fence decides from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceFacts {
    /// When.
    pub at_ms: UnixMillis,
    /// `fence.observed`: whether a file that another session was seen to write is refused.
    pub observed_denies: bool,
    /// What would be written.
    #[serde(default)]
    pub writes: Vec<WriteFacts>,
    /// What would be done to a whole tree.
    #[serde(default)]
    pub acts: Vec<ActFacts>,
}

/// Why a call is not simply let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FenceGround {
    /// Another session has a lease of what would be written.
    DeclaredLease {
        /// What would be written.
        path: Resource,
        /// The lease.
        lease: ForeignLease,
    },
    /// Another session was seen to write it.
    ObservedLease {
        /// What would be written.
        path: Resource,
        /// The lease.
        lease: ForeignLease,
        /// Whether that is refused, as configured.
        denies: bool,
    },
    /// Another session has the whole tree.
    TreeHeld {
        /// What would be done.
        verb: TreeVerb,
        /// The lease.
        lease: ForeignLease,
    },
    /// Another session has uncommitted work that it would touch.
    OthersWork {
        /// What would be done.
        verb: TreeVerb,
        /// Whether that was limited to a part of the tree.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_part: bool,
        /// Whose work, the first of them.
        lease: ForeignLease,
        /// One of its files.
        file: Resource,
        /// How many files there are of others.
        count: usize,
    },
    /// The entry of the stash is another session's.
    OthersStash {
        /// What would be done.
        verb: TreeVerb,
        /// Whose.
        who: Party,
        /// When it was stashed.
        since_ms: UnixMillis,
    },
    /// There is uncommitted work that may be another's.
    PerhapsOthersWork {
        /// What would be done.
        verb: TreeVerb,
        /// Who lives there.
        others: Vec<Party>,
        /// How many files.
        count: usize,
    },
    /// The entry of the stash may be another's.
    PerhapsOthersStash {
        /// What would be done.
        verb: TreeVerb,
        /// Who lives in the room.
        others: Vec<Party>,
    },
    /// Other files of the tree would change, and another session has a lease of some.
    MayTouchLease {
        /// What would be done.
        verb: TreeVerb,
        /// The lease.
        lease: ForeignLease,
    },
    /// Another session lives in the tree that would be removed.
    OthersLiveThere {
        /// What would be done.
        verb: TreeVerb,
        /// Who.
        others: Vec<Party>,
        /// How many files with uncommitted work there are that are not the caller's, who lives elsewhere.
        #[serde(default)]
        count: usize,
    },
    /// git did not say what is uncommitted, so nothing is refused.
    GitSilent {
        /// What would be done.
        verb: TreeVerb,
        /// Whose work it may be.
        #[serde(default)]
        others: Vec<Party>,
    },
}

impl FenceGround {
    /// What it makes of the call by itself.
    pub const fn verdict(&self) -> FenceVerdict {
        match self {
            Self::DeclaredLease { .. }
            | Self::ObservedLease { denies: true, .. }
            | Self::TreeHeld { .. }
            | Self::OthersWork { .. }
            | Self::OthersStash { .. } => FenceVerdict::Deny,
            Self::OthersLiveThere { count, .. } if *count > 0 => FenceVerdict::Deny,
            Self::ObservedLease { .. }
            | Self::PerhapsOthersWork { .. }
            | Self::PerhapsOthersStash { .. }
            | Self::MayTouchLease { .. }
            | Self::OthersLiveThere { .. } => FenceVerdict::Note,
            Self::GitSilent { others, .. } if !others.is_empty() => FenceVerdict::Note,
            Self::GitSilent { .. } => FenceVerdict::Allow,
        }
    }

    /// Whose it is, where one session is named.
    pub fn against(&self) -> Option<&Party> {
        match self {
            Self::DeclaredLease { lease, .. }
            | Self::ObservedLease { lease, .. }
            | Self::TreeHeld { lease, .. }
            | Self::OthersWork { lease, .. }
            | Self::MayTouchLease { lease, .. } => Some(&lease.holder),
            Self::OthersStash { who, .. } => Some(who),
            Self::PerhapsOthersWork { others, .. }
            | Self::PerhapsOthersStash { others, .. }
            | Self::OthersLiveThere { others, .. }
            | Self::GitSilent { others, .. } => others.first(),
        }
    }

    /// What two denials have in common that are the same: what is in whose way, not when or how much of it.
    pub fn signature(&self) -> String {
        let who = self.against().map(|who| who.key.to_string()).unwrap_or_default();
        match self {
            Self::DeclaredLease { path, .. } | Self::ObservedLease { path, .. } => format!("write {path} {who}"),
            Self::TreeHeld { verb, .. }
            | Self::OthersWork { verb, .. }
            | Self::OthersStash { verb, .. }
            | Self::PerhapsOthersWork { verb, .. }
            | Self::PerhapsOthersStash { verb, .. }
            | Self::MayTouchLease { verb, .. }
            | Self::OthersLiveThere { verb, .. }
            | Self::GitSilent { verb, .. } => format!("{} {who}", verb.command()),
        }
    }
}

/// What was decided, and from what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceDecision {
    /// What becomes of the call.
    pub verdict: FenceVerdict,
    /// Why, what weighs most first. Empty: nobody is in the way.
    pub grounds: Vec<FenceGround>,
}

/// Decides.
pub fn decide(facts: &FenceFacts) -> FenceDecision {
    let mut grounds = Vec::new();
    for write in &facts.writes {
        of_write(write, facts.observed_denies, &mut grounds);
    }
    for act in &facts.acts {
        of_act(act, &mut grounds);
    }
    // Stable: what was said first stays before its like.
    grounds.sort_by_key(|ground| std::cmp::Reverse(ground.verdict()));
    let verdict = grounds.first().map_or(FenceVerdict::Allow, FenceGround::verdict);
    FenceDecision { verdict, grounds }
}

fn of_write(write: &WriteFacts, observed_denies: bool, grounds: &mut Vec<FenceGround>) {
    // Of a name that no lease can have, only leases of what it lies in were found.
    let is_met = |lease: &ForeignLease| write.resource.as_ref().is_none_or(|path| lease.resource.overlaps(path));
    let mut told = BTreeSet::new();
    // A lease that was asked for says more than that the same session was seen.
    let by_origin = |origin| write.leases.iter().filter(move |lease| lease.origin == origin);
    for lease in by_origin(LeaseOrigin::Declared).chain(by_origin(LeaseOrigin::Observed)) {
        if !is_met(lease) || !told.insert(&lease.holder.key) {
            continue;
        }
        let path = write.resource.clone().unwrap_or_else(|| lease.resource.clone());
        let lease = lease.clone();
        grounds.push(match lease.origin {
            LeaseOrigin::Declared => FenceGround::DeclaredLease { path, lease },
            LeaseOrigin::Observed => FenceGround::ObservedLease { path, lease, denies: observed_denies },
        });
    }
}

fn of_act(facts: &ActFacts, grounds: &mut Vec<FenceGround>) {
    let verb = facts.act.verb;
    for lease in &facts.names {
        grounds.push(FenceGround::DeclaredLease { path: lease.resource.clone(), lease: lease.clone() });
    }
    match &facts.entry {
        Some(StashEntry::Of { who, since_ms }) => {
            grounds.push(FenceGround::OthersStash { verb, who: who.clone(), since_ms: *since_ms });
        }
        Some(StashEntry::Unknown) if !facts.others.is_empty() => {
            grounds.push(FenceGround::PerhapsOthersStash { verb, others: facts.others.clone() });
        }
        _ => {}
    }
    if !verb.touches_files() {
        return;
    }
    // What it names may be any file: only what is known to be another's is worth a word.
    if facts.act.part.is_some() {
        match &facts.work {
            // A file that is named to be committed is meant.
            WorkSeen::Known(work) if facts.act.is_named => {
                if let Some(ForeignFile { lease, .. }) = work.foreign.first() {
                    let (others, count) = (vec![lease.holder.clone()], work.foreign_count);
                    grounds.push(FenceGround::PerhapsOthersWork { verb, others, count });
                }
            }
            WorkSeen::Known(work) => {
                of_work(&facts.act, work, &[], grounds);
            }
            WorkSeen::Silent => {
                let others = facts.others_at_work.clone();
                grounds.push(FenceGround::GitSilent { verb, others });
            }
            WorkSeen::NotAsked => {}
        }
        return;
    }
    let declared = || facts.leases.iter().filter(|lease| lease.origin == LeaseOrigin::Declared);
    let has_all = declared().find(|lease| lease.resource == Resource::tree()).filter(|_| verb.changes_files());
    if let Some(lease) = has_all {
        grounds.push(FenceGround::TreeHeld { verb, lease: lease.clone() });
    }
    let is_owned = match &facts.work {
        WorkSeen::NotAsked => false,
        WorkSeen::Silent => {
            grounds.push(FenceGround::GitSilent { verb, others: facts.others.clone() });
            false
        }
        WorkSeen::Known(work) => of_work(&facts.act, work, &facts.others, grounds),
    };
    if is_owned || has_all.is_some() {
        return;
    }
    if verb == TreeVerb::WorktreeRemove && !facts.others.is_empty() {
        let count = match &facts.work {
            WorkSeen::Known(work) if facts.is_elsewhere => work.unknown_count,
            _ => 0,
        };
        grounds.push(FenceGround::OthersLiveThere { verb, others: facts.others.clone(), count });
    } else if let Some(lease) = declared().find(|_| verb.moves_files()) {
        grounds.push(FenceGround::MayTouchLease { verb, lease: lease.clone() });
    }
}

/// Whether somebody else is known to have work there.
fn of_work(act: &TreeAct, work: &Work, others: &[Party], grounds: &mut Vec<FenceGround>) -> bool {
    let verb = act.verb;
    if let Some(ForeignFile { path, lease }) = work.foreign.first() {
        let (file, lease, count) = (path.clone(), lease.clone(), work.foreign_count);
        grounds.push(FenceGround::OthersWork { verb, is_part: act.part.is_some(), lease, file, count });
        return true;
    }
    let count = work.unknown_count + work.perhaps_count;
    if count > 0 && !others.is_empty() && verb != TreeVerb::WorktreeRemove {
        grounds.push(FenceGround::PerhapsOthersWork { verb, others: others.to_vec(), count });
    }
    false
}

/// Whose the `changed` files are that `act` would touch, by the leases of others and of the caller in their tree.
pub fn attribute<'a>(
    act: &TreeAct,
    changed: impl IntoIterator<Item = &'a ChangedFile>,
    others: &[ForeignLease],
    own: &[Resource],
) -> Work {
    let mut work = Work::default();
    for file in changed.into_iter().filter(|file| act.touches(file)) {
        let path = file.path.as_ref();
        let is_work = file.change != Change::Rewritten;
        // Who reads beside others does no work there.
        let covers = |lease: &&ForeignLease| {
            let is_meant = is_work || lease.origin == LeaseOrigin::Declared;
            is_meant && lease.mode == LeaseMode::Write && path.is_some_and(|path| lease.resource.covers(path))
        };
        match (others.iter().find(covers), path) {
            // What is committed is nobody's but of who asked for it.
            (None, _) if !is_work => {}
            (Some(lease), Some(path)) => {
                work.foreign_count += 1;
                if work.foreign.len() < MAX_NAMED {
                    work.foreign.push(ForeignFile { path: path.clone(), lease: lease.clone() });
                }
            }
            (None, Some(path)) if own.iter().any(|own| own.covers(path)) => work.own_count += 1,
            _ => work.unknown_count += 1,
        }
    }
    work
}

impl TreeVerb {
    /// The command that stands for it, for people and agents.
    pub const fn command(self) -> &'static str {
        match self {
            Self::Stash => "git stash",
            Self::StashTake => "git stash pop",
            Self::StashDrop => "git stash drop",
            Self::ResetHard => "git reset --hard",
            Self::Switch => "git switch",
            Self::RestoreAll => "git restore .",
            Self::Clean => "git clean",
            Self::Merge => "git merge",
            Self::CommitAll => "git commit -a",
            Self::AddAll => "git add -A",
            Self::WorktreeRemove => "git worktree remove",
            Self::Remove => "the removal",
            Self::Overwrite => "the new content",
        }
    }

    /// Whether it concerns files of the working tree, and not only entries of the stash.
    pub const fn touches_files(self) -> bool {
        !matches!(self, Self::StashDrop)
    }

    /// Whether it does something to uncommitted work.
    pub const fn touches_work(self) -> bool {
        !matches!(self, Self::StashTake | Self::StashDrop)
    }

    /// Whether it may change or remove files, and not only say that they are to be committed.
    pub const fn changes_files(self) -> bool {
        !matches!(self, Self::StashDrop | Self::CommitAll | Self::AddAll)
    }

    /// Whether it may change files that have no uncommitted work.
    pub const fn moves_files(self) -> bool {
        matches!(self, Self::ResetHard | Self::Switch | Self::Merge | Self::StashTake | Self::WorktreeRemove)
    }

    /// What it touches without options.
    pub const fn files(self) -> ActFiles {
        let none = ActFiles::NONE;
        match self {
            // git overwrites nothing that is not tracked.
            Self::Stash | Self::ResetHard | Self::Switch | Self::Merge | Self::CommitAll => {
                ActFiles { edited: true, staged: true, ..none }
            }
            Self::WorktreeRemove => ActFiles { edited: true, staged: true, untracked: true, ..none },
            // `.` is the directory that it is started in, and the index is its source.
            Self::RestoreAll => ActFiles { edited: true, is_below: true, ..none },
            Self::Clean => ActFiles { untracked: true, is_below: true, ..none },
            Self::AddAll => ActFiles { edited: true, untracked: true, ..none },
            // What is taken is put beside what is there; git refuses where that would be overwritten.
            Self::StashTake | Self::StashDrop => none,
            Self::Remove | Self::Overwrite => {
                ActFiles { edited: true, staged: true, untracked: true, ignored: true, ..none }
            }
        }
    }
}

impl TreeAct {
    /// What it touches.
    pub fn touched(&self) -> ActFiles {
        self.files.unwrap_or_else(|| self.verb.files())
    }

    /// Whether that is a file of the kind `change`, which lies in what it is limited to if it `is_below`.
    fn touches(&self, file: &ChangedFile) -> bool {
        let files = self.touched();
        let is_kind = match file.change {
            Change::Edited => files.edited,
            Change::Staged => files.staged,
            Change::Untracked => files.untracked,
            Change::Ignored => files.ignored,
            Change::Overwritten => files.overwritten,
            Change::Rewritten => self.source.is_some(),
        };
        is_kind && (file.is_below || !files.is_below && self.part.is_none())
    }
}

#[cfg(test)]
mod tests;
