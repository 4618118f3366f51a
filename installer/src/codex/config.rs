//! Codex's `config.toml`, where only the trust that we wrote is taken out again; every other byte stays.

use std::path::Path;

use anyhow::{Context, Result};
use toml_edit::{DocumentMut, Item};

use crate::digest::sha256;
use crate::exit::Refusal;
use crate::ledger::{Original, TrustRecord};
use crate::settings::write::Target;

/// What came of taking trust back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    /// The file is what it was before the first trust was written.
    AsBefore,
    /// Others changed the file: our entries were taken out.
    TakenOut,
    /// There was nothing left of ours.
    Nothing,
}

/// Takes back what `record` says. `others` have trust in the same file, which stays: where nobody else has written it,
/// they are told how it is afterwards, so that the last of them gives back what was there first.
pub(crate) fn withdraw(record: &TrustRecord, others: &mut [&mut TrustRecord]) -> Result<Withdrawn> {
    let target = Target::resolve(&record.config)?;
    let Some(now) = target.read()? else { return Ok(Withdrawn::Nothing) };
    let shown = record.config.display();
    let otherwise = "take hooks.state of stopgate's hooks out where the file is made";
    let before = sha256(&now);
    if before == record.sha256_after && others.is_empty() {
        target.refuse_obstacle(otherwise)?;
        match &record.original {
            Original::Missing => {
                target.remove(&now).with_context(|| format!("{shown} is as it was"))?;
                return Ok(Withdrawn::AsBefore);
            }
            Original::Kept { sha256: expected, backup } => {
                if let Ok(kept) = std::fs::read(backup)
                    && sha256(&kept) == *expected
                {
                    target.replace(Some(&now), &kept).with_context(|| format!("{shown} is as it was"))?;
                    return Ok(Withdrawn::AsBefore);
                }
            }
            Original::Unknown => {}
        }
    }
    let text = String::from_utf8(now.clone()).map_err(|_| Refusal(format!("{shown}: not UTF-8; left as it is")))?;
    let Some(text) = without(&text, &record.keys)
        .map_err(|error| Refusal(format!("{shown}: {error}; left as it is. Mend it, then try again")))?
    else {
        return Ok(Withdrawn::Nothing);
    };
    target.refuse_obstacle(otherwise)?;
    target.replace(Some(&now), text.as_bytes()).with_context(|| format!("{shown} is as it was"))?;
    for other in others.iter_mut().filter(|other| other.sha256_after == before) {
        other.sha256_after = sha256(text.as_bytes());
    }
    Ok(Withdrawn::TakenOut)
}

/// Takes the entries `keys` out of `config`, and no other of ours. Where it is as `known` it was left, `others` that have trust
/// in it are told how it is afterwards, and so is the caller: its digest then.
pub(crate) fn take_out(
    config: &Path,
    keys: &[String],
    known: &str,
    others: &mut [&mut TrustRecord],
) -> Result<Option<String>> {
    let target = Target::resolve(config)?;
    let Some(now) = target.read()? else { return Ok(None) };
    let shown = config.display();
    let text = String::from_utf8(now.clone()).map_err(|_| Refusal(format!("{shown}: not UTF-8; left as it is")))?;
    let Some(text) = without(&text, keys)
        .map_err(|error| Refusal(format!("{shown}: {error}; left as it is. Mend it, then try again")))?
    else {
        return Ok(None);
    };
    target.refuse_obstacle("take hooks.state of stopgate's hooks out where the file is made")?;
    target.replace(Some(&now), text.as_bytes()).with_context(|| format!("{shown} is as it was"))?;
    let (before, after) = (sha256(&now), sha256(text.as_bytes()));
    for other in others.iter_mut().filter(|other| other.sha256_after == before) {
        other.sha256_after.clone_from(&after);
    }
    Ok((before == known).then_some(after))
}

/// `text` without the entries `keys` of `hooks.state`; `None` if there are none. Tables that are written down stay, empty
/// or not: somebody wrote them, and may have a comment there. A comment that stands at an entry, and would go with it, is
/// an error.
pub(crate) fn without(text: &str, keys: &[String]) -> Result<Option<String>> {
    let mut document: DocumentMut = text.parse()?;
    let Some(hooks) = document.get_mut("hooks").and_then(Item::as_table_like_mut) else { return Ok(None) };
    let Some(state) = hooks.get_mut("state").and_then(Item::as_table_like_mut) else { return Ok(None) };
    let removed: Vec<(&String, Item)> = keys.iter().filter_map(|key| Some((key, state.remove(key)?))).collect();
    let Some((first, _)) = removed.first() else { return Ok(None) };
    let left = document.to_string();
    // A `#` that neither stayed nor was a part of what was taken out began a comment.
    let own: usize = removed.iter().map(|(key, entry)| marks(key) + marks_of_values(entry)).sum();
    anyhow::ensure!(
        marks(text) <= marks(&left) + own,
        "a comment stands at stopgate's entry, and would go with it: take hooks.state.{first:?} out by hand"
    );
    Ok(Some(left))
}

