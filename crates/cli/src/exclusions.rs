//! What the configuration of a checkout takes for no plan: whoever wrote the checkout has written that.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;
use stopgate_config::{load_for_checkout, project_file};
use stopgate_protocol::SessionRow;

use crate::context::CliContext;

/// Checkouts that are looked into.
const MAX_CHECKOUTS: usize = 200;

/// One checkout's list.
#[derive(Serialize)]
pub(crate) struct Exclusions {
    /// Its configuration.
    pub(crate) file: PathBuf,
    /// What it takes for no plan, beyond what the user's own configuration says.
    pub(crate) paths: Vec<String>,
}

/// The lists of the checkouts that `sessions` work in and that say anything.
pub(crate) fn of(context: &CliContext, sessions: &[SessionRow]) -> Vec<Exclusions> {
    let own = stopgate_config::load(&context.home).unwrap_or_default();
    let checkouts = checkouts(sessions);
    let list = |checkout: &PathBuf| {
        let config = load_for_checkout(&own, checkout).ok()?;
        let paths: Vec<_> =
            config.gate.exclude_plans.into_iter().filter(|path| !own.gate.exclude_plans.contains(path)).collect();
        (!paths.is_empty()).then(|| Exclusions { file: project_file(checkout), paths })
    };
    checkouts.into_iter().filter_map(list).collect()
}

/// The checkouts that `sessions` work in.
pub(crate) fn checkouts(sessions: &[SessionRow]) -> BTreeSet<&PathBuf> {
    let rows = sessions.iter().filter(|row| !row.state.is_over());
    rows.filter_map(|row| row.checkout.as_ref()).take(MAX_CHECKOUTS).collect()
}
