//! Leases: the right to a resource until a time, and what becomes of the leases of a room when something is asked or happens.
//!
//! [`decide`] is the one place where that is settled, and is pure: `(now, room, request, facts) -> Decision`. `room` is what
//! is kept of a room, `work` what changes it, `ends` when a lease is over, `queue` who gets one next.

mod decide;
mod ends;
mod queue;
mod room;
#[cfg(test)]
mod tests;
mod work;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stopgate_core::clock::{UnixMillis, minutes, seconds};
use stopgate_core::session::SessionKey;

pub use self::decide::{Answer, Decision, Request, Which, decide};
pub use self::ends::{Facts, Now, Standing, may_be_taken, next_end};
pub use self::room::{RoomLeases, Waiter};
pub use self::work::Change;
use crate::resource::Resource;

/// How long whoever was given a lease out of the queue has to take it up, before the next in the queue gets it.
pub const TAKE_UP_MS: i64 = seconds(60);
/// How long a place in the queue is kept whose waiter has gone, so that whoever asks again has it.
pub const PLACE_KEPT_MS: i64 = seconds(60);
/// After a jump of the clocks of more than [`JUMP_MS`]: how long every end waits for a sign of life.
pub const JUMP_PATIENCE_MS: i64 = seconds(30);
/// A suspended machine, or an authority that was away, for longer than this is a jump.
pub const JUMP_MS: i64 = seconds(60);

/// How long leases last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long one stays whose holder's turn is over and of whom nothing is heard.
    pub idle_ms: i64,
    /// How long one stays at most, however busy its holder is, unless that renews it by name.
    pub longest_ms: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { idle_ms: minutes(10), longest_ms: minutes(240) }
    }
}

/// The number of a grant: it rises for ever in a room, and is never used again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub u64);

impl fmt::Display for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Whether a lease may be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseMode {
    /// With others that read.
    Read,
    /// With nobody.
    Write,
}

impl LeaseMode {
    /// Every mode.
    pub const ALL: [Self; 2] = [Self::Read, Self::Write];

    /// The word in the store and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// How a lease came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseOrigin {
    /// The session asked for it.
    Declared,
    /// The fence saw the session write the file while another one lived in the same tree.
    Observed,
}

impl LeaseOrigin {
    /// Every origin.
    pub const ALL: [Self; 2] = [Self::Declared, Self::Observed];

    /// The word in the store and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Observed => "observed",
        }
    }
}

/// What somebody wants to hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// What.
    pub resource: Resource,
    /// Top of the working tree that a path lies in; `None` for a name, which belongs to the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<PathBuf>,
    /// Whether others may read beside it.
    pub mode: LeaseMode,
}

impl Claim {
    /// Whether both mean something of the same tree or room, and one lies in the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.resource.overlaps(&other.resource) && is_same_tree(self.tree.as_ref(), other.tree.as_ref())
    }

    /// Whether two sessions cannot hold both.
    pub fn conflicts(&self, other: &Self) -> bool {
        (self.mode == LeaseMode::Write || other.mode == LeaseMode::Write) && self.overlaps(other)
    }

    /// Whether whoever holds this holds `other`, too.
    pub fn covers(&self, other: &Self) -> bool {
        self.mode >= other.mode
            && self.resource.covers(&other.resource)
            && is_same_tree(self.tree.as_ref(), other.tree.as_ref())
    }
}

/// By their bytes: both were found in the same way.
fn is_same_tree(left: Option<&PathBuf>, right: Option<&PathBuf>) -> bool {
    left.map(|tree| tree.as_os_str()) == right.map(|tree| tree.as_os_str())
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What it is of.
    pub resource: Resource,
    /// Top of the working tree that a path lies in; `None` for a name, which belongs to the room.
    pub tree: Option<PathBuf>,
    /// Whether others may read beside it.
    pub mode: LeaseMode,
    /// How it came about.
    pub origin: LeaseOrigin,
    /// Who holds it.
    pub holder: SessionKey,
    /// The number of the grant.
    pub token: Token,
    /// Since when.
    pub since_ms: UnixMillis,
    /// The same by `CLOCK_BOOTTIME`, which tells how long it has lasted; later after a renewal by name.
    #[serde(default)]
    pub since_boot_ms: i64,
    /// It was given out of the queue, or by name, at this time of `CLOCK_BOOTTIME`, and nothing was heard of the holder since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered_boot_ms: Option<i64>,
    /// The place in the queue that it was given from, which the holder gets back if it is not taken up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<u64>,
}

