//! What an agent is told of the sessions that share its working tree: one short line when it begins beside others, one when
//! that changes, and nothing while it is alone. Names are plain words, so that no other agent's words are in it.

use std::fmt::Write as _;

use stopgate_core::session::Harness;

/// Bytes of a token, by which what agents are told is held to a number of tokens. Two tokenizers (`@anthropic-ai/tokenizer`
/// 0.0.4, `o200k_base`) make one of 3.1 to 3.8 bytes of these texts, of which paths are the dense part.
pub const BYTES_A_TOKEN: usize = 3;
/// Longest line, in bytes: 90 tokens.
pub const MAX_BYTES: usize = 90 * BYTES_A_TOKEN;
/// How many are named.
const MAX_NAMED: usize = 6;
/// What is called where the path of the program is longer than this, in bytes.
const MAX_PROGRAM_BYTES: usize = 64;

/// Another session in the same working tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbour {
    /// What it is called.
    pub name: String,
    /// Its client.
    pub harness: Harness,
}

/// What a session is told that begins beside `others`, or no longer works alone. `program` is how it calls `stopgate`.
pub fn beside(own: &str, others: &[Neighbour], program: &str) -> Option<String> {
    if others.is_empty() {
        return None;
    }
    let program = if program.len() > MAX_PROGRAM_BYTES { "stopgate" } else { program };
    let verb = if others.len() == 1 { "works" } else { "work" };
    let line = |most| {
        format!(
            "[stopgate] You are {own}. {} {verb} in this working tree, too. Before you edit what they may edit: \
             `{program} lease acquire PATH`; who holds what: `... room`.",
            named(others, most)
        )
    };
    (1..=MAX_NAMED).rev().map(line).find(|line| line.len() <= MAX_BYTES)
}

/// What a session is told when others came or went since it was told last; `left` are those that are here now.
pub fn changed(came: &[Neighbour], went: &[Neighbour], left: &[Neighbour]) -> Option<String> {
    let mut text = String::new();
    if !came.is_empty() {
        let verb = if came.len() == 1 { "works" } else { "work" };
        let _ = write!(text, " {} {verb} in this working tree, too, by now.", named(came, MAX_NAMED));
    }
    if !went.is_empty() {
        let verb = if went.len() == 1 { "works" } else { "work" };
        let _ = write!(text, " {} no longer {verb} here.", named(went, MAX_NAMED));
        if left.is_empty() {
            text.push_str(" You are alone in this tree.");
        }
    }
    (!text.is_empty()).then(|| format!("[stopgate]{text}"))
}

/// "birch (claude), cedar (codex) and 3 more".
fn named(sessions: &[Neighbour], most: usize) -> String {
    let shown: Vec<_> =
        sessions.iter().take(most).map(|session| format!("{} ({})", session.name, session.harness)).collect();
    let more = sessions.len().saturating_sub(most);
    match (shown.as_slice(), more) {
        (_, 1..) => format!("{} and {more} more", shown.join(", ")),
        ([before @ .., last], 0) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => shown.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(names: &[&str]) -> Vec<Neighbour> {
        names.iter().map(|name| Neighbour { name: (*name).to_owned(), harness: Harness::Claude }).collect()
    }

    #[test]
    fn who_is_alone_is_told_nothing() {
        assert_eq!(beside("amber", &[], "stopgate"), None);
        assert_eq!(changed(&[], &[], &sessions(&["birch"])), None);
    }

    #[test]
    fn who_is_not_is_told_names_and_what_to_do() {
        let told = beside("amber", &sessions(&["birch", "cedar"]), "~/.stopgate/bin/stopgate").unwrap();
        assert_eq!(
            told,
            "[stopgate] You are amber. birch (claude) and cedar (claude) work in this working tree, too. Before you edit \
             what they may edit: `~/.stopgate/bin/stopgate lease acquire PATH`; who holds what: `... room`."
        );
        let told = changed(&sessions(&["birch"]), &sessions(&["cedar"]), &sessions(&["birch"])).unwrap();
        assert_eq!(
            told,
            "[stopgate] birch (claude) works in this working tree, too, by now. cedar (claude) no longer works here."
        );
        let told = changed(&[], &sessions(&["cedar"]), &[]).unwrap();
        assert_eq!(told, "[stopgate] cedar (claude) no longer works here. You are alone in this tree.");
    }

    #[test]
    fn it_is_never_longer_than_90_tokens() {
        let longest = "x".repeat(crate::name::MAX_BYTES);
        for count in [1, 6, 7, 500] {
            let many = vec![Neighbour { name: longest.clone(), harness: Harness::Claude }; count];
            for program in ["stopgate", &"p".repeat(MAX_PROGRAM_BYTES), &"p".repeat(500)] {
                let told = beside(&longest, &many, program).unwrap();
                assert!(told.len() <= MAX_BYTES, "{}: {told}", told.len());
            }
        }
    }
}
