//! Faults of the SQLite file.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

use crate::cell::{Allows, Blocks, Expected, Fault, InForce, NONE};
use crate::place::Place;

/// Connects to the file.
fn connect(place: &Place) -> Connection {
    let connection = Connection::open(place.home().database()).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection
}

/// The file and what SQLite puts beside it.
fn files(place: &Place) -> Vec<PathBuf> {
    let named = |ending: &str| place.home().root().join(format!("stopgate.db{ending}"));
    ["", "-wal", "-shm"].into_iter().map(named).collect()
}

/// Changes the file while no authority has it open, and puts back what was there when the fault is over.
fn changed(place: &Place, change: impl FnOnce()) -> InForce<'_> {
    place.stop_authority();
    connect(place).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let kept = place.root().join("kept.db");
    std::fs::copy(place.home().database(), &kept).unwrap();
    change();
    place.start_authority_anyhow();
    InForce::until(move || {
        place.stop_authority();
        for file in files(place) {
            let _ = std::fs::remove_file(file);
        }
        std::fs::copy(&kept, place.home().database()).unwrap();
        std::fs::set_permissions(place.home().database(), Permissions::from_mode(0o600)).unwrap();
    })
}

pub(crate) fn locked() -> Fault {
    Fault {
        name: "locked by another program that writes",
        arrange: |place| {
            let locked = connect(place);
            locked.execute_batch("BEGIN IMMEDIATE").unwrap();
            let second = Connection::open(place.home().database()).unwrap();
            assert!(second.execute_batch("BEGIN IMMEDIATE").is_err(), "nobody else can write");
            InForce::until(move || locked.execute_batch("ROLLBACK").unwrap())
        },
        expected: [
            // What it takes can be read, and a continue that cannot be written is counted in memory.
            Expected(Blocks, &[]),
            Expected(Blocks, &[]),
            Expected(Allows, &["event spooled: the store: database is locked"]),
        ],
        status: "degraded",
        doctor: &["authority-troubled", "hook-failing"],
        ..NONE
    }
}

pub(crate) fn locked_for_all() -> Fault {
    Fault {
        name: "locked by another program for itself alone",
        arrange: |place| {
            place.stop_authority();
            let locked = connect(place);
            locked.execute_batch("PRAGMA locking_mode = exclusive; BEGIN IMMEDIATE; PRAGMA user_version = 5").unwrap();
            let second = Connection::open(place.home().database()).unwrap();
            assert!(second.query_row("SELECT count(*) FROM sessions", [], |_| Ok(())).is_err(), "nobody else can read");
            place.start_authority_anyhow();
            InForce::until(move || drop(locked))
        },
        expected: DEGRADED,
        status: "degraded",
        doctor: &["authority-troubled", "hook-failing", "unchecked: the database", "unchecked: the sessions"],
        ..NONE
    }
}

/// Without the file nothing is known of a session that began before.
const DEGRADED: [Expected; 3] =
    [Expected(Allows, &[]), Expected(Blocks, &[]), Expected(Allows, &["event spooled: the store"])];

pub(crate) fn corrupt() -> Fault {
    Fault {
        name: "overwritten with something else",
        arrange: |place| {
            changed(place, || {
                std::fs::write(place.home().database(), "this is no database ".repeat(500)).unwrap();
                assert!(connect(place).execute_batch("SELECT * FROM sqlite_schema").is_err());
            })
        },
        expected: DEGRADED,
        status: "degraded",
        doctor: &["authority-troubled", "hook-failing", "store-broken", "unchecked: the sessions"],
        ..NONE
    }
}

pub(crate) fn read_only() -> Fault {
    Fault {
        // Everything can be read.
        name: "read-only",
        arrange: |place| {
            changed(place, || {
                std::fs::set_permissions(place.home().database(), Permissions::from_mode(0o400)).unwrap();
            })
        },
        expected: [Expected(Blocks, &[]), Expected(Blocks, &[]), Expected(Allows, &["event spooled: the store"])],
        status: "degraded",
        doctor: &["authority-troubled", "hook-failing", "unchecked: the sessions"],
        ..NONE
    }
}

pub(crate) fn missing() -> Fault {
    Fault {
        name: "missing when the authority starts: a new one is made",
        arrange: |place| {
            changed(place, || {
                for file in files(place) {
                    let _ = std::fs::remove_file(file);
                }
                assert!(!place.home().database().exists());
            })
        },
        expected: [Expected(Allows, &[]), Expected(Blocks, &[]), Expected(Allows, &[])],
        // What the new one has goes with it when the old one is put back.
        keeps: false,
        ..NONE
    }
}

pub(crate) fn removed() -> Fault {
    Fault {
        name: "removed while the authority has it open: a new one is made",
        arrange: |place| {
            for file in files(place) {
                let _ = std::fs::remove_file(file);
            }
            assert!(!place.home().database().exists());
            InForce::default()
        },
        after: |place| assert!(place.home().database().exists()),
        ..NONE
    }
}

pub(crate) fn from_the_future() -> Fault {
    Fault {
        name: "of a newer version",
        arrange: |place| changed(place, || connect(place).pragma_update(None, "user_version", 999).unwrap()),
        expected: DEGRADED,
        status: "degraded",
        doctor: &["authority-troubled", "hook-failing", "store-newer", "unchecked: the sessions"],
        ..NONE
    }
}
