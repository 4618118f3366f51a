//! Text in columns, by the width that a terminal shows it with.

use std::io::{self, IsTerminal as _};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Lays out rows in columns, two spaces apart; the last column is not padded.
pub fn columns<Row: AsRef<[String]>>(rows: &[Row]) -> Vec<String> {
    lay_out(rows, |_, _| Side::Left)
}

/// The same for figures: all but the first and the last column are aligned at their right.
pub fn figures<Row: AsRef<[String]>>(rows: &[Row]) -> Vec<String> {
    lay_out(rows, |column, count| if column == 0 || column + 1 == count { Side::Left } else { Side::Right })
}

/// Where the text of a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Lays out rows; `side` is asked for a column and the number of all.
fn lay_out<Row: AsRef<[String]>>(rows: &[Row], side: impl Fn(usize, usize) -> Side) -> Vec<String> {
    let count = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let mut widths = vec![0; count];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row.as_ref()) {
            *width = cell.width().max(*width);
        }
    }
    let padded = |(column, cell): (usize, &String)| {
        let blanks = " ".repeat(widths[column] - cell.width());
        match side(column, count) {
            Side::Left => format!("{cell}{blanks}"),
            Side::Right => format!("{blanks}{cell}"),
        }
    };
    let line = |row: &Row| row.as_ref().iter().enumerate().map(padded).collect::<Vec<_>>().join("  ");
    rows.iter().map(|row| line(row).trim_end().to_owned()).collect()
}

/// `line` cut to the terminal's width; whole where there is none.
pub fn fitted(line: &str) -> String {
    let stdout = io::stdout();
    let size = stdout.is_terminal().then(|| terminal_size::terminal_size_of(&stdout)).flatten();
    match size {
        Some((terminal_size::Width(width), _)) if width > 1 => cut(line, width.into()),
        _ => line.to_owned(),
    }
}

/// `line`, or as much of its beginning as leaves room for the sign that there is more.
fn cut(line: &str, width: usize) -> String {
    if line.width() <= width {
        return line.to_owned();
    }
    let mut room = width - 1;
    let fits = |symbol: &char| match room.checked_sub(symbol.width().unwrap_or(0)) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    line.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<const N: usize>(rows: &[[&str; N]]) -> Vec<[String; N]> {
        rows.iter().map(|row| row.map(str::to_owned)).collect()
    }

    #[test]
    fn columns_are_aligned_and_no_line_ends_in_blanks() {
        assert_eq!(columns(&rows(&[["a", "é", "x"], ["long", "b", ""]])), ["a     é  x", "long  b"]);
        assert_eq!(columns(&[vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()]]), ["a", "b  c"]);
        assert!(columns::<Vec<String>>(&[]).is_empty());
    }

    #[test]
    fn what_counts_is_the_width_on_screen() {
        assert_eq!(
            columns(&rows(&[["東京", "x"], ["e\u{301}", "y"], ["abcde", "z"]])),
            ["東京   x", "e\u{301}      y", "abcde  z"]
        );
    }

    #[test]
    fn figures_stand_at_the_right() {
        assert_eq!(
            figures(&rows(&[["what", "ms", ""], ["a", "10.5", "PASS"], ["longer", "9", "short"]])),
            ["what      ms", "a       10.5  PASS", "longer     9  short"]
        );
    }

    #[test]
    fn a_line_is_cut_where_the_terminal_ends() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("東京タワー", 6), "東京…");
    }
}
