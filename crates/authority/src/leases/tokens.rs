//! `tokens`: the highest number that a room may have given, beside the database. What is restored from a backup, or lost with
//! a disk that lied, gives no number a second time.
//!
//! Numbers are reserved a few at a time, so that not every grant waits for the disk; after a start those that were reserved and
//! not given are left out.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stopgate_coordination::lease::Token;
use stopgate_core::fsx;
use stopgate_core::paths::Home;

/// How many numbers are reserved at once.
const BLOCK: u64 = 16;
/// Largest file that is read.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// How far numbers leap where the file is there and says nothing.
const LEAP: u64 = 1_000_000;

/// See the module.
pub(super) struct Tokens {
    path: PathBuf,
    known: Mutex<Option<Known>>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    rooms: BTreeMap<String, u64>,
    /// The file was there and was not understood.
    is_garbage: bool,
}

impl Tokens {
    pub(super) fn of(home: &Home) -> Self {
        Self { path: home.root().join("tokens"), known: Mutex::new(None) }
    }

    fn known(&self) -> io::Result<MutexGuard<'_, Option<Known>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = Some(self.read()?);
        }
        Ok(known)
    }

    fn read(&self) -> io::Result<Known> {
        match fsx::read_regular(&self.path, MAX_BYTES) {
            Ok(bytes) => Ok(match serde_json::from_slice(&bytes) {
                Ok(rooms) => Known { rooms, is_garbage: false },
                Err(error) => {
                    tracing::error!(%error, path = %self.path.display(), "not understood: numbers leap");
                    Known { rooms: BTreeMap::new(), is_garbage: true }
                }
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Known::default()),
            Err(error) => Err(error),
        }
    }

    /// The highest number that `room` may have given.
    pub(super) fn highest(&self, room: &Path) -> io::Result<Token> {
        let known = self.known()?;
        let highest = known.as_ref().and_then(|known| {
            let of_room = known.rooms.get(&*room.to_string_lossy()).copied();
            of_room.or_else(|| known.is_garbage.then_some(LEAP))
        });
        Ok(Token(highest.unwrap_or(0)))
    }

    /// Sees to it that the file says that `room` may have given `token`, before it does. An error means that it must not.
    pub(super) fn reserve(&self, room: &Path, token: Token) -> io::Result<()> {
        let mut known = self.known()?;
        let Some(known) = known.as_mut() else { return Ok(()) };
        let name = room.to_string_lossy().into_owned();
        if known.rooms.get(&name).is_some_and(|reserved| *reserved >= token.0) {
            return Ok(());
        }
        let mut rooms = known.rooms.clone();
        rooms.insert(name, token.0 + BLOCK - 1);
        let bytes = serde_json::to_vec_pretty(&rooms).map_err(io::Error::other)?;
        fsx::write_atomic(&self.path, &bytes, 0o600)?;
        *known = Known { rooms, ..*known };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reserved_is_never_given_again_whatever_becomes_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let (room, other) = (Path::new("/a"), Path::new("/b"));
        let tokens = Tokens::of(&home);
        assert_eq!(tokens.highest(room).unwrap(), Token(0));
        tokens.reserve(room, Token(1)).unwrap();
        tokens.reserve(other, Token(7)).unwrap();
        let written = std::fs::read(home.root().join("tokens")).unwrap();
        tokens.reserve(room, Token(BLOCK)).unwrap();
        assert_eq!(std::fs::read(home.root().join("tokens")).unwrap(), written, "reserved already");
        let next = Tokens::of(&home);
        assert_eq!(next.highest(room).unwrap(), Token(BLOCK));
        assert_eq!(next.highest(other).unwrap(), Token(7 + BLOCK - 1));
        std::fs::write(home.root().join("tokens"), "garbage").unwrap();
        let after = Tokens::of(&home);
        assert!(after.highest(room).unwrap() >= Token(LEAP), "numbers leap");
        after.reserve(room, Token(LEAP + 1)).unwrap();
        assert_eq!(after.highest(other).unwrap(), Token(LEAP), "and for rooms that are not in it yet");
    }

    #[test]
    fn a_number_that_cannot_be_reserved_is_not_given() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::create_dir(home.root().join("tokens")).unwrap();
        assert!(Tokens::of(&home).reserve(Path::new("/a"), Token(1)).is_err());
    }
}
