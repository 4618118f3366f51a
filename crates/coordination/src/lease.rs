//! Leases: the right to a resource until a time, and what is known of who holds one.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::SessionKey;

use crate::resource::Resource;

/// The number of a grant: it rises for ever in a room, and is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub u64);

impl fmt::Display for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Whether a lease may be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseMode {
    /// With others that read.
    Read,
    /// With nobody.
    Write,
}

/// How a lease came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseOrigin {
    /// The session asked for it.
    Declared,
    /// The fence saw the session write the file while another one lived in the same tree.
    Observed,
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
}
