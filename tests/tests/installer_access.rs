//! Who may read a settings file, and what else belongs to it, is what it was: after an edit, after its end, and at every
//! moment in between.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use rstest::rstest;
use stopgate_tests::attributes::{ACCESS_LIST, DEFAULT_LIST, Seen, list_for_user, set};
use stopgate_tests::person::{Person, QUIETLY, mode, text, tree};
use stopgate_tests::process::can_trace_or_says_so;
use stopgate_tests::run::{Stdin, finish, under};

/// A user and a group that nobody here is.
const DAEMON: u32 = 1;
const SETTINGS: &str = "{\n  \"model\": \"opus\"\n}\n";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

fn set_mode(path: &Path, bits: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(bits)).unwrap();
}

/// What may belong to a file; `false` where this machine does not allow it.
fn only_the_group_reads(path: &Path) -> bool {
    let is_given = !is_root() || chown(path, None, Some(DAEMON)).is_ok();
    set_mode(path, 0o640);
    is_given
}

fn one_user_reads(path: &Path) -> bool {
    set(path, ACCESS_LIST, &list_for_user(DAEMON, 4)) && set(path, "user.note", b"mine\0\xff")
}

fn belongs_to_somebody(path: &Path) -> bool {
    is_root()
        && chown(path, Some(DAEMON), Some(DAEMON)).is_ok()
        && set(path, ACCESS_LIST, &list_for_user(2, 6))
        && set(path, "security.stopgate-test", b"label")
        && set(path, "trusted.note", b"")
}

fn is_odd(path: &Path) -> bool {
    set_mode(path, 0o6664);
    set(path, "user.large", &[7; 3000])
}

/// The files of others that the installer edits, in one person's world: where, and the arguments that name it.
fn files(person: &Person) -> Vec<(PathBuf, Vec<String>)> {
    let project = person.world.root().join("project");
    let (claude, codex) = (person.dir().join(".claude"), person.dir().join(".codex"));
    for dir in [&claude, &codex, &project.join(".claude"), &person.dir().join("dotfiles")] {
        std::fs::create_dir_all(dir).unwrap();
    }
    let real = person.dir().join("dotfiles/hooks.json");
    symlink(&real, codex.join("hooks.json")).unwrap();
    let named = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    vec![
        (claude.join("settings.json"), Vec::new()),
        (real, named(&["--harness", "codex"])),
        (project.join(".claude/settings.local.json"), named(&["--project", project.to_str().unwrap()])),
    ]
}

#[rstest]
#[case::group(only_the_group_reads)]
#[case::list_and_attribute(one_user_reads)]
#[case::of_another_user(belongs_to_somebody)]
#[case::odd_mode(is_odd)]
fn who_may_read_a_file_and_what_belongs_to_it_survives(#[case] give: fn(&Path) -> bool) {
    let person = Person::new();
    for (file, place) in files(&person) {
        std::fs::write(&file, if place.contains(&"codex".to_owned()) { "{}\n" } else { SETTINGS }).unwrap();
        if !give(&file) {
            return skipped("this machine knows no such attributes");
        }
        let before = Seen::at(&file);
        let place: Vec<&str> = place.iter().map(String::as_str).collect();

        // Once through the copy that was kept, once by taking entries out of what somebody else wrote meanwhile.
        for is_written_by_others in [false, true] {
            person.install(&place);
            let installed = Seen::at(&file);
            assert_ne!(installed.bytes, before.bytes);
            assert_eq!(installed.without_bytes(), before.clone().without_bytes());
            for (kept, (mode, _)) in tree(&person.world.home.backups()) {
                // Nothing for the group, nothing for others.
                let is_private = mode.trailing_zeros() >= 6 && (kept.is_dir() || Seen::at(&kept).attributes.is_empty());
                assert!(is_private, "{}: {mode:o}", kept.display());
            }
            if is_written_by_others {
                let now = std::fs::read_to_string(&file).unwrap();
                // In place, as an editor may do it: the file keeps what it has.
                std::fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"\n").unwrap();
                assert_ne!(std::fs::read_to_string(&file).unwrap(), now);
                restore_suid(&file, before.mode);
            }
            person.must(&[&["uninstall", "--yes"], &place[..]].concat());
            let after = Seen::at(&file);
            assert_eq!(after.clone().without_bytes(), before.clone().without_bytes());
            if !is_written_by_others {
                assert_eq!(after.bytes, before.bytes);
            }
        }
        // And through a backup.
        let (code, listed) = person.json(&["restore"]);
        assert_eq!(code, 0);
        let kept = listed["backups"].as_array().unwrap();
        let of_this = kept.iter().find(|kept| kept["path"].as_str().map(Path::new) == Some(&file)).unwrap();
        person.must(&["restore", of_this["id"].as_str().unwrap(), "--yes"]);
        assert_eq!(Seen::at(&file).without_bytes(), before.without_bytes());
    }
}

/// A write takes these bits away, whoever writes.
fn restore_suid(file: &Path, bits: u32) {
    if mode(file) != bits {
        set_mode(file, bits);
    }
}

