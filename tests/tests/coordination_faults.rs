//! What becomes of leases and of the fence when something breaks, through the real programs: the authority killed or stopped,
//! waiters killed, the database locked or replaced, the file of numbers damaged, clocks that jump, trees that go.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json};
use stopgate_core::clock::{hours, minutes, seconds};
use stopgate_tests::build::{Said, Site};
use stopgate_tests::fake_authority::{Behaviour, FakeAuthority};
use stopgate_tests::process::{Stopped, has_ended, kill, signal};
use stopgate_tests::run::eventually;
use stopgate_tests::seat::{Fenced, Seat, enforce, held, leases, listening};

/// What is done to a file, by name.
type Damage<'a> = (&'a str, &'a dyn Fn(&Path));

/// A site whose clocks a test moves for all processes at once.
struct Clocked {
    site: Site,
}

impl Clocked {
    fn new() -> Self {
        let mut site = Site::new();
        let file = site.world.root().join("clock");
        std::fs::write(&file, "0").unwrap();
        site.world.set_env("STOPGATE_CLOCK", file.to_str().unwrap());
        Self { site }
    }

    /// So much has passed, the time of day was set by so much, and so much has passed while the machine was suspended.
    fn set(&self, passed: i64, set: i64, suspended: i64) {
        let (file, next) = (self.site.world.root().join("clock"), self.site.world.root().join("clock.next"));
        std::fs::write(&next, format!("{passed} {set} {suspended}")).unwrap();
        std::fs::rename(next, file).unwrap();
    }
}

fn holders(site: &Site) -> Vec<String> {
    let found = leases(site);
    let rows = found["leases"].as_array().unwrap().iter();
    rows.map(|row| row["holder"]["session_id"].as_str().unwrap().to_owned()).collect()
}

fn is_over(seat: &Seat<'_>, name: &str) -> bool {
    seat.agent.run(&format!("test -e \"$AGENT/{name}.said\"")).code == Some(0)
}

/// Something is heard of a session.
fn prompt(seat: &Seat<'_>) {
    seat.event("UserPromptSubmit", json!({"prompt": "go on"}));
}

/// A session that has begun and was given nothing to do yet.
fn idle<'a>(site: &'a Site, id: &str) -> Seat<'a> {
    let agent = site.claude();
    agent.starts(id, "startup");
    Seat { agent, id: id.to_owned(), site }
}

#[test]
fn who_waited_first_is_served_first_by_the_next_authority_whoever_comes_back_first() {
    let clocked = Clocked::new();
    let site = &clocked.site;
    let authority = site.world.authority();
    let (amber, first, second) = (Seat::new(site, "amber"), Seat::new(site, "w0"), Seat::new(site, "w1"));
    let token = amber.granted("acquire a");
    for (count, seat) in [&first, &second].into_iter().enumerate() {
        seat.begins("w", "wait a --timeout 300");
        listening(site, count + 1);
    }
    let late = Stopped::new(first.pid("w"));
    authority.kill();
    let authority = site.world.authority();
    // It has only begun, however long this takes.
    clocked.set(-minutes(10), 0, 0);
    listening(site, 1);
    amber.lease("release a").ok();
    assert!(holders(site).is_empty() && !is_over(&second, "w"), "nobody overtakes");
    let third = Seat::new(site, "w2");
    third.lease("acquire a").refused(10, &["wait for it"]);
    drop(late);
    let (code, said) = first.heard("w");
    assert!(code == 0 && said["token"].as_u64() > Some(token), "{said}");
    first.lease("release a").ok();
    assert_eq!(second.heard("w").0, 0);
    second.lease("release a").ok();
    // One that does not come back is waited for no longer than a moment.
    amber.granted("acquire a");
    for (count, seat) in [&first, &second].into_iter().enumerate() {
        seat.begins("v", "wait a --timeout 300");
        listening(site, count + 1);
    }
    let gone = Stopped::new(first.pid("v"));
    authority.kill();
    let _next = site.world.authority();
    clocked.set(-minutes(20), 0, 0);
    listening(site, 1);
    amber.lease("release a").ok();
    assert!(holders(site).is_empty());
    kill(first.pid("v"));
    drop(gone);
    clocked.set(0, 0, 0);
    prompt(&amber);
    assert_eq!(second.heard("v").0, 0);
}

