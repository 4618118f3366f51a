//! Leaves a judge alone that fails again and again: pure transitions from state, clock and limits.
//!
//! Closed: every stop may ask. Open: none may, until the cooldown is over. Half-open: one may, by a lease with a
//! token; if it is not settled, the lease runs out and the next one may. Only a fully valid answer closes it again.

use serde::{Deserialize, Serialize};

use stopgate_config::JudgeConfig;
use stopgate_core::clock::{UnixMillis, seconds};

/// Longest token that is believed; a longer one was not made here.
const MAX_TOKEN_BYTES: usize = 128;
/// A probe may take as long as an answer, and this much longer.
const LEASE_MARGIN_MS: i64 = 500;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Failures in a row that open it; 0 never does.
    pub failures: u64,
    /// How long it stays open, in milliseconds.
    pub cooldown_ms: i64,
    /// How long a probe may take before another one is let through, in milliseconds.
    pub lease_ms: i64,
}

impl From<&JudgeConfig> for BreakerLimits {
    fn from(config: &JudgeConfig) -> Self {
        Self {
            failures: u64::from(config.breaker_failures),
            cooldown_ms: seconds(config.breaker_cooldown_seconds),
            lease_ms: i64::from(config.timeout_ms) + LEASE_MARGIN_MS,
        }
    }
}

/// The state of one breaker. Times are milliseconds UTC; 0 means never.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Failures since the last valid answer.
    pub consecutive_failures: u64,
    /// Until when nobody is let through.
    pub open_until_ms: UnixMillis,
    /// Until when the probe that was let through counts.
    pub probe_lease_until_ms: UnixMillis,
    /// What that probe must show when it is settled.
    pub probe_token: Option<String>,
    /// When it first opened since the last valid answer.
    pub first_opened_at_ms: UnixMillis,
    /// How many were not let through since then.
    pub suppressed: u64,
    /// When the state last changed.
    pub updated_at_ms: UnixMillis,
}

/// Whether a judge may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Ask,
    /// Yes, as the one probe that settles whether it works again.
    Probe,
    /// No.
    LeaveAlone,
}

/// What a settled call did to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It is closed and counts nothing.
    Closed,
    /// It is closed, and counts one failure more.
    Counted,
    /// It has opened, or opened again.
    Opened,
    /// The call is none that the breaker waits for: it counts neither way.
    Stale,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerStanding {
    /// Everybody may ask.
    Closed,
    /// Nobody may.
    Open,
    /// The next one may, or one is asking.
    HalfOpen,
}

impl BreakerStanding {
    /// The word in JSON and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl Breaker {
    /// How it stands at `now_ms`.
    pub const fn standing(&self, now_ms: UnixMillis) -> BreakerStanding {
        if self.open_until_ms <= 0 {
            BreakerStanding::Closed
        } else if now_ms < self.open_until_ms {
            BreakerStanding::Open
        } else {
            BreakerStanding::HalfOpen
        }
    }

    /// Whether it counts nothing: as good as none.
    pub const fn is_blank(&self) -> bool {
        self.consecutive_failures == 0 && self.open_until_ms <= 0 && self.probe_token.is_none()
    }

    /// Whether nobody is let through at `now_ms`: it is open, or a probe is on its way.
    pub fn is_shut(&self, now_ms: UnixMillis, limits: BreakerLimits) -> bool {
        let sane = self.sane(now_ms, limits);
        limits.failures > 0
            && match sane.standing(now_ms) {
                BreakerStanding::Closed => false,
                BreakerStanding::Open => true,
                BreakerStanding::HalfOpen => now_ms < sane.probe_lease_until_ms,
            }
    }

    /// Asks to be let through; a probe is leased to `token`.
    pub fn admit(&mut self, now_ms: UnixMillis, limits: BreakerLimits, token: &str) -> Admission {
        if limits.failures == 0 || self.standing(now_ms) == BreakerStanding::Closed {
            return Admission::Ask;
        }
        if self.is_shut(now_ms, limits) {
            self.suppressed = self.suppressed.saturating_add(1);
            return Admission::LeaveAlone;
        }
        self.probe_token = Some(token.to_owned());
        self.probe_lease_until_ms = now_ms.saturating_add(limits.lease_ms);
        self.updated_at_ms = now_ms;
        Admission::Probe
    }

