//! The programs of a release, by name.

use stopgate_core::autostart::{INSTALLER, PROGRAM};
use stopgate_core::hook::Hook;

/// What stays in the place of a hook: sessions that run while we leave still call it.
pub(crate) const STUB: &str = "#!/bin/sh\nexit 0\n";

/// Names of the programs that are installed.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    Hook::NAMES.into_iter().chain([PROGRAM, INSTALLER])
}
