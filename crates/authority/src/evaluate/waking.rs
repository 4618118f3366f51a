//! How many of a stop's background tasks bring the session back to its work.

use jiff::{Timestamp, tz::TimeZone};
use stopgate_core::clock::{UnixMillis, minutes};
use stopgate_core::harness::Stop;
use stopgate_gate::cron::{self, WallMinute};
use stopgate_gate::servers;
use stopgate_gate::transcript::Transcript;

use crate::state::State;

/// A wake-up that is further away than this is no reason to end the turn: the longest that the client's own tool for that
/// (`ScheduleWakeup`) waits is an hour.
const SOON_MINUTES: u32 = 61;

/// The tasks of `stop` that wake its session: what is scheduled counts if it comes up soon, a shell unless it is
/// a server or the like that never ends, and teammates unless the end of
/// the transcript tells that all of them wait for work themselves. What is not understood counts.
pub(super) fn tasks(state: &State, stop: &Stop, told: Option<&Transcript>) -> usize {
    let now_ms = state.storage.now_ms();
    let comes_up = |schedule: &&String| cron::comes_up(schedule, soon(now_ms)).unwrap_or(true);
    let ends = |command: &&String| !servers::runs_for_ever(command);
    let sure =
        stop.surely_waking() + stop.schedules.iter().filter(comes_up).count() + stop.shells.iter().filter(ends).count();
    if sure > 0 || stop.teammates == 0 {
        return sure;
    }
    let all_wait = told.is_some_and(|told| told.all_wait(stop.teammates));
    if all_wait { 0 } else { stop.teammates }
}

/// The minutes from `now_ms` on that are soon.
fn soon(now_ms: UnixMillis) -> impl Iterator<Item = WallMinute> {
    let zone = TimeZone::system();
    (0..=SOON_MINUTES).filter_map(move |ahead| {
        let at =
            Timestamp::from_millisecond(now_ms.saturating_add(minutes(ahead))).ok()?.to_zoned_datetime(zone.clone());
        let part = |number: i8| u8::try_from(number).ok();
        Some(WallMinute {
            minute: part(at.minute())?,
            hour: part(at.hour())?,
            day: part(at.day())?,
            month: part(at.month())?,
            weekday: part(at.weekday().to_sunday_zero_offset())?,
        })
    })
}
