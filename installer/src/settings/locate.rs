//! Where the settings file of a harness and a scope is.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stopgate_core::env::{self, Env};
use stopgate_core::session::Harness;

use crate::exit::Refusal;

/// Which of a harness's settings files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scope {
    /// The person's own, for all projects.
    User,
    /// The one of a project that its people share.
    Project,
    /// The person's own for one project; Claude Code only.
    ProjectLocal,
}

impl Scope {
    /// The word on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::ProjectLocal => "project-local",
        }
    }
}

/// A settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) harness: Harness,
    pub(crate) scope: Scope,
    /// Absolute; may be a symbolic link, may not exist.
    pub(crate) path: PathBuf,
    /// The project's directory.
    pub(crate) project: Option<PathBuf>,
}

/// Finds the settings file of `scope`; `project` is what the person named, relative to `cwd`.
pub(crate) fn locate(
    environment: &dyn Env,
    harness: Harness,
    scope: Scope,
    project: Option<&Path>,
    cwd: &Path,
) -> Result<Location, Refusal> {
    let spec = harness.spec();
    let file = match scope {
        Scope::User => {
            let path = user_dir(environment, harness)?.join(spec.settings);
            return speakable(Location { harness, scope, path, project: None });
        }
        Scope::Project => spec.settings,
        Scope::ProjectLocal => spec.local_settings.ok_or_else(|| {
            let product = spec.product;
            Refusal(format!("{product} knows no project-local hooks; use --scope project or --scope user"))
        })?,
    };
    let named = cwd.join(project.unwrap_or(Path::new("")));
    let project =
        named.canonicalize().ok().filter(|dir| dir.is_dir()).ok_or_else(|| {
            Refusal(format!("{}: no such directory; name the project with --project", named.display()))
        })?;
    speakable(Location { harness, scope, path: project.join(spec.directory).join(file), project: Some(project) })
}

fn speakable(location: Location) -> Result<Location, Refusal> {
    if location.path.to_str().is_some() {
        return Ok(location);
    }
    let shown = location.path.display();
    Err(Refusal(format!("{shown}: not UTF-8, and neither ledger nor settings can hold such a path")))
}

/// The directory of the person's own configuration of `harness`.
pub(crate) fn user_dir(environment: &dyn Env, harness: Harness) -> Result<PathBuf, Refusal> {
    let (variable, directory) = (harness.spec().directory_variable, harness.spec().directory);
    let set = |name| environment.os(name).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty());
    if let Some(dir) = set(variable) {
        if dir.is_absolute() {
            return Ok(dir);
        }
        let dir = dir.display();
        return Err(Refusal(format!("{variable}={dir} is a relative path; set it to an absolute one")));
    }
    match set(env::HOME) {
        Some(home) if home.is_absolute() => Ok(home.join(directory)),
        _ => Err(Refusal(format!("HOME is not an absolute path; set HOME or {variable}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::env::MapEnv;

    #[test]
    fn the_user_scope_follows_the_client() {
        let find =
            |env: &MapEnv, harness| locate(env, harness, Scope::User, None, Path::new("/")).map(|found| found.path);
        let home = MapEnv::of([(env::HOME, "/home/dev")]);
        assert_eq!(find(&home, Harness::Claude).unwrap(), Path::new("/home/dev/.claude/settings.json"));
        assert_eq!(find(&home, Harness::Codex).unwrap(), Path::new("/home/dev/.codex/hooks.json"));
        let configured =
            MapEnv::of([(env::HOME, "/home/dev"), ("CLAUDE_CONFIG_DIR", "/cfg"), ("CODEX_HOME", "/codex")]);
        assert_eq!(find(&configured, Harness::Claude).unwrap(), Path::new("/cfg/settings.json"));
        assert_eq!(find(&configured, Harness::Codex).unwrap(), Path::new("/codex/hooks.json"));
        for bad in [MapEnv::of([(env::HOME, "rel")]), MapEnv::of([("CLAUDE_CONFIG_DIR", "rel")])] {
            assert!(find(&bad, Harness::Claude).is_err());
        }
    }

    #[test]
    fn a_project_has_to_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("p")).unwrap();
        let find = |harness, scope, project: Option<&str>| {
            locate(&MapEnv::default(), harness, scope, project.map(Path::new), &root)
        };
        let local = find(Harness::Claude, Scope::ProjectLocal, Some("p")).unwrap();
        assert_eq!(local.path, root.join("p/.claude/settings.local.json"));
        let shared = find(Harness::Claude, Scope::Project, Some("p")).unwrap();
        assert_eq!(shared.path, root.join("p/.claude/settings.json"));
        let codex = find(Harness::Codex, Scope::Project, None).unwrap();
        assert_eq!((codex.path, codex.project), (root.join(".codex/hooks.json"), Some(root.clone())));
        assert!(find(Harness::Codex, Scope::ProjectLocal, None).unwrap_err().0.contains("no project-local"));
        assert!(find(Harness::Claude, Scope::Project, Some("q")).unwrap_err().0.contains("/q: no such directory"));
    }
}
