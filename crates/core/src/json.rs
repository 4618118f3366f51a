//! Fields of a JSON object, read and written by hand: what derived code does in several times the size.
//!
//! Hooks are measured in KiB; types that they read or write have a `from_json` and `to_json` made of these.

use serde_json::{Map, Value};

/// The text in the field `name`.
pub fn text<'v>(object: &'v Value, name: &str) -> Option<&'v str> {
    object.get(name)?.as_str()
}

/// A count; a field that is not there is zero.
pub fn count(object: &Value, name: &str) -> Option<u32> {
    object.get(name).map_or(Some(0), |value| u32::try_from(value.as_u64()?).ok())
}

/// `Some(None)` for a field that is not there or null, `None` for one that `read` does not understand.
pub fn optional<T>(object: &Value, name: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<Option<T>> {
    match object.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(value) => read(value).map(Some),
    }
}

/// An owned text.
pub fn string(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// An object of these fields, in their order.
pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let mut object = Map::new();
    // Not `collect`, which sorts first and brings 12 KiB of sorting code along.
    for (name, value) in fields {
        object.insert(name.to_owned(), value);
    }
    Value::Object(object)
}

/// What `write` makes of a value, or null.
pub fn or_null<T>(value: Option<&T>, write: impl FnOnce(&T) -> Value) -> Value {
    value.map_or(Value::Null, write)
}

/// A process id.
pub fn pid(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}
