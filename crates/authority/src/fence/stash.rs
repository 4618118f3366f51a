//! Whose the entries of a stash are. All working trees of a repository share one stash, and an entry says nothing of who
//! made it: that follows from what the fence let go shortly before, with the same commit checked out.

use std::path::Path;
use std::time::Instant;

use stopgate_coordination::fence::TreeVerb;
use stopgate_coordination::fence::verdict::StashEntry;
use stopgate_core::checkout::Checkout;
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::SessionKey;
use stopgate_store::SeenStash;

use crate::git::Git;

/// How long after it was let go a command is still taken for what made an entry: a person may be asked for leave first.
const MAX_DELAY_S: i64 = 60;
/// Two that were let go within this before an entry may both have made it.
const UNSURE_S: i64 = 2;
/// Entries that are looked at.
const MAX_ENTRIES: &str = "--max-count=200";

/// An entry, as the stash's log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// When it was made, in seconds.
    at_s: i64,
    /// What was checked out then.
    base: String,
}

/// Which entries a command would take or drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// The entry of this number; 0 is the newest.
    At(usize),
    /// All of them.
    All,
    /// That cannot be told.
    Unknown,
}

/// Which entry a command line means, by the words after `stash`. A line that names more than one is not understood.
pub(super) fn named(verb: TreeVerb, said: &str) -> Named {
    let said = said.replace(['\'', '"'], "");
    // The stash without its own command: all of it, or an entry that is hard to tell.
    if verb == TreeVerb::StashDrop && said.contains("update-ref") && said.contains("refs/stash") {
        return Named::All;
    }
    let words: Vec<&str> = said.split(|sign: char| sign.is_whitespace() || ";&|()".contains(sign)).collect();
    let mut found = Vec::new();
    for (at, _) in words.iter().enumerate().filter(|(_, word)| **word == "stash") {
        let mut rest = words[at + 1..].iter().copied();
        let action = rest.next().unwrap_or_default();
        let fits = match verb {
            TreeVerb::StashDrop => matches!(action, "drop" | "clear"),
            _ => matches!(action, "pop" | "apply" | "branch"),
        };
        if !fits {
            continue;
        }
        if action == "clear" {
            found.push(Named::All);
            continue;
        }
        // A branch's name stands before the entry.
        let mut rest = rest.skip(usize::from(action == "branch")).skip_while(|word| word.starts_with('-'));
        let entry = rest.next().unwrap_or_default();
        let number = entry.strip_prefix("stash@{").and_then(|rest| rest.strip_suffix('}')).unwrap_or(entry);
        found.push(match number.parse() {
            Ok(number) => Named::At(number),
            Err(_) if entry.is_empty() => Named::At(0),
            Err(_) if entry.contains("stash@") || entry.contains('$') => Named::Unknown,
            // Another command.
            Err(_) => Named::At(0),
        });
    }
    match found.as_slice() {
        [only] => *only,
        _ => Named::Unknown,
    }
}

/// The entries, the newest first; `None` where git does not tell.
pub(super) fn entries(checkout: &Checkout, deadline: Instant) -> Option<Vec<Entry>> {
    let git = Git::of(checkout, None);
    let top: &Path = &checkout.worktree;
    let arguments = ["log", "--walk-reflogs", MAX_ENTRIES, "--date=unix", "--format=%P %gd", "refs/stash", "--"];
    match git.run(top, &arguments, deadline) {
        crate::git::Outcome::Success(output) => {
            let listed = String::from_utf8_lossy(&output);
            listed.lines().map(entry).collect()
        }
        // There is no stash, or git cannot be asked: who knows which.
        crate::git::Outcome::Failure => {
            let exists = git.run(top, &["rev-parse", "--verify", "-q", "refs/stash"], deadline);
            (exists == crate::git::Outcome::Failure).then(Vec::new)
        }
        crate::git::Outcome::NoAnswer => None,
    }
}

/// `parent... refs/stash@{seconds}`.
fn entry(line: &str) -> Option<Entry> {
    let base = line.split(' ').next()?.to_owned();
    let at_s = line.rsplit_once("@{")?.1.strip_suffix('}')?.parse().ok()?;
    Some(Entry { at_s, base })
}

