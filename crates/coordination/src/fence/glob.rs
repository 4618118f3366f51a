//! Patterns of a shell (`*.rs`, `src/{a,b}.c`), which nobody expands here: whether something that is known by its path is
//! among what they mean. Only what every shell agrees on counts.

use std::borrow::Cow;

/// Signs that mean something in a pattern.
pub(super) const SIGNS: [char; 9] = ['*', '?', '[', ']', '{', '}', ',', '\\', '!'];
/// Most alternatives that the braces of a pattern are looked at in.
const MAX_ALTERNATIVES: usize = 64;

/// Whether what `pattern` means may be `path`, lie below it, or have it below itself. Both are relative to one directory,
/// which the pattern's paths lie in. A `/` at the end of the pattern: with all that is below what it means. A `/` at the end
/// of the path: a directory with all that is below it.
pub(super) fn touches(pattern: &str, path: &str) -> bool {
    let mut left = MAX_ALTERNATIVES;
    alternatives(Cow::Borrowed(pattern), &mut left, &mut |pattern| touches_one(pattern, path))
}

/// Whether `found` is so of one of the patterns without braces that `pattern` stands for; `false` beyond `left` of them.
fn alternatives(pattern: Cow<'_, str>, left: &mut usize, found: &mut impl FnMut(&str) -> bool) -> bool {
    if *left == 0 {
        return false;
    }
    let Some((before, choices, after)) = brace(&pattern) else {
        *left -= 1;
        return found(&pattern);
    };
    choices.iter().any(|choice| alternatives(Cow::Owned(format!("{before}{choice}{after}")), left, found))
}

/// The first braces of `pattern` that hold alternatives, with what is around them.
fn brace(pattern: &str) -> Option<(&str, Vec<&str>, &str)> {
    let open = pattern.find('{')?;
    let (mut depth, mut begin, mut choices) = (0_usize, open + 1, Vec::new());
    for (at, sign) in pattern[open..].char_indices() {
        let at = open + at;
        match sign {
            '{' => depth += 1,
            ',' if depth == 1 => {
                choices.push(&pattern[begin..at]);
                begin = at + 1;
            }
            '}' if depth == 1 => {
                choices.push(&pattern[begin..at]);
                return (choices.len() > 1).then(|| (&pattern[..open], choices, &pattern[at + 1..]));
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn touches_one(pattern: &str, path: &str) -> bool {
    let (pattern, is_deep) = pattern.strip_suffix('/').map_or((pattern, false), |pattern| (pattern, true));
    let (path, is_directory) = path.strip_suffix('/').map_or((path, false), |path| (path, true));
    let (mut patterns, mut names) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), names.next()) {
            (Some(pattern), Some(name)) => {
                if !is_name(pattern, name) {
                    return false;
                }
            }
            // What it means lies below the path.
            (Some(_), None) => return is_directory,
            // The path lies below what it means.
            (None, Some(_)) => return is_deep,
            // The very same; what takes files alone leaves a directory.
            (None, None) => return is_deep || !is_directory,
        }
    }
}

/// Whether `pattern` means `name`, one part of a path.
fn is_name(pattern: &str, name: &str) -> bool {
    // A hidden one is to be named.
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    // Where the last star stood, and what of the name it may take next.
    let (mut rest, mut of, mut star) = (pattern, name, None);
    loop {
        if let Some(after) = rest.strip_prefix('*') {
            star = Some((after, of));
            rest = after;
            continue;
        }
        let matched = match (of.chars().next(), one(rest)) {
            (None, None) => return true,
            (Some(sign), Some((takes, length))) if takes.takes(sign) => {
                rest = &rest[length..];
                of = &of[sign.len_utf8()..];
                true
            }
            _ => false,
        };
        if !matched {
            let Some((after, from)) = star else { return false };
            let Some(sign) = from.chars().next() else { return false };
            let from = &from[sign.len_utf8()..];
            star = Some((after, from));
            (rest, of) = (after, from);
        }
    }
}

/// What one sign of a pattern takes of a name.
enum Takes<'p> {
    Any,
    One(char),
    Class(&'p str),
}

impl Takes<'_> {
    fn takes(&self, sign: char) -> bool {
        match self {
            Self::Any => true,
            Self::One(own) => *own == sign,
            Self::Class(class) => {
                let (class, is_not) = class.strip_prefix(['!', '^']).map_or((*class, false), |class| (class, true));
                // Of a class by name (`[:digit:]`) it is not known here.
                if class.contains("[:") {
                    return false;
                }
                let signs: Vec<char> = class.chars().collect();
                let mut rest = &signs[..];
                let mut is_in = false;
                while let [first, after @ ..] = rest {
                    rest = after;
                    if let ['-', last, after @ ..] = rest {
                        is_in |= (*first..=*last).contains(&sign);
                        rest = after;
                    } else {
                        is_in |= *first == sign;
                    }
                }
                is_in != is_not
            }
        }
    }
}

/// The first sign of `pattern`, and its length.
fn one(pattern: &str) -> Option<(Takes<'_>, usize)> {
    let sign = pattern.chars().next()?;
    Some(match sign {
        '?' => (Takes::Any, 1),
        '[' => {
            // `[]a]` and `[!]a]` have the bracket in them.
            let inside = &pattern[1..];
            let skipped = inside.chars().take_while(|sign| matches!(sign, '!' | '^' | ']')).count();
            match inside.get(skipped..).and_then(|after| after.find(']')) {
                Some(end) => (Takes::Class(&inside[..skipped + end]), skipped + end + 2),
                None => (Takes::One('['), 1),
            }
        }
        sign => (Takes::One(sign), sign.len_utf8()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("*", "a.rs", true)]
    #[case("*", ".env", false)]
    #[case("*", "src/", false)]
    #[case("*", "src/a.rs", false)]
    #[case("*/", "src/a.rs", true)]
    #[case("*/", "src/", true)]
    #[case("*/", ".claude/x", false)]
    #[case("*.rs", "a.rs", true)]
    #[case("*.rs", "a.rst", false)]
    #[case("*.rs", "src/a.rs", false)]
    #[case("*.rs", ".rs", false)]
    #[case("*/*.rs", "src/a.rs", true)]
    #[case("*/*.rs", "src/", true)]
    #[case("*/*.rs", "src", false)]
    #[case("s*/a.rs", "lib/", false)]
    #[case("{a,b}.rs", "b.rs", true)]
    #[case("{a,b}.rs", "c.rs", false)]
    #[case("{a,{b,c}x}.rs", "cx.rs", true)]
    #[case("{}", "{}", true)]
    #[case("a?c", "abc", true)]
    #[case("a?c", "aéc", true)]
    #[case("a?c", "ac", false)]
    #[case("[a-c]x", "bx", true)]
    #[case("[!a-c]x", "bx", false)]
    #[case("[]a]", "]", true)]
    #[case("[a", "[a", true)]
    #[case("[[:digit:]]", "1", false)]
    #[case("*a*b*c", "xxaybzbzc", true)]
    #[case("*a*b*c", "xxaybzbz", false)]
    fn a_pattern_means_what_every_shell_makes_of_it(#[case] pattern: &str, #[case] path: &str, #[case] expected: bool) {
        assert_eq!(touches(pattern, path), expected, "{pattern} {path}");
    }

    #[test]
    fn a_pattern_takes_no_more_time_than_its_length_is_worth() {
        assert!(!touches(&"*a".repeat(1_000), &"a".repeat(1_500).replace("aa", "ab")));
        assert!(!touches(&"{a,b}".repeat(200), "x"));
    }
}