#[test]
fn what_a_killed_waiter_was_given_goes_to_the_next() {
    let clocked = Clocked::new();
    let site = &clocked.site;
    let _authority = site.world.authority();
    let (amber, mut first, second) = (Seat::new(site, "amber"), Seat::new(site, "w0"), Seat::new(site, "w1"));
    for by_time in [true, false] {
        let name = format!("w{by_time}");
        amber.granted("acquire a");
        for (count, seat) in [&first, &second].into_iter().enumerate() {
            seat.begins(&name, "wait a --timeout 300");
            listening(site, count + 1);
        }
        // It is given, and does not hear of it.
        let pid = first.pid(&name);
        let stopped = Stopped::new(pid);
        amber.lease("release a").ok();
        assert_eq!(holders(site), ["w0"]);
        kill(pid);
        drop(stopped);
        eventually("it is gone", || has_ended(pid).then_some(()));
        if by_time {
            clocked.set(seconds(50), 0, 0);
            prompt(&amber);
            assert!(holders(site) == ["w0"] && !is_over(&second, &name), "not yet");
            clocked.set(seconds(61), 0, 0);
            prompt(&amber);
        } else {
            first.agent.kill();
        }
        let (code, said) = second.heard(&name);
        assert_eq!((code, said["outcome"].as_str()), (0, Some("granted")), "{said}");
        assert_eq!(holders(site), ["w1"]);
        if by_time {
            let shown = leases(site);
            assert_eq!(shown["waiters"][0]["session"]["session_id"], "w0", "its place is kept: {shown}");
            first.lease("release").ok();
        }
        second.lease("release a").ok();
    }
}

