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

use super::seen::Counts;
use super::{current_mode, leases, living, stash, work};
use crate::git::{Git, Outcome};
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
    /// Until when files are read.
    read_until: Instant,
    deadline: Instant,
    /// Nothing is asked of the database.
    from_memory: bool,
}

/// Gathers the facts for `question`, of which aliases are resolved, until `deadline`.
pub(super) fn gather(state: &State, question: &FenceQuestion, deadline: Instant) -> Gathered {
    let mine = state.fence.living.line(state, &question.session);
    let living = state.fence.living.current(state);
    Look { living, state, mine, read_until: half_of(deadline), deadline, from_memory: false }.gather(question)
}

/// The same from what is remembered, without the database; `None` if too little is.
pub(super) fn gather_from_memory(state: &State, question: &FenceQuestion, deadline: Instant) -> Option<Gathered> {
    let living = state.fence.living.remembered()?;
    let mine = state.fence.living.remembered_line(&question.session)?;
    Some(Look { living, state, mine, read_until: half_of(deadline), deadline, from_memory: true }.gather(question))
}

/// The middle of the time that is left.
fn half_of(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) / 2
}

impl Look<'_> {
    fn gather(&self, question: &FenceQuestion) -> Gathered {
        let writes: Vec<_> = question.intent.writes.iter().flat_map(|target| self.write(target)).collect();
        let said = question.intent.acts.iter().chain(&question.intent.parts);
        let mut acts: Vec<_> = said.clone().filter_map(|act| self.act(act, &question.said)).collect();
        let removed: BTreeSet<PathBuf> = said.flat_map(|act| self.removed_trees(act)).collect();
        let removal = |tree| TreeAct {
            command: Some("this command".to_owned()),
            ..TreeAct::plain(TreeVerb::WorktreeRemove, tree)
        };
        acts.extend(removed.into_iter().filter_map(|tree| self.act(&removal(tree), "")));
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
        self.leave_out_clean(&tree, &mut foreign);
        WriteFacts {
            others: Place::of(&tree).map(|place| self.others_in(&place)).unwrap_or_default(),
            target: WriteTarget { path: path.to_owned(), ..target.clone() },
            tree,
            resource,
            leases: foreign,
        }
    }

    /// Takes out what was only seen of sessions whose turn is over, and is committed by now: the next event of theirs ends
    /// it, and nobody shall be told of it before.
    fn leave_out_clean(&self, tree: &Path, foreign: &mut Vec<ForeignLease>) {
        let rests = |key: &SessionKey| self.living.iter().any(|one| one.key == *key && !one.turn_open);
        let seen = |lease: &ForeignLease| lease.origin == LeaseOrigin::Observed;
        let is_resting = |lease: &ForeignLease| seen(lease) && rests(&lease.holder.key);
        foreign.retain(|lease| self.is_work(tree, lease, Counts::Every));
        let resources = |is_it: &dyn Fn(&ForeignLease) -> bool| -> Vec<Resource> {
            foreign.iter().filter(|lease| is_it(lease)).map(|lease| lease.resource.clone()).collect()
        };
        // What is about to be written git cannot see.
        let (observed, resting) =
            (resources(&|lease| seen(lease) && !self.is_pending(tree, lease)), resources(&is_resting));
        if observed.is_empty() {
            return;
        }
        let committed = leases::committed(tree, observed, self.deadline).unwrap_or_default();
        for resource in &committed {
            let holders = foreign.iter().filter(|lease| seen(lease) && lease.resource == *resource);
            let holders = holders.map(|lease| lease.holder.key.clone());
            self.state.fence.seen.settle(&path_of(tree, resource), holders);
        }
        let clean = if resting.iter().all(|resource| committed.contains(resource)) {
            Vec::new()
        } else {
            leases::clean(tree, resting, None, self.deadline).unwrap_or_default()
        };
        let is_done = |lease: &ForeignLease| {
            seen(lease) && committed.contains(&lease.resource) || is_resting(lease) && clean.contains(&lease.resource)
        };
        foreign.retain(|lease| !is_done(lease));
    }

    /// Whether there is work of the holder's in what `lease` is of: one that was only seen may have changed nothing. Files are
    /// read for that, of which there may be many: when half of the time is over the rest count, and git is asked.
    fn is_work(&self, tree: &Path, lease: &ForeignLease, counts: Counts) -> bool {
        lease.origin != LeaseOrigin::Observed
            || Instant::now() >= self.read_until
            || self.is_pending(tree, lease)
            || self.state.fence.seen.is_of(&path_of(tree, &lease.resource), &lease.holder.key, &self.mine, counts)
    }

    /// Whether the holder of `lease` was let write there, and has not written yet.
    fn is_pending(&self, tree: &Path, lease: &ForeignLease) -> bool {
        self.state.fence.pending.has(&lease.holder.key, tree, &lease.resource)
    }

    /// The working trees that others live in, and that `act` would remove along with a directory.
    fn removed_trees(&self, act: &TreeAct) -> Vec<PathBuf> {
        let is_nested = act.verb == TreeVerb::Clean && act.touched().nested;
        // `git rm` takes no more than what is tracked.
        let part = act.part.as_deref().filter(|_| act.verb == TreeVerb::Remove && act.touched().untracked);
        let Some(directory) = part.or(is_nested.then_some(act.directory.as_path())).and_then(in_its_directory) else {
            return Vec::new();
        };
        let lived_in = self.living.iter().filter(|session| !self.is_mine(&session.key)).filter_map(LivingSession::tree);
        let is_gone = |tree: &&Path| {
            tree.starts_with(&directory)
                && (!is_nested
                    || **tree != directory && (act.touched().ignored || !is_ignored(&directory, tree, self.deadline)))
        };
        lived_in.filter(is_gone).map(Path::to_owned).collect()
    }

    fn act(&self, act: &TreeAct, said: &str) -> Option<ActFacts> {
        let directory = act.directory.is_absolute().then(|| resolve(&act.directory))?;
        let place = self.place(&directory)?;
        // What would be written there is decided by leases; here it is about what is not committed.
        let part = match &act.part {
            Some(part) => Some(held::resource(&place.tree, &in_its_directory(part)?, true)?),
            None => None,
        };
        let in_tree = self.others_in(&place);
        let Place { room, tree } = place;
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
        let counts =
            if matches!(act.verb, TreeVerb::CommitAll | TreeVerb::AddAll) { Counts::Last } else { Counts::Every };
        let foreign: Vec<_> = foreign.filter(concerns).filter(|lease| self.is_work(&tree, lease, counts)).collect();
        let is_shared = !in_tree.is_empty() || foreign.iter().any(|lease| lease.mode == LeaseMode::Write);
        let work = if act.verb.touches_work() && is_shared {
            self.with_pending(act.verb, &tree, &foreign, self.work(act, &tree, &directory, &foreign, &own))
        } else {
            WorkSeen::NotAsked
        };
        let takes_entry = matches!(act.verb, TreeVerb::StashTake | TreeVerb::StashDrop);
        Some(ActFacts {
            act: TreeAct { directory, ..act.clone() },
            names: self.names(act, &tree, &room),
            is_elsewhere: !self.living.iter().any(|one| self.is_mine(&one.key) && one.tree() == Some(tree.as_path())),
            others_at_work: part.iter().flat_map(|_| &foreign).map(|lease| lease.holder.clone()).collect(),
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
        let kinds = [
            (files.edited, Change::Edited),
            (files.staged, Change::Staged),
            (files.untracked, Change::Untracked),
            (files.ignored, Change::Ignored),
        ];
        let wanted: Vec<Change> = kinds.into_iter().filter_map(|(is_wanted, kind)| is_wanted.then_some(kind)).collect();
        let limit = act.part.as_deref().and_then(in_its_directory);
        let limit = limit.as_deref().unwrap_or(directory);
        let held: Vec<Resource> = foreign
            .iter()
            .filter(|lease| lease.mode == LeaseMode::Write && !lease.resource.is_name())
            .map(|lease| lease.resource.clone())
            .collect();
        let of = |paths: &[Resource]| -> Option<Work> {
            let git = Git::of(&checkout, None);
            let mut changed = work::changed(&git, &checkout, limit, paths, &wanted, self.deadline)?;
            if let Some(source) = act.source.as_ref().filter(|_| !paths.is_empty()) {
                work::taken_from(&git, &checkout, limit, paths, source, self.deadline, &mut changed)?;
            }
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

    /// The leases of others by the name that `act` is called.
    fn names(&self, act: &TreeAct, tree: &Path, room: &Path) -> Vec<ForeignLease> {
        // What goes on in the middle of a merge is no other.
        let merges = act.verb == TreeVerb::Merge && act.files.is_none();
        if !merges && !act.verb.is_about_the_stash() {
            return Vec::new();
        }
        let named = self.state.leases.room(room).leases.into_iter().filter(|lease| lease.resource.is_name());
        let mut named: Vec<_> = named.filter_map(|lease| self.foreign(lease)).collect();
        if act.verb.is_about_the_stash() {
            named.retain(|lease| lease.resource.as_str() == "@stash");
        } else {
            named.retain(|lease| lease.resource.as_str().starts_with("@merge:"));
            let branch = if named.is_empty() { None } else { self.branch(tree) };
            named.retain(|lease| branch.as_deref() == lease.resource.as_str().strip_prefix("@merge:"));
        }
        named
    }

    /// The branch that is checked out in `tree`.
    fn branch(&self, tree: &Path) -> Option<String> {
        let arguments = ["symbolic-ref", "--short", "-q", "HEAD"];
        match Git::of(&checkout::find(tree)?, None).run(tree, &arguments, self.deadline) {
            Outcome::Success(said) => Some(String::from_utf8(said).ok()?.trim_end().to_owned()),
            _ => None,
        }
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

/// Where a path of `tree` is that a lease is of.
fn path_of(tree: &Path, resource: &Resource) -> PathBuf {
    let path = resource.as_str();
    tree.join(path.strip_prefix("./").unwrap_or(path).trim_matches('/'))
}

/// Whether git ignores `path`, as far as it says so.
fn is_ignored(directory: &Path, path: &Path, deadline: Instant) -> bool {
    let (Some(checkout), Some(path)) = (checkout::find(directory), path.to_str()) else { return true };
    Git::of(&checkout, None).run(directory, &["check-ignore", "-q", "--", path], deadline) != Outcome::Failure
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
