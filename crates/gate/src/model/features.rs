//! A text as hashed features.

use stopgate_core::words::{is_unspaced, lower};

use crate::markdown;

/// What is looked at of a long text, in bytes: where it begins, and where it ends.
const HEAD: usize = 2 * 1024;
const TAIL: usize = 6 * 1024;
/// How many letters of a longer word are taken for its stem, and how many at each place in it for what it is made of: words
/// are inflected and put together in most languages, and nobody has seen all of them.
const STEM_CHARS: usize = 4;
/// How many words from its end a text is in its end.
const END_WORDS: usize = 40;

/// A feature of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Feature {
    /// The hash of its name.
    pub hash: u32,
    /// How much of the text it is: the squares of all add up to one in each part of the text that counts apart.
    pub value: f32,
}

/// The features of `text` and of its end, each once. Linear in what is looked at: at most 8 KiB.
pub fn features(text: &str) -> Vec<Feature> {
    let words = words(text);
    let mut all = Vec::with_capacity(words.len() * 6);
    add(&mut all, "", &words);
    add(&mut all, END, end(&words));
    all
}

/// The features of a text that counts apart from others, under the name of `part`.
pub fn features_apart(part: &str, text: &str) -> Vec<Feature> {
    let mut all = Vec::new();
    add(&mut all, part, &words(text));
    all
}

fn add(all: &mut Vec<Feature>, part: &str, words: &[String]) {
    let mut hashes = Vec::with_capacity(words.len() * 6);
    each_gram(words, |gram| hashes.push(hash(part, gram)));
    hashes.sort_unstable();
    hashes.dedup();
    let value = share(hashes.len());
    all.extend(hashes.into_iter().map(|hash| Feature { hash, value }));
}

/// The features of `text` and of its end, with their names.
pub(super) fn named(text: &str) -> Vec<(String, Feature)> {
    let words = words(text);
    let mut all = Vec::new();
    add_named(&mut all, "", &words);
    add_named(&mut all, END, end(&words));
    all
}

/// [`features_apart`] with their names.
pub(super) fn named_apart(part: &str, text: &str) -> Vec<(String, Feature)> {
    let mut all = Vec::new();
    add_named(&mut all, part, &words(text));
    all
}

fn add_named(all: &mut Vec<(String, Feature)>, part: &str, words: &[String]) {
    let mut grams = Vec::new();
    each_gram(words, |gram| grams.push((hash(part, gram), format!("{part}{}", gram.concat()))));
    grams.sort_unstable();
    grams.dedup_by_key(|(hash, _)| *hash);
    let value = share(grams.len());
    all.extend(grams.into_iter().map(|(hash, name)| (name, Feature { hash, value })));
}

/// A feature that is known of a text from elsewhere.
pub fn said(name: &str, value: f32) -> Feature {
    Feature { hash: hash("=", &[name]), value }
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
fn share(count: usize) -> f32 {
    1.0 / (count.max(1) as f32).sqrt()
}

/// FNV-1a, with the high bits folded in.
fn hash(part: &str, gram: &[&str]) -> u32 {
    let bytes = part.bytes().chain(gram.iter().flat_map(|piece| piece.bytes()));
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash ^ (hash >> 15)
}

/// The part of a text that is its end.
const END: &str = "$";

fn end(words: &[String]) -> &[String] {
    &words[words.len().saturating_sub(END_WORDS)..]
}

/// Hands `take` each word, pair, triple of signs, stem, and part of a word, as pieces.
fn each_gram(words: &[String], mut take: impl FnMut(&[&str])) {
    for (at, word) in words.iter().enumerate() {
        take(&[word]);
        // Endings differ where words are inflected.
        if let Some((end, _)) = word.char_indices().nth(STEM_CHARS) {
            take(&[&word[..end], "*"]);
            let starts = word.char_indices().map(|(at, _)| at);
            let ends = word.char_indices().map(|(at, _)| at).skip(STEM_CHARS).chain([word.len()]);
            for (start, end) in starts.zip(ends) {
                take(&["~", &word[start..end]]);
            }
        }
        let Some(second) = words.get(at + 1) else { continue };
        take(&[word, " ", second]);
        if let Some(third) = words.get(at + 2).filter(|third| [word, second, third].iter().all(|word| is_sign(word))) {
            take(&[word, " ", second, " ", third]);
        }
    }
}

fn is_sign(word: &str) -> bool {
    word.chars().next().is_some_and(is_unspaced)
}

/// The words of `text`: lower case, without marks on letters, numbers as `0`, code as one sign, marks of their own, `-`
/// before an item of a list and `/` at the end of a line.
fn words(text: &str) -> Vec<String> {
    let shown = ends(text);
    let mut words = Vec::new();
    for line in markdown::lines(&shown) {
        if line.text.is_empty() {
            continue;
        }
        if line.is_item {
            words.push("-".to_owned());
        }
        let mut rest = line.text.as_str();
        while let Some(first) = rest.chars().next() {
            let length = if first == '`' {
                words.push("`".to_owned());
                rest[1..].find('`').map_or(rest.len(), |at| at + 2)
            } else if first.is_ascii_digit() {
                words.push("0".to_owned());
                rest.find(|sign: char| !sign.is_ascii_digit() && sign != '.' && sign != ',').unwrap_or(rest.len())
            } else if is_unspaced(first) {
                words.push(first.to_string());
                first.len_utf8()
            } else if first.is_alphabetic() {
                let length = rest.find(|sign: char| !is_letter(sign)).unwrap_or(rest.len());
                words.push(
                    rest[..length].chars().map(|sign| if sign == '\u{2019}' { '\'' } else { lower(sign) }).collect(),
                );
                length
            } else {
                if is_mark(first) {
                    words.push(first.to_string());
                }
                first.len_utf8()
            };
            rest = &rest[length..];
        }
        words.push("/".to_owned());
    }
    words
}

/// Whether a sign goes on with a word.
fn is_letter(sign: char) -> bool {
    (sign.is_alphabetic() && !is_unspaced(sign)) || matches!(sign, '\'' | '\u{2019}')
}

/// Signs that say something by themselves.
const fn is_mark(sign: char) -> bool {
    matches!(
        sign,
        '?' | '\u{ff1f}'
            | '!'
            | ':'
            | '['
            | ']'
            | '%'
            | '\u{2026}'
            | '\u{2705}'
            | '\u{2714}'
            | '\u{2713}'
            | '\u{274c}'
            | '\u{2b1c}'
            | '\u{26a0}'
            | '\u{23f3}'
            | '\u{1f6a7}'
    )
}

/// The beginning and the end of a long text.
fn ends(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= HEAD + TAIL {
        return text.into();
    }
    let head = text.floor_char_boundary(HEAD);
    let tail = text.ceil_char_boundary(text.len() - TAIL);
    format!("{}\n\n{}", &text[..head], &text[tail..]).into()
}
