//! The layers of a harness's settings: one of them may switch hooks off.

use stopgate_core::session::Harness;

use super::finding::Checkup;
use crate::account::Account;
use crate::commands::Context;
use crate::dialect;
use crate::ledger::Ledger;
use crate::switched_off::{Keeper, SwitchedOff};

/// Looks into the files of every harness that has something of ours and is not asked itself.
pub(super) fn check(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    for harness in Harness::ALL {
        let mut installs = ledger.installs.iter().filter(|install| install.harness == harness).peekable();
        if installs.peek().is_none() || dialect::of(harness).asks_for_trust() {
            continue;
        }
        let accounts = Account::all(context.environment, ledger, harness);
        let cwd = std::env::current_dir().ok();
        let projects: Vec<_> = installs.filter_map(|install| install.project.clone()).chain(cwd).collect();
        report(&dialect::of(harness).switched_off(&accounts, &projects, &context.home.bin()), checkup);
    }
}

/// What switches hooks off, each setting once.
pub(super) fn report(found: &[SwitchedOff], checkup: &mut Checkup) {
    for one in found {
        let why = "what is registered and trusted does not matter while it is";
        let is_known = checkup.findings.iter().any(|known| known.subject == one.place && known.what == one.what());
        match one.keeper {
            _ if is_known => {}
            Keeper::Administrator => checkup.problem("hooks-managed", &one.place, one.what(), why, one.fix()),
            Keeper::Person => checkup.problem("hooks-disabled", &one.place, one.what(), why, one.fix()),
        }
    }
}
