//! Law 1, fail open: whatever is broken, a hook allows, prints nothing and exits with 0, and it does not hang.
//!
//! Every case runs in enforce, on a session and a message that a working authority would block.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use rstest::rstest;
use serde_json::json;
use stopgate_core::beat::{self, Beat};
use stopgate_core::hook::Hook;
use stopgate_tests::build::Site;
use stopgate_tests::fake_authority::{Behaviour, FakeAuthority};
use stopgate_tests::process::can_trace_or_says_so;
use stopgate_tests::run::{Stdin, eventually, finish, under};
use stopgate_tests::world::{EXCUSE, HOOKS, World, assert_silent, block_reason, session_start, stop};

/// What an authority says that holds a stop.
const VERDICT: &str =
    r#"{"event_id":"e","decision":"continue","rule":null,"reminder":"[stopgate] go on","latency_ms":1}"#;

/// Runs a hook with a short deadline, so that hangs of the authority do not make the tests slow.
fn run(world: &World, hook: &str, stdin: Stdin) -> std::process::Output {
    let mut command = world.hook(hook);
    command.env("STOPGATE_DEADLINE_MS", "1000");
    finish(command, stdin)
}

fn payload(world: &World, hook: &str) -> Stdin {
    let cwd = world.root();
    let payload = match hook {
        "session-start-recorder" => session_start("s", cwd, "startup"),
        _ => stop("s", cwd, EXCUSE),
    };
    Stdin::from(&*payload.to_string())
}

#[rstest]
#[case::silent_after_accept(Behaviour::Silent)]
#[case::hangs_up(Behaviour::HangsUp)]
#[case::slow_drip_of_headers(Behaviour::Drips(b"HTTP/1.1 200 OK\r\nx: y\r\n".to_vec()))]
#[case::slow_drip_of_garbage(Behaviour::Drips(b"zzz".to_vec()))]
#[case::garbage(Behaviour::Says(vec![0xff; 4096]))]
#[case::not_json(Behaviour::answer("200 OK", "<html>"))]
#[case::truncated(Behaviour::Says(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"decision\":".to_vec()))]
#[case::server_error(Behaviour::answer(
    "500 Internal Server Error",
    r#"{"decision":"continue","reminder":"[stopgate] x"}"#
))]
#[case::unavailable(Behaviour::answer("503 Service Unavailable", "{}"))]
#[case::other_protocol(Behaviour::answer("426 Upgrade Required", "{}"))]
#[case::a_block_in_other_words(Behaviour::answer("200 OK", r#"{"decision":"block","reason":"stay"}"#))]
#[case::a_continue_without_our_tag(Behaviour::answer(
    "200 OK",
    r#"{"event_id":"e","decision":"continue","rule":null,"reminder":"stay","latency_ms":1}"#
))]
#[case::a_continue_without_text(Behaviour::answer(
    "200 OK",
    r#"{"event_id":"e","decision":"continue","rule":null,"reminder":"","latency_ms":1}"#
))]
#[case::huge_body(Behaviour::Says([&b"HTTP/1.1 200 OK\r\ncontent-length: 40000000\r\n\r\n"[..], &vec![b' '; 4_000_000]].concat()))]
fn a_misbehaving_authority(#[case] behaviour: Behaviour) {
    let world = World::enforcing();
    let fake = FakeAuthority::listen(&world.home.socket(), behaviour);
    for hook in HOOKS {
        assert_silent(&run(&world, hook, payload(&world, hook)));
    }
    eventually("router and recorder asked", || (fake.connections() >= 2).then_some(()));
}

/// The control: the same world blocks when the authority says so, so the cases above prove something.
#[test]
fn a_positive_verdict_does_block() {
    let world = World::enforcing();
    let _fake = FakeAuthority::listen(&world.home.socket(), Behaviour::answer("200 OK", VERDICT));
    let output = finish(world.hook("stop-gate-router"), payload(&world, "stop-gate-router"));
    assert_eq!(block_reason(&String::from_utf8(output.stdout).unwrap()), "[stopgate] go on");
}

