//! `stopgate`: the operator's hand, and the authority in the same program. The two know nothing of each other, so that
//! neither waits for the other to be compiled.

use std::process::ExitCode;

use stopgate_authority::trial::try_stop;
use stopgate_authority::{RunError, RunOptions};

fn main() -> ExitCode {
    stopgate_cli::main(
        |home, detached| match stopgate_authority::run(home, RunOptions { detached }) {
            // Two hooks may start one at the same time; the second has nothing to do.
            Err(RunError::AlreadyRunning(_)) if detached => Ok(()),
            done => Ok(done?),
        },
        try_stop,
    )
}
