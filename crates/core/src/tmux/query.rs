//! Asks tmux. Not for hooks, which have no time to run programs.

use std::process::{Command, Stdio};
use std::time::Instant;

use super::{TmuxPlace, TmuxRecord, is_pane_id};
use crate::env::{self, Env, ProcessEnv};
use crate::subprocess;

/// All panes of a tmux server with their sessions' names, or `None` if no server answers. Without `server` (the path
/// of its socket) the one that `TMUX` names, or the default one, is asked.
pub fn panes(server: Option<&str>, deadline: Instant) -> Option<Vec<TmuxPlace>> {
    let mut command = Command::new("tmux");
    let own = ProcessEnv.text(env::TMUX).and_then(|tmux| Some(tmux.rsplitn(3, ',').nth(2)?.to_owned()));
    if let Some(server) = server.map(str::to_owned).or(own) {
        command.args(["-S", &server]);
    }
    // Without -u and a UTF-8 locale tmux prints an underscore for a tab.
    command.args(["-u", "list-panes", "-a", "-F", "#{pane_id}\t#{pid}\t#{socket_path}\t#{session_name}"]);
    command.stderr(Stdio::null()).env_remove(env::TMUX);
    let output = subprocess::run(command, deadline).output()?;
    Some(String::from_utf8_lossy(&output).lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<TmuxPlace> {
    let mut fields = line.splitn(4, '\t');
    let pane = fields.next().filter(|pane| is_pane_id(pane))?.to_owned();
    let server_pid = fields.next()?.parse().ok();
    let server = fields.next()?.to_owned();
    Some(TmuxPlace { server, server_pid, session: Some(fields.next()?.to_owned()), pane })
}

/// What stands beside `place` now; `None` if tmux does not answer, or knows no such pane.
pub fn record(place: &TmuxPlace, deadline: Instant) -> Option<TmuxRecord> {
    let panes = panes(Some(&place.server), deadline)?;
    let own = panes.iter().find(|pane| pane.pane == place.pane && pane.server_pid == place.server_pid)?;
    // tmux may spell the socket's path otherwise than `TMUX` does.
    let place = TmuxPlace { session: own.session.clone(), ..place.clone() };
    Some(TmuxRecord { place, panes: panes.into_iter().map(|pane| pane.pane).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_may_hold_anything_but_a_line_break() {
        let place = parse("%7\t42\t/tmp/tmux-0/default\tmy work: part\t2").unwrap();
        assert_eq!((place.pane.as_str(), place.server_pid), ("%7", Some(42)));
        assert_eq!(place.session.as_deref(), Some("my work: part\t2"));
        assert_eq!(parse("no server running"), None);
    }
}
