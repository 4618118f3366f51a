//! The lines of a Markdown text that say something: without code (fenced or indented) and HTML comments.

use std::borrow::Cow;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MarkdownLine {
    /// The text without surrounding white space; empty for a blank line, and in the place of code.
    pub(super) text: String,
    /// Where the text begins in the whole, in bytes.
    pub(super) at: usize,
    /// The column in which the text begins.
    pub(super) column: usize,
    /// Whether it begins an item of a list.
    pub(super) is_item: bool,
}

/// The lines of `markdown`, those of code and comments blank. Made one by one: whoever has no time for a long text stops
/// asking.
pub(super) fn lines(markdown: &str) -> impl Iterator<Item = MarkdownLine> + '_ {
    let mut fence: Option<Fence> = None;
    let mut in_comment = false;
    // Where the text of the innermost list item begins: what stands four columns further right is code.
    let mut item_column = 0;
    let mut in_paragraph = false;
    markdown.lines().map(move |raw| {
        let trimmed = raw.trim();
        if let Some(open) = fence {
            fence = (!open.is_closed_by(trimmed)).then_some(open);
            return MarkdownLine { text: String::new(), at: offset(markdown, raw), column: 0, is_item: false };
        }
        let indent = column(raw);
        let is_code = !in_paragraph && !in_comment && !trimmed.is_empty() && indent >= item_column + 4;
        if !is_code && !in_comment {
            fence = Fence::opened_by(trimmed);
        }
        let said = if is_code || fence.is_some() {
            Cow::Borrowed("")
        } else if in_comment || raw.contains("<!--") {
            Cow::Owned(uncommented(raw, &mut in_comment))
        } else {
            Cow::Borrowed(raw)
        };
        let at = offset(markdown, raw) + (said.len() - said.trim_start().len());
        let text = said.trim().to_owned();
        let item = item_width(&text);
        if let Some(width) = item {
            item_column = indent + width;
        } else if !text.is_empty() && !in_paragraph && indent < item_column {
            item_column = 0;
        }
        in_paragraph = !text.is_empty() && !text.starts_with('#');
        MarkdownLine { text, at, column: indent, is_item: item.is_some() }
    })
}

#[derive(Debug, Clone, Copy)]
struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    fn opened_by(line: &str) -> Option<Self> {
        let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let rest = line.trim_start_matches(mark);
        let length = line.len() - rest.len();
        (length >= 3 && !(mark == '`' && rest.contains('`'))).then_some(Self { mark, length })
    }

    fn is_closed_by(self, line: &str) -> bool {
        line.len() >= self.length && line.chars().all(|symbol| symbol == self.mark)
    }
}

/// The column at which the text of a line begins.
fn column(line: &str) -> usize {
    let mut column = 0;
    for symbol in line.chars() {
        match symbol {
            ' ' => column += 1,
            '\t' => column += 4 - column % 4,
            _ => break,
        }
    }
    column
}

/// Where `part` begins in `whole`, in bytes.
fn offset(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

/// `line` with blanks instead of comments; `inside` tells whether one is open before it and after it.
fn uncommented(line: &str, inside: &mut bool) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    loop {
        let mark = if *inside { "-->" } else { "<!--" };
        let cut = rest.find(mark);
        let (before, after) = rest.split_at(cut.unwrap_or(rest.len()));
        if *inside {
            out.extend(std::iter::repeat_n(' ', before.len()));
        } else {
            out.push_str(before);
        }
        if cut.is_none() {
            return out;
        }
        out.extend(std::iter::repeat_n(' ', mark.len()));
        *inside = !*inside;
        rest = &after[mark.len()..];
    }
}

/// How many columns the mark of a list item takes with one space; `None` if the line is no item.
fn item_width(line: &str) -> Option<usize> {
    let rest = after_mark(line)?;
    rest.starts_with([' ', '\t']).then(|| line.len() - rest.len() + 1)
}

/// What follows the `-`, `*`, `+`, `1.` or `1)` of a list item.
pub(super) fn after_mark(line: &str) -> Option<&str> {
    line.strip_prefix(['-', '*', '+']).or_else(|| {
        let rest = line.trim_start_matches(|symbol: char| symbol.is_ascii_digit());
        if rest.len() < line.len() { rest.strip_prefix(['.', ')']) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::fence("a\n```\ncode\n```\nb", "a b")]
    #[case::longer_fence("````md\n```\ncode\n```\nmore\n````\nb", "b")]
    #[case::fence_with_language_does_not_close("```sh\ncode\n```sh\ncode\n```\nb", "b")]
    #[case::inline_code_is_no_fence("```x``` a", "```x``` a")]
    #[case::tildes("~~~\ncode\n~~~\na", "a")]
    #[case::indented("a\n\n    code\n\tcode\n\nb", "a b")]
    #[case::continued_paragraph("a\n    b", "a b")]
    #[case::nested_items("- a\n\n    - b\n\n        - c", "- a - b - c")]
    #[case::code_in_an_item("- a\n\n      code\n\nb\n\n    code", "- a b")]
    #[case::comment("a <!-- x --> b\n<!--\nx\n--> c", "a b c")]
    #[case::comment_hides_a_fence("<!--\n```\n-->\na", "a")]
    fn code_and_comments_are_left_out(#[case] text: &str, #[case] expected: &str) {
        let said: Vec<_> = lines(text).filter(|line| !line.text.is_empty()).collect();
        let joined = said.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join(" ");
        assert_eq!(joined.split_whitespace().collect::<Vec<_>>().join(" "), expected);
        for line in said {
            assert!(line.text.starts_with(&text[line.at..=line.at]), "{line:?}");
        }
    }
}
