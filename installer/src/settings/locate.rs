//! Where the settings file of a scope is.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stopgate_core::env::{self, Env};

use crate::exit::Refusal;

/// Which of Claude Code's settings files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// The person's own, for all projects.
    User,
    /// `settings.local.json` of one project.
    Project,
}

impl Scope {
    /// The word on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
        }
    }
}

/// A settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) scope: Scope,
    /// Absolute; may be a symbolic link, may not exist.
    pub(crate) path: PathBuf,
    /// The project's directory.
    pub(crate) project: Option<PathBuf>,
}

/// Finds the settings file of `scope`; `project` is what the person named, relative to `cwd`.
pub(crate) fn locate(
    environment: &dyn Env,
    scope: Scope,
    project: Option<&Path>,
    cwd: &Path,
) -> Result<Location, Refusal> {
    let location = match scope {
        Scope::User => Location { scope, path: user_dir(environment)?.join("settings.json"), project: None },
        Scope::Project => {
            let named = cwd.join(project.unwrap_or(Path::new("")));
            let project = named.canonicalize().ok().filter(|dir| dir.is_dir()).ok_or_else(|| {
                Refusal(format!("{}: no such directory; name the project with --project", named.display()))
            })?;
            Location { scope, path: project.join(".claude/settings.local.json"), project: Some(project) }
        }
    };
    if location.path.to_str().is_none() {
        let shown = location.path.display();
        return Err(Refusal(format!("{shown}: not UTF-8, and neither ledger nor settings can hold such a path")));
    }
    Ok(location)
}

fn user_dir(environment: &dyn Env) -> Result<PathBuf, Refusal> {
    let set = |name| environment.os(name).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty());
    if let Some(dir) = set(env::CLAUDE_CONFIG_DIR) {
        if dir.is_absolute() {
            return Ok(dir);
        }
        let dir = dir.display();
        return Err(Refusal(format!("CLAUDE_CONFIG_DIR={dir} is a relative path; set it to an absolute one")));
    }
    match set(env::HOME) {
        Some(home) if home.is_absolute() => Ok(home.join(".claude")),
        _ => Err(Refusal("HOME is not an absolute path; set HOME or CLAUDE_CONFIG_DIR".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::env::MapEnv;

    #[test]
    fn the_user_scope_follows_the_client() {
        let find = |env: &MapEnv| locate(env, Scope::User, None, Path::new("/")).map(|found| found.path);
        let home = MapEnv::of([(env::HOME, "/home/dev")]);
        assert_eq!(find(&home).unwrap(), Path::new("/home/dev/.claude/settings.json"));
        let configured = MapEnv::of([(env::HOME, "/home/dev"), (env::CLAUDE_CONFIG_DIR, "/cfg")]);
        assert_eq!(find(&configured).unwrap(), Path::new("/cfg/settings.json"));
        for bad in [MapEnv::of([(env::HOME, "rel")]), MapEnv::of([(env::CLAUDE_CONFIG_DIR, "rel")])] {
            assert!(find(&bad).is_err());
        }
    }

    #[test]
    fn a_project_has_to_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("p")).unwrap();
        let find = |project: Option<&str>| locate(&MapEnv::default(), Scope::Project, project.map(Path::new), &root);
        assert_eq!(find(Some("p")).unwrap().path, root.join("p/.claude/settings.local.json"));
        assert_eq!(find(None).unwrap().project, Some(root.clone()));
        assert!(find(Some("q")).unwrap_err().0.contains("/q: no such directory"));
    }
}
