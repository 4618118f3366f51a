//! Text in columns.

use stopgate_terminal::figures;

/// What is said of a promise: nothing where there is none.
pub(crate) const fn word(kept: Option<bool>) -> &'static str {
    match kept {
        Some(true) => "PASS",
        Some(false) => "short",
        None => "",
    }
}

/// Lines of equal columns: the first and the last to the left, the others to the right.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    figures(rows).into_iter().map(|line| line + "\n").collect()
}
