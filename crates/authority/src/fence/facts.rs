//! What a verdict of the fence is decided from: who lives where, who holds what, and what git says is uncommitted. What
//! cannot be found out in time is not known, and refuses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use stopgate_config::ObservedWrites;
use stopgate_coordination::fence::verdict::{
    ActFacts, Change, FenceFacts, ForeignLease, Party, StashEntry, Work, WorkSeen, WriteFacts, attribute,
};
use stopgate_coordination::fence::{FenceQuestion, TreeAct, TreeVerb, WriteTarget};
use stopgate_coordination::held;
use stopgate_coordination::lease::{Lease, LeaseMode, LeaseOrigin};
use stopgate_coordination::resource::Resource;
use stopgate_coordination::room::{Place, resolve};
use stopgate_core::checkout;
use stopgate_core::session::SessionKey;
use stopgate_protocol::{FenceStatus, SharedTree};
use stopgate_registry::neighbours::{LivingSession, by_tree};

use super::{current_mode, leases, living, stash, work};
use crate::git::Git;
use crate::state::State;

/// What was found.
pub(super) struct Gathered {
    pub(super) facts: FenceFacts,
    /// The asker's name.
    pub(super) name: String,
    /// The room of what is touched first.
    pub(super) room: Option<String>,
    /// What is checked out there.
    pub(super) head: Option<String>,
}

/// What is looked at for one question.
struct Look<'a> {
    state: &'a State,
    living: Arc<Vec<LivingSession>>,
    /// The asker, and whom it continues.
    mine: Vec<SessionKey>,
    deadline: Instant,
}

/// Gathers the facts for `question`, of which aliases are resolved, until `deadline`.
pub(super) fn gather(state: &State, question: &FenceQuestion, deadline: Instant) -> Gathered {
    let key = &question.session;
    let mine = state.storage.with_reader(|store| store.lineage(key)).unwrap_or_else(|_| vec![key.clone()]);
    let look = Look { living: state.fence.living.current(state), state, mine, deadline };
    let writes: Vec<_> = question.intent.writes.iter().flat_map(|target| look.write(target)).collect();
    let acts = question.intent.acts.iter().chain(&question.intent.parts);
    let acts: Vec<_> = acts.filter_map(|act| look.act(act, &question.said)).collect();
    let first = acts.first().map(|act| &act.tree).or_else(|| writes.first().map(|write| &write.tree));
    let place = first.and_then(|tree| Place::of(tree));
    let head = acts.first().and_then(|act| checkout::find(&act.tree)).and_then(|checkout| checkout.head());
    Gathered {
        facts: FenceFacts {
            at_ms: question.at_ms,
            observed_denies: state.settings.current().fence.observed == ObservedWrites::Deny,
            writes,
            acts,
        },
        name: living::party(&look.living, key).name,
        room: place.and_then(|place| place.room.into_os_string().into_string().ok()),
        head,
    }
}

