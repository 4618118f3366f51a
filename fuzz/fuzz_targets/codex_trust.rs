//! Codex's `config.toml`: the trust that Codex wrote for our hooks goes, everything else stays; or the file is left alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stopgate_fuzz::is_subsequence;
use toml_edit::{DocumentMut, InlineTable, Item, Table, value};

const KEY: &str = "/home/dev/.codex/hooks.json:stop:0:0";

fuzz_target!(|bytes: &[u8]| {
    let Ok(before) = std::str::from_utf8(bytes) else { return };
    let keys = [KEY.to_owned()];
    let Ok(document) = before.parse::<DocumentMut>() else {
        assert!(installer::rehearsal::without_trust(before, &keys).is_err(), "edited, but no TOML");
        return;
    };
    let Some(trusted) = trust(document) else {
        let _ = installer::rehearsal::without_trust(before, &keys);
        return;
    };
    let after = match installer::rehearsal::without_trust(&trusted, &keys) {
        Ok(Some(after)) => after,
        // A comment stands at our entry.
        Err(_) if trusted.contains('#') => return,
        _ => panic!("not taken out:\n{trusted}"),
    };
    assert_eq!(meaning(&after), meaning(before), "\n{before}\n---\n{trusted}\n---\n{after}");
    // Where it stood before, it was in a comment or in a text, and stays.
    assert_eq!(after.matches(KEY).count(), before.matches(KEY).count(), "\n{before}\n---\n{after}");
    assert!(is_subsequence(after.as_bytes(), trusted.as_bytes()), "something was added\n{trusted}\n---\n{after}");
    // A `#` may stand in a text, and then stays as well.
    let marks = |text: &str| text.matches('#').count();
    assert_eq!(marks(&after), marks(&trusted), "a comment is gone\n{trusted}\n---\n{after}");
    assert_eq!(installer::rehearsal::without_trust(&after, &keys), Ok(None), "twice is not once");
});

/// The file as Codex leaves it that was told to trust our hook; `None` where there is no place for that, or where our
/// key stands already.
fn trust(mut document: DocumentMut) -> Option<String> {
    let hooks = table_in(document.as_item_mut(), "hooks")?;
    let state = table_in(hooks, "state")?;
    if state.get(KEY).is_some() {
        return None;
    }
    *table_in(state, KEY)?.as_table_like_mut()?.entry("trusted_hash").or_insert(Item::None) = value("sha256:1");
    let written = document.to_string();
    let read: DocumentMut = written.parse().ok()?;
    read.get("hooks")?.get("state")?.get(KEY)?;
    Some(written)
}

/// The table `name` of `parent`, made where it is missing. An inline table takes inline tables alone: `toml_edit` panics
/// when it prints anything else there.
fn table_in<'a>(parent: &'a mut Item, name: &str) -> Option<&'a mut Item> {
    let made = if parent.is_inline_table() {
        value(InlineTable::new())
    } else {
        let mut table = Table::new();
        table.set_implicit(name != KEY);
        Item::Table(table)
    };
    let item = parent.as_table_like_mut()?.entry(name).or_insert(made);
    item.is_table_like().then_some(item)
}

/// What the text says, but for tables that are empty: those of ours go with our entry.
fn meaning(text: &str) -> String {
    let mut document: DocumentMut = text.parse().unwrap();
    if let Some(hooks) = document.get_mut("hooks").and_then(Item::as_table_like_mut) {
        if hooks.get("state").and_then(Item::as_table_like).is_some_and(|state| state.is_empty()) {
            hooks.remove("state");
        }
        if hooks.is_empty() {
            document.remove("hooks");
        }
    }
    describe(document.as_item())
}

fn describe(item: &Item) -> String {
    if let Some(table) = item.as_table_like() {
        let mut fields: Vec<_> = table.iter().map(|(name, item)| format!("{name:?}: {}", describe(item))).collect();
        fields.sort();
        return format!("{{{}}}", fields.join(", "));
    }
    if let Some(tables) = item.as_array_of_tables() {
        let tables: Vec<_> = tables.iter().map(|table| describe(&Item::Table(table.clone()))).collect();
        return format!("[{}]", tables.join(", "));
    }
    item.as_value().map(|value| value.clone().decorated("", "").to_string()).unwrap_or_default()
}
