//! Errors at every stage: the N-th system call of each kind fails. Whatever fails, a hook ends with success, says all or
//! nothing, and writes nothing on its standard error.

use std::path::Path;

use serde_json::Value;
use stopgate_tests::build::Site;
use stopgate_tests::person::text;
use stopgate_tests::process::can_trace_or_says_so;
use stopgate_tests::run::{Stdin, finish, under};
use stopgate_tests::world::{EXCUSE, World, block_reason, session_start, stop};

/// What a hook does with files, sockets, memory, processes and its output; `?`: not every architecture has all of them.
const CALLS: [&str; 36] = [
    "openat",
    "read",
    "write",
    "?pread64",
    "?pwrite64",
    "close",
    "?stat",
    "?lstat",
    "?fstat",
    "?newfstatat",
    "statx",
    "?access",
    "?faccessat2",
    "?readlink",
    "readlinkat",
    "getdents64",
    "?mkdir",
    "?mkdirat",
    "?rename",
    "?renameat",
    "?unlink",
    "?unlinkat",
    "fsync",
    "fdatasync",
    "ftruncate",
    "flock",
    "fcntl",
    "utimensat",
    "socket",
    "connect",
    "sendto",
    "?poll",
    "?ppoll",
    "mmap",
    "rt_sigaction",
    "?setitimer",
];
const ERRORS: [&str; 6] = ["EIO", "ENOSPC", "EACCES", "EINTR", "ENOMEM", "EMFILE"];
/// More calls than any hook makes.
const MANY: usize = 500;
/// The code of a dynamic loader that could not load: nothing of the hook has begun.
const NOT_LOADED: i32 = 127;

/// Runs a hook again and again, each time with an error at another call; in how many the error was met.
fn at_every_stage(world: &World, hook: &str, payload: impl Fn(usize) -> Value, mut after: impl FnMut()) -> usize {
    let (mut met, mut run) = (0, 0);
    for call in CALLS {
        for number in 1..=MANY {
            assert!(number < MANY, "{call} for ever");
            run += 1;
            let error = ERRORS[run % ERRORS.len()];
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error={error}:when={number}"));
            let file = world.root().join("trace");
            let _ = std::fs::remove_file(&file);
            let strace = ["strace", "-f", "-qq", "-e", &*trace, "-e", &*inject, "-o", file.to_str().unwrap()];
            let output = finish(under(&strace, &world.hook(hook)), Stdin::from(&*payload(run).to_string()));
            after();
            if !text(&std::fs::read(&file).unwrap()).contains("(INJECTED)") {
                break;
            }
            // The first piece of memory is the kernel's own, for the loader.
            if output.status.code() == Some(NOT_LOADED) || (call, number) == ("mmap", 1) {
                continue;
            }
            met += 1;
            let step = format!("{hook}: {error} at {call} {number}");
            assert!(output.status.success() && output.stderr.is_empty(), "{step}: {output:?}");
            let said = text(&output.stdout);
            assert!(said.is_empty() || block_reason(&said).starts_with("[stopgate]"), "{step}: {said}");
        }
    }
    met
}

#[test]
fn the_router_lets_go_whatever_fails() {
    if !can_trace_or_says_so() {
        return;
    }
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let alone =
        at_every_stage(&world, "stop-gate-router", |run| stop(&format!("s{run}"), Path::new("/"), EXCUSE), || ());
    let authority = world.authority();
    let start = |run: usize| world.start_session(&format!("h{run}"), &checkout.top);
    let asked = |run: usize| {
        start(run);
        world.stop(&format!("h{run}"), &checkout.top, EXCUSE)
    };
    let judged = at_every_stage(&world, "stop-gate-router", asked, || ());
    assert!(alone > 30 && judged > 30, "{alone} {judged}");
    assert_eq!(authority.request("GET", "/health", &Value::Null).status, 200);
}

#[test]
fn the_build_guard_lets_go_whatever_fails() {
    if !can_trace_or_says_so() {
        return;
    }
    let site = Site::new();
    let id = site.executing("mine", "large");
    let before = site.snapshot();
    let met = at_every_stage(
        &site.world,
        "build-stop-hook",
        |_| stop("mine", site.top(), "bye"),
        || {
            assert!(site.used(&id) <= 1);
            site.put_back(&before);
        },
    );
    assert!(met > 50, "{met}");
    assert!(site.stop("mine").is_some(), "the owner is held when all works");
}

#[test]
fn the_recorder_lets_go_whatever_fails() {
    if !can_trace_or_says_so() {
        return;
    }
    let world = World::enforcing();
    world.start_session("first", world.root());
    let start_of = |run: usize| session_start(&format!("s{run}"), world.root(), "startup");
    let alone = at_every_stage(&world, "session-start-recorder", start_of, || ());
    assert!(alone > 60, "{alone}");
    let authority = world.authority();
    let told = at_every_stage(&world, "session-start-recorder", start_of, || ());
    assert!(told > 30, "{told}");
    assert!(authority.sessions().len() > 1);
}
