//! What tmux servers show: one or two runs of tmux a server and look, however many sessions it has.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stopgate_core::clock::{SystemClock, UnixMillis};
use stopgate_core::env;
use stopgate_core::event_id::new_event_id;
use stopgate_core::subprocess;
use stopgate_core::tmux::{TmuxPlace, is_pane_id};

/// Longest time for one run of tmux.
const TMUX_BUDGET: Duration = Duration::from_secs(3);
/// Panes that one run captures.
const BATCH: usize = 40;

/// A pane of a server.
#[derive(Debug, Clone)]
pub(crate) struct Pane {
    /// The process that tmux started in it.
    pub(crate) pid: u32,
    /// The server's process.
    pub(crate) server_pid: u32,
    /// The sessions that show it, as they are called now.
    sessions: Vec<String>,
    /// Its window, as that is called now; `None` if the server did not say.
    window: Option<String>,
}

impl Pane {
    /// Whether all its names are known.
    pub(crate) const fn is_named(&self) -> bool {
        self.window.is_some()
    }

    /// Whether `name` is a present name of it: that of a session that shows it, of its window, or `session:window`.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let window = self.window.as_deref();
        let both = |session: &str| name.strip_prefix(session).and_then(|rest| rest.strip_prefix(':'));
        window == Some(name)
            || self
                .sessions
                .iter()
                .any(|session| session == name || window.is_some_and(|own| both(session) == Some(own)))
    }
}

/// A server's panes, and when its clients were used.
#[derive(Debug, Clone, Default)]
pub(crate) struct Server {
    panes: HashMap<String, Pane>,
    /// Session, and the time of the last use in seconds since the epoch.
    clients: Vec<(String, i64)>,
}

impl Server {
    /// The pane of `place`, if this is still the server that numbered it.
    pub(crate) fn pane(&self, place: &TmuxPlace) -> Option<&Pane> {
        self.panes.get(&place.pane).filter(|pane| place.server_pid == Some(pane.server_pid))
    }

    /// How long ago a client that shows `pane` was used.
    pub(crate) fn client_used_ms_ago(&self, pane: &Pane, now_ms: UnixMillis) -> Option<UnixMillis> {
        let shows = |session: &String| pane.sessions.contains(session);
        let last = self.clients.iter().filter(|(session, _)| shows(session)).map(|(_, used)| *used).max()?;
        Some((now_ms - last.saturating_mul(1_000)).max(0))
    }
}

fn tmux(server: &str) -> Command {
    let mut command = Command::new("tmux");
    command.args(["-S", server, "-u"]).stderr(Stdio::null()).env_remove(env::TMUX);
    command
}

/// Asks the server at the socket `server`; `None` if it does not answer.
pub(crate) fn look(server: &str) -> Option<Server> {
    let mut command = tmux(server);
    command.args(["list-panes", "-a", "-F", "P\t#{pane_id}\t#{pid}\t#{pane_pid}\t#{session_name}", ";"]);
    // By itself: it may hold anything.
    command.args(["list-panes", "-a", "-F", "W\t#{pane_id}\t#{window_name}", ";"]);
    command.args(["list-clients", "-F", "C\t#{client_activity}\t#{session_name}"]);
    let output = subprocess::run(command, Instant::now() + TMUX_BUDGET).output()?;
    Some(parse(&String::from_utf8_lossy(&output)))
}

fn parse(output: &str) -> Server {
    let mut server = Server::default();
    for line in output.lines() {
        let mut fields = line.splitn(5, '\t');
        match fields.next() {
            Some("P") => drop(pane(&mut server, fields)),
            Some("W") => {
                let named = line.splitn(3, '\t').skip(1).collect::<Vec<_>>();
                if let [id, window] = named[..]
                    && let Some(pane) = server.panes.get_mut(id)
                {
                    pane.window = Some(window.to_owned());
                }
            }
            Some("C") => {
                let used = fields.next().and_then(|used| used.parse().ok());
                server.clients.extend(fields.next().map(str::to_owned).zip(used));
            }
            _ => {}
        }
    }
    server
}

