//! A clock that jumps: `STOPGATE_CLOCK` moves it for all of stopgate's processes at once, also for those that run.

use crate::cell::{Allows, Blocks, Expected, Fault, InForce, NONE, Tells};
use crate::place::Place;
use stopgate_core::clock::DAY_MS;

fn jump(place: &Place, off: i64) -> InForce<'_> {
    // One that has the variable: what starts in the background is given as few as it needs.
    place.stop_authority();
    place.run_authority_with_clock();
    place.set_clock(off);
    InForce::until(|| place.set_clock(0))
}

pub(crate) fn a_day_ahead() -> Fault {
    Fault {
        name: "jumps a day ahead, and back afterwards",
        arrange: |place| jump(place, DAY_MS),
        expected: [
            // The session's last prompt is too long ago for it to be sent back.
            Expected(Tells, &[]),
            Expected(Blocks, &[]),
            Expected(Allows, &[]),
        ],
        ..NONE
    }
}

pub(crate) fn a_day_back() -> Fault {
    Fault { name: "jumps a day back, and ahead afterwards", arrange: |place| jump(place, -DAY_MS), ..NONE }
}
