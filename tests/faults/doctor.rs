//! The doctor's findings about an installation that runs: each appears with its cause, and goes with it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_protocol::{Endpoint, GetHealth};
use stopgate_tests::fake_authority::{Behaviour, FakeAuthority, answer};
use stopgate_tests::person::{Person, finding_ids};
use stopgate_tests::process::Stopped;
use stopgate_tests::run::{Stdin, eventually, finish};
use stopgate_tests::world::{EXCUSE, RunningAuthority, World, assert_silent, session_start};

use crate::mounts;

/// The report of the installed doctor, which starts nothing.
fn report(person: &Person) -> Value {
    let mut command = person.installed("installer");
    command.args(["doctor", "--json", "--no-fire"]).env("STOPGATE_NO_AUTOSTART", "1");
    let output = finish(command, Stdin::from(""));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A person with an installation of which there is nothing to say.
fn installed() -> Person {
    let person = Person::new();
    person.install(&[]);
    assert_eq!(finding_ids(&report(&person)), [""; 0]);
    person
}

/// The finding `id`, alone, with all that a person needs.
fn finds(person: &Person, id: &str, level: &str, subject: &str) {
    let report = report(person);
    assert_eq!(finding_ids(&report), [id], "{report:#}");
    let finding = &report["findings"][0];
    assert_eq!(finding["level"], level, "{finding:#}");
    assert!(finding["subject"].as_str().unwrap().contains(subject), "{finding:#}");
    for part in ["what", "why", "fix"] {
        assert!(!finding[part].as_str().unwrap().is_empty(), "{finding:#}");
    }
    assert_eq!(report["exit_code"], i32::from(level == "problem"), "{report:#}");
}

fn finds_nothing(person: &Person) {
    let report = report(person);
    assert_eq!((finding_ids(&report), &report["exit_code"]), (vec![], &json!(0)), "{report:#}");
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_installation_of_which_no_session_was_ever_seen() {
    let person = installed();
    let authority = person.world.authority();
    finds_nothing(&person);
    let ledger = person.world.home.ledger();
    let mut value: Value = serde_json::from_slice(&std::fs::read(&ledger).unwrap()).unwrap();
    value["installs"][0]["at_ms"] = json!(SystemClock.now_ms() - 25 * 3_600_000);
    std::fs::write(&ledger, value.to_string()).unwrap();
    finds(&person, "never-fired", "notice", "settings.json");
    person.world.start_session("first", person.world.root());
    finds_nothing(&person);
    drop(authority);
}

#[test]
fn a_spool_that_nobody_drains() {
    let person = installed();
    let home = &person.world.home;
    // Not through `spool::put`, which waits for the disk each time.
    let put = || {
        let reported = crate::lost::reported(&session_start("s", person.world.root(), "resume"));
        let file = home.spool().join(format!("{}.event.json", reported.event_id));
        std::fs::write(file, serde_json::to_vec(&reported).unwrap()).unwrap();
    };
    (0..999).for_each(|_| put());
    finds_nothing(&person);
    put();
    finds(&person, "spool-full", "problem", "spool");
    let authority = person.world.authority();
    eventually("the spool is drained", || person.world.spooled().is_empty().then_some(()));
    finds_nothing(&person);
    drop(authority);
}

#[test]
fn git_that_cannot_be_asked() {
    let person = installed();
    let checkout = person.world.planned_checkout();
    std::fs::write(person.world.home.mode_file(), "enforce\n").unwrap();
    let authority = person.world.authority();
    let stops = |id: &str, path: &str| {
        person.world.start_session(id, &checkout.top);
        let mut router = person.world.hook("stop-gate-router");
        router.env("PATH", path);
        let output = finish(router, Stdin::from(&*person.world.stop(id, &checkout.top, EXCUSE).to_string()));
        String::from_utf8(output.stdout).unwrap().contains("block")
    };
    let path = "/usr/local/bin:/usr/bin:/bin";
    assert!(stops("before", path));
    finds_nothing(&person);
    // What git said of another commit is of no use.
    checkout.commit("more");
    assert!(!stops("without", "/nowhere"));
    finds(&person, "git-unusable", "problem", checkout.top.to_str().unwrap());
    assert!(stops("with", path));
    finds_nothing(&person);
    drop(authority);
}

#[test]
fn a_disk_without_room() {
    std::thread::spawn(|| {
        if !mounts::own_namespace() {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: no mount namespace to be had\n");
            return;
        }
        let person = installed();
        mounts::small_home(person.world.home.root(), person.world.root());
        finds_nothing(&person);
        let filling = person.world.home.root().join("filling");
        std::fs::write(&filling, vec![0; 60 << 20]).unwrap();
        finds(&person, "disk-full", "problem", ".stopgate");
        std::fs::remove_file(filling).unwrap();
        finds_nothing(&person);
    })
    .join()
    .unwrap();
}

#[test]
fn settings_that_the_administrator_manages() {
    std::thread::spawn(|| {
        if !mounts::own_namespace() {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: no mount namespace to be had\n");
            return;
        }
        let person = installed();
        let etc = mounts::own_etc(person.world.root());
        let managed = etc.join("claude-code/managed-settings.json");
        std::fs::create_dir(managed.parent().unwrap()).unwrap();
        std::fs::write(&managed, r#"{"permissions": {}}"#).unwrap();
        finds_nothing(&person);
        std::fs::write(&managed, r#"{"allowManagedHooksOnly": true}"#).unwrap();
        finds(&person, "hooks-managed", "problem", "managed-settings.json");
        std::fs::write(&managed, r#"{"disableAllHooks": true}"#).unwrap();
        finds(&person, "hooks-managed", "problem", "managed-settings.json");
        std::fs::remove_file(&managed).unwrap();
        finds_nothing(&person);
    })
    .join()
    .unwrap();
}

#[test]
fn an_authority_that_does_not_answer() {
    let person = installed();
    let authority = person.world.authority();
    let stopped = Stopped::new(authority.pid());
    finds(&person, "authority-broken", "problem", "authority");
    std::fs::remove_file(person.world.home.socket()).unwrap();
    finds(&person, "authority-broken", "problem", "authority");
    drop(stopped);
    eventually("it listens again", || finding_ids(&report(&person)).is_empty().then_some(()));
}

#[test]
fn an_authority_that_cannot_start() {
    let person = installed();
    std::fs::create_dir(person.world.home.socket()).unwrap();
    let mut start = person.installed("stopgate");
    start.args(["authority", "start"]);
    assert!(!finish(start, Stdin::from("")).status.success());
    finds(&person, "authority-not-starting", "problem", "authority");
    std::fs::remove_dir(person.world.home.socket()).unwrap();
    let authority = person.world.authority();
    finds_nothing(&person);
    drop(authority);
}

/// An authority of another version, which answers as a well one does.
fn old(request: &str) -> Vec<u8> {
    if !request.contains(GetHealth::PATH) {
        return answer("200 OK", "[]");
    }
    let health =
        json!({"status": "ok", "version": "0.0.1", "protocol": 1, "pid": 1, "started_at_ms": 0, "problem": null});
    answer("200 OK", &health.to_string())
}

#[test]
fn an_authority_of_another_version() {
    let person = installed();
    let socket = person.world.home.socket();
    let fake = FakeAuthority::listen(&socket, Behaviour::Answers(old));
    set_mode(&socket, 0o600);
    let mut doctor = person.installed("installer");
    doctor.args(["doctor", "--json", "--no-fire"]);
    let output = finish(doctor, Stdin::from(""));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(finding_ids(&report), ["authority-outdated"], "{report:#}");
    drop(fake);
    finds_nothing(&person);
}

#[test]
fn an_authority_whose_store_does_not_work() {
    let person = installed();
    person.world.start_session("s", person.world.root());
    std::fs::rename(person.world.home.database(), person.world.root().join("aside")).unwrap();
    let garbage = "this is no database, whatever its name says".repeat(50);
    std::fs::write(person.world.home.database(), garbage).unwrap();
    set_mode(&person.world.home.database(), 0o600);
    let authority: RunningAuthority<'_> = person.world.authority();
    let found = report(&person);
    assert_eq!(finding_ids(&found), ["authority-troubled", "store-broken"], "{found:#}");
    std::fs::rename(person.world.root().join("aside"), person.world.home.database()).unwrap();
    eventually("it recovers by itself", || finding_ids(&report(&person)).is_empty().then_some(()));
    drop(authority);
}

#[test]
fn a_hook_that_fails_while_there_is_an_authority() {
    let person = installed();
    let authority = person.world.authority();
    std::thread::sleep(Duration::from_millis(5));
    assert_silent(&finish(person.world.hook("stop-gate-router"), Stdin::from("garbage")));
    finds(&person, "hook-failing", "problem", "stop-gate-router");
    person.world.start_session("s", person.world.root());
    person.world.stop_session("s", person.world.root(), "All done.");
    finds_nothing(&person);
    drop(authority);
}

fn write_correction(world: &World, text: &str) {
    let file = world.home.correction_file();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

/// A rule that has gone back to shadow.
const DEMOTED: &str =
    r#"{"rules": {"U3_RECENT_COMMIT_PROVES_INCREMENTAL": {"mode": "shadow", "by": "grades", "at_ms": 1}}}"#;

/// What a person does to a home, the finding it causes, and how it is undone.
#[rstest]
#[case::mode_off("mode-off", "notice", |world: &World| std::fs::write(world.home.mode_file(), "off\n").unwrap(),
    |world: &World| std::fs::remove_file(world.home.mode_file()).unwrap())]
#[case::rules("rules-unreadable", "problem", |world: &World| std::fs::write(world.home.rules_file(), "[").unwrap(),
    |world: &World| std::fs::remove_file(world.home.rules_file()).unwrap())]
#[case::correction("correction-unusable", "problem", |world: &World| write_correction(world, "{}"),
    |world: &World| assert!(world.stopgate(&["gate", "learn", "--undo"]).status.success()))]
