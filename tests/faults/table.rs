//! All rows, each tried once, and the page about them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use stopgate_core::env::{Env as _, ProcessEnv};

use crate::ROWS;
use crate::cell::{Answer, Expected, Fault, Tried, attempt};

/// A row and what came of it.
pub(crate) struct Row {
    subject: &'static str,
    name: &'static str,
    fault: fn() -> Fault,
    tried: OnceLock<Tried>,
}

impl Row {
    pub(crate) const fn new(subject: &'static str, name: &'static str, fault: fn() -> Fault) -> Self {
        Self { subject, name, fault, tried: OnceLock::new() }
    }

    fn tried(&self) -> &Tried {
        self.tried.get_or_init(|| attempt(self.fault))
    }
}

/// The test of one row.
pub(crate) fn check(subject: &str, name: &str) {
    let row = ROWS.iter().find(|row| (row.subject, row.name) == (subject, name)).unwrap();
    match row.tried() {
        Tried::Passed => {}
        Tried::Failed(what) => panic!("{what}"),
        Tried::Skipped(why) => {
            let _ = writeln!(std::io::stderr(), "SKIPPED: {subject} {name}: {why}");
        }
    }
}

const SUBJECTS: &[(&str, &str)] = &[
    ("authority", "The authority"),
    ("socket", "Its socket"),
    ("database", "The database"),
    ("home", "Disk and home"),
    ("limits", "Limits"),
    ("clock", "The clock"),
];

const HEAD: &str = "\
# What happens when something is broken

This page is written by the tests in `tests/faults/`, which break each thing in a real installation, run the real hooks
of a session that would be held, and look at what the hooks, `stopgate status` and `installer doctor` say. It is
compared with their results whenever they run; `STOPGATE_UPDATE_DOCS=1 cargo test -p stopgate-tests --test faults`
writes it anew.

In every cell the hook exits with 0, within its deadline, and prints nothing, or one block. *allows*: the agent may stop
(the recorder: may go on). *blocks*: it is held, because what that takes still works; the build guard needs neither
authority nor database. *Kept*: whether the stop and the start of a session that happened under the fault are in the
database once it is healed. After every row the fault is healed, and then both hooks block again, and the doctor finds
nothing.

";

const TAIL: &str = "\
## Beyond the matrix

| what | where |
| --- | --- |
| `SIGTERM`, `SIGINT`, `SIGHUP`, `SIGPIPE` at each system call of each hook: a whole answer or none, no half of a file | `tests/faults/signals.rs` |
| an error at each system call of each hook: it ends with success, and says all or nothing | `tests/faults/errors.rs` |
| a disk that does not answer: hooks end in time; the authority says so, lets go at once, and goes on when the disk does | `tests/tests/stalled.rs` |
| no memory, and a pipe that nobody empties: the hook ends with success and without a word | `tests/tests/fail_open.rs` |
| too little memory for the system to load the hook at all: nothing of it has begun; the loader says so on standard error and ends with code 127, which no harness takes for a block | `tests/faults/errors.rs` |
| a ceiling that cannot be kept, because the disk is full or read-only or the database goes, counts as reached | `tests/faults/ceilings.rs`, `tests/tests/gate_ceilings.rs` |
| a home with a long path, where somebody else has made the directory for its socket | `tests/faults/long_home.rs` |
| whatever is sent to the socket, and whoever stays connected | `tests/tests/http_abuse.rs` |
| git is missing on the agent's path, refuses the checkout, is broken, or hangs: the stop is let go and says so, and stops in other checkouts are judged | `tests/tests/gate_git.rs` |
| 100 sessions stop at once: each is answered, none is lost | `tests/faults/load.rs` |
| the authority killed with `kill -9` 500 times under load: whatever it acknowledged is in the database, once | `tests/faults/lost.rs` |
| the authority killed with `kill -9` while ten wait for a lease, or stopped, or begun without its database; waiters killed; clocks set, a machine suspended; the file of numbers damaged; trees moved or gone; odd names | `tests/tests/coordination_faults.rs` |
| sessions ask for leases at random while the authority is killed again and again: nothing is held by two, numbers rise, no acknowledged grant is lost | `tests/soak/leases.rs` |
| every finding of the doctor about a running installation appears with its cause, and goes with it | `tests/faults/doctor.rs` |
| who may read a settings file, and its attributes, are the same after `kill -9` at each system call of the edit | `tests/tests/installer_access.rs` |
| settings that cannot be written, a home whose programs cannot be run: named before anything is registered | `tests/tests/installer_places.rs` |
| an account's directory that is gone: told of once, and no failure | `tests/tests/installer_accounts.rs` |
| managed settings, or one's own, that switch hooks off: named with file, key and who may change it | `tests/tests/installer_managed.rs` |
";

fn cell(expected: Expected) -> &'static str {
    match expected.0 {
        Answer::Allows => "allows",
        Answer::Tells => "allows, and tells the person why",
        Answer::Blocks => "blocks",
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (subject, title) in SUBJECTS {
        let _ = writeln!(page, "## {title}\n");
        page.push_str("| broken | router | build guard | recorder | kept | the hooks' log | status: the authority is | the doctor finds |\n");
        page.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
        for row in ROWS.iter().filter(|row| row.subject == *subject) {
            let fault = (row.fault)();
            let [router, build, recorder] = fault.expected.map(cell);
            let lines: Vec<_> = [("router", 0), ("build guard", 1), ("recorder", 2)]
                .into_iter()
                .flat_map(|(hook, at)| fault.expected[at].1.iter().map(move |line| format!("{hook}: `{line}`")))
                .collect();
            let log = if lines.is_empty() { "-".to_owned() } else { lines.join("<br>") };
            let doctor: Vec<_> = fault.doctor.iter().map(|id| format!("`{id}`")).collect();
            let doctor = if doctor.is_empty() { "-".to_owned() } else { doctor.join(", ") };
            let kept = if fault.keeps { "yes" } else { "no" };
            let _ = writeln!(
                page,
                "| {} | {router} | {build} | {recorder} | {kept} | {log} | {} | {doctor} |",
                fault.name, fault.status
            );
        }
        page.push('\n');
    }
    page.push_str(TAIL);
    page
}

/// The page says what the rows, all of which pass, say. From the last row to the first: the tests of the rows run
/// meanwhile in the other order, and whoever comes second to a row waits for it.
#[test]
fn the_page_is_true() {
    let mut skipped = 0;
    for row in ROWS.iter().rev() {
        match row.tried() {
            Tried::Passed => {}
            Tried::Failed(what) => panic!("{} {}: {what}", row.subject, row.name),
            Tried::Skipped(_) => skipped += 1,
        }
    }
    assert!(SUBJECTS.iter().all(|(subject, _)| ROWS.iter().any(|row| row.subject == *subject)));
    assert!(ROWS.iter().all(|row| SUBJECTS.iter().any(|(subject, _)| row.subject == *subject)));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/faults.md");
    if ProcessEnv.flag("STOPGATE_UPDATE_DOCS") {
        assert_eq!(skipped, 0, "not every row can be tried here: the page stays as it is");
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page(), "docs/faults.md is not what the matrix says: run this with STOPGATE_UPDATE_DOCS=1");
}
