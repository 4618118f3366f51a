//! What a file has besides its bytes: owner, group, mode, access list, extended attributes.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{XattrFlags, getxattr, listxattr, setxattr};

/// The access list of a file.
pub const ACCESS_LIST: &str = "system.posix_acl_access";
/// That which a directory gives to new files.
pub const DEFAULT_LIST: &str = "system.posix_acl_default";
const MAX_BYTES: usize = 64 * 1024;

/// A file with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Owner and group.
    pub ids: (u32, u32),
    /// Permission bits.
    pub mode: u32,
    /// Extended attributes, access list included.
    pub attributes: BTreeMap<String, Vec<u8>>,
}

impl Seen {
    /// The file at `path`; a link is followed.
    pub fn at(path: &Path) -> Self {
        let meta = std::fs::metadata(path).unwrap();
        let mut names = vec![0; MAX_BYTES];
        let length = listxattr(path, names.as_mut_slice()).unwrap();
        let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let attributes = names.map(|name| {
            let name = String::from_utf8(name.to_vec()).unwrap();
            let mut value = vec![0; MAX_BYTES];
            let length = getxattr(path, &*name, value.as_mut_slice()).unwrap();
            value.truncate(length);
            (name, value)
        });
        Self {
            bytes: std::fs::read(path).unwrap(),
            ids: (meta.uid(), meta.gid()),
            mode: meta.mode() & 0o7777,
            attributes: attributes.collect(),
        }
    }

    /// The same file with other bytes.
    #[must_use]
    pub fn without_bytes(mut self) -> Self {
        self.bytes.clear();
        self
    }

    /// What people may do who are neither the owner nor root: `[group, others]` as permission bits, and for each named
    /// user and group theirs.
    pub fn granted(&self) -> BTreeMap<String, u32> {
        let Some(list) = self.attributes.get(ACCESS_LIST) else {
            return BTreeMap::from([
                (format!("group {}", self.ids.1), self.mode >> 3 & 7),
                ("others".to_owned(), self.mode & 7),
            ]);
        };
        let entries: Vec<(u16, u32, u32)> = list[4..]
            .chunks(8)
            .map(|entry| {
                let short = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
                (short(0), u32::from(short(2)), u32::from_le_bytes(entry[4..8].try_into().unwrap()))
            })
            .collect();
        let mask = entries.iter().find(|(tag, ..)| *tag == MASK).map_or(7, |(_, allowed, _)| *allowed);
        let row = |(tag, allowed, id): &(u16, u32, u32)| match *tag {
            USER => Some((format!("user {id}"), allowed & mask)),
            OWNING_GROUP => Some((format!("group {}", self.ids.1), allowed & mask)),
            GROUP => Some((format!("group {id}"), allowed & mask)),
            OTHERS => Some(("others".to_owned(), *allowed)),
            _ => None,
        };
        entries.iter().filter_map(row).collect()
    }

    /// Whether nobody may do more with it than with `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        let allowed = other.granted();
        self.granted().iter().all(|(who, what)| what & !allowed.get(who).copied().unwrap_or(0) == 0)
    }
}

const OWNER: u16 = 1;
const USER: u16 = 2;
const OWNING_GROUP: u16 = 4;
const GROUP: u16 = 8;
const MASK: u16 = 0x10;
const OTHERS: u16 = 0x20;

/// An access list: the owner may read and write, the user `user` may do `allowed`, the owning group nothing, nobody else
/// anything.
pub fn list_for_user(user: u32, allowed: u16) -> Vec<u8> {
    let nobody = u32::MAX;
    let entries = [
        (OWNER, 6, nobody),
        (USER, allowed, user),
        (OWNING_GROUP, 0, nobody),
        (MASK, allowed, nobody),
        (OTHERS, 0, nobody),
    ];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, allowed, id) in entries {
        list.extend(tag.to_le_bytes().into_iter().chain(allowed.to_le_bytes()).chain(id.to_le_bytes()));
    }
    list
}

/// Sets an attribute; `false` where the file system or the system does not allow that.
pub fn set(path: &Path, name: &str, value: &[u8]) -> bool {
    setxattr(path, name, value, XattrFlags::empty()).is_ok()
}
