//! Settings by which a harness runs no hook of ours, whatever is registered and trusted: found where they stand, and
//! named with whoever may change them.

use std::path::{Path, PathBuf};

use serde::Serialize;
use stopgate_core::harness::{claude, codex};
use stopgate_core::session::Harness;
use toml_edit::{DocumentMut, Item};

use crate::account::Account;
use crate::settings::document::{Document, Value};
use crate::settings::edit;
use crate::settings::write::read_settings;

/// Who may change a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Keeper {
    /// Whoever administers the machine, or the organisation.
    Administrator,
    /// The person.
    Person,
}

/// A setting that switches hooks off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SwitchedOff {
    /// Whose hooks.
    pub(crate) harness: Harness,
    /// The file, or what else it comes from.
    pub(crate) place: String,
    /// The key and its value, as they stand there.
    pub(crate) setting: String,
    /// Who may change it.
    pub(crate) keeper: Keeper,
    /// Whether an administrator's hooks still run.
    pub(crate) spares_managed: bool,
}

impl SwitchedOff {
    /// What it does.
    pub(crate) fn what(&self) -> String {
        let product = self.harness.spec().product;
        let effect =
            if self.spares_managed { "runs none but the administrator's hooks" } else { "runs no hook at all" };
        format!("`{}`: {product} {effect}, and does not say so", self.setting)
    }

    /// What can be done about it, and by whom.
    pub(crate) fn fix(&self) -> String {
        let name = self.harness.name();
        match (self.keeper, self.spares_managed) {
            (Keeper::Person, _) => "take it out there if you want hooks".to_owned(),
            (Keeper::Administrator, false) => {
                "only an administrator can change it: ask for it to be taken out; trust and `installer init` cannot help"
                    .to_owned()
            }
            (Keeper::Administrator, true) => format!(
                "only an administrator can change it: ask for it to be taken out, or for stopgate's hooks (`installer \
                 snippet {name}` prints them) to be registered there; trust and `installer init` cannot help"
            ),
        }
    }
}

/// Codex's file of an administrator that sets what all others may not change.
const CODEX_REQUIREMENTS: &str = codex::MANAGED[0];

/// What switches the hooks of Claude Code off, in managed settings, in those of `accounts` and of `projects`. Programs in
/// `bin` that the administrator registers are ours, too.
pub(crate) fn by_claude(accounts: &[Account], projects: &[PathBuf], bin: &Path) -> Vec<SwitchedOff> {
    let managed = claude::managed_settings(Path::new(claude::MANAGED));
    let spec = Harness::Claude.spec();
    let names: Vec<&str> = [spec.settings].into_iter().chain(spec.local_settings).collect();
    let own = accounts.iter().map(|account| account.file(spec.settings));
    let of_projects =
        projects.iter().flat_map(|project| names.iter().map(|name| project.join(spec.directory).join(name)));
    let mut layers: Vec<PathBuf> = own.chain(of_projects).collect();
    layers.sort();
    layers.dedup();
    let read = |path: &PathBuf| Document::parse(&read_settings(path).ok()??).ok();
    let has_ours = |path: &PathBuf| {
        read(path).is_some_and(|document| edit::registered(&document, bin).is_ok_and(|entries| !entries.is_empty()))
    };
    let is_managed = managed.iter().any(has_ours);
    let mut found = Vec::new();
    for (path, keeper) in
        managed.iter().map(|path| (path, Keeper::Administrator)).chain(layers.iter().map(|path| (path, Keeper::Person)))
    {
        // A broken layer switches nothing off, and is told of elsewhere.
        let Some(value) = read(path).and_then(|document| document.value()) else { continue };
        let is_on = |name: &str| value.get(name) == Some(&Value::Bool(true));
        let mut add = |name: &str, spares_managed| {
            let (place, setting) = (path.display().to_string(), format!("{name}: true"));
            found.push(SwitchedOff { harness: Harness::Claude, place, setting, keeper, spares_managed });
        };
        if is_on("disableAllHooks") && (keeper == Keeper::Administrator || !is_managed) {
            add("disableAllHooks", keeper == Keeper::Person);
        }
        // Nobody but the administrator can say that.
        if is_on("allowManagedHooksOnly") && keeper == Keeper::Administrator && !is_managed {
            add("allowManagedHooksOnly", true);
        }
    }
    found
}

