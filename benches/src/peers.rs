//! The router as it would be written in the languages that hooks are written in: the same switches, request, verdict,
//! answer and heartbeats, each in the fastest form that is still honest. What they leave out is what the real one does
//! when something fails: spool, log, bounds on input.

use std::path::Path;

use stopgate_core::env::{self, Env as _, ProcessEnv};

/// A language that a peer is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// JavaScript run by Node.
    Node,
    /// Python without site packages.
    Python,
    /// Bash, jq and curl.
    Bash,
}

impl Language {
    /// All, in the order of the report.
    pub(crate) const ALL: [Self; 3] = [Self::Node, Self::Python, Self::Bash];

    /// Name of the peer's file and of its heartbeats.
    pub(crate) const fn peer(self) -> &'static str {
        match self {
            Self::Node => "peer-node",
            Self::Python => "peer-python",
            Self::Bash => "peer-bash",
        }
    }

    /// The peer itself.
    pub(crate) const fn source(self) -> &'static str {
        match self {
            Self::Node => include_str!("../peers/peer-node"),
            Self::Python => include_str!("../peers/peer-python"),
            Self::Bash => include_str!("../peers/peer-bash"),
        }
    }

    /// What runs it: named at once, as a harness's settings would, so that no shebang is followed.
    pub(crate) const fn interpreter(self) -> &'static [&'static str] {
        match self {
            Self::Node => &["node"],
            // Not whatever `python3` comes first: a version manager's shim costs more than the peer.
            Self::Python => &["/usr/bin/python3", "-I", "-S"],
            Self::Bash => &["/bin/bash"],
        }
    }

    /// Programs that it needs.
    const fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Node => &["node"],
            Self::Python => &["/usr/bin/python3"],
            Self::Bash => &["/bin/bash", "jq", "curl", "touch"],
        }
    }

    /// The first of the programs that it needs and that is not here.
    pub(crate) fn missing(self) -> Option<&'static str> {
        self.needs().iter().copied().find(|program| !is_here(program))
    }
}

/// Whether `program`, a path or a name to be looked up, can be started.
pub(crate) fn is_here(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).exists();
    }
    let path = ProcessEnv.os(env::PATH).unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_up_by_name_or_path() {
        assert!(is_here("sh") && is_here("/bin/sh"));
        assert!(!is_here("no-such-program-here") && !is_here("/bin/no-such-program-here"));
    }
}
