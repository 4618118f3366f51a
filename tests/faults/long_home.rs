//! A home whose path is too long for a socket, where somebody else has made the directory that is shared by its name.

use rustix::fs::{Gid, Uid};
use stopgate_core::session::Harness;
use stopgate_tests::run::{Stdin, eventually, finish};
use stopgate_tests::world::{EXCUSE, StopsAuthority, World, assert_silent, block_reason, session_start};

use crate::mounts;

const LONG: &str =
    "a home whose path is so long that no socket can have it, wherever else it may be/and longer still/h";

/// A world that lies elsewhere than in the directory for temporary files, which is made anew, with `options`.
fn with_own_temp(test: impl FnOnce(&World) + Send + 'static) {
    let done = std::thread::spawn(move || {
        if !rustix::process::geteuid().is_root() || !mounts::own_namespace() {
            // Not through a print macro: the test harness would swallow that.
            let _ =
                std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: only root can have another's directory\n");
            return;
        }
        let mut world = World::with_home_in(std::path::Path::new("/var/tmp"), LONG);
        world.set_env("TMPDIR", "/tmp");
        world.home.create().unwrap();
        std::fs::write(world.home.mode_file(), "enforce\n").unwrap();
        mounts::own_temp();
        test(&world);
    });
    done.join().unwrap();
}

/// Somebody else was first.
fn taken() -> String {
    let dir = format!("/tmp/stopgate-{}", rustix::process::geteuid().as_raw());
    std::fs::create_dir(&dir).unwrap();
    rustix::fs::chown(&*dir, Some(Uid::from_raw(65_534)), Some(Gid::from_raw(65_534))).unwrap();
    dir
}

#[test]
fn somebody_elses_directory_is_left_and_another_one_is_found_by_all() {
    with_own_temp(|world| {
        let dir = taken();
        let checkout = world.planned_checkout();
        let _ends = StopsAuthority(world);
        // As it is with an agent: the recorder starts it, and the router finds it.
        let mut recorder = world.autostarting("session-start-recorder");
        recorder.arg("claude");
        let start = session_start("s", &checkout.top, "startup").to_string();
        assert_silent(&finish(recorder, Stdin::from(&*start)));
        world.asks_for_a_job(Harness::Claude, "s");
        let target = eventually("it listens", || world.home.socket_to_connect().ok().filter(|path| path.exists()));
        assert!(target.starts_with("/tmp") && !target.starts_with(&dir), "{}", target.display());
        eventually("it serves", || world.stopgate_json(&["status", "--json"])["authority"]["pid"].as_u64());
        checkout.work();
        block_reason(&world.stop_session("s", &checkout.top, EXCUSE));
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    });
}

#[test]
fn the_run_time_directory_is_taken_where_there_is_one() {
    with_own_temp(|world| {
        taken();
        let runtime = world.root().join("run");
        std::fs::create_dir(&runtime).unwrap();
        rustix::fs::chmod(&runtime, rustix::fs::Mode::from_raw_mode(0o700)).unwrap();
        let mut run = world.autostarting("stopgate");
        run.env("XDG_RUNTIME_DIR", &runtime).args(["authority", "start"]);
        let _ends = StopsAuthority(world);
        let output = finish(run, Stdin::from(""));
        assert!(output.status.success(), "{output:?}");
        assert!(world.home.socket_to_connect().unwrap().starts_with(&runtime));
        // Whoever knows nothing of that directory finds it, too.
        let checkout = world.planned_checkout();
        world.start_session("s", &checkout.top);
        checkout.work();
        block_reason(&world.stop_session("s", &checkout.top, EXCUSE));
    });
}

#[test]
fn where_there_is_no_place_for_a_socket_it_is_said() {
    with_own_temp(|world| {
        let dir = taken();
        mounts::read_only(std::path::Path::new("/tmp"));
        let mut run = world.autostarting("stopgate");
        run.args(["authority", "start"]);
        let output = finish(run, Stdin::from(""));
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        for part in ["too long for a socket", &*dir, "belongs to user 65534", "XDG_RUNTIME_DIR"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    });
}
