//! Changes to single places of a document's text.
//!
//! The concrete syntax tree says where; the change itself is a splice of the text, so that no byte outside it can
//! move. (The tree's own editing methods would break one-line objects over several lines, drop blank lines, and
//! take the comments around a removed value with it.) Every function returns the whole new text; the caller parses
//! it again before the next change.

use std::ops::Range;

use jsonc_parser::cst::{CstContainerNode, CstNewlineKind, CstNode};

use super::document::{Document, Value, offset, span};
use super::render::Layout;

const DEFAULT_UNIT: &str = "  ";

/// What is put into a container.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'a> {
    /// A member of an object.
    Member(&'a str, &'a Value),
    /// An element of an array.
    Element(&'a Value),
}

impl Item<'_> {
    fn render(self, layout: &Layout) -> String {
        match self {
            Self::Member(name, value) => layout.member(name, value),
            Self::Element(value) => layout.value(value),
        }
    }
}

/// The text with `item` as the last one of `container`.
pub(super) fn append(document: &Document, container: &CstContainerNode, item: Item<'_>) -> String {
    let text = document.text();
    let pieces = Pieces::of(container);
    let style = FileStyle::of(document);
    let own_indent = indent_of_line(text, pieces.start);
    let Some(close) = pieces.all.last() else { return text.to_owned() };
    // Behind everything that is there already, comments included, and in front of the space before the bracket.
    let anchor = pieces.before_close().iter().rev().find(|piece| !piece.is_space()).map_or(pieces.start, |p| p.end);
    let gap = &text[anchor..close.start];
    let last = pieces.items().next_back();
    let in_lines = pieces.has_direct_newline() || (last.is_none() && !style.one_line);

    let mut changes = Vec::new();
    // A file that ends its lists with a comma keeps doing so.
    let end = match last {
        Some(last) if pieces.comma_after(last) => ",",
        Some(last) => {
            changes.push((last.end..last.end, ",".to_owned()));
            ""
        }
        None => "",
    };
    let addition = if in_lines {
        let indent = match last {
            Some(last) if is_first_on_line(text, last.start) => indent_of_line(text, last.start),
            _ => format!("{own_indent}{}", style.unit),
        };
        let newline = style.newline;
        let layout = Layout::Block { indent: indent.clone(), unit: style.unit, newline };
        let tail = if gap.contains('\n') { String::new() } else { format!("{newline}{own_indent}") };
        format!("{newline}{indent}{}{end}{tail}", item.render(&layout))
    } else {
        let spread = text[pieces.start..close.end].contains('\n');
        let layout = if spread {
            Layout::Block { indent: own_indent, unit: style.unit, newline: style.newline }
        } else {
            Layout::Inline { spaced: style.spaced }
        };
        let space = if last.is_some() && style.spaced { " " } else { "" };
        format!("{space}{}{end}", item.render(&layout))
    };
    changes.push((anchor..anchor, addition));
    apply(text, changes)
}

/// The text without `item`, a member or an element. Comments around it stay.
pub(super) fn remove(document: &Document, item: &CstNode) -> String {
    let text = document.text();
    let (Some(container), at) = (item.parent(), item.child_index()) else { return text.to_owned() };
    let pieces = Pieces::of(&container);
    let Some(gone) = pieces.all.get(at) else { return text.to_owned() };
    let before = &pieces.all[..at];
    let after = &pieces.all[at + 1..];
    let own_comma = after.iter().take_while(|piece| !piece.is_item()).find(|piece| piece.node.is_comma());
    let other_comma = before.iter().rev().take_while(|piece| !piece.is_item()).find(|piece| piece.node.is_comma());
    let comma = own_comma.or(other_comma);

    let solid_before = before.iter().rev().find(|piece| !piece.is_space());
    let mut start = solid_before.map_or(gone.start, |piece| piece.end);
    let rest_of_line = own_comma.map_or(gone.end, |comma| comma.end);
    let next_is_newline = text[rest_of_line..].trim_start_matches([' ', '\t']).starts_with(['\r', '\n']);
    if solid_before.is_some_and(|piece| piece.node.to_string().starts_with("//")) && !next_is_newline {
        // What follows would become part of the line comment.
        start = gone.start;
    }
    let mut changes = vec![(start..gone.end, String::new())];
    changes.extend(comma.map(|comma| (comma.start..comma.end, String::new())));
    let alone = pieces.items().count() == 1 && pieces.all.iter().all(|piece| !piece.node.is_comment());
    if alone && let (Some(open), Some(close)) = (pieces.all.first(), pieces.all.last()) {
        // The line break that `append` may have put in front of the bracket goes with the item.
        let added = format!("{}{}", FileStyle::of(document).newline, indent_of_line(text, pieces.start));
        let gap = &text[rest_of_line..close.start];
        let kept = gap.strip_prefix(&added).filter(|rest| !rest.contains('\n')).unwrap_or(gap);
        changes = vec![(open.end..close.start - kept.len(), String::new())];
    }
    apply(text, changes)
}