#[case::demoted("rule-demoted", "notice", |world: &World| std::fs::write(world.home.rules_file(), DEMOTED).unwrap(),
    |world: &World| assert!(world.stopgate(&["mode", "enforce", "--rule", "U3"]).status.success()))]
#[case::kill_switch("kill-switch-on", "notice", |world: &World| std::fs::write(world.home.kill_file(), "").unwrap(),
    |world: &World| std::fs::remove_file(world.home.kill_file()).unwrap())]
#[case::database_open("database-open", "problem", |world: &World| set_mode(&world.home.database(), 0o644),
    |world: &World| set_mode(&world.home.database(), 0o600))]
#[case::socket_open("socket-open", "problem", |world: &World| set_mode(&world.home.socket(), 0o666),
    |world: &World| set_mode(&world.home.socket(), 0o600))]
#[case::store_newer("store-newer", "problem", |world: &World| set_version(world, 1), |world: &World| set_version(world, 0))]
#[case::store_older("store-older", "problem", |world: &World| set_version(world, -1), |world: &World| set_version(world, 0))]
fn what_is_done_to_a_home(#[case] id: &str, #[case] level: &str, #[case] change: fn(&World), #[case] undo: fn(&World)) {
    let person = installed();
    let authority = person.world.authority();
    change(&person.world);
    finds(&person, id, level, "");
    undo(&person.world);
    finds_nothing(&person);
    drop(authority);
}

fn set_version(world: &World, more: i64) {
    let connection = rusqlite::Connection::open(world.home.database()).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection.pragma_update(None, "user_version", stopgate_store::LATEST_VERSION + more).unwrap();
}
