//! Files that a person names: anything that ends, a pipe too.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Largest file that is read: far more than anybody's corpus or configuration.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The text of `file`, unless it is larger than [`MAX_BYTES`] or never ends.
pub(crate) fn read(file: &Path) -> io::Result<String> {
    read_from(File::open(file)?)
}

/// The same of what is open already.
pub(crate) fn read_from(input: impl io::Read) -> io::Result<String> {
    let mut text = String::new();
    input.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {} MiB", MAX_BYTES >> 20)));
    }
    Ok(text)
}
