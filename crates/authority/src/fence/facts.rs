//! What a verdict of the fence is decided from: who lives where, who holds what, and what git says is uncommitted. What
//! cannot be found out in time is not known, and refuses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use stopgate_config::ObservedWrites;
use stopgate_coordination::fence::verdict::{
    ActFacts, Change, FenceFacts, ForeignFile, ForeignLease, MAX_NAMED, Party, StashEntry, Work, WorkSeen, WriteFacts,
    attribute,
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
    /// Nothing is asked of the database.
    from_memory: bool,
}

/// Gathers the facts for `question` until `deadline`.
pub(super) fn gather(state: &State, question: &FenceQuestion, deadline: Instant) -> Gathered {
    let mine = state.fence.living.line(state, &question.session);
    Look { living: state.fence.living.current(state), state, mine, deadline, from_memory: false }.gather(question)
}

/// The same from what is remembered, without the database; `None` if too little is.
pub(super) fn gather_from_memory(state: &State, question: &FenceQuestion, deadline: Instant) -> Option<Gathered> {
    let living = state.fence.living.remembered()?;
    let mine = state.fence.living.remembered_line(&question.session)?;
    Some(Look { living, state, mine, deadline, from_memory: true }.gather(question))
}

impl Look<'_> {
    fn gather(&self, question: &FenceQuestion) -> Gathered {
        let writes: Vec<_> = question.intent.writes.iter().flat_map(|target| self.write(target)).collect();
        let acts: Vec<_> = question.intent.acts.iter().filter_map(|act| self.act(act, &question.said)).collect();
        let first = acts.first().map(|act| &act.tree).or_else(|| writes.first().map(|write| &write.tree));
        let place = first.and_then(|tree| Place::of(tree));
        let head = acts.first().and_then(|act| checkout::find(&act.tree)).and_then(|checkout| checkout.head());
        Gathered {
            facts: FenceFacts {
                at_ms: question.at_ms,
                observed_denies: self.state.settings.current().fence.observed == ObservedWrites::Deny,
                writes,
                acts,
            },
            name: living::party(&self.living, &question.session).name,
            room: place.and_then(|place| place.room.into_os_string().into_string().ok()),
            head,
        }
    }

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

    /// Others who count in the tree of `place`: who lives there or around it, and who was seen to write there or has asked for
    /// something of it, wherever that session was started.
    fn others_in(&self, place: &Place) -> Vec<Party> {
        let holders: Vec<SessionKey> =
            self.state.leases.of_tree(&place.tree).into_iter().map(|lease| lease.holder).collect();
        let counts = |session: &LivingSession| {
            session.tree() == Some(&place.tree)
                || holders.contains(&session.key)
                || living::lives_around(session, place)
        };
        let others = self.living.iter().filter(|session| !self.is_mine(&session.key) && counts(session));
        let others = others.filter(|session| living::still_lives(session));
        others.map(|session| Party { key: session.key.clone(), name: session.name.clone() }).collect()
    }

    /// A lease of another's, unless it is one that was only seen, of a session that is not known to live.
    fn foreign(&self, lease: Lease) -> Option<ForeignLease> {
        if self.is_mine(&lease.holder) {
            return None;
        }
        if self.state.leases.is_over(&lease.holder) {
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
        // A pattern is of what lies in its directory.
        let within = path.parent().filter(|_| target.pattern.is_none()).unwrap_or(&path);
        trees.extend(self.place(within).map(|place| place.tree));
        if target.is_subtree {
            let lived_in = self.living.iter().filter_map(LivingSession::tree).map(Path::to_owned);
            let held = leases::all(self.state).into_iter().filter_map(|lease| lease.tree);
            let is_below = |tree: &PathBuf| tree.starts_with(&path) && !target.passes_by(tree, true);
            trees.extend(lived_in.chain(held).filter(is_below));
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
        let is_hit = |lease: &Lease| !target.passes_by(&lease.resource.within(&tree), lease.resource.is_directory());
        let mut foreign: Vec<_> = found.into_iter().filter(is_hit).filter_map(|lease| self.foreign(lease)).collect();
        self.leave_out_clean(&tree, target.discards, &mut foreign);
        WriteFacts {
            others: Place::of(&tree).map(|place| self.others_in(&place)).unwrap_or_default(),
            target: WriteTarget { path: path.to_owned(), ..target.clone() },
            tree,
            resource,
            leases: foreign,
        }
    }

    /// Takes out what was only seen of sessions whose turn is over, and is committed by now: the next event of theirs ends
    /// it, and nobody shall be told of it before. What would be discarded is there only where git sees a change, or a write
    /// was let go a moment ago.
    fn leave_out_clean(&self, tree: &Path, discards: bool, foreign: &mut Vec<ForeignLease>) {
        let pending = if discards { self.state.fence.pending.of(tree) } else { Vec::new() };
        let is_pending = |key: &SessionKey| pending.iter().any(|(by, _)| by == key);
        let rests = |key: &SessionKey| {
            discards && !is_pending(key) || self.living.iter().any(|one| one.key == *key && !one.turn_open)
        };
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
        let place = self.place(&directory)?;
        let in_tree = self.others_in(&place);
        let Place { room, tree } = place;
        let of_tree = self.state.leases.of_tree(&tree);
        let own: Vec<Resource> = of_tree
            .iter()
            .filter(|lease| self.is_mine(&lease.holder) && lease.mode == LeaseMode::Write)
            .map(|lease| lease.resource.clone())
            .collect();
        let foreign: Vec<_> = of_tree.into_iter().filter_map(|lease| self.foreign(lease)).collect();
        let is_shared = !in_tree.is_empty() || foreign.iter().any(|lease| lease.mode == LeaseMode::Write);
        let work = if act.verb.touches_work() && is_shared {
            self.with_pending(act.verb, &tree, &foreign, self.work(act.verb, &tree, &directory, &foreign, &own))
        } else {
            WorkSeen::NotAsked
        };
        let takes_entry = matches!(act.verb, TreeVerb::StashTake | TreeVerb::StashDrop);
        Some(ActFacts {
            act: TreeAct { verb: act.verb, directory },
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
        verb: TreeVerb,
        tree: &Path,
        directory: &Path,
        foreign: &[ForeignLease],
        own: &[Resource],
    ) -> WorkSeen {
        let Some(checkout) = checkout::find(tree).filter(|found| found.worktree == tree) else {
            // Without git there is nothing that is not committed.
            return WorkSeen::NotAsked;
        };
        let wanted: &[Change] = match verb {
            TreeVerb::Clean => &[Change::Untracked],
            TreeVerb::RestoreAll => &[Change::Edited],
            TreeVerb::AddAll => &[Change::Edited, Change::Untracked],
            TreeVerb::Stash | TreeVerb::WorktreeRemove => &[Change::Edited, Change::Staged, Change::Untracked],
            _ => &[Change::Edited, Change::Staged],
        };
        let held: Vec<Resource> = foreign
            .iter()
            .filter(|lease| lease.mode == LeaseMode::Write && !lease.resource.is_name())
            .map(|lease| lease.resource.clone())
            .collect();
        let of = |paths: &[Resource]| -> Option<Work> {
            let changed = work::changed(&Git::of(&checkout, None), &checkout, directory, paths, wanted, self.deadline)?;
            Some(attribute(verb, &changed, foreign, own))
        };
        if !held.is_empty() {
            match of(&held) {
                None => return WorkSeen::Silent,
                Some(work) if work.foreign_count > 0 => return WorkSeen::Known(work),
                Some(_) => {}
            }
        }
        of(&[]).map_or(WorkSeen::Silent, WorkSeen::Known)
    }

    /// Adds what others were let write and have not written yet: git cannot see it, and `verb` would meet it.
    fn with_pending(&self, verb: TreeVerb, tree: &Path, foreign: &[ForeignLease], seen: WorkSeen) -> WorkSeen {
        let WorkSeen::Known(mut work) = seen else { return seen };
        if work.foreign_count == 0 && verb.changes_files() {
            for (by, path) in self.state.fence.pending.of(tree) {
                let of = |lease: &&ForeignLease| lease.holder.key == by && lease.resource.covers(&path);
                if let Some(lease) = foreign.iter().find(of) {
                    work.foreign.push(ForeignFile { path, lease: lease.clone() });
                }
            }
            work.foreign.truncate(MAX_NAMED);
            work.foreign_count = work.foreign.len();
        }
        WorkSeen::Known(work)
    }

    /// Whose entry of the stash a command would take or drop.
    fn entry(&self, verb: TreeVerb, tree: &Path, room: &Path, said: &str) -> StashEntry {
        let entries = checkout::find(tree).and_then(|checkout| stash::entries(&checkout, self.deadline));
        let (Some(entries), Some(room)) = (entries, room.to_str()) else { return StashEntry::Unknown };
        let since = stash::since(&entries);
        if self.from_memory {
            return StashEntry::Unknown;
        }
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
