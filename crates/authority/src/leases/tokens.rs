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
/// The largest number that is believed: whoever reads JSON by floating point has each up to this one.
const MAX_TOKEN: u64 = 1 << 53;
/// In place of a room: all that are not listed. No room is called so, for they are absolute paths.
const OTHERS: &str = "*";

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
            Ok(bytes) => Ok(match understood(&bytes) {
                Ok(rooms) => Known { rooms, is_garbage: false },
                Err(error) => {
                    tracing::error!(%error, path = %self.path.display(), "not understood: numbers leap");
                    Known { rooms: BTreeMap::new(), is_garbage: true }
                }
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Known::default()),
            Err(error) => Err(self.named(&error)),
        }
    }

    /// An error that says which file it is about.
    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
    }

    /// The highest number that `room` may have given.
    pub(super) fn highest(&self, room: &Path) -> io::Result<Token> {
        let known = self.known()?;
        let listed = |name: &str| known.as_ref().and_then(|known| known.rooms.get(name).copied());
        Ok(Token(listed(&room.to_string_lossy()).or_else(|| listed(OTHERS)).unwrap_or(0)))
    }

    /// Where the file was there and says nothing, all numbers leap, from the highest that the database knows: `stored`. Written
    /// down at once, so that a later start does not go by the database alone.
    pub(super) fn leap_if_garbage(&self, stored: Token) -> io::Result<()> {
        let mut known = self.known()?;
        if known.as_ref().is_some_and(|known| known.is_garbage) {
            let rooms = BTreeMap::from([(OTHERS.to_owned(), stored.0.saturating_add(LEAP))]);
            self.write(&rooms)?;
            *known = Some(Known { rooms, is_garbage: false });
        }
        Ok(())
    }

    fn write(&self, rooms: &BTreeMap<String, u64>) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(rooms).map_err(io::Error::other)?;
        fsx::write_atomic(&self.path, &bytes, 0o600).map_err(|error| self.named(&error))
    }

    /// Sees to it that the file says that `room` may have given `token`, before it does. An error means that it must not.
    pub(super) fn reserve(&self, room: &Path, token: Token) -> io::Result<()> {
        let mut known = self.known()?;
        let Some(known) = known.as_mut() else { return Ok(()) };
        let name = room.to_string_lossy().into_owned();
        if known.rooms.get(&name).is_some_and(|reserved| *reserved >= token.0) {
            return Ok(());
        }
        if token.0 > MAX_TOKEN {
            return Err(self.named(&io::Error::other("the numbers of this room are used up")));
        }
        let mut rooms = known.rooms.clone();
        rooms.insert(name, token.0 + BLOCK - 1);
        self.write(&rooms)?;
        *known = Known { rooms, ..*known };
        Ok(())
    }
}

/// What the file says. A number that nobody can have been given is no number: from there it could not rise.
fn understood(bytes: &[u8]) -> Result<BTreeMap<String, u64>, String> {
    let rooms: BTreeMap<String, u64> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match rooms.iter().find(|(_, reserved)| **reserved > MAX_TOKEN / 2) {
        Some((room, reserved)) => Err(format!("{room}: {reserved} is too large")),
        None => Ok(rooms),
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
        next.leap_if_garbage(Token(99)).unwrap();
        assert_eq!(std::fs::read(home.root().join("tokens")).unwrap(), written, "it is understood");
    }

    #[test]
    fn numbers_leap_where_the_file_says_nothing_and_are_not_forgotten_at_the_next_start() {
        let future = format!("{{\"/a\": {}}}", u64::MAX);
        let written = ["", "garbage", "{\"/a\": 5", "{\"/a\": -1}", "{\"/a\": 1e300}", "[]", &future];
        for garbage in written {
            let dir = tempfile::tempdir().unwrap();
            let home = Home::at(dir.path());
            std::fs::write(home.root().join("tokens"), garbage).unwrap();
            let tokens = Tokens::of(&home);
            tokens.leap_if_garbage(Token(40)).unwrap();
            let leapt = Token(LEAP + 40);
            assert_eq!(tokens.highest(Path::new("/a")).unwrap(), leapt, "{garbage}");
            tokens.reserve(Path::new("/a"), Token(leapt.0 + 1)).unwrap();
            let next = Tokens::of(&home);
            next.leap_if_garbage(Token(0)).unwrap();
            assert_eq!(next.highest(Path::new("/a")).unwrap(), Token(leapt.0 + BLOCK), "{garbage}");
            assert_eq!(next.highest(Path::new("/b")).unwrap(), leapt, "{garbage}: and where nothing was given since");
        }
    }

    #[test]
    fn a_number_that_cannot_be_reserved_is_not_given() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::create_dir(home.root().join("tokens")).unwrap();
        let error = Tokens::of(&home).reserve(Path::new("/a"), Token(1)).unwrap_err();
        assert!(error.to_string().contains("tokens"), "{error}");
        let tokens = Tokens::of(&Home::at(dir.path().join("elsewhere")));
        assert!(tokens.reserve(Path::new("/a"), Token(MAX_TOKEN + 1)).is_err());
    }
}
