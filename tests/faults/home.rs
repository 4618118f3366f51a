//! Faults of the disk and of the home directory.

use std::fs::Permissions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use rustix::fs::{Gid, Uid};
use stopgate_tests::process::{Stopped, has_ended};
use stopgate_tests::run::eventually;

use crate::cell::{Allows, Blocks, Expected, Fault, InForce, NONE};
use crate::mounts;
use crate::place::Place;

const ABSENT: [Expected; 3] = [
    Expected(Allows, &["stop not judged: the authority is not running"]),
    Expected(Blocks, &[]),
    Expected(Allows, &[]),
];
/// There is no log to write to.
const SILENT: [Expected; 3] = [Expected(Allows, &[]), Expected(Blocks, &[]), Expected(Allows, &[])];

/// Fills a file system.
pub(crate) fn fill(file: &std::path::Path) {
    let mut file = std::fs::File::create(file).unwrap();
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    let error = file.write_all(b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}

pub(crate) fn disk_full() -> Fault {
    Fault {
        name: "the home's disk is full",
        mounts: true,
        arrange: |place| {
            place.stop_authority();
            mounts::small_home(place.home().root(), place.root());
            place.start_authority();
            let filling = place.home().root().join("filling");
            fill(&filling);
            InForce::until(move || std::fs::remove_file(filling).unwrap())
        },
        // What cannot be counted is not held.
        expected: SILENT,
        status: "degraded",
        doctor: &["authority-troubled", "disk-full", "hook-failing"],
        keeps: false,
        ..NONE
    }
}

pub(crate) fn disk_full_without_authority() -> Fault {
    Fault {
        name: "the home's disk is full, and no authority runs",
        mounts: true,
        arrange: |place| {
            place.stop_authority();
            mounts::small_home(place.home().root(), place.root());
            let filling = place.home().root().join("filling");
            fill(&filling);
            InForce::until(move || std::fs::remove_file(filling).unwrap())
        },
        expected: SILENT,
        doctor: &["disk-full"],
        keeps: false,
        ..NONE
    }
}

pub(crate) fn read_only() -> Fault {
    Fault {
        name: "the home is on a read-only file system",
        mounts: true,
        arrange: |place| {
            place.stop_authority();
            let root = place.home().root().to_owned();
            mounts::read_only(&root);
            let error = std::fs::write(root.join("x"), "").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem);
            InForce::until(move || mounts::unmounted(&root))
        },
        expected: SILENT,
        status: "not running",
        doctor: &["home-not-writable"],
        keeps: false,
        ..NONE
    }
}

pub(crate) fn no_writing() -> Fault {
    Fault {
        name: "the home may not be written (mode 0500)",
        arrange: |place| {
            place.stop_authority();
            let set = |mode| std::fs::set_permissions(place.home().root(), Permissions::from_mode(mode)).unwrap();
            set(0o500);
            InForce::until(move || set(0o700))
        },
        expected: ABSENT,
        doctor: &["home-not-writable"],
        ..NONE
    }
}

pub(crate) fn missing() -> Fault {
    Fault {
        name: "the home is gone: a new one is made for what cannot be delivered",
        arrange: |place| {
            place.stop_authority();
            let (root, aside) = (place.home().root(), place.root().join("aside"));
            std::fs::rename(root, &aside).unwrap();
            place.installed.set(false);
            InForce::until(move || {
                place.stop_authority();
                place.installed.set(true);
                std::fs::remove_dir_all(root).unwrap();
                std::fs::rename(aside, root).unwrap();
            })
        },
        expected: ABSENT,
        doctor: &["not-installed"],
        keeps: false,
        ..NONE
    }
}

pub(crate) fn wrong_owner() -> Fault {
    Fault {
        name: "the home is another user's: nothing can be looked at, so the kill switch counts as on",
        root: true,
        arrange: |place| {
            place.stop_authority();
            place.installed.set(false);
            let owned = |uid: u32| {
                let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(uid));
                rustix::fs::chown(place.home().root(), Some(uid), Some(gid)).unwrap();
            };
            owned(65_534);
            InForce::until(move || {
                owned(0);
                place.installed.set(true);
            })
        },
        expected: [Expected(Allows, &[]); 3],
        status: "not answering",
        doctor: &["home-closed"],
        keeps: false,
        ..NONE
    }
}

pub(crate) fn odd_path() -> Fault {
    Fault {
        name: "the home's path has spaces, quotes and non-ASCII letters",
        home: "hömé, \"späces\" & 'more'/stop gate",
        ..NONE
    }
}

pub(crate) fn temp_gone() -> Fault {
    Fault {
        name: "`TMPDIR` is gone, where the socket of a home with a long path was",
        home: LONG,
        arrange: |place| {
            let first = place.authority_pid();
            let socket = place.home().socket_to_connect().unwrap();
            assert!(socket.starts_with(place.temp()) && socket.exists(), "{}", socket.display());
            // Until then, for it looks after its socket every few seconds.
            let stopped = Stopped::new(first);
            std::fs::remove_dir_all(place.temp()).unwrap();
            std::fs::write(place.temp(), "no directory").unwrap();
            InForce::until(move || {
                drop(stopped);
                eventually("it listens elsewhere", || (place.status() == "running").then_some(()));
                assert!(!has_ended(first));
            })
        },
        expected: ABSENT,
        status: "not answering",
        doctor: &["authority-broken"],
        ..NONE
    }
}

const LONG: &str =
    "a home whose path is so long that no socket can have it, wherever else it is/and longer still/stopgate";

/// What the authority does not need to serve.
pub(crate) fn temp_gone_before() -> Fault {
    Fault {
        name: "`TMPDIR` is gone before anything starts",
        home: LONG,
        arrange: |place: &Place| {
            place.stop_authority();
            std::fs::remove_dir_all(place.temp()).unwrap();
            std::fs::write(place.temp(), "no directory").unwrap();
            place.start_authority();
            InForce::default()
        },
        ..NONE
    }
}
