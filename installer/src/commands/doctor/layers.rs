//! The layers of a harness's settings, where it has any: one of them may switch every hook off.

use std::path::Path;

use stopgate_core::session::Harness;

use super::finding::Checkup;
use crate::account::Account;
use crate::commands::Context;
use crate::dialect;
use crate::ledger::Ledger;
use crate::settings::document::{Document, Value};
use crate::settings::write::read_settings;

pub(super) fn check(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    for harness in Harness::ALL {
        if let Some(managed) = dialect::of(harness).managed_settings() {
            check_of(harness, Path::new(managed), context, ledger, checkup);
        }
    }
}

fn check_of(harness: Harness, managed: &Path, context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    let installs: Vec<_> = ledger.installs.iter().filter(|install| install.harness == harness).collect();
    if installs.is_empty() {
        return;
    }
    let spec = harness.spec();
    let mut layers = vec![managed.to_owned()];
    let accounts = Account::all(context.environment, ledger, harness);
    layers.extend(accounts.iter().map(|account| account.file(spec.settings)));
    let cwd = std::env::current_dir().ok();
    for project in installs.iter().filter_map(|install| install.project.as_ref()).chain(&cwd) {
        let names = [spec.settings].into_iter().chain(spec.local_settings);
        layers.extend(names.map(|name| project.join(spec.directory).join(name)));
    }
    layers.sort();
    layers.dedup();
    for path in layers {
        let Ok(Some(bytes)) = read_settings(&path) else { continue };
        // A broken layer of the ledger's is told of elsewhere; any other one switches nothing off.
        let Some(value) = Document::parse(&bytes).ok().and_then(|document| document.value()) else { continue };
        let is_on = |name: &str| value.get(name) == Some(&Value::Bool(true));
        if is_on("disableAllHooks") {
            let what = "`disableAllHooks` is true";
            let why = "no hook of any file or plugin runs while it is, and nothing says so";
            checkup.problem("hooks-disabled", path.display(), what, why, "take it out of that file if you want hooks");
        }
        if is_on("allowManagedHooksOnly") && path == managed {
            let what = "`allowManagedHooksOnly` is true";
            let why = "only the administrator's hooks run on this machine";
            checkup.problem("hooks-managed", path.display(), what, why, "ask the administrator");
        }
    }
}
