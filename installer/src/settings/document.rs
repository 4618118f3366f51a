//! A settings file as a concrete syntax tree, and the reasons for which one is left alone.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstContainerNode, CstLeafNode, CstNode, CstObject, CstObjectProp, CstRootNode};

/// What Claude Code and editors agree on: JSON, with comments and trailing commas at most.
const DIALECT: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A parsed settings file. Positions are byte offsets into [`Document::text`].
#[derive(Debug)]
pub(crate) struct Document {
    text: String,
    marked: bool,
    root: CstRootNode,
}

impl Document {
    /// Parses `bytes`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Unfit> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            Unfit { at: Some(Position::of(&good, good.len())), problem: DocumentProblem::NotUtf8 }
        })?;
        let (text, marked) = match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let root = CstRootNode::parse(text, &DIALECT).map_err(|error| Unfit {
            at: Some(Position { line: error.line_display(), column: error.column_display() }),
            problem: DocumentProblem::Syntax(error.kind().to_string()),
        })?;
        // Everything below counts bytes on the tree; a tree that is not the text would cut in the wrong place.
        if root.to_string() != text {
            return Err(Unfit { at: None, problem: DocumentProblem::NotRepresentable });
        }
        Ok(Self { text: text.to_owned(), marked, root })
    }

    /// The text, without a byte order mark.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// This document with another text, parsed anew.
    pub(crate) fn with_text(&self, text: &str) -> Result<Self, Unfit> {
        let mut changed = Self::parse(text.as_bytes())?;
        changed.marked = self.marked;
        Ok(changed)
    }

    /// The file's bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.text.len() + 3);
        if self.marked {
            bytes.extend_from_slice(BYTE_ORDER_MARK.encode_utf8(&mut [0; 4]).as_bytes());
        }
        bytes.extend_from_slice(self.text.as_bytes());
        bytes
    }

    /// Whether a byte order mark is before the text.
    pub(crate) fn has_mark(&self) -> bool {
        self.marked
    }

    /// Whether there is nothing but white space.
    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// The tree's root.
    pub(crate) fn root(&self) -> &CstRootNode {
        &self.root
    }

    /// The outermost object.
    pub(crate) fn object(&self) -> Result<CstObject, Unfit> {
        self.root.object_value().ok_or_else(|| {
            let at = self.root.value().map_or(0, |value| offset(&value));
            self.unfit(at, DocumentProblem::RootNotObject)
        })
    }

    /// The `hooks` object, if there is one.
    pub(crate) fn hooks(&self) -> Result<Option<CstObject>, Unfit> {
        let Some(prop) = last_prop(&self.object()?, "hooks") else { return Ok(None) };
        prop.object_value().map(Some).ok_or_else(|| self.unfit(value_offset(&prop), DocumentProblem::HooksNotObject))
    }

    /// Refuses line ends that no editor writes: white space around them could not be given back as it was.
    pub(crate) fn check_line_ends(&self) -> Result<(), Unfit> {
        let stray = |(at, _): &(usize, &str)| !self.text[at + 1..].starts_with('\n');
        match self.text.match_indices('\r').find(stray) {
            Some((at, _)) => Err(self.unfit(at, DocumentProblem::StrayCarriageReturn)),
            None => Ok(()),
        }
    }

    /// `problem` at byte `at`.
    pub(crate) fn unfit(&self, at: usize, problem: DocumentProblem) -> Unfit {
        Unfit { at: Some(self.position(at)), problem }
    }

    /// Where byte `at` is, for people.
    pub(crate) fn position(&self, at: usize) -> Position {
        Position::of(&self.text, at)
    }

    /// What the file says, without its layout.
    pub(crate) fn value(&self) -> Option<Value> {
        self.root.value().as_ref().and_then(Value::of)
    }

    /// All comments, in order.
    pub(crate) fn comments(&self) -> Vec<String> {
        let mut comments = Vec::new();
        collect_comments(&CstContainerNode::from(self.root.clone()).into(), &mut comments);
        comments
    }

    /// Why a strict JSON parser refuses the text, if it does: Claude Code then ignores the whole file.
    pub(crate) fn strictness_problem(&self) -> Option<String> {
        if self.is_blank() {
            return None;
        }
        serde_json::from_str::<serde::de::IgnoredAny>(&self.text).err().map(|error| error.to_string())
    }
}

/// Where `node` begins in the text.
pub(crate) fn offset(node: &CstNode) -> usize {
    let before: usize = node.previous_siblings().map(|sibling| sibling.to_string().len()).sum();
    before + node.parent().map_or(0, |parent| offset(&parent.into()))
}

