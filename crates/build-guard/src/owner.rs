//! Who owns a build, and how a session proves that it is the one.
//!
//! The ladder, first rung that holds: the session's id; a session that is recorded as continuing the stamped one in the
//! owner's process, or was the owner before, there or when that has ended; the place (tmux pane) of an owner whose
//! process had ended when the claimant's began. Anything else, and any doubt, is not the owner: to trap the wrong
//! session is worse than to lose a guard.

use serde::{Deserialize, Serialize};

use stopgate_core::clock::UnixMillis;
use stopgate_core::process::{Liveness, ProcessIdentity};
use stopgate_core::session::{Harness, SessionKey};
use stopgate_core::tmux::{TmuxPlace, TmuxRecord};

/// Who owns a build. Every part may be missing; what is missing proves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnerStamp {
    /// The client.
    pub harness: Option<Harness>,
    /// The session.
    pub session_id: Option<String>,
    /// Sessions that were the owner before, and that it may go back to: whoever branches off may return.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub former_sessions: Vec<String>,
    /// The place in tmux.
    pub tmux: Option<TmuxPlace>,
    /// The harness process.
    pub process: Option<ProcessIdentity>,
    /// The machine.
    pub host: String,
    /// When this was stamped, or last reconciled.
    pub stamped_at_ms: UnixMillis,
}

impl OwnerStamp {
    /// Whether the stamp names anything that a session could match.
    pub fn names_somebody(&self) -> bool {
        self.session_id.is_some() || self.tmux.is_some()
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        let session = self.session_id.as_deref().map(|id| format!("session {id}"));
        let pane = self.tmux.as_ref().map(|place| {
            let name = place.session.as_deref().map(|name| format!(" of tmux session {name}")).unwrap_or_default();
            format!("pane {}{name}", place.pane)
        });
        let process = self.process.as_ref().map(|process| format!("process {} ({})", process.pid, process.command));
        let parts: Vec<String> = [session, pane, process].into_iter().flatten().collect();
        if parts.is_empty() { "nobody".to_owned() } else { parts.join(", ") }
    }
}

/// The session that stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// Its id.
    pub key: SessionKey,
    /// Its place in tmux; `None` outside tmux.
    pub tmux: Option<TmuxPlace>,
    /// Its harness process.
    pub process: Option<ProcessIdentity>,
    /// The machine.
    pub host: String,
}

/// What the ladder asks of the world, and only when a rung needs it.
pub trait OwnerSurroundings {
    /// Whether a process still runs.
    fn liveness(&self, process: &ProcessIdentity) -> Liveness;
    /// What stood beside `process` in tmux when it began; `None` if that is not known.
    fn tmux_record(&self, process: &ProcessIdentity) -> Option<TmuxRecord>;
    /// Whether `session` is recorded as continuing `ancestor` by what is known of `processes`.
    fn descends(&self, processes: &[&ProcessIdentity], ancestor: &str, session: &str) -> bool;
    /// Whether `earlier` is recorded as having ended in the same pane before `process` began.
    fn follows(&self, process: &ProcessIdentity, earlier: &ProcessIdentity) -> bool;
}

/// Which rung held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// The session's id.
    Session,
    /// The tmux pane.
    TmuxPane,
    /// The tmux session, because the pane is gone.
    TmuxSession,
    /// What became of the owner's session, in its process or after that.
    Lineage,
}

impl Rung {
    /// The word in audit and log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::TmuxPane => "tmux pane",
            Self::TmuxSession => "tmux session",
            Self::Lineage => "lineage",
        }
    }
}

/// Whether `claimant` is the owner that `stamp` names, and by which rung.
pub fn claim(stamp: &OwnerStamp, claimant: &Claimant, world: &dyn OwnerSurroundings) -> Option<Rung> {
    if stamp.harness.is_some_and(|harness| harness != claimant.key.harness) {
        return None;
    }
    if stamp.session_id.as_deref() == Some(&claimant.key.session_id) {
        return Some(Rung::Session);
    }
    // Sessions that share a process share its terminal, too, whatever of them is in front: nothing tells them apart.
    let shared = [&stamp.process, &claimant.process].into_iter().flatten().any(|process| process.shared);
    if shared || stamp.host != claimant.host {
        return None;
    }
    let session = &claimant.key.session_id;
    let became = |ancestor: &str, processes: &[&ProcessIdentity]| {
        stamp.former_sessions.contains(session) || world.descends(processes, ancestor, session)
    };
    match (&stamp.process, &claimant.process) {
        (Some(stamped), Some(own)) if stamped.is(own) => {
            let Some(ancestor) = stamp.session_id.as_deref() else {
                // Started before its session was known: the process and its pane together name it.
                return same_pane(stamp, claimant).then_some(Rung::TmuxPane);
            };
            return became(ancestor, &[own]).then_some(Rung::Lineage);
        }
        // The owner's own process lives, or may live: whoever this is, it is somebody else.
        (Some(stamped), _) if world.liveness(stamped) != Liveness::Gone => return None,
        // Stamped where its process could not be seen, in a sandbox: it may live.
        (None, _) if stamp.session_id.is_some() => return None,
        _ => {}
    }
    if let (Some(stamped), Some(ancestor)) = (&stamp.process, stamp.session_id.as_deref()) {
        let processes = [Some(stamped), claimant.process.as_ref()];
        if became(ancestor, &processes.into_iter().flatten().collect::<Vec<_>>()) {
            return Some(Rung::Lineage);
        }
    }
    if same_pane(stamp, claimant) {
        let began_later = |stamped| claimant.process.as_ref().is_some_and(|own| world.follows(own, stamped));
        return stamp.process.as_ref().is_none_or(began_later).then_some(Rung::TmuxPane);
    }
    let (stamped, own) = (stamp.tmux.as_ref()?, claimant.tmux.as_ref()?);
    let record = world.tmux_record(claimant.process.as_ref()?)?;
    moved(stamped, own, &record).then_some(Rung::TmuxSession)
}