#[test]
fn nobody_listens() {
    let world = World::enforcing();
    for hook in HOOKS {
        assert_silent(&finish(world.hook(hook), payload(&world, hook)));
    }
    // Nothing is lost: the stop waits in the spool, the start is in the store, and the failure shows.
    let spooled: Vec<_> = world.spooled();
    assert_eq!(spooled.len(), 1);
    assert!(String::from_utf8_lossy(&spooled[0].body).contains("good place to stop"));
    assert!(world.home.database().exists());
    assert!(beat::last(&world.home, "stop-gate-router", Beat::Failed).is_some());
    assert!(world.hook_log().contains("the authority is not running"));
}

/// A harness may close what it does not use. No file of ours must take the place of a standard handle.
#[test]
fn standard_handles_are_closed() {
    let world = World::enforcing();
    let fake = FakeAuthority::listen(&world.home.socket(), Behaviour::answer("200 OK", VERDICT));
    for name in HOOKS {
        for closed in ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"] {
            let line = format!("exec \"$0\" claude {closed}");
            let output = finish(under(&["sh", "-c", &line], &world.hook(name)), payload(&world, name));
            assert!(output.status.success() && output.stderr.is_empty(), "{name} {closed}: {output:?}");
            let said = String::from_utf8(output.stdout).unwrap();
            if (name, closed) == ("stop-gate-router", "2>&-") {
                assert_eq!(block_reason(&said), "[stopgate] go on");
            } else {
                assert_eq!(said, "", "{name} {closed}");
            }
        }
        // It reads nothing while no two sessions live.
        if name == Hook::WriteFence.name() {
            continue;
        }
        // Their places are taken, as is seen while it waits for its input.
        let mut waiting = under(&["sh", "-c", "exec \"$0\" claude >&- 2>&-"], &world.hook(name));
        let mut child = waiting.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let program = world.hook(name).get_program().to_owned();
        let of = |part: &str| std::fs::read_link(format!("/proc/{}/{part}", child.id())).ok();
        eventually("the hook runs", || (of("exe")? == Path::new(&program).canonicalize().unwrap()).then_some(()));
        for handle in ["fd/1", "fd/2"] {
            eventually("it is /dev/null", || (of(handle)? == Path::new("/dev/null")).then_some(()));
        }
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success(), "{name}");
    }
    assert!(fake.connections() > 0);
    assert_eq!(std::fs::read_to_string(world.home.mode_file()).unwrap(), "enforce\n");
    for line in world.hook_log().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    for spooled in world.spooled() {
        serde_json::from_slice::<serde_json::Value>(&spooled.body).unwrap();
    }
}

/// A harness that lets its pipe fill up: what does not fit is not waited for.
#[test]
fn the_answer_does_not_fit_into_a_pipe_that_nobody_empties() {
    let mut site = Site::new();
    site.executing("s", "large");
    site.world.set_env("STOPGATE_PATIENCE", "1");
    std::fs::write(site.world.home.mode_file(), "enforce\n").unwrap();
    let fake = FakeAuthority::listen(&site.world.home.socket(), Behaviour::answer("200 OK", VERDICT));
    for name in ["stop-gate-router", "build-stop-hook"] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        while writer.write(&[b' '; 4096]).is_ok() {}
        rustix::io::ioctl_fionbio(&writer, false).unwrap();
        let mut hook = site.world.hook(name);
        let mut child = hook.stdin(Stdio::piped()).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let asked = stop("s", site.top(), EXCUSE).to_string();
        child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
        let status = eventually("it ends", || child.try_wait().unwrap());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((status.code(), &*said), (Some(0), ""), "{name}");
        let log = site.world.hook_log();
        assert!(log.lines().any(|line| line.contains(name) && line.contains("answer not taken")), "{name}: {log}");
        drop(reader);
    }
    assert_eq!(fake.connections(), 1);
    assert!(site.stop("s").is_some(), "who reads is told");
}

