//! Places that do not allow what an installation needs: each is named as what it is, nothing is written, and what a person
//! does by hand instead works. With real mounts, in namespaces of their own.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};
use stopgate_tests::attributes::Seen;
use stopgate_tests::person::{WIRING, finding_ids, text};
use stopgate_tests::place::Place;

const SETTINGS: &str = "{\n  \"model\": \"opus\"\n}\n";
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn finding<'a>(report: &'a Value, id: &str) -> &'a Value {
    let found = report["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == id);
    found.unwrap_or_else(|| panic!("no {id}: {report:#}"))
}

/// What is done to the place, how it is undone, what is said of it, and what can be done about it beside the snippet.
#[rstest]
#[case::read_only(
    "mount --bind $dir $dir && mount -o remount,bind,ro $dir || exit 77",
    "",
    "mounted read-only at ",
    "mount it for writing"
)]
#[case::read_only_above(
    "mount --bind . . && cd $out && mount -o remount,bind,ro . || exit 77",
    "cd /; umount $out",
    "mounted read-only at ",
    "mount it for writing"
)]
#[case::mounted(
    "cp $dir/settings.json one && mount --bind one $dir/settings.json || exit 77",
    "",
    "is mounted by itself",
    "edit it where it comes from"
)]
#[case::immutable(
    "chattr +i $dir/settings.json || exit 77",
    "chattr -i $dir/settings.json",
    "settings.json: is immutable",
    "`chattr -i -a "
)]
#[case::append_only(
    "chattr +a $dir/settings.json || exit 77",
    "chattr -a $dir/settings.json",
    "settings.json: can only be added to",
    "`chattr -i -a "
)]
#[case::immutable_directory("chattr +i $dir || exit 77", "chattr -i $dir", "/.claude is immutable", "`chattr -i -a ")]
#[case::nothing_there_yet(
    "rm $dir/settings.json; chattr +i $dir || exit 77",
    "chattr -i $dir",
    "/.claude is immutable",
    "`chattr -i -a "
)]
#[case::read_only_file("chmod 444 $dir/settings.json", "", "settings.json: read-only", "`chmod u+w` it")]
fn what_cannot_be_written_is_named_and_the_snippet_is_the_way(
    #[case] change: &str,
    #[case] undo: &str,
    #[case] said: &str,
    #[case] remedy: &str,
) {
    let place = Place::new(SETTINGS);
    // Nothing is written anywhere but where the script itself says so.
    let script = format!(
        "exec 3>&1\n{change}\nset -- $bin/installer init --yes --no-live-check\n\"$@\" 2>&1 >/dev/null\ncode=$?\n\
         ls -A $home 2>/dev/null\n{undo}\nexit $code"
    );
    let Some(output) = place.run(&script) else { return };
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(told.contains(said) && told.contains(remedy), "{said}: {told}");
    assert!(told.contains("put there yourself what `installer snippet claude` prints"), "{told}");
    assert!(!place.person.world.home.root().exists(), "{told}");
    if place.person.settings().exists() {
        assert_eq!(std::fs::read_to_string(place.person.settings()).unwrap(), SETTINGS);
    }
}

#[test]
fn a_file_of_another_user_is_named_with_its_owner() {
    if !is_root() {
        return;
    }
    let place = Place::new(SETTINGS);
    std::os::unix::fs::chown(place.person.settings(), Some(1), None).unwrap();
    let before = Seen::at(&place.person.settings());
    let script = "unshare -U --map-user=1000 --map-group=1000 true || exit 77\n\
                  unshare -U --map-user=1000 --map-group=1000 $bin/installer init --yes";
    let Some(output) = place.run(script) else { return };
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(told.contains("belongs to another user (uid ") && told.contains("let its owner do it"), "{told}");
    assert!(told.contains("`installer snippet claude`") && !place.person.world.home.root().exists(), "{told}");
    assert_eq!(Seen::at(&place.person.settings()), before);
}

/// A root directory of its own, as the real one but for a Nix store that can be written.
const STORE: &str = "\
    mkdir up work root || exit 77\n\
    mount -t overlay overlay -o lowerdir=/,upperdir=$out/up,workdir=$out/work root || exit 77\n\
    for part in proc dev tmp $out; do mkdir -p root/$part; mount --rbind /$part root/$part || exit 77; done\n\
    generation=root/nix/store/0c1v-home-manager-files/.claude; mkdir -p $generation\n\
    rm $dir/settings.json; ln -s /nix/store/0c1v-home-manager-files/.claude/settings.json $dir/settings.json\n\
    inside() { chroot root /usr/bin/env -C $out \"$@\"; }\n\
    rebuilt() { chmod u+w $generation/* 2>/dev/null; cat > $generation/settings.json; chmod 444 $generation/*; }\n";

