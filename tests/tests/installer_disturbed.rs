//! `installer init` while others are at work on the same files, and where there is no room.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use rstest::rstest;
use serde_json::Value;
use stopgate_tests::person::{Person, fresh_settings, read_settings, text};
use stopgate_tests::process::can_trace_or_says_so;
use stopgate_tests::run::{Stdin, eventually, finish, finish_while, under};
use stopgate_tests::world::binary;

#[test]
fn what_was_written_between_the_preview_and_the_consent_is_kept() {
    let script = Path::new("/usr/bin/script");
    if !script.exists() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no {} to make a terminal with", script.display());
        return;
    }
    let person = Person::new();
    person.write_settings("{\n  \"model\": \"old\"\n}\n");
    // The answer comes only after the preview was shown, and after the harness has written its settings from memory.
    let answer = format!(
        "until grep -q 'Write this' seen; do sleep 0.05; done; printf '{{\\n  \"model\": \"new\"\\n}}\\n' > '{}'; echo y; sleep 1",
        person.settings().display()
    );
    let init = format!("'{}' init --no-live-check", binary("installer").display());
    let line = format!("touch seen; ({answer}) | {} -qefc \"{init}\" seen", script.display());
    let mut command = person.command(Path::new("/bin/sh"));
    command.args(["-c", &line]).env("STOPGATE_NO_AUTOSTART", "1").current_dir(person.world.root());
    let output = finish(command, Stdin::from(""));
    assert!(output.status.success(), "{output:?}");
    let said = text(&output.stdout);
    assert!(
        said.contains("\"model\": \"old\"") && said.contains("Written."),
        "the preview was of the old file: {said}"
    );
    let settings = read_settings(&person.settings());
    assert_eq!(settings["model"], "new");
    assert_eq!(settings["hooks"], fresh_settings(&person.world.home.bin())["hooks"]);
}

#[test]
fn a_writer_who_never_rests_loses_nothing() {
    let person = Person::new();
    person.write_settings("{\"n\": 0}");
    let settings = person.settings();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            // As a harness does: whole files, by rename, from what it read last.
            let mut written = 0_u32;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let mut value = read_settings(&settings);
                written += 1;
                value["n"] = written.into();
                let next = settings.with_extension("next");
                std::fs::write(&next, value.to_string()).unwrap();
                std::fs::rename(&next, &settings).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(3));
            }
            written
        });
        let mut command = person.installer(&["init", "--yes", "--no-live-check"]);
        command.env("STOPGATE_NO_AUTOSTART", "1");
        let output = finish(command, Stdin::from(""));
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        let written = writer.join().unwrap();
        // Done, or given up with the reason; never half a file, and never an old state of what the other one wrote.
        let said = text(&output.stderr);
        assert!(
            output.status.success() || said.contains("run this again") || said.contains("keeps writing"),
            "{output:?}"
        );
        let n = read_settings(&settings)["n"].as_u64().unwrap();
        assert_eq!(u64::from(written), n, "a write was lost\n{said}");
    });
    // At rest, it is as simple as ever.
    person.install(&[]);
    assert_eq!(read_settings(&settings)["hooks"], fresh_settings(&person.world.home.bin())["hooks"]);
}

/// Numbers of `rename`, `renameat` and `renameat2`; none where they are not known.
const RENAMES: &[u64] = if cfg!(target_arch = "x86_64") {
    &[82, 264, 316]
} else if cfg!(target_arch = "aarch64") {
    &[38, 276]
} else {
    &[]
};

/// The process that strace, with this pid, has started, once it stands in a call of [`RENAMES`].
fn in_a_rename(strace: u32) -> bool {
    let children = std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap_or_default();
    let call = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let number = |pid: &str| call(pid).split(' ').next().and_then(|number| number.parse().ok());
    children.split_whitespace().filter_map(number).any(|number: u64| RENAMES.contains(&number))
}