/// Who made each of `entries` (the newest first), by `seen`, in order of time. Each that was seen made one at most.
fn makers<'a>(entries: &[Entry], seen: &'a [SeenStash]) -> Vec<Option<&'a SeenStash>> {
    let mut used = vec![false; seen.len()];
    let mut found: Vec<_> = entries.iter().rev().map(|entry| maker(entry, seen, &mut used)).collect();
    found.reverse();
    found
}

fn maker<'a>(entry: &Entry, seen: &'a [SeenStash], used: &mut [bool]) -> Option<&'a SeenStash> {
    let seconds = |seen: &SeenStash| seen.at_ms.div_euclid(1_000);
    let fits = |seen: &SeenStash| {
        let delay = entry.at_s - seconds(seen);
        !seen.takes && (0..=MAX_DELAY_S).contains(&delay) && seen.head.as_ref().is_none_or(|head| *head == entry.base)
    };
    let mut fitting = seen.iter().enumerate().filter(|(at, seen)| !used[*at] && fits(seen)).rev();
    let (at, last) = fitting.next()?;
    // What it made may have been taken since, and this be somebody else's.
    let is_taken = seen[at..].iter().any(|other| other.takes && seconds(other) <= entry.at_s);
    // Another one of the same time may have made it as well.
    let is_unsure = fitting
        .take_while(|(_, other)| seconds(last) - seconds(other) <= UNSURE_S)
        .any(|(_, other)| other.who.key != last.who.key);
    used[at] = true;
    (!is_unsure && !is_taken).then_some(last)
}

/// Whose it is what `named` means, among `entries`.
pub(super) fn owner(named: Named, entries: &[Entry], seen: &[SeenStash], mine: &[SessionKey]) -> StashEntry {
    let makers = makers(entries, seen);
    let of = |maker: Option<&SeenStash>| match maker {
        Some(seen) if mine.contains(&seen.who.key) => StashEntry::Own,
        Some(seen) => StashEntry::Of { who: seen.who.clone(), since_ms: seen.at_ms },
        None => StashEntry::Unknown,
    };
    match named {
        Named::At(at) => makers.get(at).map_or(StashEntry::Empty, |maker| of(*maker)),
        Named::Unknown if makers.is_empty() => StashEntry::Empty,
        Named::Unknown => StashEntry::Unknown,
        Named::All => {
            let all: Vec<_> = makers.iter().copied().map(of).collect();
            let first = |is: fn(&StashEntry) -> bool| all.iter().find(|entry| is(entry)).cloned();
            first(|entry| matches!(entry, StashEntry::Of { .. }))
                .or_else(|| first(|entry| *entry == StashEntry::Unknown))
                .unwrap_or(if all.is_empty() { StashEntry::Empty } else { StashEntry::Own })
        }
    }
}

