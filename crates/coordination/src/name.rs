//! Names of sessions: short words, for people and agents to say which session they mean.
//!
//! A name is one session's while that lives. The words are common, easy to spell and to tell apart: none is the beginning of
//! another one or one letter away from it, or can be the beginning of an id.

use std::fmt;

/// Longest name, in bytes.
pub const MAX_BYTES: usize = 16;
/// Least letters.
const MIN_BYTES: usize = 3;

/// What means somebody or something else where a session can be named.
const RESERVED: [&str; 16] = [
    "agent", "all", "any", "claude", "codex", "everyone", "leader", "me", "nobody", "none", "operator", "person",
    "room", "self", "stopgate", "you",
];

/// Names that sessions get by themselves.
pub const WORDS: [&str; 276] = [
    "amber", "anchor", "apple", "apricot", "arbor", "aspen", "aurora", "autumn", "avocado", "badger", "bamboo",
    "banjo", "barley", "basil", "beacon", "beaver", "birch", "bison", "blossom", "bluebell", "bonfire", "boulder",
    "breeze", "bridge", "bronze", "brook", "bubble", "cabin", "cactus", "candle", "canoe", "canyon", "carbon",
    "carrot", "castle", "cedar", "cello", "cherry", "chestnut", "cinnamon", "citrus", "clarinet", "clover", "cobalt",
    "coconut", "comet", "compass", "copper", "cosmos", "cotton", "coyote", "cricket", "crimson", "crystal", "cypress",
    "dahlia", "daisy", "dolphin", "drizzle", "dune", "eagle", "ebony", "echo", "eclipse", "elbow", "elm", "emerald",
    "falcon", "feather", "fennel", "fern", "ferry", "fiddle", "finch", "firefly", "flannel", "flute", "forest",
    "fossil", "fountain", "fox", "galaxy", "gallery", "garden", "garlic", "garnet", "geyser", "ginger", "giraffe",
    "glacier", "globe", "granite", "grape", "gravel", "guitar", "harvest", "hazel", "heron", "hickory", "honey",
    "horizon", "iceberg", "igloo", "indigo", "iris", "island", "ivory", "ivy", "jaguar", "jasmine", "jigsaw", "jungle",
    "juniper", "kayak", "kettle", "kiwi", "koala", "ladder", "lagoon", "lantern", "lark", "lavender", "lemon",
    "leopard", "lilac", "lily", "lime", "linen", "lizard", "llama", "lobster", "locket", "lotus", "lupin", "lynx",
    "magnet", "magnolia", "mango", "maple", "marble", "marigold", "marlin", "meadow", "melon", "meteor", "mint",
    "mirror", "mitten", "moose", "mosaic", "muffin", "mulberry", "mustard", "myrtle", "nebula", "nectar", "needle",
    "nickel", "nimbus", "noodle", "nutmeg", "oak", "oasis", "oatmeal", "ocean", "octopus", "olive", "onyx", "opal",
    "orbit", "orchid", "oregano", "osprey", "otter", "owl", "oyster", "paddle", "palm", "panda", "papaya", "paprika",
    "parsley", "peach", "peanut", "pearl", "pebble", "pelican", "pepper", "pewter", "phoenix", "piano", "pigeon",
    "pillow", "pine", "planet", "plum", "pollen", "poppy", "prairie", "prism", "pumpkin", "puzzle", "quail", "quartz",
    "quill", "quince", "rabbit", "radish", "rainbow", "raven", "reef", "rhubarb", "ribbon", "river", "robin",
    "rosemary", "ruby", "saffron", "sailor", "salmon", "sapphire", "satin", "saturn", "scarlet", "sequoia", "sesame",
    "sherbet", "silver", "sketch", "sparrow", "spinach", "spiral", "spruce", "squirrel", "starling", "stone", "sunset",
    "swallow", "sycamore", "teapot", "thistle", "thunder", "thyme", "tiger", "timber", "toffee", "tomato", "topaz",
    "tortoise", "toucan", "trumpet", "tulip", "tundra", "turnip", "turtle", "twilight", "umbrella", "valley",
    "vanilla", "velvet", "violet", "violin", "waffle", "walnut", "walrus", "weasel", "whale", "winter", "wolf",
    "wombat", "yarrow", "yonder", "zebra", "zephyr", "zigzag", "zinc",
];

/// Why a text cannot be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAName {
    /// It is too short or too long.
    Length,
    /// It is not a plain word.
    NotPlain,
    /// It may be the beginning of an id.
    LikeAnId,
    /// It means somebody else.
    Reserved,
}