/// The server's answer has gone out, the client's word has not: what was given is told to whoever asks again.
#[test]
fn a_grant_that_was_written_down_and_not_told_is_told_by_the_next_authority() {
    let site = Site::new();
    let authority = site.world.authority();
    let (amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
    amber.granted("acquire a");
    birch.begins("w", "wait a --timeout 300");
    listening(&site, 1);
    let stopped = Stopped::new(birch.pid("w"));
    amber.lease("release a --status 'half done' --next 'the parser'").ok();
    authority.kill();
    kill(birch.pid("w"));
    drop(stopped);
    let _authority = site.world.authority();
    assert_eq!(holders(&site), ["birch"]);
    let said = birch.lease("wait a --json").ok().json();
    assert_eq!(said["handoffs"][0]["next"], "the parser", "{said}");
    let said = birch.lease("wait a --json").ok().json();
    assert!(said.get("handoffs").is_none(), "once: {said}");
}

#[test]
fn a_client_that_drops_what_its_hooks_say_loses_no_lease() {
    let site = Site::new();
    enforce(&site);
    let _authority = site.world.authority();
    let (amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
    amber.granted("acquire a");
    assert_eq!(birch.lease("wait a --park").code, Some(10));
    amber.lease("release a --status s --next 'the parser'").ok();
    let file = site.world.root().join("prompt");
    let payload =
        json!({"session_id": "birch", "cwd": site.top(), "hook_event_name": "UserPromptSubmit", "prompt": "go on"});
    std::fs::write(&file, payload.to_string()).unwrap();
    for nowhere in [">&-", "> /dev/full", "| true"] {
        let line = format!("\"$BIN/session-start-recorder\" claude < '{}' {nowhere}; true", file.display());
        birch.agent.run(&line).ok();
    }
    birch.granted("check a");
    birch.granted("wait a");
    let room: Said = site.world.stopgate_in(site.top(), &["room", "--events", "--json"]).into();
    assert!(room.ok().out.contains("the parser"), "what was said to it can be read");
}

#[test]
fn a_stopped_authority_holds_nobody_up_and_that_is_said_once() {
    let mut site = Site::new();
    // What a stopped one costs is the hook's own deadline, thrice here.
    site.world.set_env("STOPGATE_PATIENCE", "3");
    enforce(&site);
    let authority = site.world.authority();
    let seats = ["amber", "birch", "cedar"].map(|id| Seat::new(&site, id));
    let [amber, birch, cedar] = &seats;
    amber.granted("acquire src/");
    held(&site, "src/");
    eventually("it is refused", || birch.writes("src/a.rs").is_denied().then_some(()));
    let stopped = Stopped::new(authority.pid());
    let Fenced::Noted(said) = birch.writes("src/a.rs") else { panic!("the first is told") };
    assert!(said.starts_with("[stopgate]") && said.contains("cannot be checked"), "{said}");
    assert_eq!(birch.writes("src/a.rs"), Fenced::LetGo, "once");
    assert!(matches!(cedar.writes("src/a.rs"), Fenced::Noted(_)), "each session");
    assert_eq!(amber.writes("src/a.rs"), Fenced::LetGo, "it is its own");
    assert_eq!(cedar.writes("docs/new.md"), Fenced::LetGo, "nobody has a lease of it");
    drop(stopped);
    eventually("it is refused again", || birch.writes("src/a.rs").is_denied().then_some(()));
}

fn locked(site: &Site) -> Connection {
    let locked = Connection::open(site.world.home.database()).unwrap();
    locked.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    locked
}

#[test]
fn while_others_lock_the_database_nothing_is_granted_the_fence_stands_and_all_is_made_good() {
    let site = Site::new();
    enforce(&site);
    let _authority = site.world.authority();
    let [mut amber, birch, cedar] = ["amber", "birch", "cedar"].map(|id| Seat::new(&site, id));
    let token = amber.granted("acquire src/");
    cedar.granted("acquire docs/");
    birch.begins("w", "wait src/ --timeout 300");
    listening(&site, 1);
    held(&site, "docs/");
    eventually("it is refused", || birch.writes("docs/a.md").is_denied().then_some(()));
    let locked = locked(&site);
    // What is held is in memory.
    let Fenced::Denied(said) = birch.writes("docs/a.md") else { panic!("the fence is open") };
    assert!(said.contains("docs/"), "{said}");
    assert_eq!(birch.writes("free.rs"), Fenced::LetGo);
    let refused = cedar.lease("acquire new/ --json");
    assert_eq!((refused.code, refused.json()["error"]["code"].as_str()), (Some(1), Some("store_unavailable")));
    let refused = cedar.lease("release docs/ --json");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    amber.agent.kill();
    eventually("its end could not be written down", || {
        let status = site.world.stopgate_json(&["status", "--json"]);
        (status["authority"]["status"] == "degraded").then_some(())
    });
    assert!(!is_over(&birch, "w"), "nothing is granted that is not written down");
    locked.execute_batch("ROLLBACK").unwrap();
    // Nobody asks, and nothing happens: it is tried again.
    let (code, said) = birch.heard("w");
    assert!(code == 0 && said["token"].as_u64() > Some(token), "{said}");
    let mut all = holders(&site);
    all.sort();
    assert_eq!(all, ["birch", "cedar"], "the refused ones were not done");
}

#[test]
fn an_authority_that_could_not_read_its_leases_has_them_once_it_can() {
    let site = Site::new();
    enforce(&site);
    let authority = site.world.authority();
    let (amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
    let token = amber.granted("acquire src/");
    held(&site, "src/");
    authority.kill();
    let (database, aside) = (site.world.home.database(), site.world.root().join("aside"));
    std::fs::rename(&database, &aside).unwrap();
    std::fs::create_dir(&database).unwrap();
    let _authority = site.world.authority();
    assert_eq!(birch.lease("acquire src/").code, Some(1), "what is not known is not granted");
    // As if it had never been known: it is the next one's to say.
    let file = stopgate_coordination::held::file(&site.world.home);
    let _ = std::fs::remove_file(&file);
    std::fs::remove_dir(&database).unwrap();
    std::fs::rename(&aside, &database).unwrap();
    held(&site, "src/");
    eventually("it is refused", || birch.writes("src/a.rs").is_denied().then_some(()));
    assert_eq!(amber.granted("check src/"), token);
}

#[test]
fn a_database_that_is_replaced_under_a_running_authority_takes_nothing_back() {
    let site = Site::new();
    let authority = site.world.authority();
    let (amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
    let token = amber.granted("acquire a");
    assert_eq!(birch.lease("wait a --park").code, Some(10));
    for file in ["stopgate.db", "stopgate.db-wal", "stopgate.db-shm"] {
        let _ = std::fs::remove_file(site.world.home.root().join(file));
    }
    // The new one knows no session until it is heard of.
    for seat in [&amber, &birch] {
        seat.agent.starts(&seat.id, "resume");
    }
    let next = birch.granted("acquire b");
    assert!(next > token);
    authority.kill();
    let authority = site.world.authority();
    let check = |resource: &str, token: u64| -> Said {
        site.world.stopgate_in(site.top(), &["lease", "check", resource, "--token", &token.to_string()]).into()
    };
    check("a", token).ok();
    check("b", next).ok();
    let shown = leases(&site);
    assert_eq!(shown["waiters"][0]["session"]["session_id"], "birch", "{shown}");
    authority.kill();
}

#[test]
fn whatever_becomes_of_the_file_of_numbers_they_rise() {
    let site = Site::new();
    let file = site.world.home.root().join("tokens");
    let mut last = 0;
    let mut authority = site.world.authority();
    let amber = Seat::new(&site, "amber");
    let torn = |file: &Path| {
        let bytes = std::fs::read(file).unwrap();
        std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    };
    let damages: &[Damage<'_>] = &[
        ("none", &|_| ()),
        ("missing", &|file| std::fs::remove_file(file).unwrap()),
        ("torn", &torn),
        ("torn again", &torn),
        ("empty", &|file| std::fs::write(file, "").unwrap()),
        ("read-only", &|file| std::fs::set_permissions(file, Permissions::from_mode(0o400)).unwrap()),
        ("from the future", &|file| {
            std::fs::write(file, format!("{{\"{}\": {}}}", site.top().display(), u64::MAX)).unwrap();
        }),
        ("older", &|file| std::fs::write(file, format!("{{\"{}\": 1}}", site.top().display())).unwrap()),
    ];
    for (what, damage) in damages {
        let token = amber.granted("acquire a");
        assert!(token > last, "{what}: {token} after {last}");
        authority.kill();
        damage(&file);
        authority = site.world.authority();
        let said: Said =
            site.world.stopgate_in(site.top(), &["lease", "check", "a", "--token", &token.to_string()]).into();
        said.ok();
        amber.lease("release a").ok();
        let next = amber.granted("acquire a");
        assert!(next > token && next < 1 << 53, "{what}: {next} after {token}");
        amber.lease(&format!("release a --token {token}")).refused(13, &["does not count"]);
        amber.lease("release a").ok();
        last = next;
    }
    // What cannot be read is not guessed.
    authority.kill();
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let _authority = site.world.authority();
    amber.lease("acquire a").refused(1, &["tokens"]);
    std::fs::remove_dir(&file).unwrap();
    assert!(amber.granted("acquire a") > last);
}

#[test]
fn another_process_by_the_number_of_a_holder_holds_nothing() {
    let site = Site::new();
    let authority = site.world.authority();
    let (mut amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
    amber.granted("acquire a");
    birch.lease("acquire a").refused(10, &["held by"]);
    authority.kill();
    amber.agent.kill();
    let store = Connection::open(site.world.home.database()).unwrap();
    let changed = store
        .execute("UPDATE sessions SET process_pid = ?1 WHERE session_id = 'amber'", [i64::from(birch.agent.pid())])
        .unwrap();
    assert_eq!(changed, 1);
    drop(store);
    let _authority = site.world.authority();
    birch.granted("acquire a");
}

#[test]
fn clocks_that_are_set_end_nothing_and_a_suspended_machine_waits_for_a_sign_of_life() {
    let clocked = Clocked::new();
    let site = &clocked.site;
    let _authority = site.world.authority();
    let [amber, birch, cedar] = ["amber", "birch", "cedar"].map(|id| idle(site, id));
    let token = amber.granted("acquire a");
    for set in [hours(24), -hours(24), hours(24 * 365), 0] {
        clocked.set(0, set, 0);
        assert_eq!(birch.lease("acquire a").code, Some(10), "set by {set} ms");
        let said: Said =
            site.world.stopgate_in(site.top(), &["lease", "check", "a", "--token", &token.to_string()]).into();
        said.ok();
    }
    // Eight hours of sleep: whoever is alive has half a minute to say so.
    let asleep = hours(8);
    clocked.set(0, 0, asleep);
    assert_eq!(birch.lease("acquire a").code, Some(10), "not at once");
    birch.lease("take a --reason 'it sleeps'").refused(10, &["at work or was heard"]);
    clocked.set(seconds(31), 0, asleep);
    let next = birch.granted("acquire a");
    assert!(next > token, "nothing was heard of it");
    // One that is heard of within that time.
    clocked.set(seconds(31), 0, asleep + hours(1));
    assert_eq!(cedar.lease("acquire a").code, Some(10));
    birch.agent.starts("birch", "compact");
    clocked.set(seconds(62), 0, asleep + hours(1));
    assert_eq!(cedar.lease("acquire a").code, Some(10), "it was heard of");
}

#[test]
fn a_session_whose_hooks_were_taken_out_keeps_its_lease_until_its_time_is_over() {
    let clocked = Clocked::new();
    let site = &clocked.site;
    let _authority = site.world.authority();
    let (amber, birch, cedar) = (Seat::new(site, "amber"), idle(site, "birch"), Seat::new(site, "cedar"));
    amber.granted("acquire a");
    birch.granted("acquire b");
    // From now on no hook of the two says anything; both live.
    clocked.set(minutes(20), 0, 0);
    cedar.granted("acquire b");
    cedar.lease("acquire a").refused(10, &["held by"]);
    cedar.lease("take a --reason silent").refused(10, &["at work"]);
    clocked.set(minutes(239), 0, 0);
    assert_eq!(cedar.lease("acquire a").code, Some(10), "a turn may be long");
    clocked.set(minutes(241), 0, 0);
    cedar.granted("acquire a");
}

#[test]
fn a_second_authority_changes_nothing_and_an_older_one_grants_nothing() {
    let site = Site::new();
    let authority = site.world.authority();
    let (amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
    let token = amber.granted("acquire a");
    let second = site.world.stopgate(&["authority", "run"]);
    assert!(!second.status.success(), "{second:?}");
    assert_eq!(amber.granted("check a"), token);
    birch.lease("acquire a").refused(10, &["held by"]);
    authority.kill();
    let socket = site.world.home.socket();
    let _ = std::fs::remove_file(&socket);
    for behaviour in [
        Behaviour::answer("404 Not Found", "{}"),
        Behaviour::answer("426 Upgrade Required", "{}"),
        Behaviour::answer("200 OK", "{}"),
        Behaviour::HangsUp,
    ] {
        let _older = FakeAuthority::listen(&socket, behaviour.clone());
        for line in ["acquire b", "release a", "check a", "wait b --timeout 0"] {
            let said = birch.lease(line);
            assert!(said.code != Some(0) && said.out.is_empty(), "{behaviour:?} {line}: {said:?}");
        }
    }
    let _authority = site.world.authority();
    assert_eq!(amber.granted("check a"), token);
}

#[test]
fn a_tree_that_is_moved_deleted_or_read_only_takes_no_lease_along() {
    let site = Site::new();
    enforce(&site);
    let _authority = site.world.authority();
    let (amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
    amber.granted("acquire src/");
    // As it is for whoever may not write there: root may.
    let read_only = |mode| std::fs::set_permissions(site.top(), Permissions::from_mode(mode)).unwrap();
    read_only(0o555);
    amber.granted("acquire docs/");
    birch.lease("acquire docs/").refused(10, &["held by"]);
    amber.lease("release docs/").ok();
    read_only(0o755);
    held(&site, "src/");
    eventually("it is refused", || birch.writes("src/a.rs").is_denied().then_some(()));
    let moved = site.world.root().join("moved");
    std::fs::rename(site.top(), &moved).unwrap();
    // Where the shells are is another room now, by its path.
    birch.granted("acquire src/");
    let (code, err) = {
        let said = amber.lease("release src/");
        (said.code, said.err)
    };
    assert!(code == Some(10) && err.contains("held by"), "{err}");
    assert_eq!(birch.before("Write", &json!({"file_path": moved.join("docs/x"), "content": "x"})), Fenced::LetGo);
    std::fs::remove_dir_all(&moved).unwrap();
    for line in ["acquire x", "release", "list"] {
        let said = birch.lease(line);
        assert!(said.code == Some(1) && !said.err.is_empty(), "{line}: {said:?}");
    }
    assert_eq!(birch.before("Write", &json!({"file_path": moved.join("src/x"), "content": "x"})), Fenced::LetGo);
    // What was held of a tree that is gone ends with the sessions.
    let (mut amber, mut birch) = (amber, birch);
    amber.agent.kill();
    birch.agent.kill();
    let all = || -> Value {
        let said: Said = site.world.stopgate(&["lease", "list", "--all", "--json"]).into();
        said.ok().json()
    };
    eventually("they end", || all()["leases"].as_array().unwrap().is_empty().then_some(()));
}

#[test]
fn odd_names_reach_the_fence_and_stop_nothing_of_their_own() {
    let site = Site::new();
    enforce(&site);
    let _authority = site.world.authority();
    let (amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
    amber.granted("acquire src/");
    held(&site, "src/");
    eventually("it is refused", || birch.writes("src/a.rs").is_denied().then_some(()));
    let long = |count: usize| "d/".repeat(count) + "x";
    for (name, is_denied) in [
        ("src/a\nb.rs".to_owned(), true),
        ("src/\u{202e}rtl\u{7}.rs".to_owned(), true),
        ("src/'quoted \" $(x)`.rs".to_owned(), true),
        (format!("src/{}", "n".repeat(255)), true),
        ("docs/a\nb.rs".to_owned(), false),
        (long(2_040), false),
        (long(40_000), false),
        ("src/a\0b.rs".to_owned(), false),
        ("../../../../../../etc/x".to_owned(), false),
        ("@types/x".to_owned(), false),
        (String::new(), false),
    ] {
        let said = birch.writes(&name);
        let shown: String = name.chars().take(40).collect();
        assert_eq!(said.is_denied(), is_denied, "{shown:?}: {said:?}");
        assert!(is_denied || said == Fenced::LetGo, "{shown:?}: {said:?}");
        if let Fenced::Denied(text) = said {
            assert!(!text.contains(['\u{7}', '\u{202e}']) && !text.contains("a\nb"), "{text:?}");
        }
    }
    // What is no text cannot come as JSON, but by a command: the shell writes such a name.
    let command = "printf x > \"$(printf 'src/\\377')\"";
    assert_eq!(
        birch.before("Bash", &json!({"command": command})),
        Fenced::LetGo,
        "what only a running shell knows is opaque"
    );
    let raw = site.world.root().join("raw");
    let mut bytes = br#"{"session_id":"birch","cwd":"CWD","hook_event_name":"PreToolUse","tool_name":"Write","tool_use_id":"t","tool_input":{"content":"x","file_path":"CWD/src/"#.to_vec();
    bytes.extend(b"\xff\xfe\"}}");
    let text =
        bytes.iter().map(|byte| char::from(*byte)).collect::<String>().replace("CWD", site.top().to_str().unwrap());
    std::fs::write(&raw, text.chars().map(|byte| u8::try_from(u32::from(byte)).unwrap()).collect::<Vec<u8>>()).unwrap();
    let said = birch.agent.run(&format!("\"$BIN/write-fence\" claude < '{}'", raw.display())).ok();
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
    assert!(birch.writes("src/a.rs").is_denied(), "and it stands as before");
}

#[test]
fn who_asks_a_stopped_authority_and_goes_has_it_done_or_not_done() {
    let site = Site::new();
    let authority = site.world.authority();
    let (amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
    let token = amber.granted("acquire a");
    birch.begins("w", "wait a --timeout 300");
    listening(&site, 1);
    let stopped = Stopped::new(authority.pid());
    amber.begins("r", "release a");
    let asks = amber.pid("r");
    assert!(!has_ended(asks));
    // Whoever asks goes before it is answered: it is done, or it is not.
    signal(asks, Signal::KILL);
    drop(stopped);
    if holders(&site) == ["amber"] {
        amber.lease("release a").ok();
    }
    let (code, said) = birch.heard("w");
    assert!(code == 0 && said["token"].as_u64() > Some(token), "{said}");
}