#[test]
fn a_link_into_a_store_is_named_and_with_the_snippet_in_it_all_works() {
    let place = Place::new(SETTINGS);
    let script = format!(
        "{STORE}\
         echo '{{ \"model\": \"opus\" }}' | rebuilt\n\
         inside $bin/installer init --yes --no-live-check 2>refused; echo $? >>refused; ls -A $home 2>/dev/null >>refused\n\
         # By hand: the programs, and the lines in the file that the build makes.\n\
         inside $bin/installer snippet claude --programs >snippet 2>notes || exit 3\n\
         rebuilt <snippet\n\
         inside $home/bin/installer doctor --json >unrecorded\n\
         inside $home/bin/installer init --yes --json >taken-over || exit 4\n\
         inside $home/bin/installer doctor --json >well || exit 5\n\
         inside $home/bin/installer migrate --json >migrated || exit 6\n\
         # Another version wants other lines.\n\
         sed 's/\"timeout\": 10/\"timeout\": 9/' snippet | rebuilt\n\
         inside $home/bin/installer doctor --fix --json >stale\n\
         inside $home/bin/installer uninstall --yes 2>kept; echo $? >>kept\n\
         echo '{{ \"model\": \"opus\" }}' | rebuilt\n\
         inside $home/bin/installer uninstall --yes >taken-back || exit 7\n\
         inside cat $dir/settings.json >after"
    );
    let Some(output) = place.run(&script) else { return };
    assert!(output.status.success(), "{output:?}");
    let read = |name: &str| std::fs::read_to_string(place.out(name)).unwrap();

    let refused = read("refused");
    let file = "/nix/store/0c1v-home-manager-files/.claude/settings.json: lies in the Nix store";
    assert!(refused.contains(file) && refused.ends_with("\n2\n"), "{refused}");
    assert!(refused.contains("put there yourself what `installer snippet claude` prints"), "{refused}");
    assert!(!refused.contains("chmod"), "{refused}");

    // What the person wrote is examined and fired like our own.
    let unrecorded = place.report("unrecorded");
    assert_eq!(finding_ids(&unrecorded), ["settings-closed", "unrecorded"], "{unrecorded:#}");
    assert_eq!(unrecorded["fired"].as_array().unwrap().len(), WIRING.len());
    let taken = place.report("taken-over");
    assert_eq!((&taken["settings_change"], &taken["exit_code"]), (&json!("unchanged"), &json!(0)), "{taken:#}");
    let well = place.report("well");
    assert_eq!(finding_ids(&well), ["settings-closed"], "{well:#}");
    assert!(finding(&well, "settings-closed")["what"].as_str().unwrap().contains("the Nix store"), "{well:#}");

    let stale = place.report("stale");
    let fix = finding(&stale, "entry-stale")["fix"].as_str().unwrap();
    assert_eq!(fix, "put there yourself what `installer snippet claude` prints", "{stale:#}");
    assert_eq!(stale["exit_code"], 1);
    let kept = read("kept");
    assert!(kept.contains("take stopgate's entries out where the file is made") && kept.ends_with("\n1\n"), "{kept}");
    assert!(read("taken-back").contains("nothing of stopgate is left in it"), "{}", read("taken-back"));
    assert_eq!(read("after"), "{ \"model\": \"opus\" }\n");
}