impl fmt::Display for NotAName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(out, "a name has {MIN_BYTES} to {MAX_BYTES} letters"),
            Self::NotPlain => out.write_str("a name is lower-case letters and digits, and begins with a letter"),
            Self::LikeAnId => out.write_str("it may be the beginning of a session's id: use a letter beyond \"f\""),
            Self::Reserved => out.write_str("it means somebody else"),
        }
    }
}

impl std::error::Error for NotAName {}

/// Whether `text` can be a name.
pub fn check(text: &str) -> Result<(), NotAName> {
    if !(MIN_BYTES..=MAX_BYTES).contains(&text.len()) {
        return Err(NotAName::Length);
    }
    let is_plain = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'));
    if !is_plain || !text.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Err(NotAName::NotPlain);
    }
    if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(NotAName::LikeAnId);
    }
    if RESERVED.contains(&text) { Err(NotAName::Reserved) } else { Ok(()) }
}

/// The words, beginning at one that follows from `seed`: who counts on chance meets fewer old names.
pub fn words(seed: &str) -> impl Iterator<Item = &'static str> {
    // FNV-1a, 32 bits: offset basis and prime as its authors give them.
    let hash = seed.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let start = usize::try_from(hash).unwrap_or(0) % WORDS.len();
    WORDS[start..].iter().chain(&WORDS[..start]).copied()
}

/// Names beyond the words, for when all are taken: each word with a 2, then with a 3, and so on.
pub fn numbered(seed: &str) -> impl Iterator<Item = String> {
    (2_u32..).flat_map(move |number| words(seed).map(move |word| format!("{word}{number}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// Letters that have to be changed, added or taken away to make one word of the other.
    fn distance(left: &str, right: &str) -> usize {
        let mut last: Vec<usize> = (0..=right.len()).collect();
        for (row, a) in left.bytes().enumerate() {
            let mut next = vec![row + 1];
            for (column, b) in right.bytes().enumerate() {
                let changed = last[column] + usize::from(a != b);
                next.push(changed.min(last[column + 1] + 1).min(next[column] + 1));
            }
            last = next;
        }
        last[right.len()]
    }

    #[test]
    fn every_word_is_a_name_and_none_can_be_taken_for_another() {
        assert!(WORDS.len() >= 200);
        for (at, word) in WORDS.iter().enumerate() {
            assert_eq!(check(word), Ok(()), "{word}");
            assert!(word.len() <= 9 && word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
            for other in &WORDS[at + 1..] {
                assert!(distance(word, other) >= 2, "{word}, {other}");
                assert!(!word.starts_with(other) && !other.starts_with(word), "{word}, {other}");
            }
        }
        assert!(WORDS.is_sorted());
    }

    #[rstest]
    #[case("amber", Ok(()))]
    #[case("amber2", Ok(()))]
    #[case("x86", Ok(()))]
    #[case("ab", Err(NotAName::Length))]
    #[case("", Err(NotAName::Length))]
    #[case("abcdefghijklmnopq", Err(NotAName::Length))]
    #[case("Amber", Err(NotAName::NotPlain))]
    #[case("2amber", Err(NotAName::NotPlain))]
    #[case("am ber", Err(NotAName::NotPlain))]
    #[case("am\u{1b}[m", Err(NotAName::NotPlain))]
    #[case("gr\u{fc}n", Err(NotAName::NotPlain))]
    #[case("../etc", Err(NotAName::NotPlain))]
    #[case("--help", Err(NotAName::NotPlain))]
    #[case("facade", Err(NotAName::LikeAnId))]
    #[case("a01", Err(NotAName::LikeAnId))]
    #[case("person", Err(NotAName::Reserved))]
    #[case("codex", Err(NotAName::Reserved))]
    fn names(#[case] text: &str, #[case] expected: Result<(), NotAName>) {
        assert_eq!(check(text), expected);
    }

    #[test]
    fn each_word_comes_once_and_then_each_with_a_number() {
        let mut all: Vec<_> = words("a session").collect();
        assert_ne!(all, WORDS, "it begins elsewhere");
        all.sort_unstable();
        assert_eq!(all, WORDS);
        let first = words("a session").next();
        let mut numbered = numbered("a session");
        assert_eq!(numbered.next().as_deref(), first.map(|word| format!("{word}2")).as_deref());
        assert_eq!(numbered.nth(WORDS.len() - 1).as_deref(), first.map(|word| format!("{word}3")).as_deref());
    }
}