fn pane<'a>(server: &mut Server, mut fields: impl Iterator<Item = &'a str>) -> Option<()> {
    let id = fields.next().filter(|id| is_pane_id(id))?;
    let server_pid = fields.next()?.parse().ok()?;
    let pid = fields.next()?.parse().ok()?;
    let session = fields.next()?.to_owned();
    // A window that is linked into several sessions is listed once for each.
    let pane = server.panes.entry(id.to_owned()).or_insert_with(|| Pane {
        pid,
        server_pid,
        sessions: Vec::new(),
        window: None,
    });
    pane.sessions.push(session);
    Some(())
}

/// The last `lines` lines of each pane with their colours; panes that cannot be read are left out.
pub(crate) fn capture(server: &str, panes: &[&str], lines: u32) -> HashMap<String, String> {
    let mut found = HashMap::new();
    for batch in panes.chunks(BATCH) {
        match captured(server, batch, lines) {
            Some(frames) => found.extend(frames),
            // One pane that has gone ends the run for all: each by itself.
            None => found.extend(batch.iter().filter_map(|pane| captured(server, &[pane], lines)).flatten()),
        }
    }
    found
}

fn captured(server: &str, panes: &[&str], lines: u32) -> Option<Vec<(String, String)>> {
    // Nobody can print what nobody knows: a line of its own between two panes.
    let mark = new_event_id(&SystemClock);
    let mut command = tmux(server);
    for pane in panes {
        command.args(["capture-pane", "-p", "-e", "-S", &format!("-{lines}"), "-t", pane, ";"]);
        command.args(["display-message", "-p", "-t", pane, &mark, ";"]);
    }
    let output = subprocess::run(command, Instant::now() + TMUX_BUDGET).output()?;
    let text = String::from_utf8_lossy(&output);
    let frames: Vec<&str> = text.split_terminator(&format!("{mark}\n")).collect();
    (frames.len() == panes.len())
        .then(|| panes.iter().zip(frames).map(|(pane, frame)| ((*pane).to_owned(), last(frame, lines))).collect())
}

/// The last `lines` lines of `frame`.
fn last(frame: &str, lines: u32) -> String {
    let all: Vec<&str> = frame.lines().collect();
    let skip = all.len().saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX));
    all[skip..].join("\n")
}

/// Closes a pane.
pub(crate) fn close(server: &str, pane: &str) -> bool {
    let mut command = tmux(server);
    command.args(["kill-pane", "-t", pane]);
    subprocess::run(command, Instant::now() + TMUX_BUDGET).output().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_of_linked_windows_and_their_clients_are_understood() {
        let panes = "P\t%1\t40\t50\twork\nP\t%1\t40\t50\tother\nP\t%2\t40\t60\tmy\tname\n";
        let server = parse(&format!("{panes}W\t%1\tmy\twindow\nW\t%1\tmy\twindow\nC\t100\tother\nnoise\n"));
        let place =
            |pane: &str, server_pid| TmuxPlace { server: "/s".into(), server_pid, session: None, pane: pane.into() };
        let pane = server.pane(&place("%1", Some(40))).unwrap();
        assert_eq!((pane.pid, server.client_used_ms_ago(pane, 130_000)), (50, Some(30_000)));
        for name in ["work", "other", "my\twindow", "work:my\twindow", "other:my\twindow"] {
            assert!(pane.is_called(name), "{name}");
        }
        for name in ["wor", "work:", "work:my", ":my\twindow", "my", "", "work:other"] {
            assert!(!pane.is_called(name), "{name}");
        }
        let nameless = server.pane(&place("%2", Some(40))).unwrap();
        assert!(nameless.is_called("my\tname") && !nameless.is_called("my\tname:"));
        assert!(server.pane(&place("%1", Some(41))).is_none(), "a server that was started anew");
        assert!(server.pane(&place("%1", None)).is_none());
        let unseen = server.pane(&place("%2", Some(40))).unwrap();
        assert_eq!(server.client_used_ms_ago(unseen, 130_000), None);
    }

    #[test]
    fn only_the_end_of_a_frame_counts() {
        assert_eq!(last("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last("a\n", 2), "a");
    }
}
