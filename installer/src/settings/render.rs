//! Values as text, laid out as `JSON.stringify(value, null, indent)` would: Claude Code writes its settings so,
//! and what it writes back is then what we wrote.

use super::document::Value;

/// How a value is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// One member a line.
    Block {
        /// Indentation of the line the value begins on.
        indent: String,
        /// What each level adds.
        unit: String,
        /// The file's line end.
        newline: &'static str,
    },
    /// All on one line.
    Inline {
        /// Whether a space follows colons and commas.
        spaced: bool,
    },
}

impl Layout {
    /// `name` and `value` as a member of an object.
    pub(super) fn member(&self, name: &str, value: &Value) -> String {
        format!("{}:{}{}", quoted(name), self.space(), self.value(value))
    }

    /// `value`, without indentation of its first line.
    pub(super) fn value(&self, value: &Value) -> String {
        match value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number.clone(),
            Value::String(text) => quoted(text),
            Value::Array(items) => {
                let inner = self.deeper();
                self.list('[', ']', &items.iter().map(|item| inner.value(item)).collect::<Vec<_>>())
            }
            Value::Object(members) => {
                let inner = self.deeper();
                let members: Vec<_> = members.iter().map(|(name, value)| inner.member(name, value)).collect();
                self.list('{', '}', &members)
            }
        }
    }

    fn list(&self, open: char, close: char, items: &[String]) -> String {
        if items.is_empty() {
            return format!("{open}{close}");
        }
        match self {
            Self::Inline { .. } => format!("{open}{}{close}", items.join(&format!(",{}", self.space()))),
            Self::Block { indent, unit, newline } => {
                let body = items.join(&format!(",{newline}{indent}{unit}"));
                format!("{open}{newline}{indent}{unit}{body}{newline}{indent}{close}")
            }
        }
    }

    fn deeper(&self) -> Self {
        match self {
            Self::Block { indent, unit, newline } => {
                Self::Block { indent: format!("{indent}{unit}"), unit: unit.clone(), newline }
            }
            Self::Inline { spaced } => Self::Inline { spaced: *spaced },
        }
    }

    const fn space(&self) -> &'static str {
        match self {
            Self::Inline { spaced: false } => "",
            _ => " ",
        }
    }
}

/// `value` as a file of its own, two spaces a level.
pub(crate) fn file_text(value: &Value) -> String {
    let layout = Layout::Block { indent: String::new(), unit: "  ".to_owned(), newline: "\n" };
    format!("{}\n", layout.value(value))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lays_out_like_json_stringify() {
        let value = Value::Object(vec![
            ("a".into(), Value::Array(vec![Value::String("x \"y\"".into()), Value::Null])),
            ("b".into(), Value::Object(Vec::new())),
        ]);
        let block = Layout::Block { indent: "\t".into(), unit: "\t".into(), newline: "\r\n" };
        assert_eq!(
            block.value(&value),
            "{\r\n\t\t\"a\": [\r\n\t\t\t\"x \\\"y\\\"\",\r\n\t\t\tnull\r\n\t\t],\r\n\t\t\"b\": {}\r\n\t}"
        );
        assert_eq!(Layout::Inline { spaced: true }.value(&value), r#"{"a": ["x \"y\"", null], "b": {}}"#);
        assert_eq!(Layout::Inline { spaced: false }.member("k", &value), r#""k":{"a":["x \"y\"",null],"b":{}}"#);
    }
}
