//! A turn that a hook has begun: `asyncRewake` of Claude Code wakes a session whose turn has ended, and the stop of the turn
//! that follows says `stop_hook_active`, although nothing has kept that turn going. The recorder marks the session when
//! the turn begins; its first stop takes the mark, and is judged as any other.

use std::fs::OpenOptions;
use std::path::PathBuf;

use crate::fsx;
use crate::hook::Hook;
use crate::paths::Home;
use crate::session::SessionKey;

/// The hooks that count what has kept a turn going.
const COUNTING: [Hook; 2] = [Hook::StopGateRouter, Hook::BuildStop];

/// Marks `session`, whose turn a hook has begun.
pub fn mark(home: &Home, session: &SessionKey) {
    for hook in COUNTING {
        let path = path(home, session, hook);
        if path.parent().is_some_and(|dir| fsx::ensure_private_dir(dir).is_ok()) {
            let _ = fsx::open_regular(OpenOptions::new().create(true).write(true).truncate(false), &path);
        }
    }
}

/// Takes all marks away: another turn has begun.
pub fn forget(home: &Home, session: &SessionKey) {
    for hook in COUNTING {
        take(home, session, hook);
    }
}

/// Takes the mark for `hook` away; true if there was one.
pub fn take(home: &Home, session: &SessionKey, hook: Hook) -> bool {
    std::fs::remove_file(path(home, session, hook)).is_ok()
}

fn path(home: &Home, session: &SessionKey, hook: Hook) -> PathBuf {
    home.run().join("woken").join(format!("{}.{}", session.file_name(), hook.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Harness;

    #[test]
    fn the_mark_is_the_session_s_own_and_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let key = |id: &str| SessionKey::new(Harness::Claude, id).unwrap();
        let all = |id: &str| COUNTING.map(|hook| take(&home, &key(id), hook));
        assert_eq!(all("../a/b"), [false; 2]);
        mark(&home, &key("../a/b"));
        assert_eq!(std::fs::read_dir(home.run().join("woken")).unwrap().count(), COUNTING.len());
        assert_eq!([all("ab"), all("../a/b"), all("../a/b")], [[false; 2], [true; 2], [false; 2]]);
        mark(&home, &key("a"));
        forget(&home, &key("a"));
        assert_eq!(all("a"), [false; 2]);
    }
}
