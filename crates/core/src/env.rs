//! The only door to the process environment: named constants behind a read trait. Variables of a harness are in its row
//! ([`crate::harness::Spec`]).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Root of everything stopgate keeps at run time; default `~/.stopgate`.
pub const STOPGATE_HOME: &str = "STOPGATE_HOME";
/// `1` allows every stop at once, whatever else is configured.
pub const STOPGATE_KILL: &str = "STOPGATE_KILL";
/// `1` keeps hooks and CLI from starting the authority.
pub const STOPGATE_NO_AUTOSTART: &str = "STOPGATE_NO_AUTOSTART";
/// Total time in milliseconds that a hook may take, instead of what its row says; within [`crate::hook::DEADLINES`].
pub const STOPGATE_DEADLINE_MS: &str = "STOPGATE_DEADLINE_MS";
/// Set for a program that is asked to judge, and for all it starts: its own hooks allow and record nothing.
pub const STOPGATE_JUDGE: &str = "STOPGATE_JUDGE";
/// For tests (see [`made_up`]): a file that holds milliseconds, which every stopgate process adds to its clocks: time that
/// has gone by, and, if more numbers follow, by how much the time of day was set, and time that has gone by suspended.
pub const STOPGATE_CLOCK: &str = "STOPGATE_CLOCK";
/// For tests (see [`made_up`]): a JSON file with the reading (`available_pct`, `load_per_core`) that the authority takes
/// for the machine's.
pub const STOPGATE_PRESSURE: &str = "STOPGATE_PRESSURE";
/// For tests (see [`made_up`]): how many times longer than usual is waited (see [`patiently`]).
pub const STOPGATE_PATIENCE: &str = "STOPGATE_PATIENCE";
/// Where a person's programs keep what they know; `~/.local/state` by default.
pub const XDG_STATE_HOME: &str = "XDG_STATE_HOME";
/// For tests (see [`made_up`]): the process with which the world begins. Whoever is above it, such as an agent that runs the
/// tests, is nobody's ancestor.
pub const STOPGATE_TOP: &str = "STOPGATE_TOP";
/// For tests (see [`made_up`]): the version that an authority takes itself for, so that a newer one can take over.
pub const STOPGATE_VERSION: &str = "STOPGATE_VERSION";
/// The person's home directory.
pub const HOME: &str = "HOME";
/// Where temporary files go; the fallback is `/tmp`.
pub const TMPDIR: &str = "TMPDIR";
/// The person's directory for sockets and the like, private and gone when they log out; not everywhere.
pub const XDG_RUNTIME_DIR: &str = "XDG_RUNTIME_DIR";
/// Search path for subprocesses.
pub const PATH: &str = "PATH";
/// tmux: `socket,server pid,session number` of the server this process lives in.
pub const TMUX: &str = "TMUX";
/// tmux: the pane this process lives in, `%7`.
pub const TMUX_PANE: &str = "TMUX_PANE";
/// Language and encoding of what programs print.
pub const LANG: &str = "LANG";
/// Variables that name a repository or its parts for git, whatever directory it runs in (`git rev-parse
/// --local-env-vars`): set for a checkout of somebody's own, as in a git hook, they mislead in any other.
pub const GIT_LOCAL: [&str; 15] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];
/// Who is at the keyboard, for the kill switch's record.
pub const USER: &str = "USER";

/// Read access to environment variables.
pub trait Env {
    /// The value of `name`, if it is set.
    fn os(&self, name: &str) -> Option<OsString>;

    /// The value of `name` if it is set, not empty, and UTF-8.
    fn text(&self, name: &str) -> Option<String> {
        self.os(name)?.into_string().ok().filter(|value| !value.is_empty())
    }

    /// Whether `name` is switched on: set, and neither empty nor `0`, `false`, `no` or `off`.
    fn flag(&self, name: &str) -> bool {
        self.os(name).is_some_and(|value| !matches!(value.to_str(), Some("" | "0" | "false" | "no" | "off")))
    }
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    #[expect(clippy::disallowed_methods, reason = "this is the one door")]
    fn os(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }
}

/// What `name`, a variable for tests, puts in the place of something real, mostly a file. Programs of a release know no
/// such variable: whoever sets the environment of an authority must not be able to tell it the time, or how the machine is.
pub fn made_up(name: &str) -> Option<PathBuf> {
    let is_for_tests = cfg!(any(debug_assertions, feature = "made-up-world"));
    is_for_tests.then(|| ProcessEnv.os(name)).flatten().map(PathBuf::from)
}

/// `limit`, and several times that in tests that are not about limits: on a machine with more work than processors the
/// usual ones are missed, and what is then done instead is right, but not what those tests look at.
pub fn patiently(limit: Duration) -> Duration {
    let times = made_up(STOPGATE_PATIENCE).and_then(|times| times.to_str()?.parse().ok());
    limit * times.unwrap_or(1)
}

/// A made-up environment, for tests and for replays.
#[derive(Debug, Clone, Default)]
pub struct MapEnv(BTreeMap<String, OsString>);

impl MapEnv {
    /// An environment holding exactly `pairs`.
    pub fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
    }
}

impl Env for MapEnv {
    fn os(&self, name: &str) -> Option<OsString> {
        self.0.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_on_only_for_values_that_mean_on() {
        for (value, on) in [("1", true), ("yes", true), ("0", false), ("", false), ("false", false), ("off", false)] {
            assert_eq!(MapEnv::of([(STOPGATE_KILL, value)]).flag(STOPGATE_KILL), on, "{value:?}");
        }
        assert!(!MapEnv::default().flag(STOPGATE_KILL));
    }

    #[test]
    fn empty_text_counts_as_unset() {
        assert_eq!(MapEnv::of([(HOME, "")]).text(HOME), None);
    }
}