/// From when on what was let go matters for `entries`.
pub(super) fn since(entries: &[Entry]) -> UnixMillis {
    entries.last().map_or(0, |oldest| (oldest.at_s - MAX_DELAY_S - 1).saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use stopgate_coordination::fence::verdict::Party;
    use stopgate_core::session::Harness;

    fn key(name: &str) -> SessionKey {
        SessionKey::new(Harness::Claude, name).unwrap()
    }

    fn seen(name: &str, at_s: i64, head: &str) -> SeenStash {
        let who = Party { key: key(name), name: name.to_owned() };
        SeenStash { who, at_ms: at_s * 1_000 + 999, head: Some(head.to_owned()), takes: false }
    }

    fn entry(at_s: i64) -> Entry {
        Entry { at_s, base: "base".to_owned() }
    }

    fn of(named: Named, entries: &[Entry], seen: &[SeenStash]) -> &'static str {
        match owner(named, entries, seen, &[key("mine")]) {
            StashEntry::Empty => "empty",
            StashEntry::Own => "own",
            StashEntry::Of { .. } => "another's",
            StashEntry::Unknown => "unknown",
        }
    }

    #[rstest]
    #[case("git stash pop", Named::At(0))]
    #[case("cd x && git stash pop --index && make", Named::At(0))]
    #[case("git stash apply stash@{2}", Named::At(2))]
    #[case("git stash pop 3", Named::At(3))]
    #[case("git stash apply -q 'stash@{1}'", Named::At(1))]
    #[case("git stash branch rescue stash@{4}", Named::At(4))]
    #[case("git stash branch rescue", Named::At(0))]
    #[case("git stash pop stash@{yesterday}", Named::Unknown)]
    #[case("git stash pop $N", Named::Unknown)]
    #[case("git stash pop; git stash pop 1", Named::Unknown)]
    #[case("git stash", Named::Unknown)]
    #[case("", Named::Unknown)]
    fn an_entry_is_named_by_the_words(#[case] said: &str, #[case] expected: Named) {
        assert_eq!(named(TreeVerb::StashTake, said), expected, "{said}");
    }

    #[test]
    fn dropping_is_told_from_taking() {
        let said = "git stash apply stash@{1} && git stash drop stash@{2}";
        assert_eq!(named(TreeVerb::StashTake, said), Named::At(1));
        assert_eq!(named(TreeVerb::StashDrop, said), Named::At(2));
        assert_eq!(named(TreeVerb::StashDrop, "git stash clear"), Named::All);
        assert_eq!(named(TreeVerb::StashDrop, "git update-ref -d refs/stash"), Named::All);
        assert_eq!(named(TreeVerb::StashDrop, "git reflog delete stash@{0}"), Named::Unknown);
    }

    #[test]
    fn an_entry_is_whose_command_was_let_go_just_before() {
        let entries = [entry(200), entry(100)];
        let seen = [seen("amber", 99, "base"), seen("mine", 199, "base")];
        assert_eq!(of(Named::At(0), &entries, &seen), "own");
        assert_eq!(of(Named::At(1), &entries, &seen), "another's");
        assert_eq!(of(Named::At(2), &entries, &seen), "empty");
        assert_eq!(of(Named::All, &entries, &seen), "another's");
        assert_eq!(of(Named::All, &entries[..1], &seen[1..]), "own");
        assert_eq!(of(Named::Unknown, &entries, &seen), "unknown");
        assert_eq!(of(Named::At(0), &[], &seen), "empty");
    }

    #[test]
    fn what_cannot_be_told_is_unknown() {
        let amber = |at_s, head| seen("amber", at_s, head);
        let one = |seen: &[SeenStash]| of(Named::At(0), &[entry(100)], seen);
        assert_eq!(one(&[]), "unknown", "nobody was seen");
        assert_eq!(one(&[amber(101, "base")]), "unknown", "it was there before");
        assert_eq!(one(&[amber(30, "base")]), "unknown", "too long ago");
        assert_eq!(one(&[amber(99, "other")]), "unknown", "of another commit");
        assert_eq!(one(&[seen("mine", 98, "base"), amber(99, "base")]), "unknown", "either of two");
        assert_eq!(one(&[seen("mine", 90, "base"), amber(99, "base")]), "another's");
    }

    #[test]
    fn what_was_made_before_an_entry_was_taken_is_not_that_entry() {
        let taken = SeenStash { takes: true, ..seen("amber", 100, "base") };
        let both = [seen("amber", 99, "base"), taken];
        assert_eq!(of(Named::At(0), &[entry(101)], &both), "unknown");
        assert_eq!(of(Named::At(0), &[entry(99 + 1), entry(99)], &both[..1]), "unknown", "it made the older one");
        assert_eq!(of(Named::At(0), &[entry(99)], &both), "another's", "taken afterwards: another one");
    }

    #[test]
    fn a_command_made_one_entry_at_most() {
        // The second is the person's own, by hand.
        let entries = [entry(120), entry(100)];
        let seen = [seen("amber", 99, "base")];
        assert_eq!(of(Named::At(0), &entries, &seen), "unknown");
        assert_eq!(of(Named::At(1), &entries, &seen), "another's");
    }
}
