//! The paths of a patch: Codex's own form, and the headers of a unified diff.

/// First line of Codex's form.
pub(super) const BEGIN: &str = "*** Begin Patch";

/// Where a patch stands in `text`, which may say something before it.
pub(super) fn within(text: &str) -> Option<&str> {
    text.find(BEGIN).map(|at| &text[at..])
}

/// The files that a patch in Codex's form writes, as it names them: added, updated, deleted, or moved to. Lines of a file's
/// content begin with another sign; white space around a header is none of it, but for the changes of a file, where a line
/// that begins with a blank is the file's.
pub(super) fn files(patch: &str) -> impl Iterator<Item = &str> {
    const UPDATE: &str = "Update File: ";
    const MARKS: [&str; 4] = ["Add File: ", UPDATE, "Delete File: ", "Move to: "];
    let mut is_in_update = false;
    let headers = patch.lines().filter_map(move |line| {
        let header = if is_in_update { line } else { line.trim_start() };
        let said = header.strip_prefix("*** ")?;
        if let Some(mark) = MARKS.iter().find(|mark| said.starts_with(**mark)) {
            is_in_update = matches!(*mark, UPDATE | "Move to: ");
        }
        Some(said)
    });
    headers.take_while(|said| said.trim_end() != "End Patch").filter_map(|said| {
        MARKS.iter().find_map(|mark| said.strip_prefix(mark)).map(str::trim).filter(|path| !path.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(patch: &str) -> Vec<&str> {
        files(within(patch).unwrap_or_default()).collect()
    }

    #[test]
    fn white_space_around_a_header_is_no_content() {
        assert_eq!(
            of(
                "*** Begin Patch\n *** Delete File: a\n\t*** Add File: b \n+*** Add File: no\n *** End Patch\n *** Add File: no"
            ),
            ["a", "b"]
        );
        let moved = "*** Begin Patch\n  *** Update File: a\n*** Move to: b\n@@\n *** Delete File: no\n-x\n*** Delete File: c\n \
                     *** Delete File: d\n*** End Patch";
        assert_eq!(of(moved), ["a", "b", "c", "d"]);
        let first = "*** Begin Patch\n*** Update File: a\n *** Delete File: no\n+*** Add File: no\n*** End Patch";
        assert_eq!(of(first), ["a"]);
    }
}