/// The text with `value` in the place of `node`.
pub(super) fn replace(document: &Document, node: &CstNode, value: &Value) -> String {
    let text = document.text();
    let style = FileStyle::of(document);
    let range = span(node);
    let layout = if text[range.clone()].contains('\n') {
        Layout::Block { indent: indent_of_line(text, range.start), unit: style.unit, newline: style.newline }
    } else {
        Layout::Inline { spaced: style.spaced }
    };
    apply(text, vec![(range, layout.value(value))])
}

/// The text of a file that had nothing in it.
pub(super) fn fresh(value: &Value) -> String {
    let layout = Layout::Block { indent: String::new(), unit: DEFAULT_UNIT.to_owned(), newline: "\n" };
    format!("{}\n", layout.value(value))
}

/// Applies changes that do not overlap.
fn apply(text: &str, mut changes: Vec<(Range<usize>, String)>) -> String {
    changes.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len() + changes.iter().map(|(_, new)| new.len()).sum::<usize>());
    let mut done = 0;
    for (range, new) in changes {
        out.push_str(&text[done..range.start.max(done)]);
        out.push_str(&new);
        done = range.end.max(done);
    }
    out.push_str(&text[done..]);
    out
}

/// A child of a container, with its place in the text.
struct Piece {
    node: CstNode,
    start: usize,
    end: usize,
}

impl Piece {
    fn is_space(&self) -> bool {
        self.node.is_whitespace() || self.node.is_newline()
    }

    fn is_item(&self) -> bool {
        !self.node.is_trivia() && !self.node.is_token()
    }
}

/// The children of a container: its brackets, items, commas, comments and white space.
struct Pieces {
    start: usize,
    all: Vec<Piece>,
}

impl Pieces {
    fn of(container: &CstContainerNode) -> Self {
        let start = offset(&container.clone().into());
        let mut end = start;
        let piece = |node: CstNode| {
            let start = end;
            end += node.to_string().len();
            Piece { node, start, end }
        };
        let all = container.children().into_iter().map(piece).collect();
        Self { start, all }
    }

    fn before_close(&self) -> &[Piece] {
        self.all.split_last().map_or(&[], |(_, before)| before)
    }

    fn items(&self) -> impl DoubleEndedIterator<Item = &Piece> {
        self.all.iter().filter(|piece| piece.is_item())
    }

    fn comma_after(&self, item: &Piece) -> bool {
        self.all.iter().any(|piece| piece.start >= item.end && piece.node.is_comma())
    }

    fn has_direct_newline(&self) -> bool {
        self.all.iter().any(|piece| piece.node.is_newline())
    }
}

/// The habits of a file.
struct FileStyle {
    unit: String,
    newline: &'static str,
    one_line: bool,
    spaced: bool,
}

impl FileStyle {
    fn of(document: &Document) -> Self {
        let text = document.text();
        let newline = match document.root().newline_kind() {
            CstNewlineKind::LineFeed => "\n",
            CstNewlineKind::CarriageReturnLineFeed => "\r\n",
            CstNewlineKind::CarriageReturn => "\r",
        };
        let unit = document.root().single_indent_text().filter(|unit| !unit.is_empty());
        let root = document.root().value();
        let is_empty = root.as_ref().is_none_or(|root| root.children_exclude_trivia_and_tokens().is_empty());
        let root: CstNode = root.unwrap_or_else(|| CstContainerNode::from(document.root().clone()).into());
        let spaced = has_space(&root);
        let one_line = !is_empty && !text[span(&root)].contains('\n');
        Self { unit: unit.unwrap_or_else(|| DEFAULT_UNIT.to_owned()), newline, one_line, spaced }
    }
}

