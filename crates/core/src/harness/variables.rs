//! Variables of ours that a harness's settings give to its hooks: they switch off what is registered, or send it elsewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Harness, VariableFormat, VariablePlace};
use crate::env::{self, Env, MapEnv};
use crate::fsx;
use crate::json;
use crate::paths::Home;

/// Largest file that is read.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// What every variable of ours begins with.
const PREFIX: &str = "STOPGATE_";

/// A variable that a file gives to hooks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct GivenVariable {
    /// Whose file.
    pub harness: Harness,
    /// The file.
    pub file: PathBuf,
    /// Where in the file: `env.STOPGATE_KILL`.
    pub key: String,
    /// The variable.
    pub name: String,
    /// What it is set to.
    pub value: String,
    /// What that does.
    pub effect: VariableEffect,
}

/// What a variable does to hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VariableEffect {
    /// They allow, and record nothing.
    Silences,
    /// They work for another home.
    Diverts,
    /// They work in another way than they would.
    Alters,
}

impl GivenVariable {
    /// What it does, for people.
    pub fn what(&self) -> String {
        let what = match self.effect {
            VariableEffect::Silences => "every hook that reads it allows at once, and records nothing",
            VariableEffect::Diverts => "every hook that reads it works for that home, and not for this one",
            VariableEffect::Alters => "hooks work in another way than they would",
        };
        format!("sets {}={}: {what}", self.name, crate::text::head(&self.value, 200))
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        format!("take {} out of {}", self.key, self.file.display())
    }
}

/// What a value of a variable of ours does to the hooks of `home`; `None` if nothing.
fn effect(name: &str, value: &str, home: &Home) -> Option<VariableEffect> {
    let is_on = || MapEnv::of([(name, value)]).flag(name);
    match name {
        env::STOPGATE_KILL | env::STOPGATE_JUDGE => is_on().then_some(VariableEffect::Silences),
        // A relative one names no home, and a hook without a home does nothing.
        env::STOPGATE_HOME if value.is_empty() => None,
        env::STOPGATE_HOME if !Path::new(value).is_absolute() => Some(VariableEffect::Silences),
        env::STOPGATE_HOME => (!home.is_same(&Home::at(value))).then_some(VariableEffect::Diverts),
        env::STOPGATE_NO_AUTOSTART => is_on().then_some(VariableEffect::Alters),
        _ => (!value.is_empty()).then_some(VariableEffect::Alters),
    }
}

/// What the files of `harness` in `places` give to the hooks of `home`, in the order of the files. What cannot be read
/// gives nothing.
pub fn given<'a>(
    harness: Harness,
    places: impl IntoIterator<Item = VariablePlace<'a>>,
    home: &Home,
) -> Vec<GivenVariable> {
    let mut seen = BTreeSet::new();
    let files = places.into_iter().flat_map(|place| harness.variable_files(place));
    let mut found = Vec::new();
    for (file, format) in files {
        // Several paths may lead to one file.
        let Ok(real) = std::fs::canonicalize(&file) else { continue };
        if !seen.insert(real.clone()) {
            continue;
        }
        let Ok(bytes) = fsx::read_regular(&real, MAX_BYTES) else { continue };
        for (key, name, value) in read(format, &bytes) {
            if let Some(effect) = effect(&name, &value, home) {
                found.push(GivenVariable { harness, file: file.clone(), key, name, value, effect });
            }
        }
    }
    found
}

/// The same of one JSON object that has been read: only what keeps hooks from working for `home`.
pub(super) fn silencing(settings: &Value, home: &Home) -> Vec<String> {
    let of = |(name, value): (String, String)| {
        let effect = effect(&name, &value, home)?;
        (effect != VariableEffect::Alters).then(|| format!("{name}={value}"))
    };
    members(settings).into_iter().filter_map(of).collect()
}

