//! Copies of files as they were before an edit.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use stopgate_core::clock::UnixMillis;
use stopgate_core::fsx;
use stopgate_core::paths::Home;

use crate::digest::sha256;

/// Keeps `bytes`, the content of `file`, and returns where.
pub(crate) fn keep(home: &Home, file: &Path, bytes: &[u8], now: UnixMillis) -> Result<PathBuf> {
    let digest = sha256(bytes);
    let dir = home.backups().join(format!("{}-{}", stamp(now), &digest[..12]));
    let name = file.file_name().unwrap_or_else(|| "file".as_ref());
    let copy = dir.join(name);
    let origin = serde_json::json!({ "path": file, "sha256": digest, "takenAtMs": now });
    fsx::ensure_private_dir(&dir)
        .and_then(|()| fsx::write_atomic(&copy, bytes, 0o600))
        .and_then(|()| fsx::write_atomic(&dir.join("origin"), format!("{origin:#}\n").as_bytes(), 0o600))
        .with_context(|| format!("cannot keep a backup in {}", dir.display()))?;
    Ok(copy)
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
    }
}
