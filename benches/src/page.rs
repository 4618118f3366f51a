//! `docs/performance.md`: the tables of a run, put into words.

use std::path::PathBuf;

use anyhow::Context as _;

const NUMBERS: &str = include_str!("../templates/coordination.md");
const TEMPLATE: &str = include_str!("../templates/performance.md");

/// The template with each `{name}` replaced. A name that the template has and `values` has not stays as it is.
pub(crate) fn fill(values: &[(&str, &str)]) -> String {
    filled(TEMPLATE, values)
}

/// The section of `docs/coordination.md` with its numbers, with each `{name}` replaced.
pub(crate) fn fill_numbers(values: &[(&str, &str)]) -> String {
    filled(NUMBERS, values)
}

fn filled(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Writes that section; where.
pub(crate) fn write_numbers(section: &str) -> anyhow::Result<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/coordination.md");
    let page = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let page = with_section(&page, section).with_context(|| format!("{} has no such section", path.display()))?;
    std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.canonicalize()?)
}

/// `page` with the section that begins as `section` does replaced by it.
fn with_section(page: &str, section: &str) -> Option<String> {
    let head = section.lines().next()?;
    let (before, rest) = page.split_once(&format!("\n{head}\n"))?;
    let after = rest.find("\n## ").map_or("", |at| &rest[at..]);
    Some(format!("{before}\n{section}{after}"))
}

/// Writes the page; where it was written.
pub(crate) fn write(text: &str) -> anyhow::Result<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.canonicalize()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_all_else_stays() {
        let section = "## Numbers\n\nnew\n";
        assert_eq!(with_section("# A\n\n## Numbers\n", section).as_deref(), Some("# A\n\n## Numbers\n\nnew\n"));
        let page = "# A\n\n## Numbers\n\nold\n\n## B\n\nb\n";
        assert_eq!(with_section(page, section).as_deref(), Some("# A\n\n## Numbers\n\nnew\n\n## B\n\nb\n"));
        assert_eq!(with_section("# A\n", section), None);
        let filled = fill_numbers(&["machine", "hooks", "leases"].map(|name| (name, "x")));
        assert!(!filled.contains('{') && filled.starts_with("## Numbers\n"), "{filled}");
    }

    #[test]
    fn the_template_has_these_places_and_no_others() {
        let names = [
            "machine",
            "hooks",
            "peers",
            "peer_directory",
            "missing",
            "sizes",
            "words",
            "loads",
            "long",
            "idle",
            "leases",
            "anatomy",
        ];
        for name in names {
            assert!(TEMPLATE.contains(&format!("{{{name}}}")), "{name}");
        }
        let filled = fill(&names.map(|name| (name, "x")));
        assert!(!filled.contains('{') && !filled.contains('}'), "{filled}");
    }
}