/// Key, name and value of each variable of ours.
fn read(format: VariableFormat, bytes: &[u8]) -> Vec<(String, String, String)> {
    match format {
        VariableFormat::Json => {
            let settings = json::with_comments(bytes).unwrap_or(Value::Null);
            members(&settings).into_iter().map(|(name, value)| (format!("env.{name}"), name, value)).collect()
        }
        VariableFormat::Lines => lines(&String::from_utf8_lossy(bytes)),
    }
}

/// Members of `env` that are ours. Whatever is no string becomes one, as in the client.
fn members(settings: &Value) -> Vec<(String, String)> {
    let env = settings.get("env").and_then(Value::as_object);
    let ours = env.into_iter().flatten().filter(|(name, _)| name.starts_with(PREFIX));
    ours.map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect()
}

/// Lines `NAME=value`, perhaps behind `export`, the value perhaps in quotes.
fn lines(text: &str) -> Vec<(String, String, String)> {
    let line = |line: &str| {
        let line = line.trim_start();
        let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let quoted = |quote: char| value.strip_prefix(quote)?.split(quote).next();
        let bare = || value.split(" #").next().unwrap_or(value).trim_end();
        let value = quoted('"').or_else(|| quoted('\'')).unwrap_or_else(bare);
        name.starts_with(PREFIX).then(|| (name.to_owned(), name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &str) -> Option<VariableEffect> {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        effect(name, &value.replace("HERE", dir.path().to_str().unwrap()), &home)
    }

    #[test]
    fn what_a_variable_does_depends_on_its_value() {
        for (name, value, expected) in [
            ("STOPGATE_KILL", "1", Some(VariableEffect::Silences)),
            ("STOPGATE_KILL", "true", Some(VariableEffect::Silences)),
            ("STOPGATE_KILL", "0", None),
            ("STOPGATE_JUDGE", "x", Some(VariableEffect::Silences)),
            ("STOPGATE_HOME", "HERE", None),
            ("STOPGATE_HOME", "HERE/", None),
            ("STOPGATE_HOME", "/tmp/elsewhere", Some(VariableEffect::Diverts)),
            ("STOPGATE_HOME", "rel", Some(VariableEffect::Silences)),
            ("STOPGATE_HOME", "", None),
            ("STOPGATE_NO_AUTOSTART", "1", Some(VariableEffect::Alters)),
            ("STOPGATE_NO_AUTOSTART", "0", None),
            ("STOPGATE_DEADLINE_MS", "50", Some(VariableEffect::Alters)),
        ] {
            assert_eq!(of(name, value), expected, "{name}={value}");
        }
    }

    #[test]
    fn every_form_of_a_file_is_read_and_what_is_none_says_nothing() {
        let json = |text: &str| {
            read(VariableFormat::Json, text.as_bytes()).into_iter().map(|(.., value)| value).collect::<Vec<_>>()
        };
        assert_eq!(
            json(r#"{"env": {"STOPGATE_KILL": 1, "A": "2", "STOPGATE_X": "y", "STOPGATE_T": true}}"#),
            ["1", "true", "y"]
        );
        for nothing in
            ["", "{", "[]", r#"{"env": []}"#, r#"{"env": {"PATH": "STOPGATE_KILL"}}"#, r#"{"STOPGATE_KILL": "1"}"#]
        {
            assert_eq!(json(nothing), Vec::<String>::new(), "{nothing}");
        }
        let text = "# STOPGATE_A=1\nSTOPGATE_KILL=1\nexport STOPGATE_HOME='/x y' # mine\n STOPGATE_Q = \"2\"\nOTHER=3\nSTOPGATE_E=4 # why\n\0";
        let found: Vec<_> = lines(text).into_iter().map(|(_, name, value)| format!("{name}={value}")).collect();
        assert_eq!(found, ["STOPGATE_KILL=1", "STOPGATE_HOME=/x y", "STOPGATE_Q=2", "STOPGATE_E=4"]);
    }
}