/// The bytes of `node`.
pub(crate) fn span(node: &CstNode) -> Range<usize> {
    let start = offset(node);
    start..start + node.to_string().len()
}

/// Whether a comment stands anywhere in `node`.
pub(crate) fn has_comment(node: &CstNode) -> bool {
    node.is_comment() || node.children().iter().any(has_comment)
}

/// The property `name` that counts: of several, a JSON parser takes the last.
pub(crate) fn last_prop(object: &CstObject, name: &str) -> Option<CstObjectProp> {
    object.properties().into_iter().rev().find(|prop| prop.decoded_name().as_deref() == Some(name))
}

/// All properties with their names, and whether each is the one of its name that counts: in time that grows with their
/// number alone.
pub(crate) fn counted_props(object: &CstObject) -> Vec<(CstObjectProp, String, bool)> {
    let named = |prop: CstObjectProp| (prop.decoded_name().unwrap_or_default(), prop);
    let props: Vec<_> = object.properties().into_iter().map(named).collect();
    let last: HashMap<&str, usize> = props.iter().enumerate().map(|(at, (name, _))| (name.as_str(), at)).collect();
    let counts: Vec<bool> =
        props.iter().enumerate().map(|(at, (name, _))| last.get(name.as_str()) == Some(&at)).collect();
    props.into_iter().zip(counts).map(|((name, prop), counts)| (prop, name, counts)).collect()
}

/// Where the value of `prop` begins.
pub(crate) fn value_offset(prop: &CstObjectProp) -> usize {
    prop.value().map_or(0, |value| offset(&value))
}

fn collect_comments(node: &CstNode, comments: &mut Vec<String>) {
    if node.is_comment() {
        comments.push(node.to_string());
    }
    for child in node.children() {
        collect_comments(&child, comments);
    }
}

/// A JSON value that keeps order, duplicate names and the spelling of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    /// What `node` says; `None` for punctuation and comments.
    pub(crate) fn of(node: &CstNode) -> Option<Self> {
        Some(match node {
            CstNode::Container(CstContainerNode::Object(object)) => {
                let prop = |prop: &CstObjectProp| Some((prop.decoded_name()?, Self::of(&prop.value()?)?));
                Self::Object(object.properties().iter().filter_map(prop).collect())
            }
            CstNode::Container(CstContainerNode::Array(array)) => {
                Self::Array(array.elements().iter().filter_map(Self::of).collect())
            }
            CstNode::Leaf(CstLeafNode::StringLit(text)) => {
                Self::String(text.decoded_value().unwrap_or_else(|_| text.raw_value()))
            }
            CstNode::Leaf(CstLeafNode::NumberLit(number)) => Self::Number(number.to_string()),
            CstNode::Leaf(CstLeafNode::BooleanLit(value)) => Self::Bool(value.value()),
            CstNode::Leaf(CstLeafNode::NullKeyword(_)) => Self::Null,
            _ => return None,
        })
    }

    /// The member `name` that counts.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The same for those who do not care about spelling; of members of one name, the last counts.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Number(number) => serde_json::from_str(number).unwrap_or_else(|_| number.clone().into()),
            Self::String(text) => text.clone().into(),
            Self::Array(values) => values.iter().map(Self::to_json).collect(),
            Self::Object(members) => members.iter().map(|(name, value)| (name.clone(), value.to_json())).collect(),
        }
    }

    /// The text of a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

/// A place in a file, for people: both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    fn of(text: &str, at: usize) -> Self {
        let before = &text[..text.floor_char_boundary(at)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

/// Why a settings file is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) at: Option<Position>,
    pub(crate) problem: DocumentProblem,
}

/// What is wrong with a settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DocumentProblem {
    NotUtf8,
    Syntax(String),
    NotRepresentable,
    RootNotObject,
    HooksNotObject,
    EventNotArray(String),
    StrayCarriageReturn,
    DoesNotSettle,
    ForeignPartChanged,
    CodexRejects(String),
}

impl DocumentProblem {
    const fn remedy(&self) -> &'static str {
        match self {
            Self::NotUtf8 => "save it as UTF-8, then try again",
            Self::Syntax(_) => "mend it there, or move the file away, then try again",
            Self::RootNotObject => "the outermost value has to be an object: { ... }",
            Self::HooksNotObject => "`hooks` has to be an object: \"hooks\": { ... }",
            Self::EventNotArray(_) => "an event's value has to be an array: \"Stop\": [ ... ]",
            Self::StrayCarriageReturn => "save it with line ends of one kind, then try again",
            Self::CodexRejects(_) => "mend it there: no hook of the file runs as it is",
            Self::NotRepresentable | Self::DoesNotSettle | Self::ForeignPartChanged => {
                "please report this, with the file"
            }
        }
    }
}

