//! The keys as text: the reference for people, the values in force, and what a file lacks.

use serde::Serialize;
use toml_edit::{DocumentMut, Item, Table, Value};

use crate::keys::{ConfigKey, Section};
use crate::load;
use crate::setting::Project;
use crate::tables::Config;

/// Longest line of a comment.
const WIDTH: usize = 110;

/// A `config.toml` with every key at its default, and what each means.
pub fn reference() -> String {
    write_out(|key| key.default.clone())
}

/// A `config.toml` of what `config` says, with what each key means.
pub fn effective(config: &Config) -> String {
    let shown: Vec<String> = Config::keys().map(|key| (key.show)(config).to_string()).collect();
    let mut shown = shown.into_iter();
    write_out(|_| shown.next().unwrap_or_default())
}

/// The value of a key, for a program to read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ShownValue {
    /// True or false.
    Flag(bool),
    /// A whole number.
    Count(i64),
    /// Any number.
    Number(f64),
    /// A text.
    Text(String),
    /// Several texts.
    List(Vec<String>),
}

/// Every key by its full name, with the value that `config` gives it.
pub fn values(config: &Config) -> Vec<(String, ShownValue)> {
    Config::keys().map(|key| ((key.describe)().full_name(), shown(&(key.show)(config)))).collect()
}

fn shown(value: &Value) -> ShownValue {
    match value {
        Value::Boolean(truth) => ShownValue::Flag(*truth.value()),
        Value::Integer(number) => ShownValue::Count(*number.value()),
        Value::Float(number) => ShownValue::Number(*number.value()),
        Value::Array(texts) => ShownValue::List(texts.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        other => ShownValue::Text(other.as_str().unwrap_or_default().to_owned()),
    }
}

fn write_out(mut value: impl FnMut(&ConfigKey) -> String) -> String {
    let mut out = String::new();
    let mut section = "";
    for key in Config::keys().map(|key| (key.describe)()) {
        if section != key.section.name {
            section = key.section.name;
            out.push_str(&heading(key.section));
        }
        out.push_str(&comment(&key));
        let value = value(&key);
        out.extend([key.name, " = ", &value, "\n\n"]);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn heading(section: Section) -> String {
    format!("{}[{}]\n", wrapped(section.doc), section.name)
}

/// The meaning of a key as a comment, with what it may be.
fn comment(key: &ConfigKey) -> String {
    let project = match key.project {
        Project::Never => String::new(),
        Project::Lower => " A checkout may lower it.".to_owned(),
        Project::Only(word) => format!(" A checkout may set it to {word}."),
        Project::Extend => " A checkout may add to it.".to_owned(),
    };
    let doc = key.doc.trim().trim_end_matches('.');
    wrapped(&format!("{doc}. Is {}.{project}", key.expected))
}

fn wrapped(text: &str) -> String {
    let mut lines = vec![String::from("#")];
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut()
            && line.chars().count() + 1 + word.chars().count() <= WIDTH
        {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("# {word}"));
        }
    }
    lines.join("\n") + "\n"
}

/// The keys that `text`, a `config.toml` without a fault, does not set.
pub fn missing_keys(text: &str) -> Vec<ConfigKey> {
    let Ok(document) = text.parse::<DocumentMut>() else {
        return Vec::new();
    };
    let has = |key: &ConfigKey| {
        let table = key.section.name.split('.').try_fold(document.as_item(), |item, name| item.get(name));
        let named = |name: &str| table.and_then(|table| table.get(name)).is_some();
        named(key.name) || key.other_name.is_some_and(named)
    };
    Config::keys().map(|key| (key.describe)()).filter(|key| !has(key)).collect()
}

/// `text` with every missing key at its default and its meaning, and not a byte of the rest changed; `None` if nothing
/// is missing, or the text has a fault.
pub fn with_missing_keys(text: &str) -> Option<String> {
    let missing = missing_keys(text);
    if missing.is_empty() || load::parse(std::path::Path::new("config.toml"), text).is_err() {
        return None;
    }
    let mut document: DocumentMut = text.parse().ok()?;
    for key in &missing {
        let mut table: &mut Item = document.as_item_mut();
        let (outer, is_new) = (key.section.name, section_of(table, key.section.name).is_none());
        for name in outer.split('.') {
            let parent = table.as_table_like_mut()?;
            table = parent.entry(name).or_insert_with(|| {
                let mut new = Table::new();
                new.set_implicit(outer.rsplit('.').next() != Some(name));
                Item::Table(new)
            });
        }
        if is_new && let Some(table) = table.as_table_mut() {
            table.decor_mut().set_prefix(format!("\n{}", wrapped(key.section.doc)));
        }
        let inline = table.is_inline_table();
        let table = table.as_table_like_mut()?;
        table.insert(key.name, Item::Value(key.default.parse().ok()?));
        // An inline table has no room for comments.
        if !inline && let Some(mut name) = table.key_mut(key.name) {
            name.leaf_decor_mut().set_prefix(comment(key));
        }
    }
    Some(document.to_string())
}

fn section_of<'a>(root: &'a Item, name: &str) -> Option<&'a Item> {
    name.split('.').try_fold(root, |item, name| item.get(name))
}