fn same_pane(stamp: &OwnerStamp, claimant: &Claimant) -> bool {
    matches!((&stamp.tmux, &claimant.tmux), (Some(stamped), Some(own)) if stamped.is_pane_of(own))
}

/// Whether the owner's pane was gone already when the claimant began, in a tmux session of the same name. A
/// claimant that ever stood beside the owner's pane is another agent.
fn moved(stamped: &TmuxPlace, own: &TmuxPlace, record: &TmuxRecord) -> bool {
    let believed = record.place.same_server(own) && record.place.pane == own.pane;
    let same_name = stamped.session.is_some() && stamped.session == record.place.session;
    let restarted = stamped.server_pid.is_some() && stamped.server_pid != own.server_pid;
    let was_gone = restarted || !record.panes.contains(&stamped.pane);
    believed && same_name && stamped.server == own.server && was_gone
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        liveness: Liveness,
        record: Option<TmuxRecord>,
        descends: bool,
        follows: bool,
    }

    impl Default for World {
        fn default() -> Self {
            Self { liveness: Liveness::Gone, record: None, descends: false, follows: true }
        }
    }

    impl World {
        /// The claimant sits in %2, where it found `panes`.
        fn began_beside(session: &str, panes: &[&str]) -> Self {
            let place = TmuxPlace { session: Some(session.into()), ..place("%2") };
            let panes = panes.iter().map(|pane| (*pane).to_owned()).collect();
            Self { record: Some(TmuxRecord { place, panes }), ..Self::default() }
        }
    }

    impl OwnerSurroundings for World {
        fn liveness(&self, _: &ProcessIdentity) -> Liveness {
            self.liveness
        }
        fn tmux_record(&self, _: &ProcessIdentity) -> Option<TmuxRecord> {
            self.record.clone()
        }
        fn descends(&self, _: &[&ProcessIdentity], ancestor: &str, session: &str) -> bool {
            self.descends && ancestor == "owner" && session == "new"
        }
        fn follows(&self, process: &ProcessIdentity, earlier: &ProcessIdentity) -> bool {
            self.follows && (process.pid, earlier.pid) == (8, 7)
        }
    }

    fn place(pane: &str) -> TmuxPlace {
        TmuxPlace { server: "/tmp/t".into(), server_pid: Some(9), session: Some("work".into()), pane: pane.into() }
    }

    fn process(pid: u32) -> ProcessIdentity {
        ProcessIdentity {
            pid,
            start_ticks: 1,
            command: "claude".into(),
            boot_id: "b".into(),
            ..ProcessIdentity::default()
        }
    }

    fn stamp() -> OwnerStamp {
        OwnerStamp {
            harness: Some(Harness::Claude),
            session_id: Some("owner".into()),
            former_sessions: Vec::new(),
            tmux: Some(place("%1")),
            process: Some(process(7)),
            host: "h".into(),
            stamped_at_ms: 0,
        }
    }

    fn claimant(id: &str, pane: Option<&str>, pid: Option<u32>) -> Claimant {
        Claimant {
            key: SessionKey::new(Harness::Claude, id).unwrap(),
            tmux: pane.map(place),
            process: pid.map(process),
            host: "h".into(),
        }
    }

    #[test]
    fn the_rungs_from_the_top() {
        let world = World::default();
        assert_eq!(claim(&stamp(), &claimant("owner", None, None), &world), Some(Rung::Session));
        assert_eq!(claim(&stamp(), &claimant("new", Some("%1"), Some(8)), &world), Some(Rung::TmuxPane));
        let later = World::began_beside("work", &["%2"]);
        assert_eq!(claim(&stamp(), &claimant("new", Some("%2"), Some(8)), &later), Some(Rung::TmuxSession));
        let unnamed = OwnerStamp { session_id: None, ..stamp() };
        assert_eq!(claim(&unnamed, &claimant("new", Some("%1"), Some(7)), &world), Some(Rung::TmuxPane));
        let cleared = World { liveness: Liveness::Alive, descends: true, ..World::default() };
        assert_eq!(claim(&stamp(), &claimant("new", None, Some(7)), &cleared), Some(Rung::Lineage));
        let resumed = World { descends: true, ..World::default() };
        for pid in [Some(8), None] {
            assert_eq!(claim(&stamp(), &claimant("new", Some("%9"), pid), &resumed), Some(Rung::Lineage));
        }
        let branched = OwnerStamp { former_sessions: vec!["parent".into()], ..stamp() };
        let lives = World { liveness: Liveness::Alive, ..World::default() };
        assert_eq!(claim(&branched, &claimant("parent", None, Some(7)), &lives), Some(Rung::Lineage));
        assert_eq!(claim(&branched, &claimant("parent", None, Some(8)), &world), Some(Rung::Lineage));
    }

    #[test]
    fn every_doubt_is_not_the_owner() {
        let world = World::default();
        let no = |stamp: &OwnerStamp, claimant: &Claimant, world: &World, why: &str| {
            assert_eq!(claim(stamp, claimant, world), None, "{why}");
        };
        no(&stamp(), &claimant("new", None, Some(8)), &world, "outside tmux");
        let beside = World { follows: false, ..World::default() };
        no(&stamp(), &claimant("new", Some("%1"), Some(8)), &beside, "it began in the pane while the owner lived");
        no(&stamp(), &claimant("new", Some("%1"), None), &world, "nobody knows when it began");
        for liveness in [Liveness::Alive, Liveness::Unknown] {
            let lives = World { liveness, descends: true, ..World::default() };
            no(&stamp(), &claimant("new", None, Some(8)), &lives, "the owner's process may live");
            let branched = OwnerStamp { former_sessions: vec!["parent".into()], ..stamp() };
            no(&branched, &claimant("parent", None, Some(8)), &lives, "the owner is in its own process");
        }
        no(&stamp(), &claimant("new", Some("%2"), Some(8)), &world, "another pane while the stamped one is there");
        let beside = World::began_beside("work", &["%1", "%2"]);
        no(&stamp(), &claimant("new", Some("%2"), Some(8)), &beside, "it began while the owner's pane was there");
        let elsewhere = World::began_beside("other", &["%2"]);
        no(&stamp(), &claimant("new", Some("%2"), Some(8)), &elsewhere, "another tmux session");
        let later = World::began_beside("work", &["%2"]);
        no(&stamp(), &claimant("new", Some("%3"), Some(8)), &later, "the record is of another pane");
        for liveness in [Liveness::Alive, Liveness::Unknown] {
            let lives = World { liveness, ..World::default() };
            no(&stamp(), &claimant("new", Some("%1"), Some(8)), &lives, "an agent inside the owner's pane");
            no(&stamp(), &claimant("new", Some("%1"), None), &lives, "the owner may live");
        }
        no(&stamp(), &claimant("new", Some("%1"), Some(7)), &world, "another session of the same process");
        let unnamed = OwnerStamp { session_id: None, ..stamp() };
        no(&unnamed, &claimant("new", Some("%2"), Some(7)), &world, "its process, but another pane");
        let unseen = OwnerStamp { process: None, ..stamp() };
        no(&unseen, &claimant("new", Some("%1"), Some(8)), &world, "its process was never seen, and may live");
        no(&OwnerStamp::default(), &claimant("new", Some("%1"), Some(7)), &world, "no stamp");
        let codex = OwnerStamp { harness: Some(Harness::Codex), ..stamp() };
        no(&codex, &claimant("owner", Some("%1"), Some(7)), &world, "another harness");
        let abroad = OwnerStamp { host: "other".into(), ..stamp() };
        no(&abroad, &claimant("new", Some("%1"), None), &world, "another machine");
        let daemon = |pid| ProcessIdentity { shared: true, ..process(pid) };
        let descends = World { descends: true, ..World::default() };
        for (stamped, own) in [(daemon(7), daemon(7)), (daemon(7), process(8)), (process(7), daemon(8))] {
            let shared = OwnerStamp { process: Some(stamped), ..stamp() };
            let claimant = |id| Claimant { process: Some(own.clone()), ..claimant(id, Some("%1"), None) };
            no(&shared, &claimant("new"), &descends, "a process of many sessions is proof of none");
            assert_eq!(claim(&shared, &claimant("owner"), &world), Some(Rung::Session));
        }
        let restarted = Claimant {
            tmux: Some(TmuxPlace { server_pid: Some(10), ..place("%1") }),
            ..claimant("new", None, Some(8))
        };
        no(&stamp(), &restarted, &world, "another tmux server on the same socket");
    }
}
