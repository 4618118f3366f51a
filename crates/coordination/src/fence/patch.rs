//! The paths of a patch: Codex's own form, and the headers of a unified diff.

/// First line of Codex's form.
pub(super) const BEGIN: &str = "*** Begin Patch";

/// Where a patch stands in `text`, which may say something before it.
pub(super) fn within(text: &str) -> Option<&str> {
    text.find(BEGIN).map(|at| &text[at..])
}

/// The files that a patch in Codex's form writes, as it names them: added, updated, deleted, or moved to. Lines of a file's
/// content begin with another sign.
pub(super) fn files(patch: &str) -> impl Iterator<Item = &str> {
    const MARKS: [&str; 4] = ["Add File: ", "Update File: ", "Delete File: ", "Move to: "];
    let lines = patch.lines().take_while(|line| line.trim_end() != "*** End Patch");
    lines.filter_map(|line| {
        let said = line.strip_prefix("*** ")?;
        MARKS.iter().find_map(|mark| said.strip_prefix(mark)).map(str::trim).filter(|path| !path.is_empty())
    })
}
