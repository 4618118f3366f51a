//! Parts of a script that are no commands: patterns, heads of loops, tests, redirects.

use super::read::Reach;
use super::script::{Began, Shell};
use super::words::Cursor;

impl Shell<'_, '_> {
    /// Past the patterns of a `case`, up to its commands or its end.
    pub(super) fn patterns(&mut self, cursor: &mut Cursor<'_>) {
        loop {
            cursor.skip_lines();
            match cursor.peek() {
                None | Some(b';' | b'&') => return,
                Some(b')') => return cursor.skip(),
                Some(b'(' | b'|') => cursor.skip(),
                Some(_) => {
                    if cursor.rest().starts_with("esac")
                        && !cursor.rest()["esac".len()..].trim_start().starts_with([')', '|'])
                    {
                        return;
                    }
                    let before = cursor.at();
                    let _ = cursor.word(self);
                    if cursor.at() == before {
                        cursor.skip();
                    }
                }
            }
        }
    }

    /// What stands between `for` and its commands.
    pub(super) fn head_of_loop(&mut self, cursor: &mut Cursor<'_>) {
        loop {
            cursor.skip_blanks();
            match cursor.peek() {
                None | Some(b'\n' | b'#' | b';' | b'&' | b'|' | b')') => return,
                Some(b'(') => cursor.skip_to(b'(', b')', self),
                Some(b'{') if cursor.second().is_none_or(|next| next.is_ascii_whitespace()) => return,
                Some(_) => {
                    let before = cursor.at();
                    let _ = cursor.word(self);
                    if cursor.at() == before {
                        cursor.skip();
                    }
                }
            }
        }
    }

    /// Past `[[ ... ]]`, in which `<` and `>` compare.
    pub(super) fn test(&mut self, cursor: &mut Cursor<'_>) {
        loop {
            cursor.skip_blanks();
            match cursor.peek() {
                None => return self.draft.opaque(),
                Some(b'\n') => cursor.end_line(),
                Some(b'#') => cursor.skip_comment(),
                Some(b'&' | b'|' | b'<' | b'>' | b'(' | b')' | b';') => cursor.skip(),
                Some(_) => {
                    let before = cursor.at();
                    if cursor.word(self).is("]]") {
                        return;
                    }
                    if cursor.at() == before {
                        cursor.skip();
                    }
                }
            }
        }
    }

    /// A redirect, if one is next.
    pub(super) fn redirect(&mut self, cursor: &mut Cursor<'_>, over: Option<&Began>, is_fed: &mut bool) -> bool {
        let digits = cursor.rest().bytes().take(4).take_while(u8::is_ascii_digit).count();
        let sign = cursor.rest().as_bytes().get(digits).copied();
        let next = cursor.rest().as_bytes().get(digits + 1).copied();
        match sign {
            Some(b'<' | b'>') if digits > 0 || next != Some(b'(') => {}
            Some(b'&') if digits == 0 && next == Some(b'>') => {}
            _ => return false,
        }
        for _ in 0..digits {
            cursor.skip();
        }
        if cursor.eat("<<<") {
            cursor.skip_blanks();
            let _ = cursor.word(self);
            *is_fed = true;
            return true;
        }
        if cursor.eat("<<") {
            let may_be_indented = cursor.eat("-");
            cursor.heredoc(may_be_indented, self);
            *is_fed = true;
            return true;
        }
        if cursor.eat("<&") || cursor.eat("<") && cursor.peek() != Some(b'>') {
            cursor.skip_blanks();
            let _ = cursor.word(self);
            *is_fed = true;
            return true;
        }
        let is_copy = cursor.eat(">&");
        let _ = is_copy
            || cursor.eat("&>>")
            || cursor.eat("&>")
            || cursor.eat(">>")
            || cursor.eat(">|")
            || cursor.eat(">! ")
            || cursor.eat(">");
        cursor.skip_blanks();
        let is_process = cursor.rest().starts_with(">(");
        let word = cursor.word(self);
        if is_process || is_copy && (word.has_hole() || is_descriptor(&word.text)) {
            return true;
        }
        let cwd = over.map(|Began(entry)| std::mem::replace(&mut self.cwd, entry.clone()));
        if word.pattern.is_some() {
            // Some shells expand it here, some do not.
            self.draft.opaque();
        } else if !self.is_muted() {
            self.target(&word, Reach::File);
        }
        if let Some(cwd) = cwd {
            self.cwd = cwd;
        }
        true
    }
}

/// Whether a redirect to `text` means another one: `1` of `2>&1`.
fn is_descriptor(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// Past `()`, if that is next.
pub(super) fn is_empty_pair(cursor: &mut Cursor<'_>) -> bool {
    let inside = cursor.rest().strip_prefix('(').unwrap_or_default();
    let blanks = inside.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    if inside.as_bytes().get(blanks) != Some(&b')') {
        return false;
    }
    for _ in 0..blanks + 2 {
        cursor.skip();
    }
    true
}
