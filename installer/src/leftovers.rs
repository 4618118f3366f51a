//! Temporary files of an installer that was killed: found by their exact names, and removed once nobody can be at work
//! on them any more.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use stopgate_core::event_id::is_event_id;

/// What every temporary file of ours begins with.
pub(crate) const PREFIX: &str = ".stopgate-";
/// What it ends with.
pub(crate) const SUFFIX: &str = ".tmp";
/// How many letters and digits are between them in a settings directory; elsewhere it is an event id.
pub(crate) const RANDOM: usize = 12;
/// No write takes so long.
const OLD: Duration = Duration::from_mins(1);

/// The leftovers in `dirs`, each once, in order.
pub(crate) fn find<'a>(dirs: impl IntoIterator<Item = &'a Path>) -> Vec<PathBuf> {
    let entries = dirs.into_iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().filter_map(Result::ok);
    let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(|path| is_leftover(path)).collect();
    found.sort();
    found.dedup();
    found
}

/// Removes what [`find`] has found, and returns what is gone.
pub(crate) fn remove(found: &[PathBuf]) -> Vec<&Path> {
    let gone = |path: &&Path| is_leftover(path) && std::fs::remove_file(path).is_ok();
    found.iter().map(PathBuf::as_path).filter(gone).collect()
}

fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !is_our_name(name) {
        return false;
    }
    std::fs::symlink_metadata(path).is_ok_and(|meta| {
        let age = meta.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
        meta.is_file() && meta.uid() == rustix::process::geteuid().as_raw() && age.is_some_and(|age| age > OLD)
    })
}

fn is_our_name(name: &str) -> bool {
    let random = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
    random.is_some_and(|random| {
        is_event_id(random) || (random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use stopgate_core::clock::SystemClock;
    use stopgate_core::event_id::new_event_id;

    #[test]
    fn only_old_files_of_exactly_our_names_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let id = format!(".stopgate-{}.tmp", new_event_id(&SystemClock));
        let old = SystemTime::now() - Duration::from_secs(90);
        let ours = [".stopgate-aB3456789012.tmp", id.as_str()];
        let others = [
            ".stopgate-aB345678901.tmp",
            ".stopgate-aB34567890123.tmp",
            ".stopgate-aB345678901-.tmp",
            ".stopgate-aB3456789012.tmp~",
            "stopgate-aB3456789012.tmp",
            ".stopgate-notes.tmp",
            ".stopgate-.tmp",
            ".stopgate-home",
        ];
        for name in ours.iter().chain(&others) {
            File::create(path(name)).unwrap().set_modified(old).unwrap();
        }
        std::fs::write(path(".stopgate-young6789012.tmp"), "").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path(".stopgate-link56789012.tmp")).unwrap();
        std::fs::create_dir(path(".stopgate-dir456789012.tmp")).unwrap();
        let found = find([dir.path(), dir.path(), &path("nowhere")]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(remove(&found), found);
        assert!(ours.iter().all(|name| !path(name).exists()) && others.iter().all(|name| path(name).exists()));
        assert_eq!(find([dir.path()]), Vec::<PathBuf>::new());
    }

    #[test]
    fn the_names_are_those_that_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let made = crate::settings::write::temporary(dir.path()).unwrap();
        assert!(is_our_name(made.path().file_name().unwrap().to_str().unwrap()), "{:?}", made.path());
    }
}
