//! The leases that the fence goes by, and those that it makes: a file that a session was seen to write is its own for as long
//! as the work is not committed.

use std::path::Path;
use std::time::Instant;

use stopgate_coordination::fence::verdict::{Change, FenceFacts};
use stopgate_coordination::lease::Lease;
use stopgate_coordination::resource::Resource;
use stopgate_core::checkout;
use stopgate_core::session::SessionKey;

use super::work;
use crate::git::Git;
use crate::state::State;

/// Files of one call that are noted; a call that writes more is rare, and each is written down.
const MAX_OBSERVED: usize = 50;

/// All leases of paths, in all rooms.
pub(super) fn all(state: &State) -> Vec<Lease> {
    let rooms = state.leases.all();
    rooms.into_values().flat_map(|room| room.leases).filter(|lease| lease.tree.is_some()).collect()
}

/// Notes the files that `session` is let write where another session lives.
pub(super) fn observe(state: &State, session: &SessionKey, facts: &FenceFacts) {
    let shared = facts.writes.iter().filter(|write| !write.others.is_empty() && !write.target.is_subtree);
    for write in shared.take(MAX_OBSERVED) {
        state.fence.pending.note(session, &write.tree, &write.target.path, state.storage.now_ms());
        state.fence.seen.note(&write.target.path, session);
        if let Err(error) = state.leases.observe(session, &write.tree, &write.target.path) {
            tracing::warn!(%error, "a write that was seen is not noted");
            return;
        }
    }
}

/// Those of `resources` of which nothing is uncommitted; `None` where git does not say.
pub(crate) fn clean(
    tree: &Path,
    resources: Vec<Resource>,
    search_path: Option<&str>,
    deadline: Instant,
) -> Option<Vec<Resource>> {
    // git says nothing of what is ignored: there nothing is known.
    without(&[Change::Edited, Change::Staged, Change::Untracked], tree, resources, search_path, deadline)
}

/// Those of `resources` that are as they are committed, or are not there; `None` where git does not say.
pub(super) fn committed(tree: &Path, resources: Vec<Resource>, deadline: Instant) -> Option<Vec<Resource>> {
    let all = [Change::Edited, Change::Staged, Change::Untracked, Change::Ignored];
    without(&all, tree, resources, None, deadline)
}

/// Those of `resources` that differ in none of the ways `ways`.
fn without(
    ways: &[Change],
    tree: &Path,
    resources: Vec<Resource>,
    search_path: Option<&str>,
    deadline: Instant,
) -> Option<Vec<Resource>> {
    let checkout = checkout::find(tree).filter(|found| found.worktree == tree)?;
    let changed = work::changed(&Git::of(&checkout, search_path), &checkout, tree, &resources, ways, deadline)?;
    // What has no name as a resource may be anywhere below one.
    let is_changed =
        |resource: &Resource| changed.iter().any(|file| file.path.as_ref().is_none_or(|path| resource.covers(path)));
    Some(resources.into_iter().filter(|resource| !is_changed(resource)).collect())
}
