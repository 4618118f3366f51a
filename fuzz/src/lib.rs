//! What several targets check.

/// Fails unless `text` is one line of at most `max` characters (and the ellipsis behind them) that shows what it says.
pub fn assert_shown(text: &str, max: usize) {
    assert!(text.chars().count() <= max + 1, "longer than {max}: {text:?}");
    assert!(!text.chars().any(char::is_control), "control characters: {text:?}");
    assert_eq!(text.trim(), text, "white space around it");
}

/// Whether `short` is `long` with some bytes taken out.
pub fn is_subsequence(short: &[u8], long: &[u8]) -> bool {
    let mut rest = long.iter();
    short.iter().all(|byte| rest.any(|other| other == byte))
}
