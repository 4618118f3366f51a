//! Rooms: the sessions of a repository by working tree, their leases, and what happened.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::Harness;
use stopgate_core::session::state::SessionState;

use crate::{LeaseEvent, LeaseRoom};

/// Asks for the room that a path lies in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetRoom {
    /// A directory or file, absolute.
    pub path: PathBuf,
    /// How many events, the newest.
    pub events: u32,
}

/// Answer of [`GetRoom`]. Paths that are not UTF-8 are shown as well as that can be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomView {
    /// The room.
    pub room: String,
    /// Working trees that sessions live in, and the one that was asked for.
    pub trees: Vec<RoomTree>,
    /// Who holds what, who waits, and what was said to next holders.
    #[serde(flatten)]
    pub leases: LeaseRoom,
    /// What happened, the oldest first.
    pub events: Vec<LeaseEvent>,
    /// What the sessions of all this are called, by `harness:id`.
    pub names: BTreeMap<String, String>,
    /// For [`FollowRoom`].
    #[serde(flatten)]
    pub mark: RoomMark,
}

/// A working tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomTree {
    /// Its top.
    pub tree: String,
    /// Who lives in it, the last active first.
    pub sessions: Vec<RoomSession>,
}

/// A session that lives in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSession {
    /// Which client.
    pub harness: Harness,
    /// Which session.
    pub session_id: String,
    /// What it is called.
    pub name: String,
    /// What it is doing.
    pub state: SessionState,
    /// Whether its process is proven to live. One of which that is not known neither holds nor blocks.
    pub is_proven: bool,
    /// When it began.
    pub since_ms: Option<UnixMillis>,
}

/// Up to where somebody knows a room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomMark {
    /// The last event.
    pub last_event: i64,
    /// A number that stands for who lives where.
    pub living: u64,
}

/// Asks for what happens in a room after `mark`, and waits until something does. Whoever leaves is not waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowRoom {
    /// The room, as [`RoomView`] has it.
    pub room: PathBuf,
    /// The last event that is known.
    pub last_event: i64,
    /// Who was known to live where.
    pub living: u64,
    /// How long the answer may take, in milliseconds; then it is one without news.
    pub wait_ms: u64,
}

/// Answer of [`FollowRoom`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomNews {
    /// Working trees that sessions live in.
    pub trees: Vec<RoomTree>,
    /// What happened, the oldest first.
    pub events: Vec<LeaseEvent>,
    /// What the sessions of the events are called, by `harness:id`.
    pub names: BTreeMap<String, String>,
    /// For the next question.
    #[serde(flatten)]
    pub mark: RoomMark,
}
