//! Facts about large repositories keep within their deadline: the verdict is reached from all that there is.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use stopgate_tests::checkout::Checkout;
use stopgate_tests::person::text;
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{EXCUSE, World, block_reason};

const FILES: usize = 100_000;
const COMMITS: usize = 50_000;

/// A repository with a plan, `files` tracked files, and then `commits` commits.
fn large(top: &Path, files: usize, commits: usize) -> Checkout {
    let mut import = String::from("blob\nmark :1\ndata 1\nx\nblob\nmark :2\ndata 24\n- [ ] write the parser\n\n\n");
    import.push_str("commit refs/heads/main\ncommitter t <t@example.invalid> 1700000000 +0000\ndata 0\n");
    import.push_str("M 100644 :2 docs/plan.md\n");
    for file in 0..files {
        let _ = writeln!(import, "M 100644 :1 d{}/e{}/f{file}.txt", file % 100, file / 100 % 100);
    }
    for commit in 0..commits {
        let at = 1_700_000_001 + commit;
        let _ = write!(import, "commit refs/heads/main\ncommitter t <t@example.invalid> {at} +0000\ndata 0\n");
        let _ = write!(import, "M 100644 inline log.txt\ndata <<END\n{commit}\nEND\n");
    }
    let checkout = Checkout::create(top);
    let mut git = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(&checkout.top)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin.take().unwrap().write_all(import.as_bytes()).unwrap();
    assert!(git.wait().unwrap().success());
    checkout.git(&["checkout", "-q", "-f", "main"]);
    checkout
}

#[test]
fn a_hundred_thousand_files_and_fifty_thousand_commits_are_judged_in_time() {
    let _alone = crate::alone();
    let world = World::new();
    world.set_mode("enforce");
    // A debug build on a busy machine is given more time than the 2 s that the benchmark holds the release build to.
    std::fs::write(world.home.root().join("config.toml"), "[gate]\nfacts_budget_ms = 5000\n").unwrap();
    let _authority = world.authority();
    for (name, files, commits) in [("files", FILES, 0), ("commits", 1, COMMITS)] {
        let checkout = large(&world.root().join(name), files, commits);
        world.start_session(name, &checkout.top);
        // The commit is what a session does; the first file changed is found among all.
        checkout.write("d0/e0/f0.txt", "changed");
        let mut router = world.hook("stop-gate-router");
        router.env("STOPGATE_DEADLINE_MS", "8000");
        let stopped = finish(router, Stdin::from(&*world.stop(name, &checkout.top, EXCUSE).to_string()));
        let reason = block_reason(&text(&stopped.stdout));
        assert!(reason.contains("write the parser"), "{reason}");
        let log = world.stopgate_json(&["gate", "log", "--json", "--tail", "1"]);
        let explained = world.stopgate_json(&["explain", log[0]["event_id"].as_str().unwrap(), "--json"]);
        let facts = &explained["recording"]["answers"]["facts"];
        assert_eq!((&facts["incomplete"], &facts["dirty_files"]), (&Value::Bool(false), &Value::from(1)), "{name}");
    }
}