impl Look<'_> {
    fn is_mine(&self, key: &SessionKey) -> bool {
        self.mine.contains(key)
    }

    fn place(&self, path: &Path) -> Option<Place> {
        Place::of_among(path, self.living.iter().filter_map(|session| session.place.as_ref()))
    }

    /// Others whose place is as `is_there` has it, and whose process is there still.
    fn others(&self, is_there: impl Fn(&Place) -> bool) -> Vec<Party> {
        let there = self.living.iter().filter(|session| session.place.as_ref().is_some_and(&is_there));
        let others = there.filter(|session| !self.is_mine(&session.key) && living::still_lives(session));
        others.map(|session| Party { key: session.key.clone(), name: session.name.clone() }).collect()
    }

    /// A lease of another's, unless it is one that was only seen, of a session that is not known to live.
    fn foreign(&self, lease: Lease) -> Option<ForeignLease> {
        if self.is_mine(&lease.holder) {
            return None;
        }
        let holder = self.living.iter().find(|session| session.key == lease.holder);
        if lease.origin == LeaseOrigin::Observed && !holder.is_some_and(living::still_lives) {
            return None;
        }
        let Lease { resource, mode, origin, since_ms, .. } = lease;
        let holder = living::party(&self.living, &lease.holder);
        Some(ForeignLease { holder, resource, mode, origin, since_ms })
    }

    /// What is known of a write: in its own tree and, where all below it is changed, in each tree below it.
    fn write(&self, target: &WriteTarget) -> Vec<WriteFacts> {
        let Some(path) = in_its_directory(&target.path) else { return Vec::new() };
        let mut trees: BTreeSet<PathBuf> = BTreeSet::new();
        trees.extend(self.place(path.parent().unwrap_or(&path)).map(|place| place.tree));
        if target.is_subtree {
            let lived_in = self.living.iter().filter_map(LivingSession::tree).map(Path::to_owned);
            let held = leases::all(self.state).into_iter().filter_map(|lease| lease.tree);
            trees.extend(lived_in.chain(held).filter(|tree| tree.starts_with(&path)));
        }
        trees.into_iter().map(|tree| self.write_in(tree, &path, target)).collect()
    }

    fn write_in(&self, tree: PathBuf, path: &Path, target: &WriteTarget) -> WriteFacts {
        let resource = held::resource(&tree, path, target.is_subtree);
        let found = if tree.starts_with(path) {
            self.state.leases.of_tree(&tree)
        } else {
            self.state.leases.overlapping(&tree, path, target.is_subtree)
        };
        let mut foreign: Vec<_> = found.into_iter().filter_map(|lease| self.foreign(lease)).collect();
        self.leave_out_clean(&tree, &mut foreign);
        WriteFacts {
            others: self.others(|place| place.tree == tree),
            target: WriteTarget { path: path.to_owned(), is_subtree: target.is_subtree },
            tree,
            resource,
            leases: foreign,
        }
    }

    /// Takes out what was only seen of sessions whose turn is over, and is committed by now: the next event of theirs ends
    /// it, and nobody shall be told of it before.
    fn leave_out_clean(&self, tree: &Path, foreign: &mut Vec<ForeignLease>) {
        let rests = |key: &SessionKey| self.living.iter().any(|one| one.key == *key && !one.turn_open);
        let is_resting = |lease: &ForeignLease| lease.origin == LeaseOrigin::Observed && rests(&lease.holder.key);
        let resting: Vec<Resource> =
            foreign.iter().filter(|lease| is_resting(lease)).map(|lease| lease.resource.clone()).collect();
        if resting.is_empty() {
            return;
        }
        let clean = leases::clean(tree, resting, None, self.deadline).unwrap_or_default();
        foreign.retain(|lease| !is_resting(lease) || !clean.contains(&lease.resource));
    }

    fn act(&self, act: &TreeAct, said: &str) -> Option<ActFacts> {
        let directory = act.directory.is_absolute().then(|| resolve(&act.directory))?;
        let Place { room, tree } = self.place(&directory)?;
        // What would be written there is decided by leases; here it is about what is not committed.
        let part = match &act.part {
            Some(part) => Some(held::resource(&tree, &in_its_directory(part)?, true)?),
            None => None,
        };
        let in_tree = self.others(|place| place.tree == tree);
        let of_tree = self.state.leases.of_tree(&tree);
        let own: Vec<Resource> = of_tree
            .iter()
            .filter(|lease| self.is_mine(&lease.holder) && lease.mode == LeaseMode::Write)
            .map(|lease| lease.resource.clone())
            .collect();
        let foreign = of_tree.into_iter().filter_map(|lease| self.foreign(lease));
        let concerns = |lease: &ForeignLease| match &part {
            Some(part) => lease.resource.overlaps(part),
            None => true,
        };
        let foreign: Vec<_> = foreign.filter(concerns).collect();
        let is_shared = !in_tree.is_empty() || foreign.iter().any(|lease| lease.mode == LeaseMode::Write);
        let work = if act.verb.touches_work() && is_shared {
            self.work(act, &tree, &directory, &foreign, &own)
        } else {
            WorkSeen::NotAsked
        };
        let takes_entry = matches!(act.verb, TreeVerb::StashTake | TreeVerb::StashDrop);
        Some(ActFacts {
            act: TreeAct { directory, ..act.clone() },
            others: if takes_entry { self.others(|place| place.room == room) } else { in_tree },
            leases: foreign.into_iter().filter(|lease| lease.origin == LeaseOrigin::Declared).collect(),
            work,
            entry: takes_entry.then(|| self.entry(act.verb, &tree, &room, said)),
            tree,
        })
    }

    /// Whose uncommitted work `verb` would touch. What others are known to hold is asked first: it decides, and git is quick
    /// about a few paths in a tree of any size.
    fn work(
        &self,
        act: &TreeAct,
        tree: &Path,
        directory: &Path,
        foreign: &[ForeignLease],
        own: &[Resource],
    ) -> WorkSeen {
        let Some(checkout) = checkout::find(tree).filter(|found| found.worktree == tree) else {
            // Without git there is nothing that is not committed.
            return WorkSeen::NotAsked;
        };
        let files = act.touched();
        let kinds =
            [(files.edited, Change::Edited), (files.staged, Change::Staged), (files.untracked, Change::Untracked)];
        let wanted: Vec<Change> = kinds.into_iter().filter_map(|(is_wanted, kind)| is_wanted.then_some(kind)).collect();
        let limit = act.part.as_deref().and_then(in_its_directory);
        let limit = limit.as_deref().unwrap_or(directory);
        let held: Vec<Resource> = foreign
            .iter()
            .filter(|lease| lease.mode == LeaseMode::Write && !lease.resource.is_name())
            .map(|lease| lease.resource.clone())
            .collect();
        let of = |paths: &[Resource]| -> Option<Work> {
            let changed = work::changed(&Git::of(&checkout, None), &checkout, limit, paths, &wanted, self.deadline)?;
            Some(attribute(act, &changed, foreign, own))
        };
        if !held.is_empty() {
            match of(&held) {
                None => return WorkSeen::Silent,
                Some(work) if work.foreign_count > 0 => return WorkSeen::Known(work),
                Some(_) => {}
            }
        }
        // Of a part only what others are known to hold matters.
        if act.part.is_some() {
            return WorkSeen::NotAsked;
        }
        of(&[]).map_or(WorkSeen::Silent, WorkSeen::Known)
    }

    /// Whose entry of the stash a command would take or drop.
    fn entry(&self, verb: TreeVerb, tree: &Path, room: &Path, said: &str) -> StashEntry {
        let entries = checkout::find(tree).and_then(|checkout| stash::entries(&checkout, self.deadline));
        let (Some(entries), Some(room)) = (entries, room.to_str()) else { return StashEntry::Unknown };
        let since = stash::since(&entries);
        let seen = self.state.storage.with_reader(|store| store.seen_stashes(room, since)).unwrap_or_default();
        stash::owner(stash::named(verb, said), &entries, &seen, &self.mine)
    }
}

