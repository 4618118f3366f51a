//! Our entries in a settings file: found, put in, repaired and taken out. Pure: text in, text out.

use std::path::{Path, PathBuf};

use jsonc_parser::cst::{CstArray, CstNode, CstObject, CstObjectProp};
use serde::{Deserialize, Serialize};

use super::document::{
    Document, DocumentProblem, Unfit, Value, counted_props, has_comment, last_prop, offset, value_offset,
};
use super::splice::{self, Item};
use stopgate_core::harness::registration::{self, Deviation, DeviationKind, Line};
use stopgate_core::hook::{Hook, Timeout};
use stopgate_core::session::Harness;

use crate::wiring::{Entry, STATUS, Wiring, hook_of};

/// The field that both harnesses show while a hook runs.
const STATUS_FIELD: &str = "statusMessage";

/// More single changes than any real file can need.
const MAX_STEPS: usize = 10_000;

/// What of a file's structure exists only because of us.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Created {
    /// The file itself.
    pub(crate) file: bool,
    /// The directories above it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) directories: Vec<PathBuf>,
    /// The key `hooks`.
    #[serde(alias = "hooksKey")]
    pub(crate) hooks_key: bool,
    /// Keys of events.
    #[serde(alias = "eventKeys")]
    pub(crate) event_keys: Vec<String>,
}

impl Created {
    /// Both together.
    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.file |= other.file;
        self.hooks_key |= other.hooks_key;
        let directories = other.directories.into_iter().filter(|dir| !self.directories.contains(dir));
        self.directories.extend(directories.collect::<Vec<_>>());
        let keys = other.event_keys.into_iter().filter(|key| !self.event_keys.contains(key));
        self.event_keys.extend(keys.collect::<Vec<_>>());
        self
    }
}

/// What [`install`] has to create in `document` to have a place for every entry.
pub(crate) fn missing_structure(document: &Document, wiring: &Wiring) -> Result<Created, Unfit> {
    let hooks = if document.is_blank() { None } else { document.hooks()? };
    let has = |event: &str| hooks.as_ref().is_some_and(|hooks| last_prop(hooks, event).is_some());
    let event_keys = wiring.events().into_iter().filter(|event| !has(event)).map(str::to_owned).collect();
    Ok(Created {
        file: false,
        directories: Vec::new(),
        hooks_key: hooks.is_none() && !wiring.events().is_empty(),
        event_keys,
    })
}

/// `document` with every entry of `wiring` registered once, and no other entry of ours.
pub(crate) fn install(document: &Document, wiring: &Wiring) -> Result<Document, Unfit> {
    install_over(document, wiring, &Created::default())
}

/// The same, without what of `created` has nothing in it any more.
pub(crate) fn install_over(document: &Document, wiring: &Wiring, created: &Created) -> Result<Document, Unfit> {
    document.check_line_ends()?;
    let whole = || splice::fresh(&whole_file(wiring));
    let first = (document.is_blank() && !wiring.events().is_empty()).then(whole);
    if document.is_blank() && first.is_none() {
        return document.with_text(document.text());
    }
    repeat(document, first, |document| match install_step(document, wiring)? {
        None => {
            Ok(document.hooks()?.and_then(|hooks| without_empty_event(document, &hooks, created, &wiring.events())))
        }
        step => Ok(step),
    })
}

/// The text without an event's key that is only there because of us, and holds nothing; `wanted` stay.
fn without_empty_event(document: &Document, hooks: &CstObject, created: &Created, wanted: &[&str]) -> Option<String> {
    hooks.properties().into_iter().find_map(|event| {
        let is_empty = event.array_value().is_some_and(|groups| groups.elements().is_empty());
        let is_ours = event
            .decoded_name()
            .is_some_and(|name| created.event_keys.contains(&name) && !wanted.contains(&name.as_str()));
        let node = CstNode::from(event);
        (is_empty && is_ours && !has_comment(&node)).then(|| splice::remove(document, &node))
    })
}

