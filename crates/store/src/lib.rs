//! What is stored. The SQLite file: opened and migrated by whoever comes first, written by the authority and, when that is down,
//! by the session-start recorder.
//!
//! Every write is one transaction, so that a reader or a crash never sees half of one.
//!
//! The small files of the same home that decisions depend on have modules of their own: [`rule_switches`] and [`learned`].
//! What decides reads no file.
//!
//! [`Store`] is opened here and brought up by `migrate`; the other modules are its methods by subject: `sessions` and
//! their events, `gate` (stops), `turns` (prompts, continues, contests), `grades`, `report`, `breaker`, `reaper`,
//! `retention`, `operator`, `leases`, `fence`, `names` (what sessions are called), `clock_looks` (how much time has gone by).

mod breaker;
mod clock_looks;
mod fence;
mod gate;
mod grades;
mod hooks_lost;
pub mod learned;
mod leases;
mod migrate;
mod names;
mod operator;
mod processes;
mod reaper;
mod report;
mod retention;
mod rows;
pub mod rule_switches;
mod sessions;
mod turns;

use std::fs::{Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{Access, AtFlags, CWD};
use stopgate_core::fsx;
use stopgate_core::paths::Home;

pub use breaker::BreakerRow;
pub use clock_looks::ClockLook;
pub use fence::{FenceRecord, SeenStash};
pub use gate::blank_row;
pub use grades::{Grading, NewGrade, PastStop};
pub use leases::LeaseCommit;
use migrate::Older;
pub use migrate::{LATEST_VERSION, MigrationStep};
pub use names::Renamed;
pub use operator::OperatorAction;
pub use retention::{Pruned, Space};
pub use rows::{Aside, AskedRecord, Continued, Counted, GateRow, SessionFacts, TurnRecord};

/// Statements that a connection keeps ready: more than there are.
const MAX_PREPARED: usize = 64;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("the store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file system refused.
    #[error("the store's file: {0}")]
    Io(#[from] std::io::Error),
    /// It is being brought to this version's schema.
    #[error("the store is being brought {0}: try again in a moment")]
    BeingMigrated(MigrationStep),
    /// An older stopgate has written the file, which is only looked at.
    #[error(
        "the store has version {found}, this program knows {known}: run `installer migrate`, or start the authority"
    )]
    FromThePast {
        /// Version of the file.
        found: i64,
        /// Version this program knows.
        known: i64,
    },
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
    path: PathBuf,
    /// Device and inode of the open file.
    file: (u64, u64),
}

impl Store {
    /// Opens the store of `home`, creating and migrating it as needed. `patience` is how long to wait for others
    /// who write at the same time.
    pub fn open(home: &Home, patience: Duration) -> Result<Self, StoreError> {
        Self::open_as(home, patience, Older::Refused, &|_| ())
    }

    /// The same, and a store of an older version is brought to this one's schema. For the authority and the installer
    /// alone: whoever else finds an older one may be beside an older authority, which could no longer write.
    pub fn open_and_migrate(home: &Home, patience: Duration) -> Result<Self, StoreError> {
        Self::open_as(home, patience, Older::Migrated, &|_| ())
    }

    /// The same; `told` hears of each step before it is taken.
    pub fn open_and_migrate_telling(
        home: &Home,
        patience: Duration,
        told: &dyn Fn(MigrationStep),
    ) -> Result<Self, StoreError> {
        Self::open_as(home, patience, Older::Migrated, told)
    }

    /// The version of the store of `home`, if that is there and older than this program, so that opening it may take its time.
    pub fn older_version(home: &Home, patience: Duration) -> Option<i64> {
        match Self::open_to_read(home, patience) {
            Err(StoreError::FromThePast { found, .. }) if found > 0 => Some(found),
            _ => None,
        }
    }

    fn open_as(
        home: &Home,
        patience: Duration,
        older: Older,
        told: &dyn Fn(MigrationStep),
    ) -> Result<Self, StoreError> {
        let path = home.database();
        // SQLite would create the file with the umask's mode; its -wal and -shm take the mode of the file.
        let file = match regular(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fsx::open_regular(OpenOptions::new().create(true).truncate(false).write(true), &path)?.metadata()?
            }
            found => {
                rustix::fs::accessat(CWD, &path, Access::WRITE_OK, AtFlags::EACCESS).map_err(io::Error::from)?;
                found?
            }
        };
        refuse_special_companions(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = connect(&path, flags, patience)?;
        migrate::prepare(&mut connection, patience, older, told)?;
        Ok(Self { connection, path, file: (file.dev(), file.ino()) })
    }

    /// Opens the store of `home`, which is there already and has the newest schema, for reading alone: beside the
    /// connection that writes, and in nobody's way.
    pub fn open_to_read(home: &Home, patience: Duration) -> Result<Self, StoreError> {
        let path = home.database();
        let file = regular(&path)?;
        refuse_special_companions(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = connect(&path, flags | OpenFlags::SQLITE_OPEN_NOFOLLOW, patience)?;
        migrate::expect_latest(&connection)?;
        Ok(Self { connection, path, file: (file.dev(), file.ino()) })
    }

    /// Whether the open file is the one that others find. What is written to one that was removed or replaced is lost
    /// with this process. Doubt means yes.
    pub fn is_in_place(&self) -> bool {
        match std::fs::symlink_metadata(&self.path) {
            Ok(found) => (found.dev(), found.ino()) == self.file,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Which file is open: its device and inode, which no other has as long as this one is open.
    pub fn identity(&self) -> (u64, u64) {
        self.file
    }

    /// Sets how long a write waits for others.
    pub fn set_patience(&self, patience: Duration) -> Result<(), StoreError> {
        Ok(self.connection.busy_timeout(patience)?)
    }
}

fn connect(path: &Path, flags: OpenFlags, patience: Duration) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(patience)?;
    // Else SQLite plans a statement anew whenever a value is bound that could change the plan, which costs several times
    // what the statement does. Without ANALYZE, which nobody runs here, no value changes one.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(MAX_PREPARED);
    Ok(connection)
}

/// Looks at `path`, which is to be a regular file: SQLite would wait for the other end of a FIFO. It is not opened: to close
/// it again would give up every lock that another connection of this process has on it.
fn regular(path: &Path) -> io::Result<Metadata> {
    let found = std::fs::symlink_metadata(path)?;
    let problem = || format!("{} is not a regular file: move it away", path.display());
    found.is_file().then_some(found).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, problem()))
}

/// SQLite opens its files beside `database` without a look at their kind, and waits for the other end of a FIFO.
fn refuse_special_companions(database: &Path) -> io::Result<()> {
    for ending in ["-journal", "-wal", "-shm"] {
        let mut path = database.as_os_str().to_owned();
        path.push(ending);
        match regular(Path::new(&path)) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
