//! The SQLite file: opened and migrated by whoever comes first, written by the authority and, when that is down,
//! by the session-start recorder.
//!
//! Every write is one transaction, so that a reader or a crash never sees half of one.

mod gate;
mod migrate;
mod reaper;
mod sessions;

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use stopgate_core::fsx;
use stopgate_core::paths::Home;

pub use gate::{Counting, GateRow, blank_row};
pub use migrate::LATEST_VERSION;
pub use sessions::SessionFacts;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("the store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file system refused.
    #[error("the store's file: {0}")]
    Io(#[from] std::io::Error),
    /// A newer stopgate has written the file.
    #[error("the store has version {found}, this program knows {known}: use the newer program, or restore a backup")]
    FromTheFuture {
        /// Version of the file.
        found: i64,
        /// Newest version this program knows.
        known: i64,
    },
}

/// The open store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

impl Store {
    /// Opens the store of `home`, creating and migrating it as needed. `patience` is how long to wait for others
    /// who write at the same time.
    pub fn open(home: &Home, patience: Duration) -> Result<Self, StoreError> {
        let path = home.database();
        // SQLite would create the file with the umask's mode; its -wal and -shm take the mode of the file.
        fsx::open_regular(OpenOptions::new().create(true).truncate(false).write(true), &path)?;
        refuse_special_companions(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags)?;
        connection.busy_timeout(patience)?;
        migrate::prepare(&mut connection, patience)?;
        Ok(Self { connection })
    }

    /// Sets how long a write waits for others.
    pub fn set_patience(&self, patience: Duration) -> Result<(), StoreError> {
        Ok(self.connection.busy_timeout(patience)?)
    }
}

/// SQLite opens its files beside `database` without a look at their kind, and waits for the other end of a FIFO.
fn refuse_special_companions(database: &Path) -> io::Result<()> {
    for ending in ["-journal", "-wal", "-shm"] {
        let mut path = database.as_os_str().to_owned();
        path.push(ending);
        let path = PathBuf::from(path);
        if std::fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_file()) {
            let problem = format!("{} is not a regular file: move it away", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
