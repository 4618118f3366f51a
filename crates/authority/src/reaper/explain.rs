//! Why a session is kept, or what would happen to it next.

use stopgate_config::ReaperConfig;
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::SessionKey;
use stopgate_reaper::gates::ReaperVerdict;
use stopgate_reaper::pressure::{assess, threshold};
use stopgate_reaper::report::{ReaperExplanation, ReaperSession};
use stopgate_store::StoreError;

use super::state::{Reaper, lock};
use super::{machine, tick};

/// Looks at one session now, with every gate; nothing is remembered of it. `None` if no such session lives.
pub(crate) fn explain(reaper: &Reaper, key: &SessionKey) -> Result<Option<ReaperExplanation>, StoreError> {
    let _looking = lock(&reaper.looking);
    let config = reaper.config();
    let now = reaper.storage.moment();
    let looked = tick::gather(reaper, &config, now, Some(key))?;
    let Some(one) = looked.into_iter().find(|one| one.row.key() == *key) else { return Ok(None) };
    let pending = lock(&reaper.now).pending.get(key).copied();
    let tripped = reaper.storage.with_store(|store| store.reaper_trip())?.is_some();
    let pressure = assess(machine::reading(), &config);
    let threshold = threshold(pressure.tier, &config);
    let session = one.report(pending.is_some(), now.awake_ms);
    let outlook = outlook(&config, tripped, one.verdict, &session, threshold);
    Ok(Some(ReaperExplanation {
        gates: one.readings,
        pressure,
        active_threshold_minutes: threshold.map(|ms| ms / 60_000),
        outlook,
        session,
    }))
}

fn outlook(
    config: &ReaperConfig,
    tripped: bool,
    verdict: ReaperVerdict,
    session: &ReaperSession,
    threshold: Option<UnixMillis>,
) -> String {
    let verb = match (config.dry_run, tripped) {
        (true, _) => "would be ended (this is a rehearsal)",
        (false, true) => "would be ended (a rehearsal since an end failed: `stopgate reaper status`)",
        (false, false) => "will be ended",
    };
    match (config.enabled, verdict, threshold) {
        (false, ..) => "stays: the reaper is off (`stopgate reaper enable`)".to_owned(),
        (_, ReaperVerdict::Keep(gate), _) => format!("stays: {gate}"),
        (_, ReaperVerdict::Eligible, _) if session.reap_pending => {
            format!("{verb} at the next look, unless anything moves")
        }
        (_, ReaperVerdict::Eligible, None) => "stays: there is no pressure".to_owned(),
        (_, ReaperVerdict::Eligible, Some(threshold)) => {
            let left = (threshold - session.idle_ms).max(0) / 60_000;
            format!("{verb} once it is idle for {} min; about {left} min to go", threshold / 60_000)
        }
    }
}