/// What somebody else does to the file between the installer's last look and its rename.
#[rstest]
#[case::by_rename("init", |file: &Path| {
    let next = file.with_extension("next");
    std::fs::write(&next, "{\"n\": 1, \"mine\": true}").unwrap();
    std::fs::rename(&next, file).unwrap();
})]
#[case::in_place("init", |file: &Path| std::fs::write(file, "{\"n\": 1, \"mine\": true}").unwrap())]
#[case::through_a_link("init", |file: &Path| {
    let real = file.with_extension("real");
    std::fs::write(&real, "{\"n\": 1, \"mine\": true}").unwrap();
    std::fs::remove_file(file).unwrap();
    std::os::unix::fs::symlink(&real, file).unwrap();
})]
#[case::while_it_is_taken_back("uninstall", |file: &Path| {
    let mut settings = read_settings(file);
    settings["n"] = 1.into();
    settings["mine"] = true.into();
    std::fs::write(file, settings.to_string()).unwrap();
})]
fn what_is_written_between_the_last_look_and_the_rename_is_kept(#[case] command: &str, #[case] write: fn(&Path)) {
    if !can_trace_or_says_so() || RENAMES.is_empty() {
        return;
    }
    let person = Person::new();
    person.write_settings("{\"n\": 0}");
    person.install(&["--project", person.world.root().to_str().unwrap()]);
    if command == "uninstall" {
        person.install(&[]);
    }
    let settings = person.settings();
    let mut installer = person.installer(&[command, "--yes"]);
    installer.args((command == "init").then_some("--no-live-check")).env("STOPGATE_NO_AUTOSTART", "1");
    // Held at the first rename of that very file for as long as this test needs.
    let (path, calls) = (settings.to_str().unwrap(), "rename,renameat,renameat2");
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:delay_enter=3000000:when=1"));
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", path, "-e", &trace, "-e", &inject];
    let wrote = std::cell::Cell::new(false);
    let held = |pid: u32| {
        eventually("the installer comes to its rename", || in_a_rename(pid).then_some(()));
        write(&settings);
        wrote.set(true);
    };
    let output = finish_while(under(&strace, &installer), Stdin::from(""), |_| (), held);
    assert!(wrote.get());
    let now = read_settings(&settings);
    assert_eq!((&now["n"], &now["mine"]), (&1.into(), &true.into()), "a write was lost: {output:?}");
    assert!(output.status.success(), "{output:?}");
    let hooks = if command == "init" { fresh_settings(&person.world.home.bin())["hooks"].clone() } else { Value::Null };
    assert_eq!(now["hooks"], hooks);
    let left = std::fs::read_dir(settings.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with(".stopgate-")).collect();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
}

#[test]
fn on_a_full_disk_the_file_stays_as_it_was() {
    let person = Person::new();
    let claude = person.dir().join(".claude");
    std::fs::create_dir(&claude).unwrap();
    let installer = binary("installer");
    let script = format!(
        "mount -t tmpfs -o size=16k none '{dir}' || exit 77\n\
         printf '{{\\n  \"model\": \"opus\"\\n}}\\n' > '{dir}/settings.json'\n\
         cat /dev/zero > '{dir}/full' 2>/dev/null\n\
         cp '{dir}/settings.json' before\n\
         '{installer}' init --yes --no-live-check\n\
         code=$?\n\
         cmp before '{dir}/settings.json' || exit 78\n\
         [ $(ls -A '{dir}' | wc -l) = 2 ] || exit 79\n\
         rm '{dir}/full'\n\
         '{installer}' init --yes --no-live-check >/dev/null || exit 80\n\
         exit $code",
        dir = claude.display(),
        installer = installer.display()
    );
    let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
    let mut command = Command::new("unshare");
    command.args([flags, "sh", "-c", &script]).env_clear().current_dir(person.world.root());
    command.env("STOPGATE_TOP", std::process::id().to_string());
    command.env("HOME", person.dir()).env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin");
    command.env("STOPGATE_NO_AUTOSTART", "1");
    let output = finish(command, Stdin::from(""));
    let said = text(&output.stderr);
    if output.status.code() == Some(77) || said.contains("unshare failed") || said.contains("Operation not permitted") {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no small file system to be had here: {said}");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("No space left on device") && said.contains("settings.json is as it was"), "{said}");
}
