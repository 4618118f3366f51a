//! Codex as it sees its hooks: which of ours it would run, and which it skips without a word.
//!
//! Codex runs a hook only if `config.toml` holds a trusted hash of its definition. The hash is Codex's own affair, so
//! that Codex is asked (`codex app-server`, `hooks/list`) instead of computing it.

pub(crate) mod config;
mod server;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::{Value, json};
use stopgate_core::clock::UnixMillis;
use stopgate_core::env::{self, Env};
use stopgate_core::paths::Home;

use crate::backup;
use crate::digest::sha256;
use crate::ledger::{Original, TrustRecord};
use crate::settings::locate::{self, Location};
use crate::settings::write::Target;
use crate::wiring::hook_of;

pub(crate) use server::client;

/// What Codex does with a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Trust {
    /// It runs.
    Trusted,
    /// It is skipped: nobody has agreed to it.
    Untrusted,
    /// It is skipped: it is not what was agreed to.
    Changed,
    /// It is skipped: the person switched it off.
    Disabled,
    /// Codex says something that this version does not know.
    Unknown,
}

impl Trust {
    /// The word on screen.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Untrusted => "untrusted",
            Self::Changed => "changed",
            Self::Disabled => "disabled",
            Self::Unknown => "unknown",
        }
    }

    fn of(status: Option<&str>, is_enabled: bool) -> Self {
        match (is_enabled, status) {
            (false, _) => Self::Disabled,
            (true, Some("trusted")) => Self::Trusted,
            (true, Some("untrusted")) => Self::Untrusted,
            (true, Some("modified" | "changed")) => Self::Changed,
            (true, _) => Self::Unknown,
        }
    }

    /// Whether `--trust` may change it. What a person switched off stays off.
    const fn can_be_given(self) -> bool {
        matches!(self, Self::Untrusted | Self::Changed)
    }
}

/// A hook of ours as Codex lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listed {
    /// Name below `hooks.state` in `config.toml`.
    pub(crate) key: String,
    /// Its event, spelled as in our table.
    pub(crate) event: String,
    /// File name of the hook.
    pub(crate) hook: &'static str,
    /// What Codex does with it.
    pub(crate) trust: Trust,
    /// What has to be written to trust it.
    #[serde(skip)]
    hash: String,
}

/// What Codex answered about one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CodexAnswer {
    /// Our hooks in the file.
    pub(crate) hooks: Vec<Listed>,
    /// Our hooks that come from a plugin.
    pub(crate) from_plugins: Vec<String>,
    /// What Codex warns of.
    pub(crate) warnings: Vec<String>,
}

/// Why Codex could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unasked {
    /// There is no `codex` on the search path.
    NoClient,
    /// It gave no answer.
    Failed(String),
}

impl std::fmt::Display for Unasked {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoClient => out.write_str("there is no program `codex` on the search path to ask"),
            Self::Failed(problem) => write!(out, "`codex app-server` gave no answer: {problem}"),
        }
    }
}

/// Asks Codex about our hooks in the file at `location`.
pub(crate) fn ask(environment: &dyn Env, location: &Location, bin: &Path) -> Result<CodexAnswer, Unasked> {
    let program = client(environment).ok_or(Unasked::NoClient)?;
    let mut server = server::CodexServer::start(environment, &program).map_err(Unasked::Failed)?;
    list(&mut server, environment, location, bin).map_err(Unasked::Failed)
}

