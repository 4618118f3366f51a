//! Who may do what with a file: owner, group, mode, access list and extended attributes, carried over to what replaces it.
//!
//! A replacement is a new file, and a new file has none of these. It stays readable by its maker alone until it has all
//! of them: an access list before the mode, because the group's bits of a mode say what an access list *masks*, and
//! without the list they say what the owning group *may*.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;

/// The access list of POSIX.1e, as the kernel keeps it.
const ACCESS_LIST: &str = "system.posix_acl_access";
/// What the kernel itself writes there about a file's bytes: those of another file would be wrong.
const ABOUT_BYTES: [&str; 2] = ["security.ima", "security.evm"];
/// Labels that a security module gives to every new file.
const LABELS: &str = "security.";
/// The kernel hands out no more at once.
const MAX_BYTES: usize = 64 * 1024;
const MODE_BITS: u32 = 0o7777;

/// What a replacement has to have as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    owner: u32,
    group: u32,
    mode: u32,
    attributes: BTreeMap<CString, Vec<u8>>,
}

/// Why a replacement would not be like the file.
#[derive(Debug)]
pub(crate) struct NotKept {
    what: String,
    source: io::Error,
}

impl NotKept {
    fn of(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self { what, source }
    }
}

impl std::fmt::Display for NotKept {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} ({})", self.what, self.source)
    }
}

impl std::error::Error for NotKept {}

impl Access {
    /// What `file` has.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self { owner: meta.uid(), group: meta.gid(), mode: mode(&meta), attributes: attributes(file)? })
    }

    /// Gives all of it to `file`, which nobody but its maker may read yet, and looks whether it has it.
    pub(super) fn give(&self, file: &File) -> Result<(), NotKept> {
        let own = Self::of(file).map_err(NotKept::of("the new file cannot be looked at"))?;
        for name in own.attributes.keys().filter(|name| !self.attributes.contains_key(*name)) {
            // What a directory gives to new files. What stays is found below.
            let _ = fremovexattr(file, name.as_c_str());
        }
        if (own.owner, own.group) != (self.owner, self.group) {
            std::os::unix::fs::fchown(file, Some(self.owner), Some(self.group))
                .map_err(NotKept::of(format!("owner {} and group {} cannot be given", self.owner, self.group)))?;
        }
        // The list comes last: it lets others in.
        let is_list = |name: &CString| name.as_bytes() == ACCESS_LIST.as_bytes();
        let (lists, others): (Vec<_>, Vec<_>) = self.attributes.iter().partition(|(name, _)| is_list(name));
        for (name, value) in others.into_iter().chain(lists) {
            if own.attributes.get(name) != Some(value) {
                let what = format!("the attribute {} cannot be given", name.to_string_lossy());
                fsetxattr(file, name.as_c_str(), value, XattrFlags::empty())
                    .map_err(|error| NotKept::of(what)(error.into()))?;
            }
        }
        if file.metadata().map(|meta| mode(&meta)).ok() != Some(self.mode) {
            file.set_permissions(PermissionsExt::from_mode(self.mode))
                .map_err(NotKept::of(format!("mode {:o} cannot be given", self.mode)))?;
        }
        let now = Self::of(file).map_err(NotKept::of("the new file cannot be looked at"))?;
        match now.difference(self) {
            None => Ok(()),
            Some(what) => Err(NotKept::of(what)(io::Error::other("the file system takes it and does not keep it"))),
        }
    }

    /// In what way this is not `wanted`; a label that every new file has is no difference.
    fn difference(&self, wanted: &Self) -> Option<String> {
        if (self.owner, self.group, self.mode) != (wanted.owner, wanted.group, wanted.mode) {
            return Some("owner, group or mode are not kept".to_owned());
        }
        let is_label = |name: &CString| name.as_bytes().starts_with(LABELS.as_bytes());
        let lost = wanted.attributes.iter().find(|(name, value)| self.attributes.get(*name) != Some(value));
        let more = self.attributes.keys().find(|name| !wanted.attributes.contains_key(*name) && !is_label(name));
        let name = lost.map(|(name, _)| name).or(more)?;
        Some(format!("the attribute {} is not kept", name.to_string_lossy()))
    }
}

fn mode(meta: &Metadata) -> u32 {
    meta.mode() & MODE_BITS
}

/// The extended attributes of `file`, access list included. A file system that has none has none.
fn attributes(file: &File) -> io::Result<BTreeMap<CString, Vec<u8>>> {
    let mut names = vec![0; MAX_BYTES];
    let listed = match flistxattr(file, names.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::NOTSUP | Errno::NOSYS) => 0,
        Err(error) => return Err(error.into()),
    };
    names.truncate(listed);
    let listed = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    // Not every file system names the list.
    let names =
        listed.chain([ACCESS_LIST.as_bytes()]).filter(|name| !ABOUT_BYTES.iter().any(|one| one.as_bytes() == *name));
    let mut found = BTreeMap::new();
    for name in names {
        let name = CString::new(name)?;
        let mut value = vec![0; MAX_BYTES];
        match fgetxattr(file, name.as_c_str(), value.as_mut_slice()) {
            Ok(length) => {
                value.truncate(length);
                found.insert(name, value);
            }
            Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS) => {}
            Err(error) => {
                let name = name.to_string_lossy();
                return Err(io::Error::new(io::Error::from(error).kind(), format!("attribute {name}: {error}")));
            }
        }
    }
    Ok(found)
}
