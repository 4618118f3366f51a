//! From text to configuration.

use std::ops::Range;
use std::path::{Path, PathBuf};

use stopgate_core::fsx;
use stopgate_core::paths::Home;
use toml_edit::{Document, Item, Value};

use crate::fault::{Fault, Faults};
use crate::tables::{Config, KeyOf, RulesConfig};

/// Largest file that is read.
pub(crate) const MAX_BYTES: u64 = 256 * 1024;

/// Where a checkout keeps its own.
const PROJECT_FILE: &str = ".stopgate/config.toml";

/// The operator's file.
pub fn user_file(home: &Home) -> PathBuf {
    home.root().join("config.toml")
}

/// The file of a checkout, by the top of its main working tree.
pub fn project_file(checkout: &Path) -> PathBuf {
    checkout.join(PROJECT_FILE)
}

/// The operator's configuration; the defaults where there is no file.
pub fn load(home: &Home) -> Result<Config, Faults> {
    load_with_text(home).map(|(config, _)| config)
}

pub(crate) fn load_with_text(home: &Home) -> Result<(Config, String), Faults> {
    let file = user_file(home);
    // The operator's own file may be a link into a collection of such files.
    let real = std::fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
    let text = content(&real, fsx::read_regular_text(&real, MAX_BYTES))?.unwrap_or_default();
    Ok((parse(&file, &text)?, text))
}

/// `config` as the file of `checkout` tightens it.
pub fn load_for_checkout(config: &Config, checkout: &Path) -> Result<Config, Faults> {
    let file = project_file(checkout);
    let mut config = config.clone();
    let found = fsx::read_beneath(checkout, Path::new(PROJECT_FILE), MAX_BYTES);
    if let Some(text) = content(&file, found)? {
        apply(&file, &text, &mut config, |key| key.tighten)?;
    }
    Ok(config)
}

/// The configuration in `text`, which stands in `file`.
pub fn parse(file: &Path, text: &str) -> Result<Config, Faults> {
    let mut config = Config::default();
    apply(file, text, &mut config, |key| key.set)?;
    config.check(file, text)?;
    Ok(config)
}

fn content(file: &Path, read: std::io::Result<String>) -> Result<Option<String>, Faults> {
    match read {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(Faults(vec![fault(file, 0, "", format!("cannot be read: {error}"))])),
    }
}

type Set = fn(&mut Config, &Value) -> Result<(), String>;

fn apply(file: &Path, text: &str, config: &mut Config, how: fn(&KeyOf) -> Set) -> Result<(), Faults> {
    let document = Document::parse(text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_of(text, &span));
        Faults(vec![fault(file, line, "", format!("not TOML: {}", error.message().trim()))])
    })?;
    let mut faults = Vec::new();
    let mut set: Vec<&str> = Vec::new();
    walk("", document.as_item(), &mut |name, span, value| {
        let line = span.map_or(0, |span| line_of(text, &span));
        let problem = match (find(name), value) {
            // A key of two names may stand there under both.
            (Some(key), Some(_)) if key.other_name.is_some() && set.contains(&key.name) => {
                Some(format!("said twice, as {} and by its whole name: leave one", key.name))
            }
            (Some(key), Some(value)) => {
                set.push(key.name);
                how(key)(config, value).err()
            }
            (Some(_), None) => Some("expected a value, found a table".to_owned()),
            (None, Some(_)) if is_section(name) => Some("expected a table, [name], found a value".to_owned()),
            (None, _) => Some(unknown(name)),
        };
        faults.extend(problem.map(|problem| fault(file, line, name, problem)));
    });
    faults.sort_by_key(|fault| fault.line);
    if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
}

/// Shows every value below `item` with its full name; a table that is none of ours, or stands where a value should,
/// is shown instead of what is in it.
fn walk(prefix: &str, item: &Item, show: &mut impl FnMut(&str, Option<Range<usize>>, Option<&Value>)) {
    let Some(table) = item.as_table_like() else {
        show(prefix, item.span(), item.as_value());
        return;
    };
    for (name, inner) in table.iter() {
        let name = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        let span = table.get_key_value(name.rsplit('.').next().unwrap_or(&name)).and_then(|(key, _)| key.span());
        if inner.is_table_like() && is_section(&name) {
            walk(&name, inner, show);
        } else {
            show(&name, span.or_else(|| inner.span()), inner.as_value().filter(|_| !inner.is_table_like()));
        }
    }
}

fn find(name: &str) -> Option<&'static KeyOf> {
    let (section, name) = name.rsplit_once('.')?;
    Config::keys().find(|key| key.section == section && (key.name == name || key.other_name == Some(name)))
}

fn is_section(name: &str) -> bool {
    Config::keys()
        .any(|key| key.section == name || key.section.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

fn unknown(name: &str) -> String {
    let Some((section, last)) = name.rsplit_once('.') else {
        return "unknown table; `stopgate config` lists all".to_owned();
    };
    if section == "gate.rules" {
        let names: Vec<_> = RulesConfig::names().collect();
        return format!("no rule that can hold a stop; write one of {} (or its whole id)", names.join(", "));
    }
    // No key is longer; a file may hold anything.
    let last: String = last.chars().take(64).collect();
    let near = Config::keys()
        .map(|key| (strsim::levenshtein(&last, key.name), key))
        .filter(|(distance, key)| *distance <= 2.max(key.name.len() / 4))
        .min_by_key(|(distance, _)| *distance);
    match near {
        Some((_, key)) => format!("unknown key; did you mean {}.{}?", key.section, key.name),
        None => "unknown key; `stopgate config` lists all".to_owned(),
    }
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count() + 1
}

pub(crate) fn fault(file: &Path, line: usize, key: &str, problem: String) -> Fault {
    Fault { file: file.to_owned(), line, key: key.to_owned(), problem }
}

impl Config {
    /// What the keys say together.
    fn check(&self, file: &Path, text: &str) -> Result<(), Faults> {
        use crate::setting::JudgeKind;
        let judge = &self.judge;
        let missing = match judge.kind {
            JudgeKind::Command if judge.command.is_empty() => Some(("judge.command", "kind = \"command\"")),
            JudgeKind::Http if judge.url.is_empty() => Some(("judge.url", "kind = \"http\"")),
            JudgeKind::Http if judge.model.is_empty() => Some(("judge.model", "kind = \"http\"")),
            _ => None,
        };
        let missing = missing.map(|(key, of)| (key, format!("missing, but {of} needs it")));
        let wrong = (judge.kind == JudgeKind::Http
            && !["http://", "https://"].iter().any(|scheme| judge.url.starts_with(scheme)))
        .then(|| ("judge.url", "expected an address that begins with http:// or https://".to_owned()));
        match missing.or(wrong) {
            Some((key, problem)) => {
                let line =
                    text.lines().position(|line| line.trim_start().starts_with("[judge]")).map_or(0, |line| line + 1);
                Err(Faults(vec![fault(file, line, key, problem)]))
            }
            None => Ok(()),
        }
    }
}
