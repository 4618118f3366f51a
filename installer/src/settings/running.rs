//! What a hook entry of somebody else runs: a person writes the same program in other words (`$HOME/...`, `~/...`, through a
//! link, with `env A=1` or `bash -c` before it), and another home of stopgate has programs of the same names.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use stopgate_core::env::{self, Env};
use stopgate_core::hook::Hook;

use crate::shell;

/// How many programs may stand before the one that is meant (`env A=1 nice bash -c '...'`).
const MAX_WRAPPERS: usize = 8;
/// Shells, which take a command line behind `-c`.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ksh", "ash"];

/// Where and with which variables a harness would run it.
pub(crate) struct Surroundings<'a> {
    environment: &'a dyn Env,
    dir: Option<PathBuf>,
}

impl<'a> Surroundings<'a> {
    /// Those of the hooks of a file: of `project`, or of the person.
    pub(crate) fn of(environment: &'a dyn Env, project: Option<&Path>) -> Self {
        let home = || environment.os(env::HOME).map(PathBuf::from);
        Self { environment, dir: project.map(Path::to_owned).or_else(home) }
    }

    /// The program of stopgate's that an entry runs, as far as that can be told from its words; also one of another home. It
    /// is there.
    pub(crate) fn hook(&self, command: &str, args: &[&str]) -> Option<(Hook, PathBuf)> {
        // With arguments there is no shell in between, and nothing is put in for a variable.
        let words = if args.is_empty() {
            shell::simple_command(command, &|name| self.variable(name))?
        } else {
            std::iter::once(command).chain(args.iter().copied()).map(str::to_owned).collect()
        };
        self.hook_of_words(&words, 0)
    }

    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "CLAUDE_PROJECT_DIR" | "PWD" => self.dir.as_ref()?.to_str().map(str::to_owned),
            _ => self.environment.text(name),
        }
    }

    fn hook_of_words(&self, words: &[String], depth: usize) -> Option<(Hook, PathBuf)> {
        if depth > MAX_WRAPPERS {
            return None;
        }
        let is_setting = |word: &String| {
            word.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty() && name.chars().all(|symbol| symbol.is_alphanumeric() || symbol == '_')
            })
        };
        let start = words.iter().position(|word| !is_setting(word))?;
        let (program, rest) = words[start..].split_first()?;
        let settings = || words.iter().filter(|word| is_setting(word)).filter_map(|word| word.split_once('='));
        let name = Path::new(program).file_name().and_then(OsStr::to_str)?;
        let behind_flags =
            |rest: &'_ [String]| rest.iter().position(|word| !word.starts_with('-') && !is_setting(word));
        match name {
            "env" | "exec" | "command" | "nohup" | "setsid" | "time" | "nice" | "stdbuf" | "ionice" => {
                self.hook_of_words(&rest[behind_flags(rest)?..], depth + 1)
            }
            // A duration first.
            "timeout" => self.hook_of_words(rest.get(behind_flags(rest)? + 1..)?, depth + 1),
            name if SHELLS.contains(&name) => {
                let at = rest.iter().position(|word| {
                    word.strip_prefix('-').is_some_and(|flags| !flags.starts_with('-') && flags.ends_with('c'))
                })?;
                let inner = shell::simple_command(rest.get(at + 1)?, &|name| self.variable(name))?;
                self.hook_of_words(&inner, depth + 1)
            }
            name => {
                let hook = Hook::ALL.into_iter().find(|hook| hook.name() == name)?;
                Some((hook, self.real(Path::new(program))?))
            }
        }
        .filter(|(_, program)| {
            let home = program.parent().and_then(Path::parent);
            // With another variable of stopgate's it does not work, or for another home.
            settings().all(|(name, value)| {
                !name.starts_with("STOPGATE_")
                    || name == env::STOPGATE_HOME && Path::new(value).canonicalize().ok().as_deref() == home
            })
        })
    }

    /// Where `program` is; a bare name is looked for as a shell does.
    fn real(&self, program: &Path) -> Option<PathBuf> {
        let is_bare = program.components().count() == 1 && program.is_relative();
        let found = if is_bare {
            let path = self.environment.os(env::PATH)?;
            std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file())?
        } else {
            self.dir.as_deref().unwrap_or(Path::new("/")).join(program)
        };
        found.canonicalize().ok().filter(|path| path.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::env::MapEnv;

    #[test]
    fn the_program_is_known_in_other_words_and_a_mention_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let bin = root.join("my home/.stopgate/bin");
        std::fs::create_dir_all(&bin).unwrap();
        let router = bin.join("stop-gate-router");
        std::fs::write(&router, "").unwrap();
        std::os::unix::fs::symlink(root.join("my home"), root.join("link")).unwrap();
        let (home, linked) = (root.join("my home").display().to_string(), root.join("link").display().to_string());
        let environment =
            MapEnv::of([(env::HOME, &*home), (env::PATH, "/nowhere"), ("SG", &*format!("{home}/.stopgate"))]);
        let here = Surroundings::of(&environment, None);
        for line in [
            "\"$HOME\"/.stopgate/bin/stop-gate-router claude",
            "\"${HOME}/.stopgate/bin/stop-gate-router\" claude",
            "~/.stopgate/bin/stop-gate-router claude",
            ".stopgate/bin/stop-gate-router claude",
            "./.stopgate/bin/../bin/stop-gate-router",
            "\"$SG/bin/stop-gate-router\" claude 2>/dev/null || true",
            &format!("{linked}/.stopgate/bin/stop-gate-router claude"),
            &format!("env A=1 B='two words' {linked}/.stopgate/bin/stop-gate-router claude"),
            &format!("A=1 exec {linked}/.stopgate/bin/stop-gate-router claude"),
            &format!("bash -lc '{linked}/.stopgate/bin/stop-gate-router claude; true'"),
            &format!("timeout -k 1 5 {linked}/.stopgate/bin/stop-gate-router claude"),
            "nice -n 5 ~/.stopgate/bin/stop-gate-router claude",
            "sh -c 'exec ~/.stopgate/bin/stop-gate-router claude'",
        ] {
            // What flags take is not known of every program: that is no harm but a missed one.
            let is_doubtful = line.starts_with("timeout -k") || line.starts_with("nice -n");
            let found = here.hook(line, &[]);
            assert!(is_doubtful || found == Some((Hook::StopGateRouter, router.clone())), "{line}: {found:?}");
        }
        for line in [
            &format!("echo {linked}/.stopgate/bin/stop-gate-router"),
            &format!("true || {linked}/.stopgate/bin/stop-gate-router claude"),
            &format!("cat < {linked}/.stopgate/bin/stop-gate-router"),
            "stop-gate-router claude",
            "$UNKNOWN/bin/stop-gate-router claude",
            "'$HOME/.stopgate/bin/stop-gate-router' claude",
            "~/.stopgate/bin/build-stop-hook claude",
            "`~/.stopgate/bin/stop-gate-router`",
            "env STOPGATE_KILL=1 ~/.stopgate/bin/stop-gate-router claude",
            "STOPGATE_HOME=/elsewhere ~/.stopgate/bin/stop-gate-router claude",
            "# ~/.stopgate/bin/stop-gate-router",
            "",
        ] {
            assert_eq!(here.hook(line, &[]), None, "{line}");
        }
        let path = router.to_str().unwrap();
        assert!(here.hook("/usr/bin/env", &["A=1", path, "claude"]).is_some());
        assert!(here.hook(&format!("{linked}/.stopgate/bin/stop-gate-router"), &["claude"]).is_some());
        assert_eq!(here.hook("$HOME/.stopgate/bin/stop-gate-router", &["claude"]), None, "no shell reads it");
    }
}
