//! A lease over what happens to its holder.

use rustix::process::{Pid, Signal, kill_process};
use stopgate_tests::mock_anthropic::Turn;
use stopgate_tests::run::eventually;

use super::actor::{Actor, runs};
use super::coordinated;
use crate::client::Client;
use crate::site::Site;
use crate::table::Outcome;

/// The session that holds `src/`.
fn holder(site: &Site) -> Option<String> {
    let leases = site.stopgate(&["lease", "list", "--json"]);
    let rows = leases["leases"].as_array().unwrap();
    assert!(rows.len() <= 1, "{leases:#}");
    rows.first().map(|row| row["holder"]["session_id"].as_str().unwrap().to_owned())
}

/// Whether somebody waits for a lease.
pub(super) fn is_waited_for(site: &Site) -> Option<()> {
    let leases = site.stopgate(&["lease", "list", "--json"]);
    leases["waiters"].as_array().is_some_and(|waiters| !waiters.is_empty()).then_some(())
}

pub(super) fn lineage(client: Client) -> Outcome {
    let site = coordinated(client, "enforce");
    let lease = |words: &str| vec![runs(client, &site.stopgate_line(&format!("lease {words}; echo CODE $?")))];
    let (check, wait) = (|| lease("check src/"), || lease("wait src/ --timeout 90"));
    let holding = Actor::start(&site, client, "holding", vec![lease("acquire src/"), check(), check()]);
    let asked = holding.plays();
    assert!(asked[1].brings("CODE 0"), "{asked:#?}");
    let first = holder(&site).expect("a holder");

    holding.live.types("/compact");
    eventually("the compaction is recorded", || site.session().last_events.contains_key("PostCompact").then_some(()));
    holding.live.is_quiet();
    let asked = holding.plays();
    assert!(asked[1].brings("CODE 0"), "after the compaction: {asked:#?}");
    if site.daemon.is_some() {
        return in_daemon(&site, &first, &holding, check());
    }

    holding.live.types("/clear");
    holding.live.is_quiet();
    let asked = holding.plays();
    assert!(asked[1].brings("CODE 0"), "after /clear: {asked:#?}");
    let cleared = holder(&site).expect("a holder");
    assert_ne!(cleared, first);

    let second = Actor::start(&site, client, "second", vec![wait()]);
    second.begins();
    eventually("the second one waits", || is_waited_for(&site));
    holding.quits();
    let asked = second.ends();
    assert!(asked[1].brings("CODE 0"), "after the holder's end: {asked:#?}");
    let heir = holder(&site).expect("a holder");
    assert_ne!(heir, cleared);

    let third = Actor::start(&site, client, "third", vec![wait(), check()]);
    third.begins();
    eventually("the third one waits", || is_waited_for(&site));
    let row = site.sessions().into_iter().find(|row| row.session_id == heir).unwrap();
    let pid = i32::try_from(row.harness_process.expect("a process").pid).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let asked = third.ends();
    assert!(asked[1].brings("CODE 0"), "after the holder was killed: {asked:#?}");
    let last = holder(&site).expect("a holder");
    assert_ne!(last, heir);

    is_forked(&site, &last, check());
    // The fork lives on beside it.
    third.live.types("/clear");
    third.live.is_quiet();
    let asked = third.plays();
    assert!(asked[1].brings("CODE 0"), "after /clear beside a fork: {asked:#?}");
    assert_ne!(holder(&site).as_deref(), Some(&*last));
    third.quits();
    Outcome::works([])
}

/// A fork of the session that holds `src/` holds nothing.
fn is_forked(site: &Site, of: &str, check: Vec<Turn>) {
    let forked = Actor::start_with(site, site.client, "forked", vec![check], &site.client.fork(of));
    let asked = forked.plays();
    assert!(asked[1].brings("CODE 10"), "a fork holds nothing: {asked:#?}");
    assert_eq!(holder(site).as_deref(), Some(of));
}

fn in_daemon(site: &Site, first: &str, holding: &Actor<'_>, check: Vec<Turn>) -> Outcome {
    is_forked(site, first, check.clone());
    holding.quits();
    assert_eq!(holder(site).as_deref(), Some(first), "the daemon still has the session");
    let name = |id: &str| site.sessions().into_iter().find(|row| row.session_id == id).and_then(|row| row.name);
    let called = name(first);
    let again = Actor::start_with(site, site.client, "again", vec![check], &site.client.resume(first));
    let asked = again.plays();
    assert!(asked[1].brings("CODE 0"), "taken up again: {asked:#?}");
    assert_eq!(name(first), called);
    again.live.types("/clear");
    again.live.is_quiet();
    assert_eq!(holder(site).as_deref(), Some(first));
    // Nobody says anything of its end.
    site.daemon.as_ref().unwrap().kill();
    eventually("what its sessions held is free", || holder(site).is_none().then_some(()));
    Outcome::differs([
        "nothing ties the new session of `/clear` to the old one, in no event and no file: the lease ends with the old one, \
         which the daemon lets go of a minute later",
    ])
}
