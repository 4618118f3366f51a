//! Whether an upgrade guide is fit for release. Pure: text in, findings out.

use super::{FOR_PEOPLE, section};

/// Sections that every guide has.
const SECTIONS: [&str; 3] = ["What Changed", FOR_PEOPLE, "Summary of New Capabilities"];
/// Less says nothing.
const MIN_CHARS: usize = 200;
/// What an account of how a fix was seen to work takes at least.
const MIN_EVIDENCE_CHARS: usize = 80;
/// Words that claim that something was mended.
const FIX_WORDS: [&str; 11] =
    ["fix", "fixed", "fixes", "bug", "bugs", "regression", "crash", "crashes", "stall", "stalls", "resolved"];
/// What nobody has filled in yet.
const UNFINISHED: [&str; 5] = ["TODO", "FIXME", "TBD", "XXX", "placeholder"];

/// How large a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bump {
    Patch,
    Minor,
    Major,
}

impl Bump {
    const ALL: [Self; 3] = [Self::Patch, Self::Minor, Self::Major];

    /// The word in the marker.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        }
    }

    /// What `guide` declares: `<!-- bump: minor -->`.
    fn declared(guide: &str) -> Option<Self> {
        let word = guide.split_once("<!-- bump:")?.1.split_once("-->")?.0.trim();
        Self::ALL.into_iter().find(|bump| bump.name() == word)
    }

    /// What the entries of `changelog` under "Unreleased" call for.
    pub(crate) fn recommended(changelog: &str) -> Self {
        let unreleased = section(changelog, "Unreleased").unwrap_or_default();
        let has = |kind: &str| unreleased.lines().any(|line| line.trim() == format!("### {kind}"));
        if has("Removed") || unreleased.contains("BREAKING") {
            Self::Major
        } else if has("Added") {
            Self::Minor
        } else {
            Self::Patch
        }
    }
}

/// Everything that keeps `guide` from being released; `changelog` says how large the release is.
pub(crate) fn findings(guide: &str, changelog: Option<&str>) -> Vec<String> {
    let mut found = Vec::new();
    if !guide.lines().any(|line| line.starts_with("# ")) {
        found.push("no heading: the first line has to be `# ...`".to_owned());
    }
    match (Bump::declared(guide), changelog.map(Bump::recommended)) {
        (None, _) => found.push("no bump marker: add `<!-- bump: patch -->`, or minor, or major".to_owned()),
        (Some(declared), Some(recommended)) if declared < recommended => found.push(format!(
            "declares a {} release, but the changelog's Unreleased section calls for {}",
            declared.name(),
            recommended.name()
        )),
        _ => {}
    }
    for title in SECTIONS {
        match section(guide, title) {
            None => found.push(format!("no section `## {title}`")),
            Some("") => found.push(format!("the section `## {title}` is empty")),
            Some(_) => {}
        }
    }
    if guide.chars().filter(|symbol| !symbol.is_whitespace()).count() < MIN_CHARS {
        found.push(format!("fewer than {MIN_CHARS} characters: it says nothing"));
    }
    for (number, line) in guide.lines().enumerate() {
        if is_unfinished(line) {
            found.push(format!("line {}: not filled in: {}", number + 1, line.trim()));
        }
    }
    found.extend(section(guide, FOR_PEOPLE).into_iter().flat_map(code_for_people));
    let changed = section(guide, "What Changed").unwrap_or_default();
    if claims_a_fix(changed) {
        let evidence = section(guide, "Evidence").unwrap_or_default();
        let is_real = evidence.chars().filter(|symbol| !symbol.is_whitespace()).count() >= MIN_EVIDENCE_CHARS;
        if !is_real || evidence.lines().any(is_unfinished) {
            found.push(format!(
                "claims a fix: say under `## Evidence`, in {MIN_EVIDENCE_CHARS} characters or more, how it was seen to work"
            ));
        }
    }
    found
}

fn is_unfinished(line: &str) -> bool {
    let is_word = |word: &str| line.split(|symbol: char| !symbol.is_alphanumeric()).any(|part| part == word);
    UNFINISHED.iter().any(|word| is_word(word)) || (line.contains('[') && line.contains("...]")) || line.contains("{{")
}

