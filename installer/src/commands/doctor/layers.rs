//! The layers of Claude Code's settings: one of them may switch every hook off.

use std::path::PathBuf;

use stopgate_core::session::Harness;

use super::finding::Checkup;
use crate::commands::Context;
use crate::ledger::Ledger;
use crate::settings::document::{Document, Value};
use crate::settings::locate::user_dir;
use crate::settings::write::read_settings;

/// Settings that an administrator sets for everybody on the machine.
const MANAGED: &str = "/etc/claude-code/managed-settings.json";

pub(super) fn check(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    let claude: Vec<_> = ledger.installs.iter().filter(|install| install.harness == Harness::Claude).collect();
    if claude.is_empty() {
        return;
    }
    let mut layers = vec![PathBuf::from(MANAGED)];
    layers.extend(user_dir(context.environment, Harness::Claude).ok().map(|dir| dir.join("settings.json")));
    let cwd = std::env::current_dir().ok();
    for project in claude.iter().filter_map(|install| install.project.as_ref()).chain(&cwd) {
        layers.extend([".claude/settings.json", ".claude/settings.local.json"].map(|name| project.join(name)));
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
        if is_on("allowManagedHooksOnly") && path == std::path::Path::new(MANAGED) {
            let what = "`allowManagedHooksOnly` is true";
            let why = "only the administrator's hooks run on this machine";
            checkup.problem("hooks-managed", path.display(), what, why, "ask the administrator");
        }
    }
}
