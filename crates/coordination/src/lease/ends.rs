//! When a lease is over. Durations are of `CLOCK_BOOTTIME`.

use stopgate_core::clock::UnixMillis;
use stopgate_core::session::SessionKey;

use super::queue::next_in_line;
use super::{Lease, LeaseEnd, LeaseOrigin, Limits, RoomLeases, TAKE_UP_MS};

/// Now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time of day, for show.
    pub wall_ms: UnixMillis,
    /// Since the machine was booted, with the time that it was suspended.
    pub boot_ms: i64,
    /// No lease ends for want of a sign of life before this: the clocks have jumped.
    pub no_end_before_boot_ms: i64,
    /// How long leases last.
    pub limits: Limits,
}

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its turn is open, and its process is proven alive.
    Working,
    /// Its turn is open, and whether its process lives cannot be told.
    Unclear,
    /// Its turn is over, or it is not known whether it has one.
    Resting,
}

/// What is known of sessions.
pub trait Facts {
    /// Whether it ended, or its process is proven gone, and which of the two; `None` if neither.
    fn end(&self, session: &SessionKey) -> Option<LeaseEnd>;
    /// When something was heard of it last, by `CLOCK_BOOTTIME`.
    fn sign_boot_ms(&self, session: &SessionKey) -> i64;
    /// What it is doing. Asked only where something depends on it: it may take a look at processes.
    fn standing(&self, session: &SessionKey) -> Standing;
    /// Whether it has a request that waits, so that it hears of a grant at once.
    fn is_listening(&self, session: &SessionKey) -> bool;
    /// Whether its request was cut off a moment ago by the end of an authority, so that it is about to come again: nobody
    /// who waits behind it is served before it.
    fn is_expected(&self, _: &SessionKey) -> bool {
        false
    }
}

/// Why `lease` is over, if it is. What depends on others who wait is in `queue`.
pub(super) fn over(now: &Now, lease: &Lease, facts: &dyn Facts) -> Option<LeaseEnd> {
    if let Some(end) = facts.end(&lease.holder) {
        return Some(end);
    }
    if now.boot_ms < now.no_end_before_boot_ms {
        return None;
    }
    if now.boot_ms - lease.since_boot_ms >= now.limits.longest_ms {
        return Some(LeaseEnd::Longest);
    }
    let is_silent = now.boot_ms - last_sign(lease, facts) >= now.limits.idle_ms;
    (is_silent && rests(lease, facts)).then_some(LeaseEnd::Idle)
}

/// Whether time alone ends `lease` before the longest.
fn rests(lease: &Lease, facts: &dyn Facts) -> bool {
    match facts.standing(&lease.holder) {
        Standing::Resting => true,
        Standing::Working => false,
        // Of what the fence saw, nobody has said for how long it is meant.
        Standing::Unclear => lease.origin == LeaseOrigin::Observed,
    }
}

/// When something was heard last of the holder, or the lease was given.
fn last_sign(lease: &Lease, facts: &dyn Facts) -> i64 {
    facts.sign_boot_ms(&lease.holder).max(lease.since_boot_ms)
}

/// Whether another session may take `lease`: its holder is silent for longer than the idle limit, and not proven to be at
/// work. A turn that is known to be live is the person's to end.
pub fn may_be_taken(now: &Now, lease: &Lease, facts: &dyn Facts) -> bool {
    now.boot_ms >= now.no_end_before_boot_ms
        && now.boot_ms - last_sign(lease, facts) >= now.limits.idle_ms
        && facts.standing(&lease.holder) != Standing::Working
}

/// When, by `CLOCK_BOOTTIME`, the next thing may end by time alone; `None` if nothing does. What ends by then is decided
/// then: a sign of life puts it off.
pub fn next_end(now: &Now, room: &RoomLeases, facts: &dyn Facts) -> Option<i64> {
    let of_lease = |lease: &Lease| {
        let longest = lease.since_boot_ms + now.limits.longest_ms;
        let idle = last_sign(lease, facts) + now.limits.idle_ms;
        // One that is silent for longer already, and works, ends by something that is heard, or not before the longest.
        let idle = if idle > now.boot_ms || rests(lease, facts) { idle } else { longest };
        let offered = lease.offered_boot_ms.map(|offered| offered + TAKE_UP_MS);
        // One that nobody else waits for stays where it is.
        let is_due = |until: &i64| {
            *until > now.boot_ms || *until < now.no_end_before_boot_ms || next_in_line(room, lease, facts).is_some()
        };
        let offered = offered.filter(is_due);
        longest.min(idle).min(offered.unwrap_or(i64::MAX)).max(now.no_end_before_boot_ms)
    };
    let leases = room.leases.iter().map(of_lease);
    leases.chain(room.waiters.iter().filter_map(|waiter| waiter.leaves_boot_ms)).min()
}