fn list(
    server: &mut server::CodexServer,
    env: &dyn Env,
    location: &Location,
    bin: &Path,
) -> Result<CodexAnswer, String> {
    let home = env.os(env::HOME).map(PathBuf::from);
    let cwd = location.project.clone().or(home).unwrap_or_else(|| PathBuf::from("/"));
    let result = server.call("hooks/list", &json!({ "cwds": [cwd] }))?;
    let rows = result["data"].as_array().ok_or_else(|| format!("not an answer to hooks/list: {result}"))?;
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let file = real(&location.path);
    let mut answer = CodexAnswer::default();
    for row in rows {
        let texts =
            |name: &str| row[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        answer.warnings.extend(texts("warnings").chain(texts("errors")));
        for hook in row["hooks"].as_array().into_iter().flatten() {
            let Some(ours) = hook["command"].as_str().and_then(|command| hook_of(command, bin)) else {
                continue;
            };
            let text = |name: &str| hook[name].as_str().unwrap_or_default().to_owned();
            if let Some(plugin) = hook["pluginId"].as_str() {
                answer.from_plugins.push(plugin.to_owned());
            } else if real(Path::new(&text("sourcePath"))) == file {
                answer.hooks.push(Listed {
                    event: event_name(&text("eventName")),
                    hook: ours.name(),
                    trust: Trust::of(hook["trustStatus"].as_str(), hook["enabled"].as_bool().unwrap_or(true)),
                    key: text("key"),
                    hash: text("currentHash"),
                });
            }
        }
    }
    Ok(answer)
}

/// `sessionStart` or `session_start` as `SessionStart`.
fn event_name(name: &str) -> String {
    let mut out = String::new();
    let mut starts_word = true;
    for symbol in name.chars() {
        if symbol == '_' {
            starts_word = true;
            continue;
        }
        if starts_word {
            out.extend(symbol.to_uppercase());
        } else {
            out.push(symbol);
        }
        starts_word = false;
    }
    out
}

/// What came of writing trust.
#[derive(Debug)]
pub(crate) struct Trusted {
    /// What the ledger has to know; `None` if nothing had to be written.
    pub(crate) record: Option<TrustRecord>,
    /// How it is now.
    pub(crate) hooks: Vec<Listed>,
}

/// The file that holds trust.
pub(crate) fn config_file(environment: &dyn Env) -> Result<PathBuf> {
    Ok(locate::user_dir(environment, stopgate_core::session::Harness::Codex)?.join("config.toml"))
}

/// Lets Codex trust our hooks in the file at `location`, apart from those that the person switched off. Codex writes
/// its `config.toml` itself; how the file was is kept in `home`.
pub(crate) fn trust(
    environment: &dyn Env,
    home: &Home,
    location: &Location,
    old: Option<&TrustRecord>,
    now: UnixMillis,
) -> Result<Trusted> {
    let program = client(environment).context("there is no program `codex` on the search path")?;
    let failed = |problem: String| anyhow::anyhow!("`codex app-server`: {problem}");
    let mut server = server::CodexServer::start(environment, &program).map_err(failed)?;
    let before = list(&mut server, environment, location, &home.bin()).map_err(failed)?;
    let wanted: Vec<&Listed> = before.hooks.iter().filter(|hook| hook.trust.can_be_given()).collect();
    if wanted.is_empty() {
        return Ok(Trusted { record: None, hooks: before.hooks });
    }
    let target = Target::resolve(&config_file(environment)?)?;
    let lines = wanted.iter().map(|hook| format!("\n[hooks.state.{:?}]\ntrusted_hash = {:?}", hook.key, hook.hash));
    target.refuse_obstacle(&format!("put these lines there yourself:{}", lines.collect::<String>()))?;
    let (bytes, access) = (target.read()?, target.access()?);
    let original = original(old, bytes.as_deref(), home, &target.file, now)?;
    let value: serde_json::Map<String, Value> =
        wanted.iter().map(|hook| (hook.key.clone(), json!({ "trusted_hash": hook.hash }))).collect();
    let edit = json!({ "keyPath": "hooks.state", "value": value, "mergeStrategy": "upsert" });
    server.call("config/batchWrite", &json!({ "edits": [edit] })).map_err(failed)?;
    if let Some(access) = &access {
        // Codex makes a new file, which has nothing of the old one but its text.
        target.give_back(access)?;
    }

    let mut keys = old.map(|old| old.keys.clone()).unwrap_or_default();
    keys.extend(wanted.iter().map(|hook| hook.key.clone()).filter(|key| !keys.contains(key)).collect::<Vec<_>>());
    let after = target.read()?.unwrap_or_default();
    let record = TrustRecord { config: target.file, keys, original, sha256_after: sha256(&after) };
    let hooks = list(&mut server, environment, location, &home.bin()).map_err(failed)?.hooks;
    if let Some(left) = hooks.iter().find(|hook| hook.trust.can_be_given()) {
        bail!("Codex took the trust for {} on {} and does not show it", left.hook, left.event);
    }
    Ok(Trusted { record: Some(record), hooks })
}

fn original(
    old: Option<&TrustRecord>,
    before: Option<&[u8]>,
    home: &Home,
    file: &Path,
    now: UnixMillis,
) -> Result<Original> {
    Ok(match (old, before) {
        // Nobody but us wrote it since the first time.
        (Some(old), Some(bytes)) if old.sha256_after == sha256(bytes) => old.original.clone(),
        (Some(_), _) => Original::Unknown,
        (None, None) => Original::Missing,
        (None, Some(bytes)) => Original::Kept { sha256: sha256(bytes), backup: backup::keep(home, file, bytes, now)? },
    })
}

/// How a person trusts our hooks by hand.
pub(crate) fn steps(location: &Location) -> Vec<String> {
    let mut steps = Vec::new();
    if let Some(project) = &location.project {
        steps.push(format!("start `codex` in {} and trust the directory if it asks", project.display()));
    } else {
        steps.push("start `codex`".to_owned());
    }
    steps.push("at \"Hooks need review\" choose \"Review hooks\" (or enter /hooks)".to_owned());
    steps.push(
        "trust the entries that run programs of stopgate's; `codex exec` skips them silently until then".to_owned(),
    );
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_codex_says_is_one_of_our_words() {
        for (status, enabled, trust) in [
            (Some("trusted"), true, Trust::Trusted),
            (Some("modified"), true, Trust::Changed),
            (Some("trusted"), false, Trust::Disabled),
            (Some("untrusted"), false, Trust::Disabled),
            (Some("managed?"), true, Trust::Unknown),
            (None, true, Trust::Unknown),
        ] {
            assert_eq!(Trust::of(status, enabled), trust, "{status:?} {enabled}");
            assert!(enabled || !trust.can_be_given(), "what a person switched off stays off");
        }
    }

    #[test]
    fn events_are_spelled_as_in_the_table() {
        assert_eq!(event_name("sessionStart"), "SessionStart");
        assert_eq!(event_name("user_prompt_submit"), "UserPromptSubmit");
        assert_eq!(event_name("stop"), "Stop");
    }
}
