//! The end of what the fence saw: a turn is over, and git says which of the files that were written have no changes any more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stopgate_coordination::resource::Resource;
use stopgate_core::session::SessionKey;

use super::Leases;
use crate::fence;

/// How long git may take for one tree.
const DEADLINE: Duration = Duration::from_secs(2);
/// Files that git is asked about at once.
const MAX_FILES: usize = 500;

impl Leases {
    /// Ends the observed leases of `session` whose files are as git has them. Its turn is over. Returns at once.
    pub(super) fn end_clean(self: &Arc<Self>, session: &SessionKey, search_path: Option<String>) {
        let mut trees: BTreeMap<PathBuf, Vec<Resource>> = BTreeMap::new();
        for lease in self.observed(session) {
            if let Some(tree) = lease.tree {
                trees.entry(tree).or_default().push(lease.resource);
            }
        }
        if trees.is_empty() {
            return;
        }
        let (leases, session) = (Arc::clone(self), session.clone());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // Nobody waits for it.
        runtime.spawn_blocking(move || {
            for (tree, files) in trees {
                for files in files.chunks(MAX_FILES) {
                    let clean = clean(&tree, files, search_path.as_deref());
                    if let Err(error) = leases.clean(&session, &tree, clean) {
                        tracing::error!(%error, "observed leases are not ended");
                    }
                }
            }
        });
    }
}

/// Which of `files` of `tree` have no changes; none where git does not say.
fn clean(tree: &Path, files: &[Resource], search_path: Option<&str>) -> Vec<Resource> {
    fence::clean(tree, files.to_vec(), search_path, Instant::now() + DEADLINE).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::env::{Env as _, ProcessEnv};
    use stopgate_tests::checkout::Checkout;

    #[test]
    fn a_file_is_clean_when_git_has_nothing_to_say_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let checkout = Checkout::with_plan(&dir.path().join("project"));
        let of = |name: &str| name.parse::<Resource>().unwrap();
        let files = [of("docs/plan.md"), of("new [x].rs"), of("ignored.log"), of("./@odd")];
        let clean = || clean(&checkout.top, &files, ProcessEnv.text("PATH").as_deref());
        assert_eq!(clean().len(), 4);
        std::fs::write(checkout.top.join("new [x].rs"), "x").unwrap();
        std::fs::write(checkout.top.join("@odd"), "x").unwrap();
        assert_eq!(clean(), [of("docs/plan.md"), of("ignored.log")]);
        assert!(super::clean(dir.path(), &files, None).is_empty(), "no git: it cannot be told");
    }
}
