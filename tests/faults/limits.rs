//! Limits of the system: descriptors and processes.

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use stopgate_core::beat::Beat;
use stopgate_tests::run::eventually;
use stopgate_tests::world::BASE_HOOKS;

use crate::cell::{Allows, Blocks, Expected, Fault, InForce, NONE, Strike};
use crate::place::Place;

/// Lets a process open nothing more; what it was allowed before.
fn no_more_descriptors(pid: u32) -> Rlimit {
    let process = Pid::from_raw(i32::try_from(pid).unwrap());
    let before = rustix::process::getrlimit(Resource::Nofile);
    prlimit(process, Resource::Nofile, Rlimit { current: Some(0), maximum: before.maximum }).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().nth(3), Some("0"), "{line}");
    before
}

pub(crate) fn hook_without_descriptors() -> Fault {
    Fault {
        name: "a hook can open nothing more (`RLIMIT_NOFILE` 0 from its first byte of input)",
        arrange: |place| {
            for hook in BASE_HOOKS {
                std::fs::remove_file(place.home().beats().join(format!("{hook}.fired"))).unwrap();
            }
            InForce::default()
        },
        strike: Some(Strike::BeforeInput(|place, pid| {
            eventually("the hook has begun", || {
                let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
                let hook = BASE_HOOKS.iter().find(|hook| hook.starts_with(name.trim()))?;
                place.beat(hook, Beat::Fired)
            });
            no_more_descriptors(pid);
        })),
        // Without descriptors there is neither a request nor a build nor a log.
        expected: [Expected(Allows, &[]); 3],
        keeps: false,
        ..NONE
    }
}

pub(crate) fn authority_without_descriptors() -> Fault {
    Fault {
        name: "the authority can open nothing more (`RLIMIT_NOFILE` 0)",
        arrange: |place| {
            let pid = place.authority_pid();
            let before = no_more_descriptors(pid);
            InForce::until(move || {
                prlimit(Pid::from_raw(i32::try_from(pid).unwrap()), Resource::Nofile, before).unwrap();
            })
        },
        expected: [
            Expected(Allows, &["stop not judged: the authority did not answer in time"]),
            Expected(Blocks, &[]),
            Expected(Allows, &["authority did not answer: the authority did not answer in time"]),
        ],
        status: "not answering",
        doctor: &["authority-broken"],
        ..NONE
    }
}

/// Where strace writes.
fn trace(place: &Place) -> std::path::PathBuf {
    place.root().join("trace")
}

pub(crate) fn no_processes() -> Fault {
    Fault {
        name: "a hook can start no process (`fork` fails), and no authority runs",
        strace: true,
        arrange: |place| {
            place.stop_authority();
            let inject = "inject=?fork,?vfork,clone,?clone3:error=EAGAIN";
            let wrapper = ["strace", "-f", "-qq", "-A", "-e", "trace=?fork,?vfork,clone,?clone3", "-e", inject, "-o"];
            let mut in_force = InForce::until(|| {
                let traced = std::fs::read_to_string(trace(place)).unwrap();
                assert!(traced.contains("EAGAIN") && traced.contains("(INJECTED)"), "nobody tried: {traced}");
            });
            in_force.wrapper = wrapper.map(str::to_owned).to_vec();
            in_force.wrapper.push(trace(place).to_str().unwrap().to_owned());
            in_force
        },
        expected: [
            Expected(Allows, &["stop not judged: the authority is not running"]),
            Expected(Blocks, &[]),
            Expected(Allows, &["authority not started: Resource temporarily unavailable"]),
        ],
        status: "not running",
        ..NONE
    }
}
