//! The archive of a release: what is in it, that it installs into an empty `HOME` and leaves it empty, and that a damaged
//! one is refused.
//!
//! `STOPGATE_TEST_RELEASE` names an archive that `release/build` has made; without it the debug programs are packed.

#![allow(clippy::unwrap_used, reason = "tests")]

mod previous;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use stopgate_core::env::{Env as _, HOME, ProcessEnv};
use stopgate_core::hook::Hook;
use stopgate_tests::person::{Person, WIRING, mode, text, tree};
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{HOOKS, binary};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const RELEASE: &str = "STOPGATE_TEST_RELEASE";

/// `release/build` on the debug programs. It is a person's tool, and has this process's environment: rustc needs it.
fn pack(out: &Path) -> Command {
    let mut command = Command::new(Path::new(ROOT).join("release/build"));
    command.arg("--programs").arg(binary("installer").parent().unwrap()).arg("--out").arg(out);
    command.env("SOURCE_DATE_EPOCH", "1790000000").env("STOPGATE_RELEASE_GZIP", "-1");
    command
}

fn packed(mut command: Command) -> PathBuf {
    // No limit on its life: debug programs are large, and machines busy.
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    PathBuf::from(text(&output.stdout).trim())
}

/// The archive to test.
fn archive() -> &'static Path {
    static ARCHIVE: OnceLock<(PathBuf, Option<tempfile::TempDir>)> = OnceLock::new();
    let (archive, _) = ARCHIVE.get_or_init(|| {
        if let Some(archive) = ProcessEnv.text(RELEASE) {
            return (PathBuf::from(archive), None);
        }
        let dir = tempfile::tempdir().unwrap();
        (packed(pack(dir.path())), Some(dir))
    });
    archive
}

fn run(program: &str, arguments: &[&str], dir: &Path) -> Output {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").args(arguments).current_dir(dir);
    finish(command, Stdin::from(""))
}

/// Unpacks the archive, and names the directory that was in it.
fn unpacked(into: &Path) -> PathBuf {
    let output = run("tar", &["xzf", archive().to_str().unwrap()], into);
    assert!(output.status.success(), "{output:?}");
    let mut entries = std::fs::read_dir(into).unwrap().map(|entry| entry.unwrap().path());
    let dir = entries.find(|path| path.join("installer").exists()).unwrap();
    let name = archive().file_name().unwrap().to_str().unwrap().strip_suffix(".tar.gz").unwrap().to_owned();
    assert_eq!(dir.file_name().unwrap().to_str(), Some(name.as_str()), "one directory, of the archive's name");
    dir
}

#[test]
fn it_holds_everything_with_right_checksums_and_nobody_s_name() {
    let beside = run("sha256sum", &["--check", "--strict", "SHA256SUMS"], archive().parent().unwrap());
    assert!(beside.status.success(), "{beside:?}");
    let temp = tempfile::tempdir().unwrap();
    let dir = unpacked(temp.path());
    let inside = run("sha256sum", &["--check", "--strict", "--quiet", "SHA256SUMS"], &dir);
    assert!(inside.status.success(), "{inside:?}");

    let sums = std::fs::read_to_string(dir.join("SHA256SUMS")).unwrap();
    let summed: BTreeSet<_> = sums.lines().map(|line| dir.join(&line[66..])).collect();
    let files = tree(&dir).into_keys().filter(|path| path.is_file() && !path.ends_with("SHA256SUMS"));
    assert_eq!(files.collect::<BTreeSet<_>>(), summed, "every file has its checksum");
    for name in [
        "stop-gate-router",
        "build-stop-hook",
        "session-start-recorder",
        "stopgate",
        "installer",
        "manifest.json",
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "docs/troubleshooting.md",
        "upgrades/NEXT.md",
        "man/stopgate-gate-log.1",
        "man/installer-init.1",
        "completions/stopgate.bash",
        "completions/_installer",
    ] {
        assert!(summed.contains(&dir.join(name)), "{name}: {sums}");
    }
    assert_eq!((mode(&dir.join("installer")), mode(&dir.join("README.md"))), (0o755, 0o644));

    let listed = run("tar", &["tvzf", archive().to_str().unwrap(), "--numeric-owner", "--full-time"], temp.path());
    let listed = text(&listed.stdout);
    let stamps: BTreeSet<_> =
        listed.lines().map(|line| line.split_whitespace().skip(3).take(2).collect::<Vec<_>>()).collect();
    assert_eq!(stamps.len(), 1, "every file has the commit's time: {stamps:?}");
    assert!(listed.lines().all(|line| line.split_whitespace().nth(1) == Some("0/0")), "{listed}");
}

