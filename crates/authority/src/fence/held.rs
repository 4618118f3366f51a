//! Keeps `run/held` as things are: by it a hook knows whether it has to ask at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use stopgate_coordination::held::{self, HeldLease, HeldTree};
use stopgate_coordination::lease::{Lease, LeaseOrigin};
use stopgate_coordination::room::Place;
use stopgate_core::session::SessionKey;
use stopgate_core::switch::Mode;
use stopgate_registry::neighbours::LivingSession;
use tokio::task::JoinSet;

use super::living::lives_around;
use super::{current_mode, earlier};
use crate::state::State;
use crate::watched::Watched;

/// Changes come in crowds: after each writing so long nothing is written.
const CROWD: Duration = Duration::from_millis(10);

/// Writes the file at the start and whenever sessions or leases change, or the process of a session that it names ends, for as
/// long as the authority runs.
pub(crate) async fn keep_written(state: Arc<State>) {
    let mut written: Option<String> = None;
    let mut together: BTreeSet<(PathBuf, SessionKey)> = BTreeSet::new();
    let mut leases = state.leases.subscribe();
    let mut processes = Processes::default();
    // Whoever comes or goes says so, and a lease is no reason to look at everybody.
    loop {
        let done = {
            let state = Arc::clone(&state);
            let before = written.clone();
            tokio::task::spawn_blocking(move || write(&state, before.as_deref())).await
        };
        let problem = match done {
            Ok(Ok((text, trees, named))) => {
                written = Some(text);
                processes.watch(&named);
                let now = not_alone(&trees);
                for (tree, session) in now.difference(&together) {
                    let (state, tree, session) = (Arc::clone(&state), tree.clone(), session.clone());
                    // Nobody waits for it.
                    tokio::task::spawn_blocking(move || earlier::remember(&state, &tree, &session));
                }
                together = now;
                None
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        if let Some(error) = &problem {
            tracing::error!(%error, "hooks cannot be told who works where");
            written = None;
        }
        let said = problem.map(|error| format!("{}: {error}", held::file(&state.home).display()));
        *state.fence.problem.lock().unwrap_or_else(PoisonError::into_inner) = said;
        tokio::time::sleep(CROWD).await;
        tokio::select! {
            () = state.fence.changed.notified() => {}
            () = processes.one_ends() => {
                state.fence.living.outdate();
                state.sessions_changed.send_modify(|count| *count += 1);
            }
            changed = leases.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// The processes of the sessions that the file names. The kernel tells when one ends: who is killed says nothing.
#[derive(Default)]
struct Processes {
    watched: BTreeSet<String>,
    ends: JoinSet<String>,
}

impl Processes {
    /// Watches those of `sessions` that are not watched yet. One that many share tells at least when all of them end.
    fn watch(&mut self, sessions: &[LivingSession]) {
        for process in sessions.iter().filter_map(|session| session.process.as_ref()) {
            let key = process.file_key();
            if !self.watched.contains(&key)
                && let Some(process) = Watched::of(process)
            {
                self.watched.insert(key.clone());
                self.ends.spawn(async move {
                    process.ended().await;
                    key
                });
            }
        }
    }

    /// Waits until one of them has ended.
    async fn one_ends(&mut self) {
        match self.ends.join_next().await {
            Some(Ok(key)) => drop(self.watched.remove(&key)),
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }
}

/// Brings the file to what is true now, unless that is what stands there (`before`); returns what stands there, who is where,
/// and the sessions that it names.
fn write(state: &State, before: Option<&str>) -> io::Result<(String, Vec<HeldTree>, Arc<Vec<LivingSession>>)> {
    let (trees, living) = if current_mode(state) == Mode::Off {
        (Vec::new(), Arc::default())
    } else {
        let living = state.fence.living.current(state);
        (trees(&living, &super::leases::all(state)), living)
    };
    let text = held::render(&trees);
    let named = if text.is_empty() { Arc::default() } else { living };
    let path = held::file(&state.home);
    if before == Some(text.as_str()) && exists(&path) != text.is_empty() {
        return Ok((text, trees, named));
    }
    if text.is_empty() {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    } else {
        replace(&path, text.as_bytes())?;
    }
    Ok((text, trees, named))
}

/// Replaces the file without waiting for the disk: it is written anew after every start.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options().write(true).create_new(true).mode(0o600).open(&new)?.write_all(bytes)?;
    std::fs::rename(&new, path)
}

/// Who is in a tree with others, and in which.
fn not_alone(trees: &[HeldTree]) -> BTreeSet<(PathBuf, SessionKey)> {
    let shared = trees.iter().filter(|tree| tree.sessions.len() > 1);
    shared.flat_map(|tree| tree.sessions.iter().map(|session| (tree.tree.clone(), session.clone()))).collect()
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// What the file says; nothing where no two sessions could be in each other's way.
fn trees(living: &[LivingSession], leases: &[Lease]) -> Vec<HeldTree> {
    let mut trees: BTreeMap<&Path, HeldTree> = BTreeMap::new();
    let mut everybody: BTreeSet<&SessionKey> = BTreeSet::new();
    let lives = |key: &SessionKey| living.iter().any(|session| session.key == *key);
    let empty = |tree: &Path| HeldTree { tree: tree.to_owned(), sessions: Vec::new(), leases: Vec::new() };
    for session in living {
        let Some(tree) = session.tree() else { continue };
        everybody.insert(&session.key);
        trees.entry(tree).or_insert_with(|| empty(tree)).sessions.push(session.key.clone());
    }
    for lease in leases {
        let Some(tree) = &lease.tree else { continue };
        everybody.insert(&lease.holder);
        let line = trees.entry(tree).or_insert_with(|| empty(tree));
        if lease.origin == LeaseOrigin::Observed {
            // Who works in it counts as if it lived there, wherever it was started.
            if !line.sessions.contains(&lease.holder) && lives(&lease.holder) {
                line.sessions.push(lease.holder.clone());
            }
            continue;
        }
        let held = HeldLease { resource: lease.resource.clone(), mode: lease.mode, holder: lease.holder.clone() };
        line.leases.push(held);
    }
    for (tree, line) in &mut trees {
        let around = |session: &&LivingSession| session.tree().is_some_and(|own| own != *tree && tree.starts_with(own));
        let mut around = living.iter().filter(around).peekable();
        // Which repository it is is read off the disk: only where somebody lives around it.
        let Some(place) = around.peek().and_then(|_| Place::of(tree)) else { continue };
        for session in around.filter(|session| lives_around(session, &place)) {
            if !line.sessions.contains(&session.key) {
                line.sessions.push(session.key.clone());
            }
        }
    }
    if everybody.len() < 2 {
        return Vec::new();
    }
    trees.into_values().collect()
}