impl fmt::Display for DocumentProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => out.write_str("not UTF-8"),
            Self::Syntax(kind) => write!(out, "not valid JSON: {}", kind.to_lowercase()),
            Self::NotRepresentable => out.write_str("the parser does not give the text back"),
            Self::RootNotObject => out.write_str("not a JSON object"),
            Self::HooksNotObject => out.write_str("/hooks is not an object"),
            Self::EventNotArray(event) => write!(out, "/hooks/{event} is not an array"),
            Self::StrayCarriageReturn => out.write_str("a carriage return that ends no line"),
            Self::DoesNotSettle => out.write_str("the edit does not come to an end"),
            Self::CodexRejects(problem) => write!(out, "Codex rejects the whole file: {problem}"),
            Self::ForeignPartChanged => out.write_str("the edit would change what is not stopgate's"),
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, column }) = self.at {
            write!(out, "line {line}, column {column}: ")?;
        }
        write!(out, "{}; the file is left as it is. Remedy: {}", self.problem, self.problem.remedy())
    }
}

impl std::error::Error for Unfit {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_a_file_is_broken() {
        let unfit = Document::parse(b"{\n  \"a\": 1,\n  \"b\" 2\n}").unwrap_err();
        assert_eq!(unfit.at, Some(Position { line: 3, column: 7 }));
        assert!(unfit.to_string().starts_with("line 3, column 7: not valid JSON: expected colon"), "{unfit}");
        let unfit = Document::parse(b"{\n\"\xff\": 1}").unwrap_err();
        assert_eq!((unfit.at, unfit.problem), (Some(Position { line: 2, column: 2 }), DocumentProblem::NotUtf8));
    }

    #[test]
    fn refuses_what_only_json5_allows() {
        for text in ["{'a': 1}", "{a: 1}", "{\"a\": 0x1}", "{\"a\": 1 \"b\": 2}", "{\"a\": NaN}", "{} {}", "{"] {
            assert!(Document::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn line_ends_are_of_the_two_kinds_that_there_are() {
        let check = |text: &str| Document::parse(text.as_bytes()).unwrap().check_line_ends();
        for text in ["{}", "{\n}\n", "{\r\n}\r\n", "{\n}\r\n"] {
            assert!(check(text).is_ok(), "{text:?}");
        }
        for (text, line) in [("{\r}", 1), ("{\n\r\r\n}", 2), ("{}\r", 1)] {
            let unfit = check(text).unwrap_err();
            assert_eq!(unfit.at.map(|at| at.line), Some(line), "{text:?}: {unfit}");
            assert!(unfit.to_string().contains("a carriage return that ends no line"), "{unfit}");
        }
    }

    #[test]
    fn a_mark_is_kept_and_does_not_count() {
        let bytes = "\u{feff}{\r\n}".as_bytes();
        let document = Document::parse(bytes).unwrap();
        assert_eq!(document.text(), "{\r\n}");
        assert_eq!(document.to_bytes(), bytes);
        assert_eq!(document.with_text("{}").unwrap().to_bytes(), "\u{feff}{}".as_bytes());
    }

    #[test]
    fn hooks_that_are_no_object_are_unfit() {
        let unfit = |text: &str| Document::parse(text.as_bytes()).unwrap().hooks().unwrap_err();
        assert_eq!(unfit("[]").problem, DocumentProblem::RootNotObject);
        assert_eq!(unfit("{\n \"hooks\": []}").problem, DocumentProblem::HooksNotObject);
        assert_eq!(unfit("{\n \"hooks\": []}").at, Some(Position { line: 2, column: 11 }));
        let last = Document::parse(b"{\"hooks\": 1, \"hooks\": {}}").unwrap();
        assert!(last.hooks().unwrap().is_some(), "the last of several counts");
    }

    #[test]
    fn strictness_is_reported_not_enforced() {
        for (text, strict) in [("{\"a\":1}", true), ("{\"a\":1,}", false), ("// x\n{}", false), ("", true)] {
            let document = Document::parse(text.as_bytes()).unwrap();
            assert_eq!(document.strictness_problem().is_none(), strict, "{text}");
        }
    }
}