#[test]
fn it_installs_into_an_empty_home_judges_a_stop_and_leaves_nothing() {
    let person = Person::new();
    let dir = unpacked(person.world.root());
    assert_eq!(tree(&person.dir()).len(), 0);

    let mut init = person.command(&dir.join("installer"));
    init.args(["init", "--yes"]);
    let init = finish(init, Stdin::from(""));
    assert!(init.status.success(), "{init:?}");
    let said = text(&init.stdout);
    assert!(said.contains("stop judged in shadow: would block, rule U1_DURABLE_ARTIFACT"), "{said}");

    // From here on the release's directory is not needed.
    std::fs::remove_dir_all(&dir).unwrap();
    let mut doctor = person.installed("installer");
    doctor.args(["doctor", "--json"]);
    let doctor = finish(doctor, Stdin::from(""));
    let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    assert_eq!((doctor.status.code(), report["findings"].as_array().map(Vec::len)), (Some(0), Some(0)), "{report:#}");
    assert_eq!(report["fired"].as_array().unwrap().len(), WIRING.len(), "{report:#}");

    let mut uninstall = person.installed("installer");
    uninstall.args(["uninstall", "--yes", "--purge"]);
    let uninstall = finish(uninstall, Stdin::from(""));
    assert!(uninstall.status.success(), "{uninstall:?}");
    assert_eq!(tree(&person.dir()).into_keys().collect::<Vec<_>>(), Vec::<PathBuf>::new(), "nothing is left");
}

#[test]
fn an_installation_is_updated_from_the_archive_and_from_its_directory() {
    let person = Person::new();
    person.install(&[]);
    let dir = unpacked(person.world.root());
    let programs = |of: &Path| -> Vec<_> {
        let names =
            ["stop-gate-router", "build-stop-hook", "session-start-recorder", "write-fence", "stopgate", "installer"];
        names.iter().map(|name| std::fs::read(of.join(name)).unwrap()).collect()
    };
    for from in [archive(), &dir] {
        let mut update = person.installed("installer");
        update.args(["update", "--yes", "--from"]).arg(from).env("STOPGATE_NO_AUTOSTART", "1");
        let update = finish(update, Stdin::from(""));
        assert!(update.status.success(), "{}: {update:?}", from.display());
        assert!(programs(&person.world.home.bin()) == programs(&dir), "{}", from.display());
    }
}

#[test]
fn a_damaged_release_is_refused_and_nothing_is_written() {
    let person = Person::new();
    let dir = unpacked(person.world.root());
    let damaged = dir.join("stopgate");
    let mut bytes = std::fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let sums = run("sha256sum", &["--check", "--quiet", "SHA256SUMS"], &dir);
    assert!(!sums.status.success() && text(&sums.stdout).contains("stopgate: FAILED"), "{sums:?}");

    for arguments in [&["init", "--yes"] as &[&str], &["snippet", "claude", "--programs"]] {
        let mut command = person.command(&dir.join("installer"));
        command.args(arguments);
        let output = finish(command, Stdin::from(""));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = text(&output.stderr);
        assert!(said.contains("/stopgate: not the bytes that the release's manifest names"), "{said}");
        assert_eq!(tree(&person.dir()).len(), 0, "nothing was written");
    }

    person.install(&[]);
    let before = tree(&person.world.home.bin());
    let cut = person.world.root().join("cut.tar.gz");
    let whole = std::fs::read(archive()).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    for (from, said) in [(&dir, "not the bytes that the release's manifest names"), (&cut, "`tar` cannot unpack it")] {
        let output = person.run(&["update", "--yes", "--from", from.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(said), "{output:?}");
    }
    assert!(tree(&person.world.home.bin()) == before);
}

#[test]
fn packing_twice_gives_the_same_bytes_wherever_and_whoever() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = packed(pack(one.path()));
    let mut second = pack(other.path());
    second.env("LC_ALL", "C.UTF-8").env("TZ", "Asia/Tokyo").env("USER", "somebody").current_dir("/");
    let second = packed(second);
    assert!(std::fs::read(first).unwrap() == std::fs::read(second).unwrap());
}

