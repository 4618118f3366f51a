//! Settings by which a harness runs no hook, in every layer that can be read: for `stopgate status`. The installer's doctor
//! also asks Codex, which knows of layers that are no files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use stopgate_core::fsx;
use stopgate_core::harness::{VariableFormat, VariablePlace};
use stopgate_core::json;
use stopgate_core::session::Harness;
use toml_edit::{DocumentMut, Item};

/// Largest file that is read.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A setting that switches hooks off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HooksOff {
    /// Whose hooks.
    pub harness: Harness,
    /// The file.
    pub file: PathBuf,
    /// The key and its value.
    pub setting: &'static str,
    /// Whether an administrator's hooks still run.
    pub spares_managed: bool,
}

impl HooksOff {
    /// What it does, for people.
    pub fn what(&self) -> String {
        let effect = if self.spares_managed { "none but the administrator's hooks" } else { "no hook at all" };
        format!("`{}`: {} runs {effect} there, and does not say so", self.setting, self.harness.spec().product)
    }
}

/// What switches the hooks of `harness` off in the files of `places`; `bin` is where this home's programs are: those that an
/// administrator has registered run all the same.
pub fn hooks_off<'a>(
    harness: Harness,
    places: impl IntoIterator<Item = VariablePlace<'a>>,
    bin: &Path,
) -> Vec<HooksOff> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let machine = || harness.variable_files(VariablePlace::Machine).into_iter().map(|(file, _)| file);
    let is_managed = machine().filter_map(|file| read(&file)).any(|text| text.contains(&*bin.to_string_lossy()));
    for place in places {
        let is_machine = matches!(place, VariablePlace::Machine);
        let settings = harness.variable_files(place).into_iter().filter(|(_, format)| *format == VariableFormat::Json);
        let of_settings = settings.map(|(file, _)| (file, off_in_settings as OffIn));
        let of_configuration =
            harness.config_files(place).into_iter().map(|file| (file, off_in_configuration as OffIn));
        for (file, off) in of_settings.chain(of_configuration) {
            // Several paths may lead to one file.
            let Ok(real) = std::fs::canonicalize(&file) else { continue };
            if !seen.insert(real.clone()) {
                continue;
            }
            let Some(text) = read(&real) else { continue };
            for (setting, spares_managed) in off(&text, is_machine) {
                if !(is_managed && spares_managed) {
                    found.push(HooksOff { harness, file: file.clone(), setting, spares_managed });
                }
            }
        }
    }
    found
}

fn read(file: &Path) -> Option<String> {
    String::from_utf8(fsx::read_regular(&std::fs::canonicalize(file).ok()?, MAX_BYTES).ok()?).ok()
}

/// What in a file switches hooks off, and whether an administrator's still run. The flag says whether it is the machine's.
type OffIn = fn(&str, bool) -> Vec<(&'static str, bool)>;

fn off_in_settings(text: &str, is_machine: bool) -> Vec<(&'static str, bool)> {
    let Some(settings) = json::with_comments(text.as_bytes()) else { return Vec::new() };
    let is_on = |name: &str| settings.get(name) == Some(&serde_json::Value::Bool(true));
    let all = is_on("disableAllHooks").then_some(("disableAllHooks: true", !is_machine));
    let others = (is_machine && is_on("allowManagedHooksOnly")).then_some(("allowManagedHooksOnly: true", true));
    all.into_iter().chain(others).collect()
}

fn off_in_configuration(text: &str, is_machine: bool) -> Vec<(&'static str, bool)> {
    let Ok(document) = text.parse::<DocumentMut>() else { return Vec::new() };
    let flag = |item: Option<&Item>| item.and_then(Item::as_bool);
    let features = document.get("features").and_then(Item::as_table_like);
    let all = flag(features.and_then(|features| features.get("hooks"))) == Some(false);
    let others = is_machine && flag(document.get("allow_managed_hooks_only")) == Some(true);
    let all = all.then_some(("[features] hooks = false", false));
    all.into_iter().chain(others.then_some(("allow_managed_hooks_only = true", true))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_switches_hooks_off_is_found_in_every_layer_of_both_clients() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let (account, project) = (dir.path().join("account"), dir.path().join("project"));
        let look = |harness| {
            let places = [VariablePlace::Account(&account), VariablePlace::Project(&project)];
            let found = hooks_off(harness, places, Path::new("/h/bin")).into_iter();
            found.map(|one| (one.file.strip_prefix(dir.path()).unwrap().to_owned(), one.setting)).collect::<Vec<_>>()
        };
        assert_eq!((look(Harness::Claude), look(Harness::Codex)), (vec![], vec![]));
        put("account/settings.json", r#"{"disableAllHooks": false, "allowManagedHooksOnly": true}"#);
        put("account/config.toml", "[features]\nhooks = true\n");
        put("project/.claude/settings.json", "{ broken");
        assert_eq!((look(Harness::Claude), look(Harness::Codex)), (vec![], vec![]));
        put("project/.claude/settings.local.json", "// why\n{\"disableAllHooks\": true}");
        put("project/.codex/config.toml", "features.hooks = false\n");
        put("account/config.toml", "features = { hooks = false }\n");
        assert_eq!(look(Harness::Claude), [("project/.claude/settings.local.json".into(), "disableAllHooks: true")]);
        let off = "[features] hooks = false";
        assert_eq!(
            look(Harness::Codex),
            [("account/config.toml".into(), off), ("project/.codex/config.toml".into(), off)]
        );
        assert_eq!(off_in_settings(r#"{"allowManagedHooksOnly": true, "disableAllHooks": true}"#, true).len(), 2);
        assert_eq!(
            off_in_configuration("allow_managed_hooks_only = true", true),
            [("allow_managed_hooks_only = true", true)]
        );
    }
}
