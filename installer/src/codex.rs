//! Codex as it sees its hooks: which of ours it would run, and which it skips without a word.
//!
//! Codex runs a hook only if `config.toml` holds a trusted hash of its definition. The hash is Codex's own affair, so
//! that Codex is asked (`codex app-server`, `hooks/list`) instead of computing it.

pub(crate) mod config;
mod server;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Value, json};
use stopgate_core::clock::UnixMillis;
use stopgate_core::env::{self, Env};
use stopgate_core::paths::Home;

use crate::account::Account;
use crate::backup;
use crate::digest::sha256;
use crate::ledger::{Ledger, Original, TrustRecord};
use crate::settings::locate::Location;
use crate::settings::write::Target;
use crate::switched_off::{self, SwitchedOff};
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
    pub(crate) const fn can_be_given(self) -> bool {
        matches!(self, Self::Untrusted | Self::Changed)
    }
}

/// A hook of ours as Codex lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    /// Whether an administrator has registered our hooks: they run without trust.
    pub(crate) is_managed: bool,
    /// What Codex warns of.
    pub(crate) warnings: Vec<String>,
    /// What switches hooks off, ours included.
    pub(crate) switched_off: Vec<SwitchedOff>,
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

/// Asks Codex, as it is for `account`, about our hooks in the file at `location`.
pub(crate) fn ask(
    environment: &dyn Env,
    account: &Account,
    location: &Location,
    bin: &Path,
) -> Result<CodexAnswer, Unasked> {
    let program = client(environment).ok_or(Unasked::NoClient)?;
    let mut server = server::CodexServer::start(environment, account, &program).map_err(Unasked::Failed)?;
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
            answer.is_managed |= hook["isManaged"] == true;
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
    // A client that does not know the question has no such setting, as far as can be told.
    let requirements = server.call("configRequirements/read", &json!({})).unwrap_or_default();
    let config = server.call("config/read", &json!({ "includeLayers": false, "cwd": cwd })).unwrap_or_default();
    answer.switched_off = switched_off::as_codex_says(&requirements, &config, answer.is_managed);
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
    /// Whether it had to be written.
    pub(crate) is_written: bool,
    /// How it is now.
    pub(crate) answer: CodexAnswer,
}

/// The file in an account's directory that holds trust.
pub(crate) const CONFIG: &str = "config.toml";

/// Lets Codex, as it is for `account`, trust our hooks in the file at `location`, apart from those that the person
/// switched off. Codex writes its `config.toml` itself; how the file was is kept in `home`, and `ledger`, which is not
/// saved, knows of it afterwards.
pub(crate) fn trust(
    environment: &dyn Env,
    home: &Home,
    ledger: &mut Ledger,
    account: &Account,
    location: &Location,
    now: UnixMillis,
) -> Result<Trusted> {
    let program = client(environment).context("there is no program `codex` on the search path")?;
    let failed = |problem: String| anyhow::anyhow!("`codex app-server`: {problem}");
    let mut server = server::CodexServer::start(environment, account, &program).map_err(failed)?;
    let before = list(&mut server, environment, location, &home.bin()).map_err(failed)?;
    let wanted: Vec<&Listed> = before.hooks.iter().filter(|hook| hook.trust.can_be_given()).collect();
    if wanted.is_empty() {
        return Ok(Trusted { is_written: false, answer: before });
    }
    let target = Target::resolve(&account.file(CONFIG))?;
    let lines = wanted.iter().map(|hook| format!("\n[hooks.state.{:?}]\ntrusted_hash = {:?}", hook.key, hook.hash));
    target.refuse_obstacle(&format!("put these lines there yourself:{}", lines.collect::<String>()))?;
    let (bytes, access) = (target.read()?, target.access()?);
    let mut record = record_before(ledger, &target.file, bytes.as_deref(), location, home, now)?;
    let value: serde_json::Map<String, Value> =
        wanted.iter().map(|hook| (hook.key.clone(), json!({ "trusted_hash": hook.hash }))).collect();
    let edit = json!({ "keyPath": "hooks.state", "value": value, "mergeStrategy": "upsert" });
    server.call("config/batchWrite", &json!({ "edits": [edit] })).map_err(failed)?;
    if let Some(access) = &access {
        // Codex makes a new file, which has nothing of the old one but its text.
        target.give_back(access)?;
    }

    for hook in &wanted {
        if !record.keys.contains(&hook.key) {
            record.keys.push(hook.key.clone());
        }
    }
    let before = bytes.as_deref().map(sha256);
    record.sha256_after = sha256(&target.read()?.unwrap_or_default());
    for other in ledger.trust_of_others(&location.path, &target.file) {
        if before.as_ref() == Some(&other.sha256_after) {
            other.sha256_after.clone_from(&record.sha256_after);
        }
    }
    let install = ledger.installs.iter_mut().find(|install| install.settings == location.path);
    let install = install.context("the ledger does not know the file")?;
    install.trust.retain(|known| known.config != record.config);
    install.trust.push(record);
    let answer = list(&mut server, environment, location, &home.bin()).map_err(failed)?;
    Ok(Trusted { is_written: true, answer })
}

/// The record of the file `config`, which is `before` now and will be written: how it was before the first trust of any
/// of our hooks, if nobody else has written it since.
fn record_before(
    ledger: &mut Ledger,
    config: &Path,
    before: Option<&[u8]>,
    location: &Location,
    home: &Home,
    now: UnixMillis,
) -> Result<TrustRecord> {
    let is_own = |trust: &&TrustRecord| trust.config == config;
    let own = ledger.of(location).and_then(|install| install.trust.iter().find(is_own)).cloned();
    let keys = own.as_ref().map(|own| own.keys.clone()).unwrap_or_default();
    let is_as_left = |trust: &TrustRecord| before.is_some_and(|bytes| trust.sha256_after == sha256(bytes));
    let mut known: Vec<TrustRecord> =
        ledger.trust_of_others(&location.path, config).map(|other| other.clone()).collect();
    known.extend(own);
    let original = match (known.iter().find(|trust| is_as_left(trust)), before) {
        (Some(known), _) => known.original.clone(),
        (None, None) => Original::Missing,
        (None, Some(bytes)) if known.is_empty() => {
            Original::Kept { sha256: sha256(bytes), backup: backup::keep(home, config, bytes, now)? }
        }
        (None, Some(_)) => Original::Unknown,
    };
    Ok(TrustRecord { config: config.to_owned(), keys, original, sha256_after: String::new() })
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
