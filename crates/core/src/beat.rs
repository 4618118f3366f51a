//! Proof of life: each hook leaves the time at which it last fired, delivered and failed.
//!
//! A beat is the modification time of an empty file, so that it costs a hook four system calls and nothing has
//! to be parsed, locked or rotated.

use std::fs::OpenOptions;
use std::time::SystemTime;

use crate::clock::{UnixMillis, to_millis};
use crate::fsx;
use crate::paths::Home;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// The harness ran the hook.
    Fired,
    /// The hook reached what it wanted to reach: the authority took its request, or its decision was printed.
    Delivered,
    /// The hook could not do its work and let the harness go on.
    Failed,
    /// A variable of its environment kept the hook from working for this home.
    Silenced,
}

impl Beat {
    /// All kinds, in the order they are shown.
    pub const ALL: [Self; 4] = [Self::Fired, Self::Delivered, Self::Failed, Self::Silenced];

    /// Name on disk and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Silenced => "silenced",
        }
    }
}

/// Leaves a beat of `hook`. Failure is ignored: a full disk must not cost the person anything.
pub fn leave(home: &Home, hook: &str, beat: Beat) {
    let path = home.beats().join(format!("{hook}.{}", beat.name()));
    let open = || fsx::open_regular(OpenOptions::new().create(true).truncate(false).write(true), &path);
    let file = open().or_else(|error| {
        // Where there is no home at all, a hook makes none.
        if !home.root().exists() {
            return Err(error);
        }
        fsx::ensure_private_dir(&home.beats())?;
        open()
    });
    if let Ok(file) = file {
        let _ = file.set_modified(SystemTime::now());
    }
}

/// When `hook` last left `beat`, in milliseconds UTC; `None` if it never did.
pub fn last(home: &Home, hook: &str, beat: Beat) -> Option<UnixMillis> {
    let path = home.beats().join(format!("{hook}.{}", beat.name()));
    Some(to_millis(std::fs::metadata(path).ok()?.modified().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_remembered_and_an_absent_home_is_not_created() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        assert_eq!(last(&home, "router", Beat::Fired), None);
        leave(&home, "router", Beat::Fired);
        assert!(last(&home, "router", Beat::Fired).is_some());
        assert_eq!(last(&home, "router", Beat::Failed), None);
        let nowhere = Home::at(dir.path().join("nowhere"));
        leave(&nowhere, "router", Beat::Fired);
        assert!(!nowhere.root().exists());
    }
}
