//! What applies to the reaper: the configuration, the operator's switch, and where its readings come from.

use stopgate_core::paths::Home;
use stopgate_core::reaper::switch::applied;
use stopgate_core::reaper::{ReaperConfig, switch};

/// What is configured. The one place that the configuration file is wired to.
fn configured(_home: &Home) -> ReaperConfig {
    ReaperConfig::default()
}

/// What applies now.
pub(crate) fn current(home: &Home) -> ReaperConfig {
    applied(configured(home), switch::read(home))
}
