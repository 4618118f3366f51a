//! Two sessions in one working tree: who holds what, what is refused, and what the model hears of that.

mod actor;
mod leases;
mod room;

use std::path::Path;

use stopgate_tests::run::eventually;

use actor::{Actor, Scene, creates, edits, overwrites, reads, runs};

use crate::client::{ALL, Client};
use crate::live::Asked;
use crate::site::Site;
use crate::table::{Outcome, Scenario};

/// Needs a client of each harness.
pub(crate) const MIXED: &str = "fence-mixed";
/// Needs them, too.
pub(crate) const ROOM: &str = "fence-room";

pub(crate) const SCENARIOS: [Scenario; 8] = [
    Scenario {
        id: "fence-deny",
        meaning: "one session holds `src/` (`stopgate lease acquire`): what another one's edit tools and shell would write \
                  there is refused, the bytes stay, and its model is told who holds it and how to wait; it waits, gets the \
                  lease with the handoff, and its edit lands",
        run: deny,
    },
    Scenario { id: MIXED, meaning: "the same between this client and the newest of the other harness", run: mixed },
    Scenario {
        id: "fence-shadow",
        meaning: "the same in shadow: everything goes through, the model hears nothing, and `stopgate fence report` counts it",
        run: shadow,
    },
    Scenario {
        id: "fence-note",
        meaning: "a session writes what another one was seen to write: it goes through, and the model is told",
        run: note,
    },
    Scenario {
        id: "fence-tree",
        meaning: "`git stash`, `reset --hard`, `switch`, `clean`, `add -A` and `commit -a` are refused while another session \
                  has uncommitted work in the tree, and the bytes stay; alone all of it is let go",
        run: tree,
    },
    Scenario {
        id: ROOM,
        meaning: "five sessions of both harnesses edit the same files, stash, reset, add and commit: edits that a tool reported \
                  as done are lost with the fence off, and none is with it",
        run: room::five_sessions,
    },
    Scenario {
        id: "lease-lineage",
        meaning: "a lease is kept over `/clear` and `/compact`, a fork gets none, and who waits gets it when its holder ends \
                  or is killed",
        run: leases::lineage,
    },
    Scenario {
        id: "coordination-settings",
        meaning: "`stopgate coordination enable`, a session, `disable`, a session, `uninstall`: each gives the file's bytes \
                  back",
        run: settings,
    },
];

/// The newest client of the other harness, if it is here.
pub(crate) fn partner(client: Client) -> Option<Client> {
    ALL.into_iter().find(|other| other.is_codex() != client.is_codex() && other.program().is_some())
}

/// A guarded site with coordination, the fence in `mode`, and files to work on.
fn coordinated(client: Client, mode: &str) -> Site {
    let site = Site::bare(client);
    site.init(&[]);
    prepare(&site, mode);
    site
}

/// Files to work on, coordination, and the fence in `mode`.
fn prepare(site: &Site, mode: &str) {
    for file in ["a", "b", "c"] {
        site.checkout.write(&format!("src/{file}"), "one\n");
    }
    site.checkout.commit("files to work on");
    site.checkout.git(&["branch", "other"]);
    site.as_person(&["coordination", "enable", "--yes", "--trust"]);
    let words: &[&str] = if mode == "enforce" { &["fence", mode, "--yes"] } else { &["fence", mode] };
    site.as_person(words);
}

/// What others call a session of `client`'s harness: that which began as number `place`, counted from 0.
fn name_of(site: &Site, client: Client, place: usize) -> String {
    let mut sessions = site.sessions();
    sessions.retain(|session| session.harness == client.harness());
    sessions.sort_by_key(|session| session.started_at_ms);
    sessions[place].name.clone().expect("a name")
}