/// Memory that is not to be had, from each place on where a hook asks for some.
#[test]
fn without_memory_a_hook_lets_go() {
    let mut site = Site::new();
    site.executing("s", "large");
    site.world.set_env("STOPGATE_PATIENCE", "1");
    let site = &site;
    let payload = |hook: &str| match hook {
        "session-start-recorder" => session_start("s", site.top(), "startup").to_string(),
        _ => stop("s", site.top(), EXCUSE).to_string(),
    };
    // Before its `main` begins a program is the dynamic loader's, which has a code of its own.
    let has_begun = |output: &std::process::Output| output.status.code() != Some(127);
    let lets_go = |output: &std::process::Output, what: &str| {
        assert!(output.status.success() && output.stderr.is_empty(), "{what}: {output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.is_empty() || block_reason(&said).starts_with("[stopgate]"), "{what}: {said}");
    };
    for hook in HOOKS {
        let (mut begun, mut least) = (0, None);
        for kib in (2_600..9_000).step_by(40) {
            let limited = ["sh".to_owned(), "-c".into(), format!("ulimit -v {kib} && exec \"$0\" \"$@\"")];
            let output = finish(under(&limited, &site.world.hook(hook)), Stdin::from(&*payload(hook)));
            // What the kernel could not even load, it has ended.
            if has_begun(&output) && (least.is_some() || output.status.code().is_some_and(|code| code != 139)) {
                least = least.or(Some(kib));
                lets_go(&output, &format!("{hook} with {kib} KiB"));
                begun += 1;
            }
        }
        assert!(begun > 20, "{hook}: {begun} from {least:?} KiB on");
    }
    if !can_trace_or_says_so() {
        return;
    }
    for hook in HOOKS {
        let (trace, mut starved) = (site.world.root().join("trace"), 0);
        for number in 1.. {
            // The heap does not grow, and from some place on there is none elsewhere.
            let elsewhere = format!("inject=mmap,?mremap:error=ENOMEM:when={number}+");
            let strace =
                ["strace", "-qq", "-e", "trace=mmap,brk,?mremap", "-e", "inject=brk:error=ENOMEM", "-e", &*elsewhere];
            let strace = [&strace[..], &["-o", trace.to_str().unwrap()]].concat();
            let output = finish(under(&strace, &site.world.hook(hook)), Stdin::from(&*payload(hook)));
            let traced = std::fs::read_to_string(&trace).unwrap();
            let is_elsewhere = traced.lines().any(|line| !line.starts_with("brk") && line.contains("INJECTED"));
            if is_elsewhere && has_begun(&output) && number > 1 {
                lets_go(&output, &format!("{hook}, from the {number}th on"));
                starved += 1;
            }
            if !is_elsewhere {
                break;
            }
        }
        assert!(starved > 0, "{hook} asks for no memory");
    }
}

/// A harness that has stopped reading: the verdict goes nowhere, and the hook ends well.
#[test]
fn nobody_reads_the_answer() {
    let world = World::enforcing();
    let fake = FakeAuthority::listen(&world.home.socket(), Behaviour::answer("200 OK", VERDICT));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut hook = world.hook("stop-gate-router");
    let mut child = hook.stdin(Stdio::piped()).stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    let asked = stop("s", world.root(), EXCUSE).to_string();
    child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "it was not ended by a signal");
    eventually("it had something to say", || (fake.connections() == 1).then_some(()));
}

#[test]
fn there_is_no_home_at_all() {
    let world = World::new();
    for hook in HOOKS {
        let mut command = world.hook(hook);
        command.env_remove("STOPGATE_HOME").env_remove("HOME");
        assert_silent(&finish(command, payload(&world, hook)));
        let mut command = world.hook(hook);
        command.env("STOPGATE_HOME", "relative/path");
        assert_silent(&finish(command, payload(&world, hook)));
    }
    assert!(!world.home.root().exists());
}

