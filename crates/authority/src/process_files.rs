//! Small files about harness processes, which let hooks answer without running programs: what stood beside a process
//! in tmux when it began (written here), and which session continues which (written by the recorder).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use stopgate_core::paths::Home;
use stopgate_core::process::{Lookup, ProcFs, ProcessTable as _, has_ended};
use stopgate_core::protocol::Origin;
use stopgate_core::tmux::{self, TmuxPlace, query};

/// Longest time for asking tmux.
const TMUX_BUDGET: Duration = Duration::from_secs(2);

/// Notes what stands beside a process that has just begun; its place with the tmux session's name, if it lives in
/// tmux. Blocks: call it off the event loop.
pub(crate) fn note_surroundings(home: &Home, origin: &Origin) -> Option<TmuxPlace> {
    let place = origin.tmux.as_deref().zip(origin.tmux_pane.as_deref());
    let place = place.and_then(|(tmux, pane)| TmuxPlace::parse(tmux, pane))?;
    let record = query::record(&place, Instant::now() + TMUX_BUDGET)?;
    if let Some(process) = &origin.harness_process
        && let Err(error) = tmux::write_record(home, process, &record)
    {
        tracing::warn!(%error, "cannot note the tmux surroundings of a session");
    }
    Some(record.place)
}

/// How many processes that have ended are remembered for what became of their sessions: an owner of a build may be taken
/// up again days later.
const MAX_ENDED: usize = 1_000;

/// Removes the files of processes that have ended: what stood beside them at once, which session continued which when
/// others have come after them, what silenced hooks likewise. And those of panes whose server has ended.
pub(crate) fn prune(home: &Home) {
    for (_, path) in ended(home, "tmux") {
        let _ = std::fs::remove_file(path);
    }
    let mut lineage = ended(home, "lineage");
    // Not by age: a clock may have jumped.
    lineage.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
    for (_, path) in lineage.into_iter().skip(MAX_ENDED) {
        let _ = std::fs::remove_file(path);
    }
    // Who wrote them need not live: a session's note counts until it is heard of.
    let mut silenced: Vec<_> = files(home, "silenced").into_iter().map(|path| (written(&path), path)).collect();
    silenced.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
    for (_, path) in silenced.into_iter().skip(MAX_ENDED) {
        let _ = std::fs::remove_file(path);
    }
    for path in files(home, "panes") {
        let server = path.file_name().and_then(|name| name.to_str()?.split_once('-')?.0.parse().ok());
        if server.is_some_and(|server| ProcFs.row(server) == Lookup::Absent) {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn files(home: &Home, dir: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home.run().join(dir)).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// The files in `dir` whose processes have certainly ended, and when they were written.
fn ended(home: &Home, dir: &str) -> Vec<(Option<SystemTime>, PathBuf)> {
    let has_ended =
        |path: &PathBuf| path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|key| has_ended(&ProcFs, key));
    files(home, dir).into_iter().filter(has_ended).map(|path| (written(&path), path)).collect()
}

fn written(path: &Path) -> Option<SystemTime> {
    std::fs::symlink_metadata(path).and_then(|meta| meta.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::process::identify;

    #[test]
    fn only_what_surely_has_ended_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let tmux = home.run().join("tmux");
        std::fs::create_dir_all(&tmux).unwrap();
        let own = identify(&ProcFs, std::process::id()).unwrap();
        let recycled = stopgate_core::process::ProcessIdentity { start_ticks: 1, ..own.clone() };
        let before_the_boot = stopgate_core::process::ProcessIdentity { boot_id: "00000000-1".into(), ..own.clone() };
        let elsewhere = stopgate_core::process::ProcessIdentity { pid_namespace: Some(1), ..recycled.clone() };
        let keys =
            [&own, &recycled, &before_the_boot, &elsewhere].map(stopgate_core::process::ProcessIdentity::file_key);
        for name in keys.iter().map(String::as_str).chain(["notes"]) {
            std::fs::write(tmux.join(name), "").unwrap();
        }
        prune(&home);
        let mut left: Vec<_> =
            std::fs::read_dir(&tmux).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        let mut expected = vec![own.file_key(), elsewhere.file_key(), "notes".to_owned()];
        expected.sort();
        assert_eq!(left, expected);
    }
    #[test]
    fn what_became_of_ended_sessions_is_kept_for_as_many_as_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        for name in ["lineage", "panes"] {
            std::fs::create_dir_all(home.run().join(name)).unwrap();
        }
        let own = identify(&ProcFs, std::process::id()).unwrap();
        let keys: Vec<String> = (1..=MAX_ENDED as u64 + 2)
            .map(|start_ticks| stopgate_core::process::ProcessIdentity { start_ticks, ..own.clone() }.file_key())
            .collect();
        let oldest = SystemTime::UNIX_EPOCH;
        for (number, key) in keys.iter().enumerate() {
            let file = std::fs::File::create(home.run().join("lineage").join(key)).unwrap();
            if number < 2 {
                file.set_modified(oldest).unwrap();
            }
        }
        for server in [std::process::id().to_string(), "4194305".to_owned()] {
            std::fs::write(home.run().join("panes").join(format!("{server}-1")), "").unwrap();
        }
        prune(&home);
        assert_eq!(files(&home, "lineage").len(), MAX_ENDED);
        assert!(keys[..2].iter().all(|key| !home.run().join("lineage").join(key).exists()));
        assert_eq!(files(&home, "panes"), [home.run().join("panes").join(format!("{}-1", std::process::id()))]);
    }
}
