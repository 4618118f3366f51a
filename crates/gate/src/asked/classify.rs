//! What a prompt asks for, by itself.

use stopgate_core::stop_request::{self, Meaning};

use super::PromptClass;

/// What a prompt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// What it asks for.
    pub(super) class: PromptClass,
    /// It asks for no more than to go on with what there is.
    pub(super) goes_on: bool,
    /// The steps that it is bounded by.
    pub(super) bounds: Vec<String>,
}

/// What `prompt` asks for, by itself.
pub fn class_of(prompt: &str) -> PromptClass {
    read(prompt).class
}

/// What `prompt` says.
pub(super) fn read(prompt: &str) -> Said {
    let said = |class| Said { class, goes_on: false, bounds: Vec::new() };
    let text = prompt.trim();
    match stop_request::meaning(text) {
        Meaning::Stop => return said(PromptClass::Stop),
        Meaning::Courtesy => return said(PromptClass::Other),
        Meaning::Other => {}
    }
    if text.ends_with(['?', '\u{ff1f}']) {
        return said(PromptClass::Question);
    }
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let is_narrow = words.iter().any(|word| matches!(*word, "only" | "just" | "nur" | "seulement"));
    if is_narrow {
        return said(PromptClass::Narrow);
    }
    let goes_on = words.len() <= 3 && matches!(words.first(), Some(&("go" | "continue" | "yes" | "weiter")));
    Said { goes_on, ..said(PromptClass::Execute) }
}
