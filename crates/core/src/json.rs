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

/// Gives every field, at every depth, the spelling of this version: earlier ones wrote `atMs` for `at_ms`. Fields that
/// have it already stay as they are.
pub fn snake_case_fields(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(snake_case_fields),
        Value::Object(fields) => {
            for (name, mut value) in std::mem::take(fields) {
                snake_case_fields(&mut value);
                fields.insert(snake_case(&name), value);
            }
        }
        _ => {}
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// A process id.
pub fn pid(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

/// `text` as the harnesses read their settings: JSON with comments and commas before a closing bracket. `None` if it is no
/// such thing.
pub fn with_comments(text: &[u8]) -> Option<Value> {
    let strict = serde_json::from_slice(text).ok();
    strict
        .or_else(|| serde_json::from_slice(&without_comments(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text))).ok())
}

fn without_comments(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut in_text = false;
    while let Some((first, after)) = rest.split_first() {
        let length = match (in_text, first) {
            (true, b'\\') => 2,
            (_, b'"') => {
                in_text = !in_text;
                1
            }
            (false, b'/') if after.first() == Some(&b'/') => {
                rest = &rest[rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())..];
                continue;
            }
            (false, b'/') if after.first() == Some(&b'*') => {
                let end = after.windows(2).skip(1).position(|pair| pair == b"*/");
                rest = end.map_or(&[], |end| &after[end + 3..]);
                continue;
            }
            (false, b'}' | b']') => {
                let said = out.iter().rposition(|byte: &u8| !byte.is_ascii_whitespace());
                if let Some(comma) = said.filter(|at| out[*at] == b',') {
                    out.truncate(comma);
                }
                1
            }
            _ => 1,
        };
        let (kept, left) = rest.split_at(length.min(rest.len()));
        out.extend_from_slice(kept);
        rest = left;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_get_their_new_spelling_at_every_depth_and_values_keep_theirs() {
        let old = r#"{"schema":1,"remindersUsed":2,"owner":{"sessionId":"aB","process":{"bootId":"bC"}},"steps":[{"atMs":3}],"a_b":4}"#;
        let new = r#"{"schema":1,"reminders_used":2,"owner":{"session_id":"aB","process":{"boot_id":"bC"}},"steps":[{"at_ms":3}],"a_b":4}"#;
        let mut value: Value = serde_json::from_str(old).unwrap();
        for _ in 0..2 {
            snake_case_fields(&mut value);
            assert_eq!(value, serde_json::from_str::<Value>(new).unwrap());
        }
    }

    #[test]
    fn settings_with_comments_are_read_and_texts_keep_what_looks_like_one() {
        let read = |text: &str| with_comments(text.as_bytes());
        let text = r#"{ // mine
            "a": "// no, \" /* no */,}", /* x, */ "b": [1, 2, ], // end
        }"#;
        let expected = serde_json::json!({"a": r#"// no, " /* no */,}"#, "b": [1, 2]});
        assert_eq!(read(text), Some(expected.clone()));
        assert_eq!(read(&format!("\u{feff}{text}")), Some(expected));
        assert_eq!(read("{}"), Some(serde_json::json!({})));
        for broken in ["", "{", "/*", "//", "[1,,]", "/**", "\"", "\\", r#"{"a": 1"#] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
