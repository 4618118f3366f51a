//! Copies of files as they were before an edit.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_core::fsx;
use stopgate_core::paths::Home;

use crate::digest::sha256;

/// Keeps `bytes`, the content of `file`, and returns where.
pub(crate) fn keep(home: &Home, file: &Path, bytes: &[u8], now: UnixMillis) -> Result<PathBuf> {
    let digest = sha256(bytes);
    let id = format!("{}-{}", stamp(now), &digest[..12]);
    let mut dir = home.backups().join(&id);
    for nth in 2_u32.. {
        // Two accounts may have files of the same bytes and name.
        if origin(&dir).is_none_or(|origin| origin.path == file) {
            break;
        }
        dir = home.backups().join(format!("{id}-{nth}"));
    }
    let name = file.file_name().unwrap_or_else(|| "file".as_ref());
    let copy = dir.join(name);
    let origin = serde_json::json!({ "path": file, "sha256": digest, "taken_at_ms": now });
    fsx::ensure_private_dir(&dir)
        .and_then(|()| fsx::write_atomic(&copy, bytes, 0o600))
        .and_then(|()| fsx::write_atomic(&dir.join("origin"), format!("{origin:#}\n").as_bytes(), 0o600))
        .with_context(|| format!("cannot keep a backup in {}", dir.display()))?;
    Ok(copy)
}

/// A new directory among the backups for something that is not one file: `what` names it.
pub(crate) fn directory(home: &Home, now: UnixMillis, what: &str) -> Result<PathBuf> {
    let dir = home.backups().join(format!("{}-{what}", stamp(now)));
    fsx::ensure_private_dir(&dir).with_context(|| format!("cannot keep a backup in {}", dir.display()))?;
    Ok(dir)
}

/// A file as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Kept {
    /// Name of its directory among the backups: when it was taken, and the beginning of its hash.
    pub(crate) id: String,
    /// The file that it is a copy of.
    pub(crate) path: PathBuf,
    /// SHA-256 of its bytes.
    pub(crate) sha256: String,
    /// When it was taken.
    #[serde(alias = "takenAtMs")]
    pub(crate) taken_at_ms: UnixMillis,
    /// The copy.
    pub(crate) copy: PathBuf,
}

#[derive(Deserialize)]
struct BackupOrigin {
    path: PathBuf,
    sha256: String,
    #[serde(alias = "takenAtMs")]
    taken_at_ms: UnixMillis,
}

fn origin(dir: &Path) -> Option<BackupOrigin> {
    serde_json::from_slice(&std::fs::read(dir.join("origin")).ok()?).ok()
}

/// Every copy of a file, newest first. What is no backup of ours is passed over.
pub(crate) fn list(home: &Home) -> Result<Vec<Kept>> {
    let entries = match std::fs::read_dir(home.backups()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", home.backups().display())),
    };
    let read = |dir: PathBuf| {
        let origin = origin(&dir)?;
        let copy = dir.join(origin.path.file_name()?);
        let id = dir.file_name()?.to_str()?.to_owned();
        Some(Kept { id, path: origin.path, sha256: origin.sha256, taken_at_ms: origin.taken_at_ms, copy })
    };
    let mut found: Vec<_> = entries.filter_map(|entry| read(entry.ok()?.path())).collect();
    found.sort_by(|left, right| (right.taken_at_ms, &right.id).cmp(&(left.taken_at_ms, &left.id)));
    Ok(found)
}

/// `now` as `20261121T074800Z`, which sorts and may be a file name.
fn stamp(now: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH).strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_civil_dates() {
        for (now, expected) in [
            (0, "19700101T000000Z"),
            (951_782_400_000, "20000229T000000Z"),
            (1_795_247_999_999, "20261121T075959Z"),
            (4_107_542_399_000, "21000228T235959Z"),
        ] {
            assert_eq!(stamp(now), expected);
        }
    }

    #[test]
    fn a_copy_holds_the_bytes_and_says_whose_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let copy = keep(&home, Path::new("/x/settings.json"), b"{}", 0).unwrap();
        assert_eq!(std::fs::read(&copy).unwrap(), b"{}");
        assert!(copy.starts_with(home.backups()) && copy.ends_with("settings.json"));
        let origin = std::fs::read_to_string(copy.with_file_name("origin")).unwrap();
        assert!(origin.contains("/x/settings.json") && origin.contains(&sha256(b"{}")), "{origin}");
        keep(&home, Path::new("/x/settings.json"), b"[]", 5_000).unwrap();
        std::fs::create_dir(home.backups().join("other")).unwrap();
        // The same bytes at the same time, in another account.
        let other = keep(&home, Path::new("/y/settings.json"), b"{}", 0).unwrap();
        assert!(other != copy && keep(&home, Path::new("/y/settings.json"), b"{}", 0).unwrap() == other);
        std::fs::remove_dir_all(other.parent().unwrap()).unwrap();
        let listed = list(&home).unwrap();
        assert_eq!(listed.iter().map(|kept| kept.taken_at_ms).collect::<Vec<_>>(), [5_000, 0]);
        assert_eq!((listed[1].copy.clone(), listed[1].path.as_path()), (copy, Path::new("/x/settings.json")));
    }
}
