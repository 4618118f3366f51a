//! What was continued, a line each in `run/continued.jsonl`, beside the store: the ceilings are to hold also when the
//! store was removed, or cannot be written, and the authority begins anew.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stopgate_core::clock::{DAY_MS, UnixMillis};
use stopgate_core::fsx;
use stopgate_core::paths::Home;
use stopgate_core::session::SessionKey;
use stopgate_core::switch::Mode;
use stopgate_store::Continued;

use crate::memory::Memory;

/// What has grown to this is written anew, without what no ceiling counts any more.
const PRUNE_BYTES: u64 = 256 * 1024;
/// More is not read.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    key: SessionKey,
    mode: Mode,
    at_ms: UnixMillis,
    fingerprint: String,
    #[serde(default)]
    prompt_at_ms: Option<UnixMillis>,
    #[serde(default)]
    boot_ms: Option<i64>,
    /// The boot that this counts from; empty where that is not known.
    #[serde(default)]
    boot_id: String,
    /// The id of the rule; one that this version does not know is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
}

fn path(home: &Home) -> PathBuf {
    home.run().join("continued.jsonl")
}

/// Writes down that a stop of `key` was continued, in the boot `boot_id`.
pub(crate) fn note(home: &Home, key: &SessionKey, mode: Mode, continued: &Continued, boot_id: &str) -> io::Result<()> {
    let path = path(home);
    if std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.len() >= PRUNE_BYTES) {
        prune(home, continued.at_ms)?;
    }
    let Continued { at_ms, fingerprint, prompt_at_ms, boot_ms, rule } = continued.clone();
    let (key, boot_id, rule) = (key.clone(), boot_id.to_owned(), rule.map(|rule| rule.id().to_owned()));
    let mut line = serde_json::to_vec(&Line { key, mode, at_ms, fingerprint, prompt_at_ms, boot_ms, boot_id, rule })?;
    line.push(b'\n');
    fsx::open_regular(OpenOptions::new().create(true).append(true), &path)?.write_all(&line)
}

fn prune(home: &Home, now_ms: UnixMillis) -> io::Result<()> {
    let mut text = Vec::new();
    for line in lines(home).into_iter().filter(|line| line.at_ms >= now_ms.saturating_sub(DAY_MS)) {
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
    }
    fsx::write_atomic(&path(home), &text, 0o600)
}

fn lines(home: &Home) -> Vec<Line> {
    let text = fsx::read_regular(&path(home), MAX_BYTES).unwrap_or_default();
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// Has `memory` count what earlier authorities have continued, in the boot `boot_id` or before.
pub(crate) fn recall(home: &Home, memory: &mut Memory, boot_id: &str) {
    for line in lines(home) {
        let Line { key, mode, at_ms, fingerprint, prompt_at_ms, .. } = line;
        let rule = line.rule.and_then(|rule| rule.parse().ok());
        let boot_ms = line.boot_ms.filter(|_| line.boot_id == boot_id && !boot_id.is_empty());
        memory.continued(&key, mode, Continued { at_ms, fingerprint, prompt_at_ms, boot_ms, rule });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::session::Harness;
    use stopgate_gate::RuleId;

    #[test]
    fn what_was_continued_is_counted_by_the_next_and_what_no_ceiling_counts_goes() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        home.create().unwrap();
        let key = SessionKey::new(Harness::Claude, "s").unwrap();
        let counted = |home: &Home| {
            let mut memory = Memory::default();
            recall(home, &mut memory, "b");
            memory.turn(&key, Mode::Enforce).continues.iter().map(|one| one.at_ms).collect::<Vec<_>>()
        };
        let note = |at_ms, fingerprint: &str| {
            let fingerprint = fingerprint.to_owned();
            let continued = Continued {
                at_ms,
                fingerprint,
                prompt_at_ms: Some(7),
                boot_ms: Some(at_ms),
                rule: Some(RuleId::PlanNotUpdated),
            };
            note(&home, &key, Mode::Enforce, &continued, "b").unwrap();
        };
        assert!(counted(&home).is_empty());
        note(1, "f");
        note(2, "f");
        assert_eq!(counted(&home), [2, 1]);
        let mut rebooted = Memory::default();
        recall(&home, &mut rebooted, "c");
        let turn = rebooted.turn(&key, Mode::Enforce);
        assert!(turn.continues.iter().all(|one| one.boot_ms.is_none()
            && one.prompt_at_ms == Some(7)
            && one.rule == Some(RuleId::PlanNotUpdated)));
        note(3, &"f".repeat(300_000));
        note(DAY_MS + 2, "f");
        assert_eq!(counted(&home), [DAY_MS + 2, 3, 2]);
        std::fs::remove_file(path(&home)).unwrap();
        std::fs::create_dir(path(&home)).unwrap();
        assert!(counted(&home).is_empty());
    }
}
