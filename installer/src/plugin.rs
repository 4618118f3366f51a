//! Plugins for both harnesses, made from the same table as everything else.
//!
//! Their commands run the programs in the home's `bin/`, by a path that no update of a plugin takes away: a harness
//! deletes the directory of an old plugin version while sessions still use it.

use std::path::Path;

use anyhow::Result;
use stopgate_core::fsx;
use stopgate_core::hook::WireSet;
use stopgate_core::session::Harness;

use crate::settings::document::Value;
use crate::settings::edit;
use crate::settings::render::file_text;
use crate::wiring::{UnspeakableHome, Wiring};

/// Name of the plugin, and of the marketplace that holds it.
pub(crate) const NAME: &str = "stopgate";
/// Directory of the Claude Code plugin.
pub(crate) const CLAUDE_DIR: &str = "claude";
/// Directory of the Codex marketplace.
pub(crate) const CODEX_DIR: &str = "codex";

/// Largest `plugin.json` that is looked into.
const MAX_PLUGIN_BYTES: u64 = 64 * 1024;
const CLAUDE_PLUGIN: &str = include_str!("../../templates/plugin/claude-plugin.json");
const CODEX_PLUGIN: &str = include_str!("../../templates/plugin/codex-plugin.json");
const CODEX_MARKETPLACE: &str = include_str!("../../templates/plugin/codex-marketplace.json");
/// When and how an agent uses leases; both clients take the same.
const COORDINATION_SKILL: &str = include_str!("../../templates/plugin/coordination-skill.md");

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// Where, below the directory that was asked for.
    pub(crate) path: String,
    /// What.
    pub(crate) content: String,
}

/// The hooks of `harness`, as a file of their own.
pub(crate) fn hooks_file(harness: Harness, bin: &Path, more: &[WireSet]) -> Result<String, UnspeakableHome> {
    Ok(file_text(&edit::whole_file(&Wiring::with(harness, bin, more)?)))
}

/// Whether `dir` holds plugins that were built before.
pub(crate) fn is_in(dir: &Path) -> bool {
    fsx::read_regular(&dir.join(CLAUDE_DIR).join(".claude-plugin/plugin.json"), MAX_PLUGIN_BYTES)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
        .is_some_and(|plugin| plugin.get("name").and_then(|name| name.as_str()) == Some(NAME))
}

/// All files of both plugins, for the programs in `bin`, with the sets `more`: a harness turns a plugin on and off as a
/// whole, so whoever wants another set makes it anew.
pub(crate) fn files(bin: &Path, more: &[WireSet]) -> Result<Vec<Text>> {
    let filled = |template: &str| template.replace("{{version}}", stopgate_core::VERSION);
    let hooks = |harness| -> Result<String> {
        let Value::Object(mut members) = edit::whole_file(&Wiring::with(harness, bin, more)?) else {
            anyhow::bail!("the hooks are no object");
        };
        let about = "Keeps coding-agent sessions honest: asks stopgate about every stop".to_owned();
        members.insert(0, ("description".to_owned(), Value::String(about)));
        Ok(file_text(&Value::Object(members)))
    };
    let text = |path: String, content: String| Text { path, content };
    let mut files = vec![
        text(format!("{CLAUDE_DIR}/.claude-plugin/plugin.json"), filled(CLAUDE_PLUGIN)),
        text(format!("{CLAUDE_DIR}/hooks/hooks.json"), hooks(Harness::Claude)?),
        text(format!("{CODEX_DIR}/.agents/plugins/marketplace.json"), filled(CODEX_MARKETPLACE)),
        text(format!("{CODEX_DIR}/plugins/{NAME}/.codex-plugin/plugin.json"), filled(CODEX_PLUGIN)),
        text(format!("{CODEX_DIR}/plugins/{NAME}/hooks/hooks.json"), hooks(Harness::Codex)?),
    ];
    // Its description costs tokens in every session: only with the set.
    if more.contains(&WireSet::Coordination) {
        for plugin in [CLAUDE_DIR.to_owned(), format!("{CODEX_DIR}/plugins/{NAME}")] {
            files.push(text(format!("{plugin}/skills/coordination/SKILL.md"), COORDINATION_SKILL.to_owned()));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_strict_json_and_names_the_version_and_the_programs() {
        let files = files(Path::new("/my home/bin"), &[]).unwrap();
        let all = files.iter().map(|file| format!("== {}\n{}", file.path, file.content)).collect::<Vec<_>>().concat();
        for file in &files {
            let value: serde_json::Value = serde_json::from_str(&file.content).unwrap();
            assert!(value.is_object() && file.content.ends_with("}\n"), "{}", file.path);
        }
        assert!(!all.contains("{{"), "{all}");
        insta::assert_snapshot!(all);
    }
    #[test]
    fn the_skill_is_there_with_the_set_and_without_it_is_not() {
        let skills = |more: &[WireSet]| {
            let files = files(Path::new("/b"), more).unwrap();
            files.into_iter().filter(|file| file.path.ends_with("/skills/coordination/SKILL.md")).collect::<Vec<_>>()
        };
        assert_eq!(skills(&[]), []);
        let with = skills(&[WireSet::Coordination]);
        assert!(with.len() == 2 && with.iter().all(|one| one.content.starts_with("---\nname: coordination\n")));
    }
}