/// How often `#` stands in `text`.
fn marks(text: &str) -> usize {
    text.matches('#').count()
}

/// How often it stands in the texts of an entry, or in their names.
fn marks_of_values(entry: &Item) -> usize {
    entry
        .as_table_like()
        .map_or(0, |fields| fields.iter().map(|(name, value)| marks(name) + value.as_str().map_or(0, marks)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str =
        "# mine\nmodel = \"x\" # keep\n\n[hooks.state.\"/other:stop:0:0\"]\ntrusted_hash = \"sha256:1\"\n";
    const OURS: &str = "\n[hooks.state.\"/h:stop:0:0\"]\ntrusted_hash = \"sha256:2\"\n";

    fn record(config: &Path, after: &str, original: Original) -> TrustRecord {
        let keys = vec!["/h:stop:0:0".to_owned()];
        TrustRecord { config: config.to_owned(), keys, original, sha256_after: sha256(after.as_bytes()) }
    }

    #[test]
    fn only_our_entries_go_and_everything_else_stays_to_the_byte() {
        let keys = ["/h:stop:0:0".to_owned()];
        assert_eq!(without(&format!("{BEFORE}{OURS}"), &keys).unwrap().as_deref(), Some(BEFORE));
        assert_eq!(without(BEFORE, &keys).unwrap(), None);
        assert_eq!(without("model = 1 # x\n", &keys).unwrap(), None);
        assert_eq!(without(&format!("a = 1\n{OURS}"), &keys).unwrap().as_deref(), Some("a = 1\n"));
        assert!(without("a = [", &keys).is_err());
        // Found by fuzzing: a comment above a table that is empty went with the table.
        let theirs = "[hooks]\n# c\n\n[hooks.state]\n";
        assert_eq!(without(&format!("{theirs}{OURS}"), &keys).unwrap().as_deref(), Some(theirs));
    }

    #[test]
    fn a_comment_at_our_entry_is_not_taken_out_with_it() {
        let keys = ["/h:stop:0:0".to_owned()];
        for text in [
            format!("# note{OURS}"),
            format!("a = 1{}", OURS.replace("\"\n", "\" # note\n")),
            // Found by fuzzing.
            "hooks = { state.\"/h:stop:0:0\".trusted_hash = \"sha256:2\"\n# note\n}\n".to_owned(),
        ] {
            let error = without(&text, &keys).unwrap_err().to_string();
            assert!(error.contains("a comment stands") && error.contains("/h:stop:0:0"), "{error}");
        }
        // A mark in a name begins none.
        let (key, entry) = ("/h#1:stop:0:0", OURS.replace("/h", "/h#1"));
        assert_eq!(without(&format!("a = 1\n{entry}"), &[key.to_owned()]).unwrap().as_deref(), Some("a = 1\n"));
    }

    #[test]
    fn the_file_is_what_it_was_unless_somebody_else_wrote_it() {
        let dir = tempfile::tempdir().unwrap();
        let (config, backup) = (dir.path().join("config.toml"), dir.path().join("kept"));
        let after = format!("{BEFORE}{OURS}");
        std::fs::write(&backup, BEFORE).unwrap();
        let kept = || Original::Kept { sha256: sha256(BEFORE.as_bytes()), backup: backup.clone() };

        std::fs::write(&config, &after).unwrap();
        assert_eq!(withdraw(&record(&config, &after, kept()), &mut []).unwrap(), Withdrawn::AsBefore);
        assert_eq!(std::fs::read_to_string(&config).unwrap(), BEFORE);

        std::fs::write(&config, format!("y = 2\n{after}")).unwrap();
        assert_eq!(withdraw(&record(&config, &after, kept()), &mut []).unwrap(), Withdrawn::TakenOut);
        assert_eq!(std::fs::read_to_string(&config).unwrap(), format!("y = 2\n{BEFORE}"));

        std::fs::write(&config, OURS).unwrap();
        assert_eq!(withdraw(&record(&config, OURS, Original::Missing), &mut []).unwrap(), Withdrawn::AsBefore);
        assert!(!config.exists());
        assert_eq!(withdraw(&record(&config, OURS, Original::Missing), &mut []).unwrap(), Withdrawn::Nothing);
    }

    #[test]
    fn a_broken_file_is_left_alone_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.toml");
        std::fs::write(&config, "a = [\n").unwrap();
        let error = withdraw(&record(&config, "x", Original::Unknown), &mut []).unwrap_err().to_string();
        assert!(error.contains("config.toml") && error.contains("line"), "{error}");
        assert_eq!(std::fs::read_to_string(&config).unwrap(), "a = [\n");
    }
}
