//! What a file system allows: writing, running programs, being one machine's own.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

/// Where the kernel tells what is mounted.
const MOUNTS: &str = "/proc/self/mountinfo";
/// Kinds that several machines may have mounted at once, or whose locks and memory maps are not those of a disk.
const SHARED: [&str; 22] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "fuse.ceph",
    "fuse.glusterfs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "smbfs",
    "virtiofs",
];

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Where.
    pub(crate) point: PathBuf,
    /// What: `ext4`, `nfs4`, `fuse.sshfs`.
    pub(crate) kind: String,
}

impl Mount {
    /// Whether others may have it mounted as well.
    pub(crate) fn is_shared(&self) -> bool {
        SHARED.contains(&self.kind.as_str())
    }
}

/// What `path` lies on, which need not exist yet; `None` where the kernel does not tell.
pub(crate) fn mount_of(path: &Path) -> Option<Mount> {
    // It may hold any bytes.
    mount_in(&std::fs::read(MOUNTS).ok()?, &there(path)?)
}

/// Whether nothing on the file system of `path` can be written.
pub(crate) fn is_read_only(path: &Path) -> bool {
    has(path, StatVfsMountFlags::RDONLY)
}

/// Whether no program on the file system of `path` can be run.
pub(crate) fn is_noexec(path: &Path) -> bool {
    has(path, StatVfsMountFlags::NOEXEC)
}

fn has(path: &Path, flag: StatVfsMountFlags) -> bool {
    there(path).and_then(|path| statvfs(&path).ok()).is_some_and(|found| found.f_flag.contains(flag))
}

/// What is there of `path`, without links.
fn there(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|above| above.canonicalize().ok())
}

/// The mount of `path` in `table`, laid out as `mountinfo`: of those on the way to it the deepest, and of those at one
/// place the last, which covers the others.
fn mount_in(table: &[u8], path: &Path) -> Option<Mount> {
    let mounts = table.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let point = PathBuf::from(OsString::from_vec(unescaped(fields.nth(4)?)));
        // Between the two are the mount's options, and as many further fields as there may be.
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        Some(Mount { point, kind: String::from_utf8_lossy(kind).into_owned() })
    });
    mounts.filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.components().count())
}

/// Blanks, line ends and backslashes are written as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let escaped = byte.filter(|_| *first == b'\\');
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.18 writes it.
    const TABLE: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
30 22 0:25 / /home rw,nosuid shared:7 master:1 - nfs4 server:/export/home rw,vers=4.2\n\
31 30 0:26 / /home/dev/my\\040disk rw - fuse.sshfs dev@host:/ rw,user_id=1000\n\
32 22 0:27 / /mnt/c rw,noatime - 9p drvfs rw\n\
33 22 0:28 / /over rw - tmpfs none rw\n\
34 33 0:29 / /over ro - squashfs /dev/loop0 ro\n\
35 22 0:30 / /odd\\ rw - tmpfs none rw\n\
garbage\n\n";

    #[test]
    fn the_deepest_and_last_mount_on_the_way_counts() {
        for (path, point, kind, is_shared) in [
            ("/etc/x", "/", "ext4", false),
            ("/home/dev/.claude", "/home", "nfs4", true),
            ("/home/dev/my disk/x", "/home/dev/my disk", "fuse.sshfs", true),
            ("/home/dev/my diskette", "/home", "nfs4", true),
            ("/mnt/c/Users", "/mnt/c", "9p", true),
            ("/over/x", "/over", "squashfs", false),
            ("/odd\\/x", "/odd\\", "tmpfs", false),
        ] {
            let mount = mount_in(TABLE.as_bytes(), Path::new(path)).unwrap();
            assert_eq!((mount.point.as_path(), mount.kind.as_str()), (Path::new(point), kind), "{path}");
            assert_eq!(mount.is_shared(), is_shared, "{path}");
        }
        assert_eq!(mount_in(b"", Path::new("/x")), None);
        assert_eq!(mount_in(b"22 1 254:0 / / rw - \n1 2 3\n", Path::new("/")).unwrap().kind, "");
    }

    #[test]
    fn what_is_not_there_yet_lies_where_it_will_be() {
        let dir = tempfile::tempdir().unwrap();
        let (here, later) = (mount_of(dir.path()), mount_of(&dir.path().join("a/b")));
        assert!(here.is_some() && here == later, "{here:?} {later:?}");
        assert!(is_read_only(Path::new("/proc")) == is_read_only(Path::new("/proc/none")));
    }
}
