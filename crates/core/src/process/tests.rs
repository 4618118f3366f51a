use super::*;
use crate::session::Harness;
use std::collections::BTreeMap;

const NAMESPACE: u64 = 4_026_532_000;

/// Processes with their command lines, the boot, and the namespace.
struct Table(BTreeMap<u32, (ProcessRow, &'static str)>, &'static str, Option<u64>);

impl ProcessTable for Table {
    fn row(&self, pid: u32) -> Lookup {
        self.0.get(&pid).map_or(Lookup::Absent, |(row, _)| Lookup::Found(row.clone()))
    }
    fn executable(&self, pid: u32) -> Option<String> {
        Some(format!("/home/dev/.local/share/claude/versions/{}", self.0.get(&pid)?.0.command))
    }
    fn command_line(&self, pid: u32) -> Vec<u8> {
        self.0.get(&pid).map(|(_, line)| line.replace(' ', "\0").into_bytes()).unwrap_or_default()
    }
    fn boot_id(&self) -> Option<String> {
        Some(self.1.to_owned())
    }
    fn namespace(&self) -> Option<u64> {
        self.2
    }
    // Process 5 is a client by any name, and tells its children so.
    fn environment(&self, pid: u32) -> Vec<u8> {
        let of_5 = matches!(self.row(pid), Lookup::Found(row) if row.parent == 5);
        if of_5 { b"HOME=/\0CLAUDE_PID=5\0".to_vec() } else { b"CLAUDE_PID=9\0".to_vec() }
    }
}

/// Processes with their parents, start times and command lines, whose first word is the name.
fn table(rows: &[(u32, u32, u64, &'static str)], boot: &'static str) -> Table {
    let row = |&(pid, parent, start_ticks, line): &(u32, u32, u64, &'static str)| {
        let command = line.split(' ').next().unwrap().to_owned();
        (pid, (ProcessRow { parent, start_ticks, command, zombie: false }, line))
    };
    Table(rows.iter().map(row).collect(), boot, Some(NAMESPACE))
}

fn root(table: &Table, pid: u32, harness: Harness) -> Option<u32> {
    harness_root(table, pid, harness, None).map(|root| root.pid)
}

#[test]
fn the_nearest_harness_of_the_right_kind_is_the_root() {
    let table = table(
        &[(1, 0, 1, "init"), (5, 1, 50, "claude"), (6, 5, 60, "bash"), (7, 6, 70, "codex"), (8, 7, 80, "bash")],
        "b",
    );
    let of = |pid, harness| root(&table, pid, harness);
    assert_eq!([of(8, Harness::Codex), of(8, Harness::Claude), of(1, Harness::Claude)], [Some(7), Some(5), None]);
    let nearest = |pid| nearest_harness(&table, pid, &|_| None).map(|(harness, found)| (harness, found.pid));
    assert_eq!([nearest(8), nearest(6), nearest(1)], [Some((Harness::Codex, 7)), Some((Harness::Claude, 5)), None]);
    let of = Ancestry::of(&table, 8);
    let chain: Vec<_> = of.ancestors.iter().map(|ancestor| (ancestor.pid, ancestor.start_ticks)).collect();
    assert_eq!((&*chain, of.top), (&[(8, 80), (7, 70), (6, 60), (5, 50), (1, 1)][..], Top::Reached));
}

#[test]
fn a_reused_pid_and_another_boot_are_gone() {
    let before = table(&[(7, 1, 70, "claude")], "boot-1");
    let identity = identify(&before, 7).unwrap();
    assert_eq!(liveness(&before, &identity), Liveness::Alive);
    assert_eq!(liveness(&table(&[(7, 1, 71, "claude")], "boot-1"), &identity), Liveness::Gone);
    assert_eq!(liveness(&table(&[(7, 1, 70, "claude")], "boot-2"), &identity), Liveness::Gone);
    assert_eq!(liveness(&table(&[], "boot-1"), &identity), Liveness::Gone);
    let mut ended = table(&[(7, 1, 70, "claude")], "boot-1");
    ended.0.values_mut().for_each(|(row, _)| row.zombie = true);
    assert_eq!(liveness(&ended, &identity), Liveness::Gone, "a zombie");
}

#[test]
fn process_1_may_be_a_harness() {
    let table = table(&[(1, 0, 1, "claude"), (7, 1, 70, "sh"), (8, 7, 80, "python")], "b");
    assert_eq!(root(&table, 8, Harness::Claude), Some(1));
    assert_eq!(root(&table, 8, Harness::Codex), None);
}

#[test]
fn a_session_in_the_background_is_its_worker_in_both_layouts_and_never_the_daemon() {
    let layout = |daemon, host, worker| {
        let rows = [(1, 0, 1, "init"), (5, 1, 50, daemon), (6, 5, 60, host), (7, 6, 70, worker), (8, 7, 80, "sh")];
        let table = table(&rows, "b");
        [8, 6, 5].map(|pid| root(&table, pid, Harness::Claude))
    };
    let worker_alone = [Some(7), None, None];
    let npm = layout(
        "claude.exe daemon run",
        "claude.exe bg-pty-host s -- claude.exe daemon run",
        "claude.exe --session-id s",
    );
    let native = layout("claude daemon run", "2.1.332 bg-pty-host", "2.1.332 --session-id s");
    assert_eq!([npm, native], [worker_alone; 2]);
    let prompt = table(&[(1, 0, 1, "init"), (5, 1, 50, "claude -p daemon run"), (6, 5, 60, "sh")], "b");
    assert_eq!(root(&prompt, 6, Harness::Claude), Some(5));
}

#[test]
fn what_a_client_says_of_itself_is_believed_of_an_ancestor_that_is_not_further_than_another_client() {
    let table = table(
        &[(1, 0, 1, "init"), (5, 1, 50, "wrapped"), (6, 5, 60, "bash"), (7, 6, 70, "claude"), (8, 7, 80, "sh")],
        "b",
    );
    let told = |pid, told| harness_root(&table, pid, Harness::Claude, Some(told)).map(|root| root.pid);
    assert_eq!([told(6, 5), told(6, 9), told(8, 5), told(8, 7)], [Some(5), None, Some(7), Some(7)]);
    let says = |harness| (harness == Harness::Claude).then_some(5);
    let found = nearest_harness(&table, 6, &says).map(|(harness, found)| (harness, found.pid));
    assert_eq!(found, Some((Harness::Claude, 5)));
}

#[test]
fn a_server_of_many_sessions_is_proof_of_none() {
    for line in ["codex app-server --listen unix:// --managed-daemon", "codex -c a=b app-server", "codex mcp-server"] {
        let table = table(&[(1, 0, 1, "init"), (5, 1, 50, line), (6, 5, 60, "sh")], "b");
        let found = harness_root(&table, 6, Harness::Codex, None).unwrap();
        assert_eq!((found.pid, found.shared, liveness(&table, &found)), (5, true, Liveness::Unknown), "{line}");
        assert_eq!(liveness(&super::tests::table(&[], "b"), &found), Liveness::Unknown);
    }
    let own = table(&[(1, 0, 1, "init"), (5, 1, 50, "codex resume app"), (6, 5, 60, "sh")], "b");
    assert!(!harness_root(&own, 6, Harness::Codex, None).unwrap().shared);
}

#[test]
fn a_process_of_another_namespace_is_unknown_and_has_files_of_its_own() {
    let here = table(&[(7, 1, 70, "claude")], "boot-1");
    let own = identify(&here, 7).unwrap();
    let of = |pid_namespace, start_ticks| ProcessIdentity { start_ticks, pid_namespace, ..own.clone() };
    let (other, older) = (Some(NAMESPACE + 1), None);
    for ticks in [70, 71] {
        assert_eq!(liveness(&here, &of(other, ticks)), Liveness::Unknown);
    }
    assert_eq!(liveness(&table(&[], "boot-1"), &of(other, 70)), Liveness::Unknown);
    assert_eq!(liveness(&table(&[], "boot-2"), &of(other, 70)), Liveness::Gone);
    assert!(!own.is(&of(other, 70)) && own.file_key() != of(other, 70).file_key());
    // What an older version wrote: only the very process proves anything.
    assert_eq!(liveness(&here, &of(older, 70)), Liveness::Alive);
    assert_eq!(liveness(&here, &of(older, 71)), Liveness::Unknown);
    assert!(own.is(&of(older, 70)) && of(older, 70).file_key() == of(Some(FIRST_NAMESPACE), 70).file_key());
    let unseeing = Table(here.0, here.1, None);
    assert_eq!(liveness(&unseeing, &of(Some(NAMESPACE), 71)), Liveness::Unknown);
}

#[test]
fn what_may_not_be_looked_at_is_alive_and_what_cannot_be_read_is_unknown() {
    struct Says(Lookup);
    impl ProcessTable for Says {
        fn row(&self, _: u32) -> Lookup {
            self.0.clone()
        }
        fn executable(&self, _: u32) -> Option<String> {
            None
        }
        fn command_line(&self, _: u32) -> Vec<u8> {
            Vec::new()
        }
        fn boot_id(&self) -> Option<String> {
            Some("boot-1".to_owned())
        }
        fn namespace(&self) -> Option<u64> {
            Some(NAMESPACE)
        }
    }
    let identity = identify(&table(&[(7, 1, 70, "claude")], "boot-1"), 7).unwrap();
    assert_eq!(liveness(&Says(Lookup::Forbidden), &identity), Liveness::Alive);
    assert_eq!(liveness(&Says(Lookup::Unreadable), &identity), Liveness::Unknown);
}

#[test]
fn this_process_is_found_in_the_real_table() {
    let me = identify(&ProcFs, std::process::id()).unwrap();
    assert_eq!(liveness(&ProcFs, &me), Liveness::Alive);
    assert!(Ancestry::of(&ProcFs, me.pid).ancestors.len() >= 2);
    assert!(me.pid_namespace.is_some() && ProcFs::depth(me.pid) == Some(0));
    assert_eq!((ProcFs::own_pid(), ProcFs::parent_pid()), (me.pid, Some(std::os::unix::process::parent_id())));
}

/// A chain of shells below `top`, the first of which has the number 10.
fn shells(top: (u32, &'static str), count: u32) -> Vec<(u32, u32, u64, &'static str)> {
    let rows = (0..count).map(|at| (10 + at, if at == 0 { top.0 } else { 9 + at }, 100 + u64::from(at), "bash"));
    [(1, 0, 1, "init"), (top.0, 1, 50, top.1)].into_iter().chain(rows).collect()
}

#[test]
fn a_harness_is_found_however_many_shells_are_below_it() {
    for count in [1, 21, 24, 25, 300] {
        let deep = table(&shells((5, "claude"), count), "b");
        let pid = 9 + count;
        let ancestry = Ancestry::of(&deep, pid);
        assert_eq!((ancestry.ancestors.len(), ancestry.top), (count as usize + 2, Top::Reached));
        let above = ancestry.harness(&deep, &|_| false).unwrap();
        assert_eq!((above.0.pid, above.1), (5, Some((Harness::Claude, ProcessRole::Session))), "{count}");
        assert_eq!(root(&deep, pid, Harness::Claude), Some(5), "{count}");
        let by_word = table(&shells((5, "wrapped"), count), "b");
        assert_eq!(Ancestry::of(&by_word, pid).harness(&by_word, &|_| false).map(|found| found.0.pid), Some(5));
        let nobody = table(&shells((6, "tmux"), count), "b");
        assert_eq!(Ancestry::of(&nobody, pid).harness(&nobody, &|_| false), None, "{count}");
    }
}

#[test]
fn a_loop_and_a_parent_that_is_younger_end_the_way_up_unknown() {
    let around = table(&[(5, 7, 50, "a"), (6, 5, 50, "b"), (7, 6, 50, "c")], "b");
    let younger = table(&[(1, 0, 1, "init"), (5, 6, 50, "a"), (6, 1, 60, "claude")], "b");
    for (table, ancestors) in [(&around, 3), (&younger, 1)] {
        let ancestry = Ancestry::of(table, 5);
        assert_eq!((ancestry.top, ancestry.ancestors.len()), (Top::Lost, ancestors));
        assert_eq!(nearest_harness(table, 5, &|_| None), None);
    }
    assert_eq!(Ancestry::of(&younger, 9), Ancestry { ancestors: Vec::new(), top: Top::Lost });
}

/// A table in which the parent of 6 ends after it was first asked for.
struct Reparents(Table, std::cell::Cell<u32>);
impl ProcessTable for Reparents {
    fn row(&self, pid: u32) -> Lookup {
        match self.0.row(pid) {
            Lookup::Found(row) if pid == 6 => {
                self.1.set(self.1.get() + 1);
                Lookup::Found(ProcessRow { parent: if self.1.get() == 1 { 9 } else { 1 }, ..row })
            }
            found => found,
        }
    }
    fn executable(&self, pid: u32) -> Option<String> {
        self.0.executable(pid)
    }
    fn command_line(&self, pid: u32) -> Vec<u8> {
        self.0.command_line(pid)
    }
    fn boot_id(&self) -> Option<String> {
        self.0.boot_id()
    }
    fn namespace(&self) -> Option<u64> {
        self.0.namespace()
    }
}

#[test]
fn an_ancestor_that_may_not_be_seen_is_there_and_one_that_went_is_not() {
    // Its parent is not in the table, and stays its parent: as with `hidepid`.
    let hidden = table(&[(5, 4, 50, "bash"), (6, 5, 60, "stopgate")], "b");
    assert_eq!(Ancestry::of(&hidden, 6).top, Top::Hidden);
    let moved = Reparents(table(&[(1, 0, 1, "init"), (6, 1, 60, "helper")], "b"), 0.into());
    let ancestry = Ancestry::of(&moved, 6);
    assert_eq!((ancestry.ancestors.len(), ancestry.top), (2, Top::Reached), "it is walked again");
}

#[test]
fn the_first_process_of_the_machine_and_a_shell_of_a_person_are_no_harness_whoever_says_so() {
    struct Of(Table, &'static str);
    impl ProcessTable for Of {
        fn row(&self, pid: u32) -> Lookup {
            self.0.row(pid)
        }
        fn executable(&self, _: u32) -> Option<String> {
            Some(self.1.to_owned())
        }
        fn command_line(&self, pid: u32) -> Vec<u8> {
            self.0.command_line(pid)
        }
        fn boot_id(&self) -> Option<String> {
            self.0.boot_id()
        }
        fn namespace(&self) -> Option<u64> {
            self.0.namespace()
        }
    }
    let rows = [(1, 0, 1, "claude"), (2, 1, 2, "bash"), (3, 2, 3, "-zsh"), (4, 3, 4, "my-claude"), (5, 4, 5, "x")];
    let of = |namespace, executable| {
        let mut rows = table(&rows, "b");
        rows.2 = Some(namespace);
        Of(rows, executable)
    };
    let recorded = |table: &Of, pid| {
        let ancestry = Ancestry::of(table, 5);
        ancestry.harness(table, &|ancestor| ancestor.pid == pid).map(|found| found.0.pid)
    };
    let host = of(FIRST_NAMESPACE, "/usr/bin/bash");
    assert_eq!([1, 2, 3, 4].map(|pid| recorded(&host, pid)), [None, None, None, Some(4)]);
    let container = of(NAMESPACE, "/usr/bin/bash (deleted)");
    assert_eq!([1, 2, 3].map(|pid| recorded(&container, pid)), [Some(1); 3]);
    // A script called `bash` is no shell.
    assert_eq!(recorded(&of(FIRST_NAMESPACE, "/usr/bin/node"), 2), Some(2));
}
