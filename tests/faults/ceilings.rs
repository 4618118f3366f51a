//! A ceiling that cannot be kept counts as reached: a disk that takes nothing holds nobody again and again, however often
//! the authority begins anew.

use std::path::Path;

use rustix::mount::{MountFlags, mount};
use stopgate_tests::build::Site;
use stopgate_tests::world::{EXCUSE, World, assert_silent, block_reason, stop};

use crate::home::fill;
use crate::mounts;

/// As many as one prompt has.
const CEILING: usize = 2;
/// How often the session stops.
const STOPS: usize = 10;

fn held(world: &World, cwd: &Path) -> bool {
    let said = world.stop_session("s", cwd, EXCUSE);
    // Told why it is let go, or held.
    said.contains("\"block\"") && block_reason(&said).starts_with("[stopgate]")
}

/// Runs `test` where it may mount, in a thread of its own.
fn mounting(test: impl FnOnce() + Send + 'static) {
    let done = std::thread::spawn(move || {
        if mounts::own_namespace() {
            test();
        } else {
            // Not through a print macro: the test harness would swallow that.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: no mount namespace to be had\n");
        }
    });
    done.join().unwrap();
}

#[test]
fn a_full_disk_and_an_authority_that_begins_anew_hold_no_more_than_the_ceiling() {
    mounting(|| {
        let world = World::enforcing();
        let checkout = world.planned_checkout();
        std::fs::create_dir(world.home.bin()).unwrap();
        mounts::small_home(world.home.root(), world.root());
        let mut authority = world.authority();
        world.start_session("s", &checkout.top);
        checkout.work();
        assert!(held(&world, &checkout.top), "the control");
        let filling = world.home.root().join("filling");
        fill(&filling);
        let mut again = 0;
        for _ in 0..STOPS {
            checkout.work();
            again += usize::from(held(&world, &checkout.top));
            authority.kill();
            authority = world.authority();
        }
        assert!(again < CEILING, "held {again} times more");
        // Without a restart just as well.
        checkout.work();
        assert!(!held(&world, &checkout.top));
        std::fs::remove_file(filling).unwrap();
        world.start_session("s2", &checkout.top);
        checkout.work();
        block_reason(&world.stop_session("s2", &checkout.top, EXCUSE));
        drop(authority);
    });
}

#[test]
fn a_home_that_becomes_read_only_holds_no_more_than_the_ceiling() {
    mounting(|| {
        let world = World::enforcing();
        let checkout = world.planned_checkout();
        let authority = world.authority();
        world.start_session("s", &checkout.top);
        mounts::read_only(world.home.root());
        let mut times = 0;
        for _ in 0..STOPS {
            checkout.work();
            times += usize::from(held(&world, &checkout.top));
        }
        assert!(times <= CEILING, "{times}");
        mounts::unmounted(world.home.root());
        drop(authority);
    });
}

#[test]
fn a_build_whose_reminders_cannot_be_counted_holds_nobody() {
    mounting(|| {
        let site = Site::new();
        let id = site.executing("mine", "small");
        let live = site.live(&id);
        let asked = stop("mine", site.top(), "bye");
        assert!(site.stop("mine").is_some(), "the control");
        mounts::read_only(&live);
        for _ in 0..3 {
            assert_silent(&site.world.run_hook("build-stop-hook", &asked));
        }
        assert!(site.world.hook_log().contains("build not usable"));
        mounts::unmounted(&live);
        assert_eq!(site.used(&id), 1);

        // On a disk that is full.
        let aside = site.world.root().join("aside");
        mounts::copy(&live, &aside);
        mount("none", &live, "tmpfs", MountFlags::empty(), c"size=1m,mode=700").unwrap();
        mounts::copy(&aside, &live);
        fill(&live.join("filling"));
        for _ in 0..3 {
            assert_silent(&site.world.run_hook("build-stop-hook", &asked));
        }
        assert_eq!(site.used(&id), 1);
        std::fs::remove_file(live.join("filling")).unwrap();
        assert!(site.stop("mine").is_some(), "it is held where that can be counted");
    });
}