/// What stopgate told the model among `asked`.
fn told(asked: &[Asked]) -> String {
    let new = asked.iter().flat_map(|asked| asked.new.iter().chain(&asked.beside));
    new.filter(|text| text.contains("[stopgate]")).cloned().collect::<Vec<_>>().join("\n")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// How often [`writes`] writes.
const WAYS: usize = 4;

/// `src/a` is written by the client's edit tools and its shell. Where each of them lands, it says `five` in the end.
fn writes(client: Client, file: &Path, is_refused: bool) -> Scene {
    let was = |word: &'static str| if is_refused { "one" } else { word };
    let path = file.display();
    let mut scene = reads(client, file);
    scene.extend([
        edits(client, file, "one", "two"),
        overwrites(client, file, was("two"), "three"),
        runs(client, &format!("sed -i 's/{}/four/' {path}", was("three"))),
        runs(client, "cd src && cat > a <<'EOF'\nfive\nEOF"),
    ]);
    scene
}

fn deny(client: Client) -> Outcome {
    let site = coordinated(client, "enforce");
    hands_over(&site, client, client);
    Outcome::works([])
}

fn mixed(client: Client) -> Outcome {
    let site = Site::bare(client);
    site.init(&[]);
    let other = partner(client).expect("a client of the other harness");
    site.has(other);
    site.init_for(other);
    prepare(&site, "enforce");
    hands_over(&site, client, other);
    Outcome::works([])
}

/// `holder` holds `src/`; `other` is refused, waits, gets it, and writes.
fn hands_over(site: &Site, holder: Client, other: Client) {
    let file = site.checkout.top.join("src/a");
    let lease = |words: &str| site.stopgate_line(&format!("lease {words}; echo CODE $?"));
    let mut waits = vec![runs(other, &lease("wait src/a --timeout 60"))];
    waits.extend(reads(other, &file));
    waits.push(edits(other, &file, "one", "six"));
    let waiting = Actor::start(site, other, "waiting", vec![vec![], writes(other, &file, true), waits]);
    waiting.plays();
    let acquires = runs(holder, &lease("acquire src/"));
    let releases = runs(holder, &lease("release src/ --status 'the lexer is done' --next 'write the parser'"));
    let holding = Actor::start(site, holder, "holding", vec![vec![acquires], vec![releases]]);
    let asked = holding.plays();
    assert!(asked[1].brings("CODE 0"), "{asked:#?}");
    let name = name_of(site, holder, usize::from(holder == other));

    let asked = waiting.plays();
    assert_eq!(read(&file), "one\n", "{asked:#?}");
    for asked in &asked[asked.len() - WAYS..] {
        let told = told(std::slice::from_ref(asked));
        assert!(told.contains("Not done") && told.contains(&name) && told.contains("lease wait"), "{name}: {asked:#?}");
    }

    waiting.begins();
    eventually("somebody waits", || leases::is_waited_for(site));
    assert_eq!(read(&file), "one\n");
    let asked = holding.plays();
    assert!(asked[1].brings("CODE 0"), "{asked:#?}");
    let asked = waiting.ends();
    assert!(asked[1].brings("the lexer is done") && asked[1].brings("write the parser"), "{asked:#?}");
    assert!(asked[1].brings("CODE 0"), "{asked:#?}");
    assert_eq!(read(&file), "six\n", "{asked:#?}");
    waiting.quits();
    holding.quits();
}

fn shadow(client: Client) -> Outcome {
    let site = coordinated(client, "shadow");
    let file = site.checkout.top.join("src/a");
    let other = Actor::start(&site, client, "other", vec![vec![], writes(client, &file, false)]);
    other.plays();
    let acquires = runs(client, &site.stopgate_line("lease acquire src/; echo CODE $?"));
    let holding = Actor::start(&site, client, "holding", vec![vec![acquires]]);
    assert!(holding.plays()[1].brings("CODE 0"));
    let asked = other.plays();
    assert_eq!((read(&file).as_str(), told(&asked[1..]).as_str()), ("five\n", ""), "{asked:#?}");
    let report = eventually("the report counts them", || {
        let report = site.stopgate(&["fence", "report", "--json"]);
        (report["decided"]["deny"].as_u64() == Some(WAYS as u64)).then_some(report)
    });
    assert_eq!(report["answered"]["deny"], 0, "{report:#}");
    other.quits();
    holding.quits();
    Outcome::works([])
}

fn note(client: Client) -> Outcome {
    let site = coordinated(client, "enforce");
    let file = site.checkout.top.join("src/b");
    let edits = |old: &str, new: &str| [reads(client, &file), vec![edits(client, &file, old, new)]].concat();
    let second = Actor::start(&site, client, "second", vec![vec![], edits("two", "three")]);
    second.plays();
    let first = Actor::start(&site, client, "first", vec![edits("one", "two")]);
    let asked = first.plays();
    assert_eq!((read(&file).as_str(), told(&asked[1..]).as_str()), ("two\n", ""), "{asked:#?}");
    let name = name_of(&site, client, 1);
    let asked = second.plays();
    assert_eq!(read(&file), "three\n", "{asked:#?}");
    assert!(told(&asked[1..]).contains(&name), "{name}: {asked:#?}");
    second.quits();
    first.quits();
    Outcome::works([])
}

/// What a session does to the whole tree, each with a command that brings back what was there.
const VERBS: [(&str, &str); 6] = [
    ("git stash", "git stash pop"),
    ("git reset --hard", "true"),
    ("git switch other", "git switch -"),
    ("git clean -fd", "true"),
    ("git add -A", "git reset -q"),
    ("git commit -am x", "git reset -q --soft HEAD~1 && git reset -q"),
];

fn tree(client: Client) -> Outcome {
    let site = coordinated(client, "enforce");
    let (file, fresh) = (site.checkout.top.join("src/c"), site.checkout.top.join("src/fresh"));
    let command = |command: &str| runs(client, &format!("{command}; echo CODE $?"));
    // With work of its own.
    let own = |(verb, back): &(&str, &str)| command(&format!("echo mine >> src/c && {verb} && {{ {back}; }}"));
    let alone: Scene = VERBS.iter().map(own).chain([command("git checkout -q -- .")]).collect();
    let beside: Scene = VERBS.iter().map(|(verb, _)| command(verb)).collect();
    let other = Actor::start(&site, client, "other", vec![alone.clone(), beside, alone]);
    let is_let_go = |asked: &[Asked]| {
        for (asked, (verb, _)) in asked[1..].iter().zip(VERBS) {
            assert!(asked.brings("CODE 0"), "{verb}: {asked:#?}");
            assert_eq!(told(std::slice::from_ref(asked)), "", "{verb}");
        }
    };
    is_let_go(&other.plays());

    let mut works = reads(client, &file);
    works.extend([edits(client, &file, "one", "theirs"), creates(client, &fresh, "fresh")]);
    let commits = command("git add src/c src/fresh && git commit -qm theirs && git branch -qf other");
    let first = Actor::start(&site, client, "first", vec![works, vec![commits]]);
    first.plays();
    let state = || {
        let status = site.checkout.git(&["status", "--porcelain", "--untracked-files=all"]);
        let head = site.checkout.git(&["log", "-1", "--format=%H %D"]);
        (read(&file), read(&fresh), status, head, site.checkout.git(&["stash", "list"]))
    };
    let before = state();
    assert_eq!((before.0.as_str(), before.1.as_str()), ("theirs\n", "fresh\n"));
    let name = name_of(&site, client, 1);
    let asked = other.plays();
    assert_eq!(state(), before, "{asked:#?}");
    for (asked, (verb, _)) in asked[1..].iter().zip(VERBS) {
        let told = told(std::slice::from_ref(asked));
        assert!(told.contains("Not done") && told.contains(&name), "{verb}: {name}: {asked:#?}");
    }

    // Nothing of the first one's is uncommitted any more: the other's work is its own affair.
    assert!(first.plays()[1].brings("CODE 0"));
    is_let_go(&other.plays());
    first.quits();
    other.quits();
    Outcome::works([])
}

fn settings(client: Client) -> Outcome {
    let site = Site::bare(client);
    let (path, theirs) = crate::install::settings(&site);
    crate::install::write(&path, theirs);
    site.init(&[]);
    let installed = read(&path);
    let file = site.checkout.top.join("src/a");
    prepare(&site, "enforce");
    assert_ne!(read(&path), installed);
    let session = |name: &str| {
        std::fs::write(&file, "one\n").unwrap();
        let live = Actor::start(
            &site,
            client,
            name,
            vec![[reads(client, &file), vec![edits(client, &file, "one", "two")]].concat()],
        );
        if client.is_codex() {
            // Continue without trusting: the person's own hook.
            live.live.chooses("Hooks need review", &["3", "Enter"]);
        }
        live.plays();
        live.quits();
        assert_eq!(read(&file), "two\n");
    };
    session("enabled");
    site.as_person(&["coordination", "disable", "--yes"]);
    assert_eq!(read(&path), installed);
    session("disabled");
    site.as_person(&["coordination", "enable", "--yes", "--trust"]);
    site.uninstall(&[]);
    assert_eq!(read(&path), theirs);
    session("uninstalled");
    assert_eq!(read(&path), theirs);
    Outcome::works([])
}
