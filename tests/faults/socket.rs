//! Faults of the authority's socket.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::fs::{CWD, FileType, Gid, Mode, Uid, mknodat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::thread::set_thread_res_uid;
use stopgate_tests::process::Stopped;

use crate::cell::{Allows, Blocks, Expected, Fault, InForce, NONE};
use crate::place::Place;

/// A user that is neither root nor anybody who runs tests.
const NOBODY: u32 = 65_534;

/// What connecting, with every privilege, comes to.
fn connecting(place: &Place) -> Errno {
    let error = UnixStream::connect(place.home().socket()).unwrap_err();
    Errno::from_io_error(&error).unwrap()
}

const ABSENT: [Expected; 3] = [
    Expected(Allows, &["stop not judged: the authority is not running"]),
    Expected(Blocks, &[]),
    Expected(Allows, &[]),
];

/// What `plant` puts where the socket was, while no authority runs.
fn in_its_place(place: &Place, plant: impl FnOnce(&Path), errno: Errno) {
    place.stop_authority();
    plant(&place.home().socket());
    assert_eq!(connecting(place), errno);
}

pub(crate) fn missing() -> Fault {
    Fault {
        name: "missing: no authority runs",
        arrange: |place| {
            in_its_place(place, |_| (), Errno::NOENT);
            InForce::default()
        },
        expected: ABSENT,
        ..NONE
    }
}

pub(crate) fn removed() -> Fault {
    Fault {
        name: "removed, while the authority lives and hangs",
        arrange: |place| {
            let stopped = Stopped::new(place.authority_pid());
            std::fs::remove_file(place.home().socket()).unwrap();
            assert_eq!(connecting(place), Errno::NOENT);
            InForce::until(|| drop(stopped))
        },
        expected: ABSENT,
        status: "not answering",
        doctor: &["authority-broken"],
        ..NONE
    }
}

pub(crate) fn stale() -> Fault {
    Fault {
        name: "stale: nobody listens any more",
        arrange: |place| {
            in_its_place(place, |socket| drop(UnixListener::bind(socket).unwrap()), Errno::CONNREFUSED);
            InForce::default()
        },
        expected: ABSENT,
        ..NONE
    }
}

/// Nothing that an authority takes away: the recorder's attempt to start one fails, and that is told.
const IN_THE_WAY: Fault =
    Fault { expected: ABSENT, status: "not running", doctor: &["authority-not-starting"], ..NONE };

pub(crate) fn directory() -> Fault {
    Fault {
        name: "a directory",
        arrange: |place| {
            in_its_place(place, |socket| std::fs::create_dir(socket).unwrap(), Errno::CONNREFUSED);
            InForce::until(|| std::fs::remove_dir(place.home().socket()).unwrap())
        },
        ..IN_THE_WAY
    }
}

pub(crate) fn file() -> Fault {
    Fault {
        name: "a file",
        arrange: |place| {
            in_its_place(place, |socket| std::fs::write(socket, "mine").unwrap(), Errno::CONNREFUSED);
            InForce::until(|| {
                assert_eq!(std::fs::read_to_string(place.home().socket()).unwrap(), "mine");
                std::fs::remove_file(place.home().socket()).unwrap();
            })
        },
        ..IN_THE_WAY
    }
}

pub(crate) fn fifo() -> Fault {
    Fault {
        name: "a FIFO",
        arrange: |place| {
            let plant = |path: &Path| mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
            in_its_place(place, plant, Errno::CONNREFUSED);
            InForce::until(|| std::fs::remove_file(place.home().socket()).unwrap())
        },
        ..IN_THE_WAY
    }
}

pub(crate) fn link_to_nowhere() -> Fault {
    Fault {
        name: "a symbolic link to nowhere",
        arrange: |place| {
            in_its_place(place, |socket| symlink("/nowhere/at/all", socket).unwrap(), Errno::NOENT);
            InForce::default()
        },
        expected: ABSENT,
        ..NONE
    }
}

pub(crate) fn link_to_itself() -> Fault {
    Fault {
        name: "a symbolic link to itself",
        arrange: |place| {
            in_its_place(place, |socket| symlink(socket, socket).unwrap(), Errno::LOOP);
            InForce::default()
        },
        expected: ABSENT,
        ..NONE
    }
}

const UNREACHABLE: [Expected; 3] = [
    Expected(Allows, &["stop not judged: the authority cannot be reached: Permission denied"]),
    Expected(Blocks, &[]),
    Expected(Allows, &["authority did not answer: the authority cannot be reached: Permission denied"]),
];

pub(crate) fn wrong_mode() -> Fault {
    Fault {
        name: "of mode 000",
        arrange: |place| {
            let set = |mode| std::fs::set_permissions(place.home().socket(), Permissions::from_mode(mode)).unwrap();
            set(0);
            assert_eq!(place.status(), "not answering", "no privilege is left that would pass it over");
            InForce::until(move || set(0o600))
        },
        expected: UNREACHABLE,
        status: "not answering",
        doctor: &["authority-broken"],
        ..NONE
    }
}

pub(crate) fn wrong_owner() -> Fault {
    Fault {
        name: "of another user",
        root: true,
        arrange: |place| {
            let owned = |uid| {
                let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(uid));
                rustix::fs::chown(place.home().socket(), Some(uid), Some(gid)).unwrap();
            };
            owned(NOBODY);
            assert_eq!(place.status(), "not answering");
            InForce::until(move || owned(0))
        },
        expected: UNREACHABLE,
        status: "not answering",
        doctor: &["authority-broken"],
        ..NONE
    }
}

pub(crate) fn foreign_listener() -> Fault {
    Fault {
        name: "listened on by another user's process",
        root: true,
        arrange: |place| {
            place.stop_authority();
            let path = place.home().socket();
            let theirs = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
            bind(&theirs, &SocketAddrUnix::new(&path).unwrap()).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            // The kernel notes the thread that begins to listen.
            let become_user = |uid| set_thread_res_uid(Uid::ROOT, Uid::from_raw(uid), Uid::ROOT).unwrap();
            become_user(NOBODY);
            let listening = listen(&theirs, 8);
            become_user(0);
            listening.unwrap();
            let stream = UnixStream::connect(&path).unwrap();
            let peer = rustix::net::sockopt::socket_peercred(&stream).unwrap();
            assert_eq!(peer.uid.as_raw(), NOBODY);
            InForce::until(move || drop(theirs))
        },
        expected: [
            Expected(Allows, &["stop not judged: another user's process listens on the authority's socket"]),
            Expected(Blocks, &[]),
            Expected(Allows, &["authority did not answer: another user's process listens on the authority's socket"]),
        ],
        status: "not answering",
        doctor: &["authority-broken"],
        ..NONE
    }
}