/// A path with the links on the way to it resolved; what it names itself may be a link that is written over.
fn in_its_directory(path: &Path) -> Option<PathBuf> {
    if !path.is_absolute() {
        return None;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Some(resolve(parent).join(name)),
        _ => Some(resolve(path)),
    }
}

/// How the fence is, for people.
pub(super) fn status(state: &State) -> FenceStatus {
    let living = state.fence.living.look(state);
    let shared: BTreeMap<PathBuf, Vec<&LivingSession>> =
        by_tree(&living).into_iter().filter(|(_, sessions)| sessions.len() > 1).collect();
    let party = |session: &&LivingSession| Party { key: session.key.clone(), name: session.name.clone() };
    let mode = current_mode(state);
    let sharing: Vec<Party> = shared.values().flatten().map(party).collect();
    let keys: Vec<SessionKey> = sharing.iter().map(|one| one.key.clone()).collect();
    // Where that cannot be told nobody is called unfenced.
    let fenced = state.storage.with_reader(|store| store.fenced(&keys)).unwrap_or_else(|_| keys.clone());
    let leases = leases::all(state);
    let count = |origin| leases.iter().filter(|lease| lease.origin == origin).count();
    FenceStatus {
        mode,
        shared_trees: shared
            .iter()
            .map(|(tree, sessions)| SharedTree { tree: tree.clone(), sessions: sessions.iter().map(party).collect() })
            .collect(),
        declared: count(LeaseOrigin::Declared),
        observed: count(LeaseOrigin::Observed),
        unfenced: sharing.into_iter().filter(|one| !fenced.contains(&one.key)).collect(),
        problem: state.fence.problem(),
    }
}
