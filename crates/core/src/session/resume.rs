//! The command that takes a session up again.

use std::path::{Path, PathBuf};

use super::{Harness, SessionKey};
use crate::shell;

/// How a session is taken up again: where, with which variables, and what is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeCommand {
    /// The directory that the session was started in: Claude Code finds a session only from there.
    pub dir: Option<PathBuf>,
    /// Variables that the harness needs.
    pub env: Vec<(&'static str, String)>,
    /// Program and arguments.
    pub argv: Vec<String>,
}

/// How `key` is taken up again. `transcript` tells where Claude Code keeps its files when that is not below `home`.
pub fn resume_command(
    key: &SessionKey,
    dir: Option<&Path>,
    transcript: Option<&Path>,
    home: Option<&Path>,
) -> ResumeCommand {
    let spec = key.harness.spec();
    let place = transcript.and_then(|transcript| files_of(key.harness, transcript));
    let place = place.filter(|found| home.is_none_or(|home| home.join(spec.directory) != *found));
    ResumeCommand {
        dir: dir.map(Path::to_owned),
        env: place.and_then(|path| Some((spec.directory_variable, path.to_str()?.to_owned()))).into_iter().collect(),
        argv: key.harness.resume(&key.session_id),
    }
}

/// The harness's own directory, as far as a transcript's path tells.
pub fn files_of(harness: Harness, transcript: &Path) -> Option<&Path> {
    let (name, levels) = harness.spec().transcripts;
    let dir = transcript.ancestors().nth(levels)?;
    (dir.file_name()? == name).then(|| dir.parent())?
}

impl ResumeCommand {
    /// One line for a POSIX shell.
    pub fn shell(&self) -> String {
        let mut out = String::new();
        if let Some(dir) = &self.dir {
            out.push_str("cd ");
            out.push_str(&shell::shown(&dir.to_string_lossy()));
            out.push_str(" && ");
        }
        for (name, value) in &self.env {
            out.push_str(name);
            out.push('=');
            out.push_str(&shell::shown(value));
            out.push(' ');
        }
        out.push_str(&self.argv.iter().map(|word| shell::shown(word)).collect::<Vec<_>>().join(" "));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(harness: Harness, dir: &str, transcript: &str) -> String {
        let key = SessionKey::new(harness, "0a1b").unwrap();
        resume_command(&key, Some(dir.as_ref()), Some(transcript.as_ref()), Some("/home/dev".as_ref())).shell()
    }

    #[test]
    fn it_is_one_line_that_a_shell_reads_back() {
        let usual = "/home/dev/.claude/projects/-w/0a1b.jsonl";
        assert_eq!(shell(Harness::Claude, "/w", usual), "cd /w && claude --resume 0a1b");
        assert_eq!(
            shell(Harness::Claude, "/my work/it's $HOME", "/elsewhere/it/projects/-w/0a1b.jsonl"),
            r"cd '/my work/it'\''s $HOME' && CLAUDE_CONFIG_DIR=/elsewhere/it claude --resume 0a1b"
        );
        let rollout = "/home/dev/.codex/sessions/2026/11/21/rollout-1-0a1b.jsonl";
        assert_eq!(shell(Harness::Codex, "/w", rollout), "cd /w && codex resume 0a1b");
        assert_eq!(shell(Harness::Claude, "/w", "/odd/place.jsonl"), "cd /w && claude --resume 0a1b");
    }

    #[test]
    fn nothing_in_an_id_is_run() {
        let key = SessionKey::new(Harness::Claude, "$(touch/x);'\"").unwrap();
        let line = resume_command(&key, None, None, None).shell();
        assert_eq!(line, r#"claude --resume '$(touch/x);'\''"'"#);
        let option = |harness| {
            let key = SessionKey::new(harness, "--dangerously-skip-permissions").unwrap();
            resume_command(&key, None, None, None).shell()
        };
        assert_eq!(option(Harness::Claude), "claude --resume=--dangerously-skip-permissions");
        assert_eq!(option(Harness::Codex), "codex resume -- --dangerously-skip-permissions");
    }
}