fn has_space(node: &CstNode) -> bool {
    node.is_whitespace() || node.children().iter().any(has_space)
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

fn indent_of_line(text: &str, at: usize) -> String {
    text[line_start(text, at)..at].chars().take_while(|symbol| matches!(symbol, ' ' | '\t')).collect()
}

fn is_first_on_line(text: &str, at: usize) -> bool {
    text[line_start(text, at)..at].chars().all(|symbol| matches!(symbol, ' ' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::document::last_prop;

    fn number() -> Value {
        Value::Number("9".into())
    }

    fn document(text: &str) -> Document {
        Document::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn members_are_added_in_the_style_of_their_object() {
        for (before, after) in [
            ("{}", "{\n  \"n\": 9\n}"),
            ("{ }", "{\n  \"n\": 9\n }"),
            ("{\"a\":1}", "{\"a\":1,\"n\":9}"),
            ("{ \"a\": 1 }", "{ \"a\": 1, \"n\": 9 }"),
            ("{\n    \"a\": 1\n}\n", "{\n    \"a\": 1,\n    \"n\": 9\n}\n"),
            ("{\r\n\t\"a\": 1\r\n}", "{\r\n\t\"a\": 1,\r\n\t\"n\": 9\r\n}"),
            ("{\n  \"a\": 1,\n}", "{\n  \"a\": 1,\n  \"n\": 9,\n}"),
            ("{\n  \"a\": 1 // one\n\n}", "{\n  \"a\": 1, // one\n  \"n\": 9\n\n}"),
            ("{ // none yet\n}", "{ // none yet\n  \"n\": 9\n}"),
            ("{\"a\":1/**/}", "{\"a\":1,/**/\"n\":9}"),
        ] {
            let document = document(before);
            let object = document.object().unwrap().into();
            assert_eq!(append(&document, &object, Item::Member("n", &number())), after, "{before:?}");
        }
    }

    #[test]
    fn elements_are_removed_with_their_comma_and_nothing_else() {
        for (before, index, after) in [
            ("[1]", 0, "[]"),
            ("[ 1 ]", 0, "[ ]"),
            ("[1, 2]", 1, "[1]"),
            ("[1, 2]", 0, "[ 2]"),
            ("[1, 2, 3]", 1, "[1, 3]"),
            ("[\n  1,\n  2\n]", 1, "[\n  1\n]"),
            ("[\n  1,\n  2,\n]", 1, "[\n  1,\n]"),
            ("[\n  1, // one\n  2 // two\n]", 1, "[\n  1 // one\n   // two\n]"),
            ("[\n  1, // one\n  2, 3\n]", 1, "[\n  1, // one\n   3\n]"),
            ("[ /* keep */ 1 ]", 0, "[ /* keep */ ]"),
            ("[\n  1\n  // why\n  , 2\n]", 0, "[\n  // why\n   2\n]"),
        ] {
            let document = document(&format!("{{\"a\": {before}}}"));
            let array = last_prop(&document.object().unwrap(), "a").unwrap().array_value().unwrap();
            let text = remove(&document, &array.elements()[index]);
            assert_eq!(text, format!("{{\"a\": {after}}}"), "{before:?}");
            Document::parse(text.as_bytes()).unwrap();
        }
    }

    #[test]
    fn what_is_added_and_removed_again_leaves_the_text_as_it_was() {
        for before in
            ["[]", "[1]", "[1, 2]", "[\n  1\n]", "[\n  1, // one\n\n  2 // two\n]", "[/*a*/1/*b*/]", "[[], {}]"]
        {
            let before = format!("{{\n  \"a\": {before}\n}}");
            let document = document(&before);
            let array =
                |document: &Document| last_prop(&document.object().unwrap(), "a").unwrap().array_value().unwrap();
            let with = append(&document, &array(&document).into(), Item::Element(&number()));
            let with = document.with_text(&with).unwrap();
            let last = array(&with).elements().pop().unwrap();
            assert_eq!(last.to_string(), "9");
            assert_eq!(remove(&with, &last), before);
        }
    }

    #[test]
    fn a_value_is_replaced_in_its_place() {
        let document = document("{\n  \"a\": 1 // one\n}");
        let node = last_prop(&document.object().unwrap(), "a").unwrap().value().unwrap();
        assert_eq!(replace(&document, &node, &number()), "{\n  \"a\": 9 // one\n}");
    }
}