/// The programs of a release, unpacked; without one it says why others are not looked at.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn released(why: &str) -> Option<(tempfile::TempDir, PathBuf)> {
    if ProcessEnv.text(RELEASE).is_none() {
        eprintln!("left out: {RELEASE} names no archive, and {why}");
        return None;
    }
    let temp = tempfile::tempdir().unwrap();
    let dir = unpacked(temp.path());
    Some((temp, dir))
}

#[test]
fn no_path_of_the_machine_is_in_a_released_program() {
    let Some((_temp, dir)) = released("debug programs hold paths") else { return };
    let root = Path::new(ROOT).canonicalize().unwrap();
    let person = PathBuf::from(ProcessEnv.text(HOME).unwrap());
    let cargo = ProcessEnv.text("CARGO_HOME").map_or_else(|| person.join(".cargo"), PathBuf::from);
    let paths = [root.display().to_string(), cargo.display().to_string(), "index.crates.io".to_owned()];
    for (file, (_, bytes)) in tree(&dir) {
        for path in &paths {
            let is_there = bytes.windows(path.len()).any(|window| window == path.as_bytes());
            assert!(!is_there, "{} holds {path}", file.display());
        }
    }
}

#[test]
fn a_released_hook_needs_no_library_but_libc() {
    let Some((_temp, dir)) = released("debug programs unwind") else { return };
    for hook in HOOKS {
        let bytes = std::fs::read(dir.join(hook)).unwrap();
        let names = |library: &[u8]| bytes.windows(library.len()).any(|window| window == library);
        assert!(names(b"libc.so.6") && !names(b"libgcc_s"), "{hook}: see hooks/src/unwinding.rs");
    }
}

#[test]
fn a_released_hook_is_as_small_as_is_promised_and_has_nothing_for_unwinding() {
    let Some((_temp, dir)) = released("debug programs are larger") else { return };
    for hook in Hook::ALL {
        let bytes = std::fs::read(dir.join(hook.name())).unwrap();
        let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
        assert!(!has(b".eh_frame"), "{}: see hooks/build.rs", hook.name());
        let most = hook.most_bytes();
        assert!(bytes.len() as u64 <= most, "{}: {} bytes, at most {most}", hook.name(), bytes.len());
    }
}

/// A library that throws and catches before the program's `main`.
const THROWS: &str = "struct Early { Early() { try { throw 1; } catch (int) {} } }; static Early early;";

#[test]
fn a_preloaded_library_that_throws_and_catches_ends_no_hook() {
    let temp = tempfile::tempdir().unwrap();
    let dir = unpacked(temp.path());
    let (source, library) = (temp.path().join("throws.cc"), temp.path().join("throws.so"));
    std::fs::write(&source, THROWS).unwrap();
    let files = [library.to_str().unwrap(), source.to_str().unwrap()];
    let built = run("c++", &["-shared", "-fPIC", "-o", files[0], files[1]], temp.path());
    assert!(built.status.success(), "{built:?}");
    for hook in HOOKS {
        let mut command = Command::new(dir.join(hook));
        command.env_clear().env("HOME", temp.path()).env("LD_PRELOAD", &library).arg("claude");
        let output = finish(command, Stdin::from("{"));
        assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{hook}: {output:?}");
    }
}

#[test]
fn a_release_is_made_from_a_commit_only() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir(temp.path().join("release")).unwrap();
    for file in ["release/build", "Cargo.toml"] {
        std::fs::copy(Path::new(ROOT).join(file), temp.path().join(file)).unwrap();
    }
    assert!(run("git", &["init", "-q"], temp.path()).status.success());
    let output = finish(Command::new(temp.path().join("release/build")), Stdin::from(""));
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), said.contains("commit them")), (Some(1), true), "{output:?}");
    assert_eq!(
        text(
            &finish(
                {
                    let mut command = Command::new(temp.path().join("release/build"));
                    command.arg("--frobnicate");
                    command
                },
                Stdin::from("")
            )
            .stderr
        )
        .trim(),
        "release/build: --frobnicate: no such option; see release/build --help"
    );
}
