//! Plugins in a harness's directory that register our hooks a second time. (Codex names its own, see `registration`.)

use std::path::{Path, PathBuf};

use stopgate_core::session::Harness;

use super::finding::Checkup;
use super::registration::double;
use crate::account::Account;
use crate::commands::Context;
use crate::dialect;
use crate::ledger::{Install, Ledger};
use crate::settings::document::{Document, Value};
use crate::settings::edit;
use crate::settings::write::read_settings;

/// How deep below `plugins` a plugin's `hooks.json` is: `cache/<marketplace>/<plugin>/<version>/hooks/hooks.json`.
const MAX_DEPTH: usize = 6;
/// More directories than any collection of plugins has.
const MAX_DIRECTORIES: usize = 5_000;

pub(super) fn check(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    for harness in Harness::ALL {
        if let Some(plugins) = dialect::of(harness).plugins() {
            check_of(harness, plugins, context, ledger, checkup);
        }
    }
}

fn check_of(harness: Harness, plugins: &str, context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    for account in Account::all(context.environment, ledger, harness) {
        // Beside a plugin run the file of the same account, and those of projects.
        let own = account.file(harness.spec().settings);
        let runs_there = |install: &&Install| install.settings == own || install.project.is_some();
        let installs = ledger.installs.iter().filter(|install| install.harness == harness);
        if let Some(install) = installs.into_iter().find(runs_there) {
            check_account(&account, plugins, install, context, checkup);
        }
    }
}

fn check_account(account: &Account, plugins: &str, install: &Install, context: &Context<'_>, checkup: &mut Checkup) {
    let harness = install.harness;
    let enabled = enabled(&account.dir);
    for file in hook_files(&account.file(plugins)) {
        let Ok(Some(bytes)) = read_settings(&file) else { continue };
        let Ok(document) = Document::parse(&bytes) else { continue };
        let is_ours = edit::registered(&document, &context.home.bin()).is_ok_and(|entries| !entries.is_empty());
        let names: Vec<&str> = file.iter().filter_map(|part| part.to_str()).collect();
        let Some(plugin) = enabled.iter().find(|plugin| {
            let name = plugin.split('@').next().unwrap_or_default();
            names.contains(&name)
        }) else {
            continue;
        };
        if is_ours {
            let remove = format!("{} plugin disable {plugin}", harness.spec().command);
            double(
                &install.settings.display().to_string(),
                &format!("the plugin in {}", file.display()),
                &remove,
                checkup,
            );
        }
    }
}

/// Names of the plugins that are switched on, as `name@marketplace`.
fn enabled(dir: &Path) -> Vec<String> {
    let settings = read_settings(&dir.join("settings.json")).ok().flatten().unwrap_or_default();
    let value = Document::parse(&settings).ok().and_then(|document| document.value());
    match value.as_ref().and_then(|value| value.get("enabledPlugins")) {
        Some(Value::Object(plugins)) => {
            plugins.iter().filter(|(_, on)| *on == Value::Bool(true)).map(|(name, _)| name.clone()).collect()
        }
        _ => Vec::new(),
    }
}

fn hook_files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![(root.to_owned(), 0)];
    let mut seen = 0;
    while let Some((dir, depth)) = waiting.pop() {
        seen += 1;
        if seen > MAX_DIRECTORIES {
            break;
        }
        let file = dir.join("hooks.json");
        if file.is_file() {
            found.push(file);
        }
        if depth == MAX_DEPTH {
            continue;
        }
        let entries = std::fs::read_dir(&dir).into_iter().flatten().filter_map(Result::ok);
        // Links are not followed: they lead in circles.
        let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        waiting.extend(dirs.map(|entry| (entry.path(), depth + 1)));
    }
    found
}
