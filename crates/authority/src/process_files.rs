//! Small files about harness processes, which let hooks answer without running programs: what stood beside a process
//! in tmux when it began (written here), and which session continues which (written by the recorder).

use std::path::Path;
use std::time::{Duration, Instant};

use stopgate_core::paths::Home;
use stopgate_core::process::{FIRST_NAMESPACE, Lookup, ProcFs, ProcessTable as _};
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

/// Removes the files of processes that have ended.
pub(crate) fn prune(home: &Home) {
    let here = (ProcFs.boot_id().unwrap_or_default(), ProcFs.namespace());
    for dir in ["lineage", "tmux"] {
        let Ok(entries) = std::fs::read_dir(home.run().join(dir)) else { continue };
        for entry in entries.filter_map(Result::ok) {
            if names_ended_process(&entry.path(), &here) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// Whether the file is that of a process of which it is certain that it has ended.
fn names_ended_process(path: &Path, (boot, namespace): &(String, Option<u64>)) -> bool {
    let parts = path.file_stem().and_then(|stem| stem.to_str()).map(|stem| stem.split('-').collect::<Vec<_>>());
    // As `ProcessIdentity::file_key` has written them.
    let (of_boot, pid, ticks, of_namespace) = match parts.as_deref() {
        Some([boot, pid, ticks]) => (*boot, pid.parse(), ticks.parse::<u64>(), Ok(FIRST_NAMESPACE)),
        Some([boot, pid, ticks, namespace]) => (*boot, pid.parse(), ticks.parse(), namespace.parse()),
        _ => return false,
    };
    let (Ok(pid), Ok(ticks), Ok(of_namespace)) = (pid, ticks, of_namespace) else { return false };
    if boot.len() >= 8 && !boot.starts_with(of_boot) {
        return true;
    }
    if *namespace != Some(of_namespace) {
        return false;
    }
    match ProcFs.row(pid) {
        Lookup::Found(row) => row.start_ticks != ticks,
        Lookup::Absent => true,
        Lookup::Forbidden | Lookup::Unreadable => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::process::identify;

    #[test]
    fn only_what_surely_has_ended_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let lineage = home.run().join("lineage");
        std::fs::create_dir_all(&lineage).unwrap();
        let own = identify(&ProcFs, std::process::id()).unwrap();
        let recycled = stopgate_core::process::ProcessIdentity { start_ticks: 1, ..own.clone() };
        let before_the_boot = stopgate_core::process::ProcessIdentity { boot_id: "00000000-1".into(), ..own.clone() };
        let elsewhere = stopgate_core::process::ProcessIdentity { pid_namespace: Some(1), ..recycled.clone() };
        let keys =
            [&own, &recycled, &before_the_boot, &elsewhere].map(stopgate_core::process::ProcessIdentity::file_key);
        for name in keys.iter().map(String::as_str).chain(["notes"]) {
            std::fs::write(lineage.join(name), "").unwrap();
        }
        prune(&home);
        let mut left: Vec<_> = std::fs::read_dir(&lineage)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut expected = vec![own.file_key(), elsewhere.file_key(), "notes".to_owned()];
        expected.sort();
        assert_eq!(left, expected);
    }
}