/// What switches the hooks of Codex off in files, for `account`, where Codex itself cannot be asked.
pub(crate) fn by_codex(account: &Account) -> Vec<SwitchedOff> {
    let mut found = Vec::new();
    let mut look = |path: &Path, keeper, requires: bool| {
        let text = read_settings(path).ok().flatten().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(Ok(document)) = text.map(|text| text.parse::<DocumentMut>()) else { return };
        let mut add = |setting: &str, spares_managed| {
            let (place, setting) = (path.display().to_string(), setting.to_owned());
            found.push(SwitchedOff { harness: Harness::Codex, place, setting, keeper, spares_managed });
        };
        if requires && document.get("allow_managed_hooks_only").and_then(Item::as_bool) == Some(true) {
            add(ONLY_MANAGED, true);
        }
        let features = document.get("features").and_then(Item::as_table_like);
        if features.and_then(|features| features.get("hooks")).and_then(Item::as_bool) == Some(false) {
            add(NO_HOOKS, false);
        }
    };
    for path in codex::MANAGED {
        look(Path::new(path), Keeper::Administrator, path == CODEX_REQUIREMENTS);
    }
    look(&account.file(crate::codex::CONFIG), Keeper::Person, false);
    found
}

const ONLY_MANAGED: &str = "allow_managed_hooks_only = true";
const NO_HOOKS: &str = "[features] hooks = false";

/// The same off what Codex answers to `configRequirements/read` and `config/read`: it also knows what comes over the
/// network, and what one layer makes of another.
pub(crate) fn as_codex_says(
    requirements: &serde_json::Value,
    config: &serde_json::Value,
    has_managed: bool,
) -> Vec<SwitchedOff> {
    let mut found = Vec::new();
    let mut add = |place: String, setting: &str, keeper, spares_managed| {
        let setting = setting.to_owned();
        found.push(SwitchedOff { harness: Harness::Codex, place, setting, keeper, spares_managed });
    };
    let required = &requirements["requirements"];
    // What is not in the file comes from the organisation.
    let in_file = |setting: &dyn Fn(&DocumentMut) -> bool| {
        let text = std::fs::read_to_string(CODEX_REQUIREMENTS).ok();
        let is_there = text.and_then(|text| text.parse().ok()).is_some_and(|document| setting(&document));
        let place =
            if is_there { CODEX_REQUIREMENTS } else { "the requirements that your organisation gives to Codex" };
        place.to_owned()
    };
    if required["allowManagedHooksOnly"] == true && !has_managed {
        let place = in_file(&|document| document.get("allow_managed_hooks_only").is_some());
        add(place, ONLY_MANAGED, Keeper::Administrator, true);
    }
    if required["featureRequirements"]["hooks"] == false {
        let place = in_file(&|document| document.get("features").is_some());
        add(place, NO_HOOKS, Keeper::Administrator, false);
    } else if config["config"]["features"]["hooks"] == false {
        let origin = &config["origins"]["features.hooks"]["name"];
        let text = |name: &str| origin[name].as_str().map(str::to_owned);
        let folder = text("dotCodexFolder").map(|dir| format!("{dir}/{}", crate::codex::CONFIG));
        let place = text("file").or(folder).or(text("name")).or(text("domain"));
        let keeper = match origin["type"].as_str() {
            Some("user" | "project" | "sessionFlags") | None => Keeper::Person,
            Some(_) => Keeper::Administrator,
        };
        add(place.unwrap_or_else(|| "the configuration of Codex".to_owned()), NO_HOOKS, keeper, false);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_codex_says_is_named_with_whoever_may_change_it() {
        let none = json!({ "requirements": null });
        let config = |origin: serde_json::Value| json!({ "config": { "features": { "hooks": false } }, "origins": { "features.hooks": { "name": origin } } });
        for (origin, place, keeper) in [
            (
                json!({ "type": "user", "file": "/home/dev/.codex/config.toml" }),
                "/home/dev/.codex/config.toml",
                Keeper::Person,
            ),
            (json!({ "type": "project", "dotCodexFolder": "/p/.codex" }), "/p/.codex/config.toml", Keeper::Person),
            (
                json!({ "type": "system", "file": "/etc/codex/config.toml" }),
                "/etc/codex/config.toml",
                Keeper::Administrator,
            ),
            (json!({ "type": "enterpriseManaged", "id": "1", "name": "Acme" }), "Acme", Keeper::Administrator),
            (
                json!({ "type": "mdm", "domain": "com.openai.codex", "key": "k" }),
                "com.openai.codex",
                Keeper::Administrator,
            ),
            (json!(null), "the configuration of Codex", Keeper::Person),
        ] {
            let found = as_codex_says(&none, &config(origin), false);
            let [found] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!((found.place.as_str(), found.keeper), (place, keeper));
            assert!(!found.spares_managed && found.what().contains("runs no hook at all"), "{}", found.what());
        }
        let only = json!({ "requirements": { "allowManagedHooksOnly": true } });
        let well = json!({ "config": { "features": { "hooks": true } }, "origins": {} });
        let found = as_codex_says(&only, &well, false);
        assert!(found[0].fix().contains("trust and `installer init` cannot help"), "{found:?}");
        assert_eq!(as_codex_says(&only, &well, true), [], "the administrator has put ours there");
        assert_eq!(as_codex_says(&none, &well, false), []);
        assert_eq!(as_codex_says(&json!(null), &json!("?"), false), []);
    }
}
