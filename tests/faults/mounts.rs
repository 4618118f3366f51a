//! Mount namespaces of a thread's own: what is mounted there is seen by nobody but the processes it starts.

use std::path::Path;

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, mount_remount, unmount,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Gives this thread a mount namespace of its own; `false` where that is not allowed.
pub(crate) fn own_namespace() -> bool {
    // SAFETY: file descriptors stay shared.
    #[expect(unsafe_code, reason = "there is no other way to a namespace of one thread")]
    let unshared = unsafe { unshare_unsafe(UnshareFlags::NEWNS) };
    unshared.is_ok() && mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).is_ok()
}

/// A file system of `size` (`64k`, `2m`) at `dir`, which keeps what `dir` holds.
pub(crate) fn small_disk(dir: &Path, size: &str) {
    let aside = tempfile::tempdir().unwrap();
    copy(dir, aside.path());
    let options = std::ffi::CString::new(format!("size={size},mode=700")).unwrap();
    mount("none", dir, "tmpfs", MountFlags::empty(), options.as_c_str()).unwrap();
    copy(aside.path(), dir);
}

/// Makes `dir` and all below read-only.
pub(crate) fn read_only(dir: &Path) {
    mount_bind(dir, dir).unwrap();
    mount_remount(dir, MountFlags::BIND | MountFlags::RDONLY, c"").unwrap();
}

/// Takes away what is mounted at `dir`, also while somebody has it open.
pub(crate) fn unmounted(dir: &Path) {
    unmount(dir, UnmountFlags::DETACH).unwrap();
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(status.success());
}
