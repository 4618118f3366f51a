//! How often a session may be sent back to its work.

/// Continues per session; the third is a `force_allow`. From the prior art: two reminders that did not help will
/// not be helped by a third.
pub const MAX_CONTINUES_PER_SESSION: u32 = 2;

/// Whether one more continue is within the ceiling after `prior` of them.
pub const fn allows(prior: u32) -> bool {
    prior < MAX_CONTINUES_PER_SESSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_continues_and_no_more() {
        assert_eq!([0, 1, 2, 3, u32::MAX].map(allows), [true, true, false, false, false]);
    }
}
