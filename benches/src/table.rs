//! Text in columns.

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
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(
                |(index, (cell, width))| {
                    if index == 0 || index == N - 1 { format!("{cell:width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_line_ends_in_blanks() {
        let cells = |row: [&str; 3]| row.map(str::to_owned);
        assert_eq!(
            table(&[cells(["what", "ms", ""]), cells(["a", "10.5", "PASS"]), cells(["longer", "9", "short"]),]),
            "what      ms\na       10.5  PASS\nlonger     9  short\n"
        );
    }
}
