//! `docs/performance.md`: the tables of a run, put into words.

use std::path::PathBuf;

use anyhow::Context as _;

const TEMPLATE: &str = include_str!("../templates/performance.md");

/// The template with each `{name}` replaced. A name that the template has and `values` has not stays as it is.
pub(crate) fn fill(values: &[(&str, &str)]) -> String {
    values.iter().fold(TEMPLATE.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
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
            "anatomy",
        ];
        for name in names {
            assert!(TEMPLATE.contains(&format!("{{{name}}}")), "{name}");
        }
        let filled = fill(&names.map(|name| (name, "x")));
        assert!(!filled.contains('{') && !filled.contains('}'), "{filled}");
    }
}
