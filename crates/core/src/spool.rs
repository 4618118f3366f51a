//! What a hook could not deliver: one file a request, drained by the authority.

use std::io;
use std::path::PathBuf;

use crate::event_id::is_event_id;
use crate::fsx;
use crate::paths::Home;

/// When so many requests lie undelivered, further ones are dropped: the disk belongs to the person.
pub const MAX_SPOOLED: usize = 5_000;
/// Largest spooled request that is read back.
const MAX_SPOOLED_BYTES: u64 = 1024 * 1024;

/// A spooled request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooled {
    /// The file it lies in.
    pub path: PathBuf,
    /// Which route it was meant for.
    pub route: SpoolRoute,
    /// Its JSON body.
    pub body: Vec<u8>,
}

/// Routes whose requests can be spooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolRoute {
    /// `POST /hooks/events`
    HookEvent,
    /// `POST /internal/stop-gate/evaluate`
    Evaluate,
}

impl SpoolRoute {
    /// Ending of the spool file's name.
    const fn suffix(self) -> &'static str {
        match self {
            Self::HookEvent => "event.json",
            Self::Evaluate => "evaluate.json",
        }
    }

    /// Path of the route in the authority.
    pub const fn path(self) -> &'static str {
        match self {
            Self::HookEvent => crate::protocol::ROUTE_EVENTS,
            Self::Evaluate => crate::protocol::ROUTE_EVALUATE,
        }
    }
}

/// Puts a request away. The event's id names the file, so that a repeated attempt replaces and adds nothing.
pub fn put(home: &Home, route: SpoolRoute, event_id: &str, body: &[u8]) -> io::Result<()> {
    if !is_event_id(event_id) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not an event id"));
    }
    let dir = home.spool();
    fsx::ensure_private_dir(&dir)?;
    if std::fs::read_dir(&dir)?.take(MAX_SPOOLED).count() >= MAX_SPOOLED {
        return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the spool is full"));
    }
    fsx::write_atomic(&dir.join(format!("{event_id}.{}", route.suffix())), body, 0o600)
}

/// At most `max` undelivered requests, oldest first. Files of other names are left alone.
pub fn list(home: &Home, max: usize) -> io::Result<Vec<Spooled>> {
    let entries = match std::fs::read_dir(home.spool()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| route_of(name).is_some())
        .collect();
    // Ids are time-ordered, so names sort by age.
    names.sort_unstable();
    names.truncate(max);
    let read = |name: String| {
        let path = home.spool().join(&name);
        let body = fsx::read_regular(&path, MAX_SPOOLED_BYTES).unwrap_or_default();
        Some(Spooled { path, route: route_of(&name)?, body })
    };
    Ok(names.into_iter().filter_map(read).collect())
}

/// Ending of a request that was not understood, in place of `json`.
const REJECTED: &str = "rejected";

/// Sets a request aside that is not understood: it is looked at again by another version ([`readmit`]).
pub fn reject(spooled: &Spooled) -> io::Result<()> {
    std::fs::rename(&spooled.path, spooled.path.with_extension(REJECTED))
}

/// Puts what was set aside back to be looked at again: an authority that is about to be replaced by a newer one may have
/// been handed what only that understands. Returns how many there were.
pub fn readmit(home: &Home) -> usize {
    let Ok(entries) = std::fs::read_dir(home.spool()) else { return 0 };
    let rejected =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.extension() == Some(REJECTED.as_ref()));
    let back = |path: PathBuf| {
        let name = path.with_extension("json");
        let is_one = name.file_name().and_then(|name| route_of(name.to_str()?)).is_some();
        is_one && !name.exists() && std::fs::rename(&path, &name).is_ok()
    };
    rejected.take(MAX_SPOOLED).filter(|path| back(path.clone())).count()
}

fn route_of(name: &str) -> Option<SpoolRoute> {
    let (id, suffix) = name.split_once('.')?;
    let route = [SpoolRoute::HookEvent, SpoolRoute::Evaluate].into_iter().find(|route| route.suffix() == suffix)?;
    is_event_id(id).then_some(route)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FixedClock;
    use crate::event_id::new_event_id;

    #[test]
    fn what_is_put_is_listed_oldest_first_and_strangers_are_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        assert_eq!(list(&home, 10).unwrap(), []);
        let late = new_event_id(&FixedClock(2_000));
        let early = new_event_id(&FixedClock(1_000));
        put(&home, SpoolRoute::Evaluate, &late, b"late").unwrap();
        put(&home, SpoolRoute::HookEvent, &early, b"early").unwrap();
        put(&home, SpoolRoute::HookEvent, &early, b"early again").unwrap();
        std::fs::write(home.spool().join("notes.txt"), "mine").unwrap();
        let found: Vec<_> = list(&home, 10).unwrap().into_iter().map(|one| (one.route, one.body)).collect();
        assert_eq!(found, [(SpoolRoute::HookEvent, b"early again".to_vec()), (SpoolRoute::Evaluate, b"late".to_vec())]);
        assert!(put(&home, SpoolRoute::Evaluate, "../../x", b"").is_err());
    }

    #[test]
    fn what_was_set_aside_comes_back_once_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        put(&home, SpoolRoute::HookEvent, &new_event_id(&FixedClock(1_000)), b"{}").unwrap();
        std::fs::write(home.spool().join("notes.rejected"), "mine").unwrap();
        let whole = list(&home, 10).unwrap();
        reject(&whole[0]).unwrap();
        assert_eq!(list(&home, 10).unwrap(), []);
        assert_eq!(readmit(&home), 1);
        assert_eq!(list(&home, 10).unwrap(), whole);
        assert_eq!((readmit(&home), home.spool().join("notes.rejected").exists()), (0, true));
    }
}
