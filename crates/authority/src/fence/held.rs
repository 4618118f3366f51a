//! Keeps `run/held` as things are: by it a hook knows whether it has to ask at all.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use stopgate_coordination::held::{self, HeldLease, HeldTree};
use stopgate_coordination::lease::{Lease, LeaseOrigin};
use stopgate_core::fsx;
use stopgate_core::session::SessionKey;
use stopgate_core::switch::Mode;
use stopgate_registry::neighbours::LivingSession;
use tokio::task::JoinSet;

use super::current_mode;
use crate::state::State;
use crate::watched::Watched;

/// Writes the file at the start and whenever sessions or leases change, or the process of a session that it names ends, for as
/// long as the authority runs.
pub(crate) async fn keep_written(state: Arc<State>) {
    let mut written: Option<String> = None;
    let mut leases = state.leases.subscribe();
    let mut processes = Processes::default();
    loop {
        let done = {
            let state = Arc::clone(&state);
            let before = written.clone();
            tokio::task::spawn_blocking(move || write(&state, before.as_deref())).await
        };
        let problem = match done {
            Ok(Ok((text, named))) => {
                written = Some(text);
                processes.watch(&named);
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

/// Brings the file to what is true now, unless that is what stands there (`before`); returns what stands there, and the
/// sessions that it names.
fn write(state: &State, before: Option<&str>) -> io::Result<(String, Arc<Vec<LivingSession>>)> {
    let (text, living) = if current_mode(state) == Mode::Off {
        (String::new(), Arc::default())
    } else {
        let living = state.fence.living.look(state);
        (text(&living, &super::leases::all(state)), living)
    };
    let named = if text.is_empty() { Arc::default() } else { living };
    let path = held::file(&state.home);
    if before == Some(text.as_str()) && exists(&path) != text.is_empty() {
        return Ok((text, named));
    }
    if text.is_empty() {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    } else {
        fsx::write_atomic(&path, text.as_bytes(), 0o600)?;
    }
    Ok((text, named))
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// What the file says; empty where no two sessions could be in each other's way.
fn text(living: &[LivingSession], leases: &[Lease]) -> String {
    let mut trees: BTreeMap<&Path, HeldTree> = BTreeMap::new();
    let mut everybody: BTreeSet<&SessionKey> = BTreeSet::new();
    let empty = |tree: &Path| HeldTree { tree: tree.to_owned(), sessions: Vec::new(), leases: Vec::new() };
    for session in living {
        let Some(tree) = session.tree() else { continue };
        everybody.insert(&session.key);
        trees.entry(tree).or_insert_with(|| empty(tree)).sessions.push(session.key.clone());
    }
    for lease in leases.iter().filter(|lease| lease.origin == LeaseOrigin::Declared) {
        let Some(tree) = &lease.tree else { continue };
        everybody.insert(&lease.holder);
        let held = HeldLease { resource: lease.resource.clone(), mode: lease.mode, holder: lease.holder.clone() };
        trees.entry(tree).or_insert_with(|| empty(tree)).leases.push(held);
    }
    if everybody.len() < 2 {
        return String::new();
    }
    let trees: Vec<_> = trees.into_values().collect();
    held::render(&trees)
}