/// `document` without our entries, and without what of `created` is empty then.
pub(crate) fn uninstall(document: &Document, bin: &Path, created: &Created) -> Result<Document, Unfit> {
    if document.is_blank() {
        return document.with_text(document.text());
    }
    repeat(document, None, |document| uninstall_step(document, bin, created))
}

fn repeat(
    document: &Document,
    first: Option<String>,
    step: impl Fn(&Document) -> Result<Option<String>, Unfit>,
) -> Result<Document, Unfit> {
    let mut current = document.with_text(first.as_deref().unwrap_or_else(|| document.text()))?;
    for _ in 0..MAX_STEPS {
        match step(&current)? {
            Some(text) => current = current.with_text(&text)?,
            None => return Ok(current),
        }
    }
    Err(Unfit { at: None, problem: DocumentProblem::DoesNotSettle })
}

/// The next change on the way to [`install`], `None` when all is as it should be.
fn install_step(document: &Document, wiring: &Wiring) -> Result<Option<String>, Unfit> {
    let Some(hooks) = document.hooks()? else {
        if wiring.events().is_empty() {
            return Ok(None);
        }
        let all = all_events(wiring);
        return Ok(Some(splice::append(document, &document.object()?.into(), Item::Member("hooks", &all))));
    };
    let ours = find(document, wiring.bin())?;
    for (index, own) in ours.iter().enumerate() {
        let same = |other: &Own| other.counts && other.event == own.event && other.hook == own.hook;
        match wiring.entry(&own.event, own.hook) {
            Some(wanted)
                if own.counts && !own.is_narrowed(wanted.matcher.as_deref()) && !ours[..index].iter().any(same) =>
            {
                if let Some(text) = repair(document, own, wanted, wiring.harness()) {
                    return Ok(Some(text));
                }
            }
            _ => return Ok(Some(take_out(document, own))),
        }
    }
    for (hook, entry) in wiring.entries() {
        if ours.iter().any(|own| own.event == entry.event && own.hook == hook) {
            continue;
        }
        let Some(event) = last_prop(&hooks, &entry.event) else {
            let groups = event_value(wiring, &entry.event);
            return Ok(Some(splice::append(document, &hooks.into(), Item::Member(&entry.event, &groups))));
        };
        let groups = event_groups(document, &event)?;
        let group_of_ours = ours.iter().rev().filter(|own| own.group_matcher() == entry.matcher);
        let group_of_ours =
            group_of_ours.into_iter().find(|own| own.event == entry.event && own.is_among_ours(wiring.bin()));
        return Ok(Some(match group_of_ours {
            Some(own) => splice::append(document, &own.entries.clone().into(), Item::Element(&entry_value(entry))),
            None if ours.iter().any(|own| own.event == entry.event) => {
                let group = group_of(entry.matcher.as_deref(), vec![entry_value(entry)]);
                splice::append(document, &groups.into(), Item::Element(&group))
            }
            None => splice::append(document, &groups.into(), Item::Element(&group_value(wiring, &entry.event))),
        }));
    }
    Ok(None)
}

/// The next change on the way to [`uninstall`].
fn uninstall_step(document: &Document, bin: &Path, created: &Created) -> Result<Option<String>, Unfit> {
    if let Some(own) = find(document, bin)?.first() {
        return Ok(Some(take_out(document, own)));
    }
    let Some(hooks) = document.hooks()? else { return Ok(None) };
    if let Some(text) = without_empty_event(document, &hooks, created, &[]) {
        return Ok(Some(text));
    }
    if let Some(prop) = last_prop(&document.object()?, "hooks")
        && created.hooks_key
        && hooks.properties().is_empty()
    {
        let node = CstNode::from(prop);
        if !has_comment(&node) {
            return Ok(Some(splice::remove(document, &node)));
        }
    }
    Ok(None)
}

