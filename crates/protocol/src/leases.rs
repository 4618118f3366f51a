//! Leases: what is asked of them, and what is said.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stopgate_coordination::lease::{Claim, Handoff, HandoffText, Lease, Token, Waiter};
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::SessionKey;

use crate::{ErrorCode, Failure};

/// Asks something of leases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskLease {
    /// The sessions that the environment of the caller names; which of them it is, if one, is found by its processes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<SessionKey>,
    /// The room.
    pub room: PathBuf,
    /// What.
    #[serde(flatten)]
    pub act: LeaseAct,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum LeaseAct {
    /// All of this at once, or nothing.
    Acquire {
        /// What.
        claims: Vec<Claim>,
        /// For this session, by the beginning of its id or its name; the person's to say.
        #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
        for_session: Option<String>,
    },
    /// The same, and wait until it is there; without claims, for what the session waits for already.
    Wait {
        /// What.
        claims: Vec<Claim>,
        /// How long the answer may take, in milliseconds.
        timeout_ms: u64,
        /// Answer at once, and keep the place.
        #[serde(default)]
        park: bool,
    },
    /// It is still needed: the longest time begins anew.
    Renew {
        /// What; without any, all that the session has asked for.
        claims: Vec<Claim>,
        /// The grant.
        token: Option<Token>,
    },
    /// It is not needed any more.
    Release {
        /// What; without any, all that the session has asked for, and its place in the queue.
        claims: Vec<Claim>,
        /// The grant.
        token: Option<Token>,
        /// What the next holder is told.
        handoff: Option<HandoffText>,
    },
    /// The same, and a session by name gets it.
    Pass {
        /// What.
        claims: Vec<Claim>,
        /// The grant.
        token: Option<Token>,
        /// Who gets it, by the beginning of its id or its name.
        to: String,
        /// What it is told.
        handoff: Option<HandoffText>,
    },
    /// Take it from whoever holds it.
    Take {
        /// What.
        claims: Vec<Claim>,
        /// Why.
        reason: String,
        /// For this session, by the beginning of its id or its name; the person's to say.
        #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
        for_session: Option<String>,
    },
    /// Whether the grant still counts. Everybody may ask who has its number.
    Check {
        /// What.
        claims: Vec<Claim>,
        /// The grant; without one, whether the session holds it.
        token: Option<Token>,
    },
    /// The answer to a wait has arrived.
    Heard {
        /// Which grant it gave.
        token: Token,
    },
}

impl LeaseAct {
    /// What it is of.
    pub fn claims(&self) -> &[Claim] {
        match self {
            Self::Acquire { claims, .. }
            | Self::Wait { claims, .. }
            | Self::Renew { claims, .. }
            | Self::Release { claims, .. }
            | Self::Pass { claims, .. }
            | Self::Take { claims, .. }
            | Self::Check { claims, .. } => claims,
            Self::Heard { .. } => &[],
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseOutcome {
    /// The session holds it.
    Granted,
    /// It was done.
    Done,
    /// The session has a place in the queue.
    Queued,
    /// It was not done; the error says why.
    Refused,
}

/// Answer of [`AskLease`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseAnswer {
    /// What became of it.
    pub outcome: LeaseOutcome,
    /// The number of the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// What is held by it, was given back, or was taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<LeaseRow>,
    /// What is in the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<LeaseRow>,
    /// What others were given at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<LeaseRow>,
    /// What earlier holders have said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handoffs: Vec<HandoffRow>,
    /// How many wait before the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<usize>,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

impl LeaseAnswer {
    /// One that says no more than `outcome`.
    pub fn of(outcome: LeaseOutcome) -> Self {
        Self {
            outcome,
            token: None,
            leases: Vec::new(),
            holders: Vec::new(),
            next: Vec::new(),
            handoffs: Vec::new(),
            before: None,
            error: None,
        }
    }

    /// That it was not done.
    pub fn refused(error: Failure) -> Self {
        Self { error: Some(error), ..Self::of(LeaseOutcome::Refused) }
    }

    /// The exit code of a command that got it.
    pub fn exit_code(&self) -> u8 {
        match (&self.error, self.outcome) {
            (Some(error), _) => error.code.exit_code(),
            (None, LeaseOutcome::Queued) => ErrorCode::Held.exit_code(),
            (None, _) => 0,
        }
    }
}

/// A lease, for whoever looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRow {
    /// The lease.
    #[serde(flatten)]
    pub lease: Lease,
    /// What its holder is called.
    pub name: String,
    /// When it ends if nothing more is heard; `null` while its holder works.
    #[serde(default)]
    pub ends_ms: Option<UnixMillis>,
    /// Whether another session may take it.
    #[serde(default)]
    pub may_be_taken: bool,
}

/// A handoff, for whoever looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoffRow {
    /// The handoff.
    #[serde(flatten)]
    pub handoff: Handoff,
    /// What its author is called.
    pub name: String,
}

/// Asks who holds what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListLeases {
    /// In which room; without one, in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<PathBuf>,
}

/// Answer of [`ListLeases`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaseRoom {
    /// Who holds what.
    pub leases: Vec<LeaseRow>,
    /// Who waits, the first first.
    pub waiters: Vec<WaiterRow>,
    /// What is said to next holders.
    pub handoffs: Vec<HandoffRow>,
}

/// Somebody who waits, for whoever looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaiterRow {
    /// The place.
    #[serde(flatten)]
    pub waiter: Waiter,
    /// What the session is called.
    pub name: String,
    /// Whether it hears of a grant at once.
    pub is_listening: bool,
}

/// What happened to a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseEventKind {
    /// The session holds it.
    Granted,
    /// The fence saw the session write it.
    Observed,
    /// The session holds it no more.
    Ended,
    /// The session waits for it.
    Waits,
    /// The session was passed over, because it could not be reached.
    Skipped,
    /// The session waits no more.
    WaitsNoMore,
    /// The session left word for the next holder.
    HandoffLeft,
    /// The session was given that word.
    HandoffGiven,
    /// The session goes on by another id.
    Inherited,
}

impl LeaseEventKind {
    /// The word in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Observed => "observed",
            Self::Ended => "ended",
            Self::Waits => "waits",
            Self::Skipped => "skipped",
            Self::WaitsNoMore => "waits_no_more",
            Self::HandoffLeft => "handoff_left",
            Self::HandoffGiven => "handoff_given",
            Self::Inherited => "inherited",
        }
    }
}

/// Something that happened to a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseEvent {
    /// Rises.
    #[serde(default)]
    pub id: i64,
    /// When.
    pub at_ms: UnixMillis,
    /// In which room.
    pub room: PathBuf,
    /// What.
    pub kind: LeaseEventKind,
    /// Whom it concerns.
    pub session: SessionKey,
    /// Who else: who took it, was named as the next, or has left word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<SessionKey>,
    /// Of what.
    pub claims: Vec<Claim>,
    /// Which grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// Why: a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What whoever did it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was said to the next holder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<HandoffText>,
    /// The session has to hear of it, and has not yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untold: bool,
}
