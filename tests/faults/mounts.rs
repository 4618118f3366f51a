//! Mount namespaces of a thread's own: what is mounted there is seen by nobody but the processes it starts.

use std::ffi::CStr;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_bind,
    mount_bind_recursive, mount_change, mount_remount, move_mount, open_tree, unmount,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Gives this thread a mount namespace of its own; `false` where that is not allowed.
pub(crate) fn own_namespace() -> bool {
    // SAFETY: file descriptors stay shared.
    #[expect(unsafe_code, reason = "there is no other way to a namespace of one thread")]
    let unshared = unsafe { unshare_unsafe(UnshareFlags::NEWNS) };
    unshared.is_ok() && mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).is_ok()
}

/// How large [`small_home`] is: more than the doctor wants to be free.
const SIZE: &CStr = c"size=100m,mode=700";

/// Puts `home` on a small file system of its own, with all that it holds; its programs stay where they are.
pub(crate) fn small_home(home: &Path, aside: &Path) {
    let (bin, kept, rest) = (home.join("bin"), aside.join("bin aside"), aside.join("home aside"));
    std::fs::create_dir(&kept).unwrap();
    std::fs::create_dir(&rest).unwrap();
    mount_bind(&bin, &kept).unwrap();
    // Nothing to copy below `bin`.
    mount("none", &bin, "tmpfs", MountFlags::empty(), SIZE).unwrap();
    copy(home, &rest);
    unmounted(&bin);
    mount("none", home, "tmpfs", MountFlags::empty(), SIZE).unwrap();
    copy(&rest, home);
    mount_bind(&kept, &bin).unwrap();
}

/// An `/etc` of which files can be made, with what programs need of the real one.
pub(crate) fn own_etc(aside: &Path) -> std::path::PathBuf {
    let etc = std::path::PathBuf::from("/etc");
    let own = aside.join("etc");
    std::fs::create_dir(&own).unwrap();
    for name in ["passwd", "group", "nsswitch.conf", "ld.so.cache", "localtime"] {
        // Not every system has all of them.
        let _ = std::fs::copy(etc.join(name), own.join(name));
    }
    mount_bind(&own, &etc).unwrap();
    etc
}

/// An empty `/tmp`, but for the programs of this build if they lie in it.
pub(crate) fn own_temp() {
    let test = std::env::current_exe().unwrap();
    let build = test.parent().and_then(Path::parent).filter(|build| build.starts_with("/tmp"));
    // Mounted nowhere meanwhile: where a test clears up after itself, it must not come across them.
    let kept = build.map(|build| {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        (build, open_tree(CWD, build, flags).unwrap())
    });
    mount("none", "/tmp", "tmpfs", MountFlags::empty(), c"size=1m,mode=1777").unwrap();
    if let Some((build, tree)) = kept {
        std::fs::create_dir_all(build).unwrap();
        move_mount(tree, "", CWD, build, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).unwrap();
    }
}

/// Makes `dir` and all below read-only, but for what is mounted there.
pub(crate) fn read_only(dir: &Path) {
    mount_bind_recursive(dir, dir).unwrap();
    mount_remount(dir, MountFlags::BIND | MountFlags::RDONLY, c"").unwrap();
}

/// Takes away what is mounted at `dir`, also while somebody has it open.
pub(crate) fn unmounted(dir: &Path) {
    unmount(dir, UnmountFlags::DETACH).unwrap();
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let status = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(status.success());
}