impl Lease {
    /// What is held.
    pub fn claim(&self) -> Claim {
        Claim { resource: self.resource.clone(), tree: self.tree.clone(), mode: self.mode }
    }

    /// Whether `session` cannot have `claim` while this is held.
    pub fn is_in_the_way(&self, session: &SessionKey, claim: &Claim) -> bool {
        (self.mode == LeaseMode::Write || claim.mode == LeaseMode::Write)
            && self.resource.overlaps(&claim.resource)
            && is_same_tree(self.tree.as_ref(), claim.tree.as_ref())
            && self.holder != *session
    }

    /// Whether it is of `claim`, or of a part of it.
    pub fn lies_in(&self, claim: &Claim) -> bool {
        claim.resource.covers(&self.resource) && is_same_tree(self.tree.as_ref(), claim.tree.as_ref())
    }

    /// Whether its holder holds `claim` by it.
    pub fn gives(&self, claim: &Claim) -> bool {
        self.mode >= claim.mode
            && self.resource.covers(&claim.resource)
            && is_same_tree(self.tree.as_ref(), claim.tree.as_ref())
    }
}

/// Why a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseEnd {
    /// Its holder released it.
    Released,
    /// Its holder passed it to somebody by name.
    Passed,
    /// Its holder holds the same by a larger lease.
    Replaced,
    /// Its session ended.
    SessionEnded,
    /// The holder's process is proven gone.
    HolderGone,
    /// The holder's turn was over and nothing was heard of it.
    Idle,
    /// It lasted as long as any may.
    Longest,
    /// Somebody took it.
    Taken,
    /// It was given out of the queue, and the holder did not take it up while others waited.
    NotTakenUp,
    /// Observed: the file is as git has it, and the turn is over.
    Clean,
}

impl LeaseEnd {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Released,
        Self::Passed,
        Self::Replaced,
        Self::SessionEnded,
        Self::HolderGone,
        Self::Idle,
        Self::Longest,
        Self::Taken,
        Self::NotTakenUp,
        Self::Clean,
    ];

    /// The word in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Passed => "passed",
            Self::Replaced => "replaced",
            Self::SessionEnded => "session_ended",
            Self::HolderGone => "holder_gone",
            Self::Idle => "idle",
            Self::Longest => "longest",
            Self::Taken => "taken",
            Self::NotTakenUp => "not_taken_up",
            Self::Clean => "clean",
        }
    }

    /// For people: "it was ...".
    pub const fn described(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Passed => "passed on",
            Self::Replaced => "replaced by a larger one",
            Self::SessionEnded => "over with its session",
            Self::HolderGone => "over because its holder's process is gone",
            Self::Idle => "over because its holder was idle for too long",
            Self::Longest => "over because it lasted as long as any may",
            Self::Taken => "taken",
            Self::NotTakenUp => "given to the next because it was not taken up",
            Self::Clean => "over because the file has no changes any more",
        }
    }

    /// Whether the holder lost it other than by its own word, and lives to hear of it.
    pub const fn is_loss(self) -> bool {
        matches!(self, Self::Idle | Self::Longest | Self::Taken | Self::NotTakenUp)
    }
}

/// Why somebody waits no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitEnd {
    /// It was given what it waited for.
    Granted,
    /// It said so, or its time was up and it did not come back.
    GaveUp,
    /// The session waits for something else, or elsewhere.
    Replaced,
    /// The session ended, or its process is proven gone.
    SessionEnded,
}

impl WaitEnd {
    /// The word in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::GaveUp => "gave_up",
            Self::Replaced => "replaced",
            Self::SessionEnded => "session_ended",
        }
    }
}

/// What whoever gives a lease back says to the next holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoffText {
    /// How things stand.
    pub status: String,
    /// What to do next.
    pub next: String,
    /// A file, or lines of one (`PATH:from-to`), that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
    /// What is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

/// A handoff that waits for the next holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handoff {
    /// Who said it.
    pub from: SessionKey,
    /// The grant that was given back: with the room its identity.
    pub token: Token,
    /// When.
    pub at_ms: UnixMillis,
    /// Of what.
    pub claims: Vec<Claim>,
    /// What.
    #[serde(flatten)]
    pub text: HandoffText,
}
