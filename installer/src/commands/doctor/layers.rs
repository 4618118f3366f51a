//! The layers of a harness's settings: one of them may switch hooks off.

use stopgate_core::harness::VariablePlace;
use stopgate_core::harness::variables::{self, VariableEffect};
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
        if installs.peek().is_none() {
            continue;
        }
        let accounts = Account::all(context.environment, ledger, harness);
        let cwd = std::env::current_dir().ok();
        let projects: Vec<_> = installs.filter_map(|install| install.project.clone()).chain(cwd).collect();
        let places = [VariablePlace::Machine].into_iter();
        let places = places.chain(accounts.iter().map(|account| VariablePlace::Account(&account.dir)));
        variables(context, harness, places.chain(projects.iter().map(|dir| VariablePlace::Project(dir))), checkup);
        if dialect::of(harness).asks_for_trust() {
            continue;
        }
        report(&dialect::of(harness).switched_off(&accounts, &projects, &context.home.bin()), checkup);
    }
}

/// Variables of ours that files in `places` give to hooks, each once.
pub(super) fn variables<'a>(
    context: &Context<'_>,
    harness: Harness,
    places: impl IntoIterator<Item = VariablePlace<'a>>,
    checkup: &mut Checkup,
) {
    for one in variables::given(harness, places, &context.home) {
        let (file, what) = (one.file.display().to_string(), one.what());
        if checkup.findings.iter().any(|known| known.subject == file && known.what == what) {
            continue;
        }
        if one.effect == VariableEffect::Alters {
            let why = "it counts for every session that reads the file";
            checkup.notice("hooks-variable", file, what, why, one.remedy());
        } else {
            let why = "what is registered and trusted does not matter while it is set";
            checkup.problem("hooks-silenced", file, what, why, one.remedy());
        }
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
