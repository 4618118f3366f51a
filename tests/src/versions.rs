//! Versions of what tests run and this checkout does not hold: the lines of `tests/versions`.

/// The version of `name`.
pub fn version(name: &str) -> &'static str {
    let mut lines = include_str!("../versions").lines();
    lines
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no {name} in tests/versions"))
}