#[test]
fn the_configuration_of_its_own_keeps_what_it_has_when_keys_are_added() {
    let person = Person::new();
    person.install(&[]);
    let (config, real) = (person.world.home.root().join("config.toml"), person.dir().join("config.toml"));
    std::fs::write(&real, "# mine\n").unwrap();
    symlink(&real, &config).unwrap();
    if !one_user_reads(&real) {
        return skipped("this machine knows no such attributes");
    }
    let before = Seen::at(&real);
    let mut migrate = person.installed("installer");
    migrate.arg("migrate").env("STOPGATE_NO_AUTOSTART", "1");
    let output = finish(migrate, Stdin::from(""));
    assert!(output.status.success() && text(&output.stdout).contains("keys added"), "{output:?}");
    let after = Seen::at(&real);
    assert!(after.bytes.len() > before.bytes.len() && config.is_symlink());
    assert_eq!(after.without_bytes(), before.without_bytes());
}

#[test]
fn what_a_directory_gives_to_new_files_is_not_given_to_a_replacement() {
    let person = Person::new();
    person.write_settings(SETTINGS);
    set_mode(&person.settings(), 0o640);
    if !set(&person.dir().join(".claude"), DEFAULT_LIST, &list_for_user(DAEMON, 6)) {
        return skipped("this machine knows no access lists");
    }
    let before = Seen::at(&person.settings());
    person.install(&[]);
    assert_eq!(Seen::at(&person.settings()).without_bytes(), before.clone().without_bytes());
    person.must(&["uninstall", "--yes"]);
    assert_eq!(Seen::at(&person.settings()), before);
    // Neither is it to a new one.
    std::fs::remove_file(person.settings()).unwrap();
    person.install(&[]);
    assert!(Seen::at(&person.settings()).granted().values().all(|allowed| *allowed == 0));
}

#[test]
fn at_no_moment_may_anybody_read_what_they_may_not_read_before_and_after() {
    if !can_trace_or_says_so() {
        return;
    }
    let person = Person::new();
    let (claude, project) = (person.dir().join(".claude"), person.world.root().join("project"));
    // The programs are there already: what is left to do is the one file.
    std::fs::create_dir(&project).unwrap();
    person.install(&["--project", project.to_str().unwrap()]);
    person.write_settings(SETTINGS);
    set_mode(&person.settings(), 0o660);
    // A list that names somebody, in a directory that gives yet others access.
    let (given, own) = (list_for_user(2, 6), list_for_user(DAEMON, 4));
    if !set(&claude, DEFAULT_LIST, &given) || !set(&person.settings(), ACCESS_LIST, &own) {
        return skipped("this machine knows no access lists");
    }
    let before = Seen::at(&person.settings());
    let is_killed_at = |call: &str, nth: usize| {
        let mut init = person.installer(&["init"]);
        init.args(QUIETLY).env("STOPGATE_NO_AUTOSTART", "1");
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=SIGKILL:when={nth}"));
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let output = finish(under(&strace, &init), Stdin::from(""));
        let now = Seen::at(&person.settings());
        assert_eq!(now.without_bytes(), before.clone().without_bytes(), "{call} {nth}");
        for entry in std::fs::read_dir(&claude).unwrap() {
            let path = entry.unwrap().path();
            let left = Seen::at(&path);
            assert!(left.is_within(&before), "{call} {nth}: {:?} beside {:?}", left.granted(), before.granted());
            if path != person.settings() {
                std::fs::remove_file(path).unwrap();
            }
        }
        if output.status.success() {
            person.must(&["uninstall", "--yes"]);
        }
        !output.status.success()
    };
    let mut kills = 0;
    for call in ["fchmod", "fsetxattr", "fremovexattr", "fchown", "fsync", "rename,renameat,renameat2"] {
        // Until the program comes to its end because it makes no further such call.
        let nth = (1..40).take_while(|nth| is_killed_at(call, *nth)).count();
        kills += nth;
    }
    assert!(kills >= 8, "only {kills} moments were seen");
}

#[test]
fn what_cannot_be_kept_is_refused_before_anything_is_written() {
    if !is_root() {
        return skipped("only root can give files away");
    }
    let person = Person::new();
    person.write_settings(SETTINGS);
    chown(person.settings(), None, Some(DAEMON)).unwrap();
    set_mode(&person.settings(), 0o640);
    let before = Seen::at(&person.settings());
    // Root for the kernel outside; somebody without any rights, and in no group, inside.
    let nobody = ["unshare", "-U", "--map-user=1000", "--map-group=1000"];
    let mut init = person.installer(&["init"]);
    init.args(QUIETLY).env("STOPGATE_NO_AUTOSTART", "1");
    let output = finish(under(&nobody, &init), Stdin::from(""));
    let said = text(&output.stderr);
    if said.contains("unshare") {
        return skipped("no user namespaces here");
    }
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        said.contains("would not keep what the file has: owner") && said.contains("installer snippet claude"),
        "{said}"
    );
    assert_eq!(Seen::at(&person.settings()), before);
    assert!(!person.world.home.bin().exists(), "no program is left there");
}
