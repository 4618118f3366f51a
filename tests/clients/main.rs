//! A table of scenarios with the real clients: each is installed for, run and uninstalled from as a person does, and
//! judged by what the *model* received and what stopgate recorded. `docs/compatibility.md` is made from what was seen.
//!
//! Needs the clients (`STOPGATE_TEST_CLAUDE`, `STOPGATE_TEST_CLAUDE_OLD`, `STOPGATE_TEST_CODEX`), tmux, and neither a
//! network nor a key. The column of a client that is not there is neither run nor compared, and that is said.
//! `STOPGATE_SCENARIO=codex/clear` runs what contains this. `tests/clients/run VERSION` tries a new version.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod builds;
mod client;
mod coordination;
mod headless;
mod install;
mod live;
mod person;
mod shared;
mod site;
mod table;
mod turns;
mod work;

use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Instant;

use stopgate_core::env::{Env as _, ProcessEnv};

use client::{ALL, Client};
use table::{Column, Scenario};

/// Names what to run, as `client/scenario` or a part of that; everything by itself.
const FILTER_VARIABLE: &str = "STOPGATE_SCENARIO";
/// Set to anything, the clients may be of any version, and what they do otherwise is printed instead of complained of.
const NEWER_VARIABLE: &str = "STOPGATE_TEST_NEWER";
/// A client waits more than it works.
const AT_ONCE: usize = 5;

fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    all.extend(turns::SCENARIOS);
    all.extend(builds::SCENARIOS);
    all.extend(work::SCENARIOS);
    all.extend(shared::SCENARIOS);
    all.extend(headless::SCENARIOS);
    all.extend(person::SCENARIOS);
    all.extend(install::SCENARIOS);
    all.extend(coordination::SCENARIOS);
    all
}

/// Past the test harness, which would keep it until the end.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

thread_local! {
    /// Where this thread panicked last.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

fn words(panic: &(dyn Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    let text = owned.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
    format!("{}: {text}", PLACE.take())
}

#[test]
fn every_scenario_does_with_every_client_what_the_page_says() {
    // Said once, at the end, beside the scenario's name.
    std::panic::set_hook(Box::new(|info| PLACE.set(info.location().map(ToString::to_string).unwrap_or_default())));
    let scenarios = scenarios();
    let filter = ProcessEnv.text(FILTER_VARIABLE).unwrap_or_default();
    let is_newer = ProcessEnv.os(NEWER_VARIABLE).is_some();
    let mut versions = BTreeMap::new();
    let mut queue = VecDeque::new();
    for client in ALL {
        let Some(program) = client.program() else {
            say(&format!("SKIPPED: {} is not here; set {} to its program", client.title(), client.variable()));
            continue;
        };
        let version = client.version_of(&program);
        assert!(is_newer || version == client.version(), "{} is {version}", client.title());
        versions.insert(client, version);
        let mut wanted: Vec<_> =
            scenarios.iter().filter(|one| format!("{}/{}", client.id(), one.id).contains(&filter)).collect();
        for mixed in [coordination::MIXED, coordination::ROOM] {
            if coordination::partner(client).is_none() && wanted.iter().any(|one| one.id == mixed) {
                say(&format!("SKIPPED: {}/{mixed}: no client of the other harness is here", client.id()));
                wanted.retain(|one| one.id != mixed);
            }
        }
        queue.extend(wanted.into_iter().map(|scenario| (client, scenario)));
    }
    let queue = Mutex::new(queue);
    let seen: Mutex<BTreeMap<Client, Column>> = Mutex::default();
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((client, scenario)) = queue.lock().unwrap().pop_front() else { return };
                    let began = Instant::now();
                    let outcome = catch_unwind(AssertUnwindSafe(|| (scenario.run)(client)));
                    let name = format!("{}/{}", client.id(), scenario.id);
                    let seconds = began.elapsed().as_secs_f64();
                    say(&format!("{} {name} {seconds:.1} s", if outcome.is_ok() { "ok    " } else { "FAILED" }));
                    match outcome {
                        Ok(outcome) => {
                            let mut seen = seen.lock().unwrap();
                            seen.entry(client).or_default().insert(scenario.id.to_owned(), outcome);
                        }
                        Err(panic) => failed.lock().unwrap().push(format!("{name}: {}", words(&*panic))),
                    }
                }
            });
        }
    });
    drop(std::panic::take_hook());
    let (failed, seen) = (failed.into_inner().unwrap(), seen.into_inner().unwrap());
    if is_newer {
        say(&table::differences(&scenarios, &versions, &seen, &failed));
        return;
    }
    let mut complaints = failed;
    complaints.extend(table::settle(&scenarios, &seen));
    assert!(complaints.is_empty(), "{} complaints\n\n{}", complaints.len(), complaints.join("\n\n"));
}