fn claims_a_fix(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("was broken")
        || text.split(|symbol: char| !symbol.is_alphanumeric()).any(|word| FIX_WORDS.contains(&word))
}

/// What does not belong into a text that is read out to a person.
fn code_for_people(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.contains('`') {
        found.push(format!("`## {FOR_PEOPLE}` holds code: say it in plain words"));
    }
    for word in text.split_whitespace() {
        let name = word.trim_end_matches([':', '=']);
        let is_camel = name.chars().next().is_some_and(char::is_lowercase)
            && name.chars().all(char::is_alphanumeric)
            && name.chars().any(char::is_uppercase);
        if is_camel && name != word {
            found.push(format!("`## {FOR_PEOPLE}` names a setting ({name}): say it in plain words"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Next release\n\n<!-- bump: minor -->\n\n## What Changed\n\nThe gate also reads plans that are \
        kept in the directory of the project's documentation, and shows which of them it read.\n\n## What to Tell Your \
        User\n\nPlans in your documentation count now. Nothing has to be done for it.\n\n## Summary of New Capabilities\n\n\
        | Capability | How |\n| --- | --- |\n| Plans in docs | `stopgate status` |\n";

    fn with(old: &str, new: &str) -> Vec<String> {
        assert!(GOOD.contains(old), "{old}");
        findings(&GOOD.replace(old, new), None)
    }

    #[test]
    fn a_good_guide_has_no_findings() {
        assert_eq!(findings(GOOD, None), Vec::<String>::new());
        assert_eq!(
            findings(GOOD, Some("## Unreleased\n\n### Added\n\n- x\n\n## 0.1.0\n\n### Removed\n")),
            Vec::<String>::new()
        );
    }

    #[test]
    fn every_mistake_is_named() {
        for (found, said) in [
            (with("# Next release", "Next"), "no heading"),
            (with("bump: minor", "bump: small"), "no bump marker"),
            (with("## What Changed", "## What"), "no section `## What Changed`"),
            (with("## Summary of New Capabilities", "## Summary"), "no section `## Summary of New Capabilities`"),
            (with("Plans in your documentation count now.", "Set readDocs: true."), "names a setting (readDocs)"),
            (with("Plans in your documentation count now.", "Run `x`."), "holds code"),
            (with("The gate also", "TODO the gate also"), "line 7: not filled in"),
            (with("The gate also", "[what changed ...] also"), "not filled in"),
            (with("The gate also", "Fixed a crash. The gate also"), "claims a fix"),
            (findings("# x\n", None), "fewer than 200"),
        ] {
            assert!(found.iter().any(|one| one.contains(said)), "{said}: {found:?}");
        }
        assert_eq!(with("Plans in docs |", "A prefix |"), Vec::<String>::new(), "`prefix` claims no fix");
    }

    #[test]
    fn a_fix_needs_evidence_that_is_some() {
        let fix = GOOD.replace("The gate also", "Fixed a bug. The gate also");
        let with = |evidence: &str| findings(&format!("{fix}\n## Evidence\n\n{evidence}\n"), None);
        assert_eq!(with("short").len(), 1);
        assert_eq!(with(&format!("TODO {}", "word ".repeat(30))).len(), 2, "the line, and the missing evidence");
        assert_eq!(with(&"Ran it before and after on a real session. ".repeat(4)), Vec::<String>::new());
    }

    #[test]
    fn a_release_is_at_least_as_large_as_the_changelog_says() {
        for (changelog, is_well) in [
            ("## Unreleased\n\n### Removed\n\n- x\n", false),
            ("## Unreleased\n\n### Changed\n\n- BREAKING: x\n", false),
            ("## Unreleased\n\n### Added\n\n- x\n", true),
            ("## Unreleased\n\n### Changed\n\n- x\n", true),
        ] {
            assert_eq!(findings(GOOD, Some(changelog)).is_empty(), is_well, "{changelog}");
        }
    }

    #[test]
    fn the_guide_in_the_repository_is_fit() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let read = |name: &str| std::fs::read_to_string(format!("{root}/{name}")).unwrap();
        assert_eq!(findings(&read("upgrades/NEXT.md"), Some(&read("CHANGELOG.md"))), Vec::<String>::new());
    }
}