/// What in our entries of `document`, or in the groups around them, is not as `wiring` has it: event, hook, field.
pub(crate) fn deviations(document: &Document, wiring: &Wiring) -> Result<Vec<(String, Hook, Deviation)>, Unfit> {
    if document.is_blank() {
        return Ok(Vec::new());
    }
    let of = |own: &Own| {
        let entry = wiring.entry(&own.event, own.hook)?;
        let (event, command, args) = (own.event.as_str(), entry.command.as_str(), entry.args.as_slice());
        let (timeout, matcher) = (entry.timeout.as_seconds().into(), entry.matcher.as_deref());
        let line = Line { event, command, args, timeout, matcher };
        let found = registration::deviations(wiring.harness(), &json(&own.group), &json(&own.entry), line);
        Some(found.into_iter().map(|one| (own.event.clone(), own.hook, one)).collect::<Vec<_>>())
    };
    Ok(find(document, wiring.bin())?.iter().filter_map(of).flatten().collect())
}

fn json(object: &CstObject) -> serde_json::Value {
    Value::of(&object.clone().into()).map(|value| value.to_json()).unwrap_or_default()
}

/// The entries of ours that stand in `document`, as they are written there.
pub(crate) fn registered(document: &Document, bin: &Path) -> Result<Vec<Entry>, Unfit> {
    if document.is_blank() {
        return Ok(Vec::new());
    }
    Ok(find(document, bin)?.iter().map(Own::read).collect())
}

/// Whether `before` and `after` say the same apart from our entries, comments included. Works on values, not on
/// text, so that it does not share a mistake with the edit it checks.
pub(crate) fn agree_on_the_foreign_part(before: &Document, after: &Document, bin: &Path, created: &Created) -> bool {
    before.comments() == after.comments() && foreign_part(before, bin, created) == foreign_part(after, bin, created)
}

fn foreign_part(document: &Document, bin: &Path, created: &Created) -> Value {
    let members = match document.value() {
        Some(Value::Object(members)) => members,
        Some(other) => return other,
        None => Vec::new(),
    };
    let members = members.into_iter().filter_map(|(name, value)| match value {
        Value::Object(events) if name == "hooks" => {
            let events: Vec<_> = events
                .into_iter()
                .filter_map(|(event, groups)| Some((event.clone(), foreign_groups(&event, groups, bin, created)?)))
                .collect();
            let is_left = !events.is_empty() || !created.hooks_key;
            is_left.then_some((name, Value::Object(events)))
        }
        other => Some((name, other)),
    });
    Value::Object(members.collect())
}

fn foreign_groups(event: &str, groups: Value, bin: &Path, created: &Created) -> Option<Value> {
    let Value::Array(groups) = groups else { return Some(groups) };
    let is_own = |entry: &Value| {
        entry.get("command").and_then(Value::as_str).is_some_and(|command| hook_of(command, bin).is_some())
    };
    let groups: Vec<_> = groups
        .into_iter()
        .filter_map(|group| {
            let Some(Value::Array(entries)) = group.get("hooks") else { return Some(group) };
            let foreign: Vec<_> = entries.iter().filter(|entry| !is_own(entry)).cloned().collect();
            let Value::Object(members) = group else { return None };
            let with =
                |(name, value)| if name == "hooks" { (name, Value::Array(foreign.clone())) } else { (name, value) };
            // A group without entries does nothing, whoever emptied it.
            (!foreign.is_empty()).then(|| Value::Object(members.into_iter().map(with).collect()))
        })
        .collect();
    let is_left = !groups.is_empty() || !created.event_keys.iter().any(|key| key == event);
    is_left.then_some(Value::Array(groups))
}

/// An entry of ours in the tree.
struct Own {
    event: String,
    /// Whether it stands under the key that counts, should the event be there several times.
    counts: bool,
    hook: Hook,
    group: CstObject,
    entries: CstArray,
    entry: CstObject,
}