#[test]
fn the_home_is_a_file_or_read_only() {
    let world = World::new();
    std::fs::write(world.home.root(), "not a directory").unwrap();
    for hook in HOOKS {
        assert_silent(&run(&world, hook, payload(&world, hook)));
    }
    let world = World::enforcing();
    std::fs::set_permissions(world.home.root(), std::fs::Permissions::from_mode(0o500)).unwrap();
    for hook in HOOKS {
        assert_silent(&run(&world, hook, payload(&world, hook)));
    }
    std::fs::set_permissions(world.home.root(), std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_garbled_mode_means_off() {
    let world = World::enforcing();
    std::fs::write(world.home.mode_file(), "enforce!!").unwrap();
    let fake = FakeAuthority::listen(&world.home.socket(), Behaviour::answer("200 OK", VERDICT));
    assert_silent(&run(&world, "stop-gate-router", payload(&world, "stop-gate-router")));
    assert_eq!(fake.connections(), 0);
}

#[rstest]
#[case::empty(Stdin::from(""))]
#[case::white_space(Stdin::from(" \n"))]
#[case::not_json(Stdin::from("hello"))]
#[case::not_an_object(Stdin::from("[1,2]"))]
#[case::wrong_types(Stdin::from(r#"{"session_id":1,"hook_event_name":"Stop"}"#))]
#[case::no_session(Stdin::from(r#"{"hook_event_name":"Stop","last_assistant_message":"x"}"#))]
#[case::half_of_it(Stdin::from(r#"{"session_id":"s","hook_event_name":"St"#))]
#[case::not_utf8(Stdin::Bytes(b"{\"session_id\":\"\xff\xfe\",\"hook_event_name\":\"Stop\"}".to_vec()))]
#[case::ten_megabytes(Stdin::Bytes(format!(r#"{{"session_id":"s","hook_event_name":"Stop","x":"{}"}}"#, "y".repeat(10_000_000)).into_bytes()))]
#[case::hundred_thousand_deep(Stdin::Bytes([vec![b'['; 100_000], vec![b']'; 100_000]].concat()))]
#[case::deep_in_a_field(Stdin::Bytes(format!(r#"{{"session_id":"s","hook_event_name":"Stop","x":{}1{}}}"#, "{\"a\":".repeat(100_000), "}".repeat(100_000)).into_bytes()))]
#[case::never_closed_and_empty(Stdin::NeverClosed(Vec::new()))]
#[case::never_closed_halfway(Stdin::NeverClosed(br#"{"session_id":"s","hook_event_name":"#.to_vec()))]
fn bad_input(#[case] stdin: Stdin) {
    let world = World::enforcing();
    // An authority that would block whatever reaches it.
    let deep = matches!(&stdin, Stdin::Bytes(bytes) if bytes.starts_with(b"{\"session_id\":\"s\",\"hook_event_name\":\"Stop\",\"x\":{"));
    let _fake = FakeAuthority::listen(&world.home.socket(), Behaviour::answer("200 OK", VERDICT));
    for hook in HOOKS {
        let output = run(&world, hook, stdin.clone());
        // Deep nesting in an unknown field is a well-formed Stop: it may be judged, but it must not crash the hook.
        if deep && hook == "stop-gate-router" {
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        } else {
            assert_silent(&output);
        }
    }
}

#[test]
fn no_argument_and_no_shape_means_allow() {
    let world = World::enforcing();
    let fake = FakeAuthority::listen(&world.home.socket(), Behaviour::answer("200 OK", VERDICT));
    let payload = json!({"session_id": "s", "hook_event_name": "Stop", "last_assistant_message": EXCUSE});
    let bare = world.command(&stopgate_tests::world::binary("stop-gate-router"));
    assert_silent(&finish(bare, Stdin::from(&*payload.to_string())));
    assert_eq!(fake.connections(), 0);
}

/// Beyond the limit on a file's size the system sends a signal that ends a process which has not said otherwise.
#[test]
fn no_file_may_grow() {
    for hook in HOOKS {
        let world = World::enforcing();
        let mut shell = world.command(std::path::Path::new("/bin/sh"));
        let program = stopgate_tests::world::binary(hook);
        shell.args(["-c", "ulimit -f 0; exec \"$0\" claude", program.to_str().unwrap()]);
        shell.env("STOPGATE_NO_AUTOSTART", "1").env("STOPGATE_DEADLINE_MS", "400");
        assert_silent(&finish(shell, payload(&world, hook)));
        assert!(world.spooled().is_empty(), "{hook}: nothing could be written");
    }
}

#[test]
fn a_closed_stdout_is_no_crash() {
    let world = World::enforcing();
    let _fake = FakeAuthority::listen(&world.home.socket(), Behaviour::answer("200 OK", VERDICT));
    let mut shell = world.command(std::path::Path::new("/bin/sh"));
    let hook = stopgate_tests::world::binary("stop-gate-router");
    shell.args(["-c", "\"$0\" claude >&-", hook.to_str().unwrap()]);
    assert_silent(&finish(shell, payload(&world, "stop-gate-router")));
}