    /// Settles a call: a probe shows its `token`. Whoever was let through while the breaker was closed cannot speak
    /// for it once it has opened, nor can a probe whose lease went to another.
    pub fn settle(
        &mut self,
        now_ms: UnixMillis,
        limits: BreakerLimits,
        token: Option<&str>,
        valid: bool,
    ) -> Settlement {
        let closed = self.standing(now_ms) == BreakerStanding::Closed;
        let speaks = match token {
            Some(token) => self.probe_token.as_deref() == Some(token),
            None => closed,
        };
        if !speaks {
            return Settlement::Stale;
        }
        if valid {
            *self = Self { updated_at_ms: now_ms, ..Self::default() };
            return Settlement::Closed;
        }
        if limits.failures == 0 {
            return Settlement::Counted;
        }
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
        self.updated_at_ms = now_ms;
        if token.is_none() && self.consecutive_failures < limits.failures {
            return Settlement::Counted;
        }
        self.open_until_ms = now_ms.saturating_add(limits.cooldown_ms);
        self.probe_lease_until_ms = 0;
        self.probe_token = None;
        if self.first_opened_at_ms <= 0 {
            self.first_opened_at_ms = now_ms;
        }
        Settlement::Opened
    }

    /// The state with what cannot be true set right: whatever the file says and the clock did, it is not shut for
    /// longer than one cooldown (or lease) after its last change. A change that is yet to come means that the clock
    /// went back: the next one may probe.
    #[must_use]
    fn sane(&self, now_ms: UnixMillis, limits: BreakerLimits) -> Self {
        let changed = self.updated_at_ms.max(0);
        let until = |at: UnixMillis, most: i64| {
            let latest = if changed > now_ms { now_ms } else { changed.saturating_add(most.max(0)) };
            at.clamp(0, latest.max(1))
        };
        Self {
            open_until_ms: until(self.open_until_ms, limits.cooldown_ms),
            probe_lease_until_ms: until(self.probe_lease_until_ms, limits.lease_ms),
            probe_token: self.probe_token.clone().filter(|token| !token.is_empty() && token.len() <= MAX_TOKEN_BYTES),
            first_opened_at_ms: self.first_opened_at_ms.max(0),
            updated_at_ms: changed,
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: BreakerLimits = BreakerLimits { failures: 3, cooldown_ms: 300_000, lease_ms: 20_500 };
    const T0: UnixMillis = 1_700_000_000_000;
    const OPENED: UnixMillis = T0 + 2;
    const OVER: UnixMillis = OPENED + LIMITS.cooldown_ms;

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        let settled: Vec<_> = (0..3)
            .map(|step| {
                assert_eq!(breaker.admit(T0 + step, LIMITS, "-"), Admission::Ask);
                breaker.settle(T0 + step, LIMITS, None, false)
            })
            .collect();
        assert_eq!(settled, [Settlement::Counted, Settlement::Counted, Settlement::Opened]);
        breaker
    }

    #[test]
    fn the_third_failure_in_a_row_opens_it_and_a_valid_answer_between_does_not_count() {
        let mut breaker = opened();
        assert_eq!((breaker.first_opened_at_ms, breaker.open_until_ms), (OPENED, OVER));
        assert_eq!(breaker.admit(OVER - 1, LIMITS, "t"), Admission::LeaveAlone);
        assert_eq!(breaker.suppressed, 1);
        let mut mended = Breaker::default();
        for valid in [false, false, true, false, false] {
            assert_ne!(mended.settle(T0, LIMITS, None, valid), Settlement::Opened);
        }
        assert_eq!((mended.consecutive_failures, mended.standing(T0)), (2, BreakerStanding::Closed));
    }

    #[test]
    fn one_probe_after_the_cooldown_and_only_a_valid_one_closes() {
        let mut breaker = opened();
        for round in 0..4 {
            let now = breaker.open_until_ms;
            assert_eq!(breaker.admit(now, LIMITS, "one"), Admission::Probe, "round {round}");
            assert_eq!(breaker.admit(now + 1, LIMITS, "two"), Admission::LeaveAlone);
            assert_eq!(breaker.settle(now + 9, LIMITS, Some("one"), false), Settlement::Opened);
            assert_eq!(breaker.open_until_ms, now + 9 + LIMITS.cooldown_ms);
        }
        assert_eq!((breaker.consecutive_failures, breaker.first_opened_at_ms), (7, OPENED));
        let now = breaker.open_until_ms;
        assert_eq!(breaker.admit(now, LIMITS, "last"), Admission::Probe);
        assert_eq!(breaker.settle(now + 1, LIMITS, Some("last"), true), Settlement::Closed);
        assert_eq!(breaker, Breaker { updated_at_ms: now + 1, ..Breaker::default() });
    }

    #[test]
    fn a_stranded_lease_runs_out_and_its_token_speaks_no_more() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(OVER, LIMITS, "lost"), Admission::Probe);
        let later = OVER + LIMITS.lease_ms;
        assert_eq!(breaker.admit(later - 1, LIMITS, "early"), Admission::LeaveAlone);
        assert_eq!(breaker.admit(later, LIMITS, "next"), Admission::Probe);
        let held = breaker.clone();
        for valid in [true, false] {
            assert_eq!(breaker.settle(later, LIMITS, Some("lost"), valid), Settlement::Stale);
            assert_eq!(breaker.settle(later, LIMITS, None, valid), Settlement::Stale, "let through before it opened");
        }
        assert_eq!(breaker, held);
        assert_eq!(breaker.settle(later, LIMITS, Some("next"), true), Settlement::Closed);
    }

    #[test]
    fn without_a_threshold_it_never_opens() {
        let never = BreakerLimits { failures: 0, ..LIMITS };
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            assert_eq!(breaker.settle(T0, never, None, false), Settlement::Counted);
        }
        assert_eq!(breaker.admit(T0, never, "t"), Admission::Ask);
        assert_eq!(opened().admit(T0 + 9, never, "t"), Admission::Ask, "switched off while it is open");
    }

    #[test]
    fn nothing_in_the_file_and_no_clock_keeps_it_shut_for_longer_than_a_cooldown() {
        let forever = Breaker { open_until_ms: i64::MAX, probe_lease_until_ms: i64::MAX, ..opened() };
        assert!(forever.is_shut(OVER - 1, LIMITS));
        assert!(!forever.clone().is_shut(OVER, LIMITS));
        let mut back = forever;
        assert_eq!(back.admit(T0 - 1, LIMITS, "t"), Admission::Probe, "the clock went back");
        assert_eq!(back.settle(T0, LIMITS, Some("t"), false), Settlement::Opened);
        assert!(back.is_shut(T0 + 1, LIMITS) && !back.is_shut(T0 + LIMITS.cooldown_ms, LIMITS));
        let garbage = Breaker { open_until_ms: -5, probe_token: Some("x".repeat(129)), ..Breaker::default() };
        assert_eq!(garbage.sane(T0, LIMITS).probe_token, None);
        assert_eq!(garbage.clone().admit(T0, LIMITS, "t"), Admission::Ask);
    }

    proptest! {
        #[test]
        fn any_history_leaves_at_most_one_probe_and_never_an_endless_shut(
            steps in proptest::collection::vec((0_i64..400_000, any::<bool>(), any::<bool>()), 0..60),
            file in (any::<i64>(), any::<i64>(), any::<i64>(), any::<u64>()),
        ) {
            let mut breaker = Breaker {
                open_until_ms: file.0, probe_lease_until_ms: file.1, updated_at_ms: file.2,
                consecutive_failures: file.3, ..Breaker::default()
            };
            let (mut now, mut probes) = (T0, Vec::<(i64, String)>::new());
            for (number, (wait, settles, valid)) in steps.into_iter().enumerate() {
                now += wait;
                let token = format!("t{number}");
                match breaker.admit(now, LIMITS, &token) {
                    Admission::Probe => {
                        probes.retain(|(until, _)| now < *until);
                        prop_assert!(probes.is_empty(), "two leases at once");
                        if settles {
                            prop_assert_ne!(breaker.settle(now, LIMITS, Some(&token), valid), Settlement::Stale);
                        } else {
                            probes.push((now + LIMITS.lease_ms, token));
                        }
                    }
                    Admission::Ask if settles => { breaker.settle(now, LIMITS, None, valid); }
                    Admission::Ask => {}
                    Admission::LeaveAlone => prop_assert!(!breaker.is_shut(now + LIMITS.cooldown_ms, LIMITS)
                        || breaker.open_until_ms > 0),
                }
            }
            let mut free = breaker;
            prop_assert_ne!(free.admit(now.max(free.updated_at_ms) + LIMITS.cooldown_ms.max(LIMITS.lease_ms), LIMITS, "z"),
                Admission::LeaveAlone);
        }
    }
}