impl Own {
    fn read(&self) -> Entry {
        let field = |name: &str| last_prop(&self.entry, name).and_then(|prop| Value::of(&prop.value()?));
        let args = match field("args") {
            Some(Value::Array(args)) => args.iter().filter_map(|arg| arg.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        };
        let timeout = match field("timeout") {
            // Written as `10.0`, it is a whole number, too.
            Some(Value::Number(number)) => {
                let whole = number.split_once('.').filter(|(_, rest)| rest.bytes().all(|digit| digit == b'0'));
                whole.map_or(number.as_str(), |(whole, _)| whole).parse().unwrap_or(0)
            }
            _ => 0,
        };
        Entry {
            event: self.event.clone(),
            command: field("command").as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(),
            args,
            timeout: Timeout::seconds(timeout),
            matcher: self.group_matcher().filter(|_| has_matcher(&self.event, self.hook)),
            status: self.status(),
        }
    }

    /// What is shown while it runs, if that is ours.
    fn status(&self) -> Option<String> {
        let status = last_prop(&self.entry, STATUS_FIELD).and_then(|prop| Value::of(&prop.value()?))?;
        status.as_str().filter(|status| status.starts_with(STATUS)).map(str::to_owned)
    }

    /// Whether a matcher that is not the one that is `written` keeps it from running now and then.
    fn is_narrowed(&self, written: Option<&str>) -> bool {
        let matcher = last_prop(&self.group, "matcher").and_then(|prop| Value::of(&prop.value()?));
        let group = matcher.map(|matcher| serde_json::json!({ "matcher": matcher.to_json() })).unwrap_or_default();
        registration::narrows(&self.event, &group, written).is_some()
    }

    /// The matcher of its group, if that is for less than everything.
    fn group_matcher(&self) -> Option<String> {
        let matcher = last_prop(&self.group, "matcher").and_then(|prop| Value::of(&prop.value()?));
        let matcher = matcher.as_ref().and_then(Value::as_str).map(str::to_owned)?;
        self.is_narrowed(None).then_some(matcher)
    }

    /// Whether the whole group is ours.
    fn is_among_ours(&self, bin: &Path) -> bool {
        self.entries
            .elements()
            .iter()
            .all(|entry| entry.as_object().is_some_and(|entry| own_hook(&entry, bin).is_some()))
    }
}

/// Every entry of ours under every event, in the file's order.
fn find(document: &Document, bin: &Path) -> Result<Vec<Own>, Unfit> {
    let mut found = Vec::new();
    let Some(hooks) = document.hooks()? else { return Ok(found) };
    for (event, name, counts) in counted_props(&hooks) {
        for group in event_groups(document, &event)?.elements().iter().filter_map(CstNode::as_object) {
            let Some(entries) = last_prop(&group, "hooks").and_then(|prop| prop.array_value()) else { continue };
            for entry in entries.elements().iter().filter_map(CstNode::as_object) {
                if let Some(hook) = own_hook(&entry, bin) {
                    let (group, entries) = (group.clone(), entries.clone());
                    found.push(Own { event: name.clone(), counts, hook, group, entries, entry });
                }
            }
        }
    }
    Ok(found)
}

fn own_hook(entry: &CstObject, bin: &Path) -> Option<Hook> {
    let command = last_prop(entry, "command")?.value().as_ref().and_then(Value::of)?;
    hook_of(command.as_str()?, bin)
}

fn event_groups(document: &Document, event: &CstObjectProp) -> Result<CstArray, Unfit> {
    event.array_value().ok_or_else(|| {
        let name = event.decoded_name().unwrap_or_default();
        document.unfit(value_offset(event).max(offset(&event.clone().into())), DocumentProblem::EventNotArray(name))
    })
}

/// The first field of `own` that differs from `wanted` set right, or by which `harness` makes something else of it taken out;
/// others that a person added are left alone.
fn repair(document: &Document, own: &Own, wanted: &Entry, harness: Harness) -> Option<String> {
    let Value::Object(fields) = entry_value(&Entry { status: None, ..wanted.clone() }) else { return None };
    for (name, value) in &fields {
        let Some(prop) = last_prop(&own.entry, name) else {
            return Some(splice::append(document, &own.entry.clone().into(), Item::Member(name, value)));
        };
        let node = prop.value()?;
        let there = Value::of(&node);
        let is_same =
            || there.as_ref().is_some_and(|there| registration::is_same_number(&there.to_json(), &value.to_json()));
        if there.as_ref() != Some(value) && !is_same() {
            return Some(splice::replace(document, &node, value));
        }
    }
    let status = last_prop(&own.entry, STATUS_FIELD);
    match (&wanted.status, status, own.status()) {
        (Some(status), None, _) => {
            let status = Value::String(status.clone());
            return Some(splice::append(document, &own.entry.clone().into(), Item::Member(STATUS_FIELD, &status)));
        }
        (None, Some(prop), Some(_)) => return Some(splice::remove(document, &prop.into())),
        (Some(wanted), Some(prop), Some(there)) if *wanted != there => {
            return Some(splice::replace(document, &prop.value()?, &Value::String(wanted.clone())));
        }
        // What a person wrote there stays.
        _ => {}
    }
    let is_changing = |prop: &CstObjectProp| {
        let (Some(name), Some(value)) = (prop.decoded_name(), prop.value().as_ref().and_then(Value::of)) else {
            return false;
        };
        let kind = registration::kind_of_field(harness, &name, &value.to_json());
        matches!(kind, Some(DeviationKind::Changing | DeviationKind::Unheard))
    };
    let changing = own.entry.properties().into_iter().find(is_changing)?;
    Some(splice::remove(document, &changing.into()))
}

/// The text without `own`, and without its group if nothing else is in it.
fn take_out(document: &Document, own: &Own) -> String {
    let group = CstNode::from(own.group.clone());
    let entry = CstNode::from(own.entry.clone());
    let is_alone = own.entries.elements().len() == 1;
    splice::remove(document, if is_alone && !has_comment(&group) { &group } else { &entry })
}

fn entry_value(entry: &Entry) -> Value {
    let args = entry.args.iter().cloned().map(Value::String).collect();
    let mut fields = vec![
        ("type".to_owned(), Value::String("command".to_owned())),
        ("command".to_owned(), Value::String(entry.command.clone())),
    ];
    if !entry.args.is_empty() {
        fields.push(("args".to_owned(), Value::Array(args)));
    }
    fields.push(("timeout".to_owned(), Value::Number(entry.timeout.as_seconds().to_string())));
    fields.extend(entry.status.iter().map(|status| (STATUS_FIELD.to_owned(), Value::String(status.clone()))));
    Value::Object(fields)
}

/// The `hooks` file that holds nothing but `wiring`: of a plugin, and for people who paste it themselves.
pub(crate) fn whole_file(wiring: &Wiring) -> Value {
    Value::Object(vec![("hooks".to_owned(), all_events(wiring))])
}

/// Our one group of an event, whose lines have one matcher.
fn group_value(wiring: &Wiring, event: &str) -> Value {
    let entries: Vec<&Entry> = wiring.entries().map(|(_, entry)| entry).filter(|entry| entry.event == event).collect();
    let matcher = entries.first().and_then(|entry| entry.matcher.as_deref());
    group_of(matcher, entries.into_iter().map(entry_value).collect())
}

fn group_of(matcher: Option<&str>, entries: Vec<Value>) -> Value {
    let matcher = matcher.map(|matcher| ("matcher".to_owned(), Value::String(matcher.to_owned())));
    Value::Object(matcher.into_iter().chain([("hooks".to_owned(), Value::Array(entries))]).collect())
}

/// Whether the line of `hook` on `event` is not for everything.
fn has_matcher(event: &str, hook: Hook) -> bool {
    Harness::ALL.into_iter().any(|harness| Wiring::matcher(harness, event, hook).is_some())
}

fn event_value(wiring: &Wiring, event: &str) -> Value {
    Value::Array(vec![group_value(wiring, event)])
}

fn all_events(wiring: &Wiring) -> Value {
    Value::Object(wiring.events().into_iter().map(|event| (event.to_owned(), event_value(wiring, event))).collect())
}