#[test]
fn where_no_program_can_be_run_no_hook_is_registered() {
    let place = Place::new(SETTINGS);
    let script = "\
        mkdir -p $home elsewhere && mount -t tmpfs -o noexec,mode=700 none $home || exit 77\n\
        for command in 'init --yes' 'snippet claude --programs'; do\n\
            $bin/installer $command 2>>refused >/dev/null; echo $? >>refused\n\
        done\n\
        ls -A $home >>refused; cp $dir/settings.json untouched\n\
        # Elsewhere, as it says.\n\
        STOPGATE_HOME=$out/elsewhere $bin/installer init --yes --json >moved || exit 3\n\
        STOPGATE_HOME=$out/elsewhere $bin/installer uninstall --yes --purge >/dev/null || exit 4\n\
        cmp untouched $dir/settings.json || exit 5\n\
        # And where it becomes so afterwards.\n\
        mount -o remount,exec $home && $bin/installer init --yes --no-live-check >/dev/null || exit 6\n\
        rm -rf \"$HOME/.local/state/stopgate\"\n\
        $bin/installer doctor --json >well || exit 7\n\
        mount -o remount,noexec $home\n\
        $bin/installer doctor --fix --json >found; echo $? >code\n\
        $bin/installer migrate --json >migrated\n\
        mount -o remount,exec $home && $bin/installer uninstall --yes --purge >/dev/null; umount $home";
    let Some(output) = place.run(script) else { return };
    assert!(output.status.code().is_some_and(|code| code < 3), "{output:?}");
    let refused = std::fs::read_to_string(place.out("refused")).unwrap();
    let root = place.person.world.home.root().display();
    let said = format!("{root}/bin: on a file system whose programs cannot be run (mounted noexec at {root})");
    assert_eq!(refused.matches(&said).count(), 2, "{refused}");
    assert!(refused.contains("set STOPGATE_HOME") && refused.ends_with("\n2\n"), "nothing in the home: {refused}");
    assert_eq!(std::fs::read_to_string(place.out("untouched")).unwrap(), SETTINGS);
    assert_eq!(place.report("moved")["exit_code"], 0);

    assert_eq!(finding_ids(&place.report("well")), Vec::<&str>::new());
    let found = place.report("found");
    assert_eq!(finding_ids(&found), ["programs-noexec"], "once, and not for each line: {found:#}");
    assert_eq!(std::fs::read_to_string(place.out("code")).unwrap(), "1\n");
    let migrated = place.report("migrated");
    let failed = migrated["steps"].as_array().unwrap().iter().find(|step| step["outcome"] == "failed").unwrap();
    assert!(failed["detail"].as_str().unwrap().contains("mounted noexec"), "{migrated:#}");
}

#[test]
fn a_configuration_that_a_build_makes_gets_no_trust_and_the_lines_are_named() {
    use stopgate_tests::codex_driver::real_codex;
    let Some(codex) = real_codex() else { return };
    let place = Place::new(SETTINGS);
    let dir = place.person.dir().join(".codex");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("config.toml"), "model = \"x\"\n").unwrap();
    let path = place.out("codex bin");
    std::fs::create_dir(&path).unwrap();
    std::os::unix::fs::symlink(codex, path.join("codex")).unwrap();
    let script = "\
        PATH=\"$out/codex bin:$PATH\"; real=$HOME/.codex/config.toml\n\
        mount --bind $real $real && mount -o remount,bind,ro $real || exit 77\n\
        $bin/installer init --harness codex --trust --yes --no-live-check >/dev/null 2>said; echo $? >>said\n\
        # By hand, where the file is made.\n\
        umount $real; grep -e '^.hooks.state' -e '^trusted_hash' said >>$real\n\
        mount --bind $real $real && mount -o remount,bind,ro $real\n\
        $bin/installer doctor --json --no-fire >well; echo $? >code";
    let Some(output) = place.run(script) else { return };
    let said = std::fs::read_to_string(place.out("said")).unwrap();
    assert!(
        said.contains("config.toml: is mounted by itself") && said.contains("[hooks.state.\""),
        "{output:?} {said}"
    );
    assert!(said.ends_with("\n1\n"), "{said}");
    assert_eq!(finding_ids(&place.report("well")), Vec::<&str>::new(), "{said}");
    assert_eq!(std::fs::read_to_string(place.out("code")).unwrap(), "0\n");
}

/// Nothing keeps an ordinary place from being used.
#[test]
fn an_ordinary_place_is_no_obstacle() {
    let place = Place::new(SETTINGS);
    let script = "\
        mount -t tmpfs -o mode=755 none $dir || exit 77\n\
        ln -s real.json $dir/settings.json; echo '{ }' >$dir/real.json\n\
        $bin/installer init --yes --no-live-check --json >done || exit 3\n\
        $bin/installer doctor --json >well || exit 4\n\
        $bin/installer uninstall --yes >/dev/null && [ \"$(cat $dir/settings.json)\" = '{ }' ]";
    let Some(output) = place.run(script) else { return };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(place.report("done")["warnings"], json!([]));
    assert_eq!(finding_ids(&place.report("well")), Vec::<&str>::new());
    assert!(Path::new(place.person.world.home.root()).exists());
}
