//! Upgrade guides: what a release says to people, checked before it is released, and delivered once.

pub(crate) mod check;
pub(crate) mod deliver;

/// The heading of the part that is for the person.
pub(crate) const FOR_PEOPLE: &str = "What to Tell Your User";

/// The text below the heading `## {title}`, without the heading; `None` if there is no such heading.
pub(crate) fn section<'a>(text: &'a str, title: &str) -> Option<&'a str> {
    let mut start = None;
    let mut at = 0;
    let mut is_fenced = false;
    for line in text.split_inclusive('\n') {
        let begins = at;
        at += line.len();
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        }
        let Some(heading) = line.strip_prefix("## ").filter(|_| !is_fenced) else { continue };
        match start {
            Some(start) => return Some(text[start..begins].trim()),
            None if heading.trim() == title => start = Some(at),
            None => {}
        }
    }
    start.map(|start| text[start..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_at_the_next_heading_outside_of_a_fence() {
        let text = "# T\n\n## A\n\none\n```\n## no heading\n```\ntwo\n\n## B\nthree\n";
        assert_eq!(section(text, "A"), Some("one\n```\n## no heading\n```\ntwo"));
        assert_eq!(section(text, "B"), Some("three"));
        assert_eq!(section(text, "C"), None);
    }
}
