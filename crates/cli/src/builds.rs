//! The builds of the checkout that a command runs in: found, chosen, changed under the lock, archived.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use stopgate_build_guard::machine::MoveRefused;
use stopgate_build_guard::state::{BuildState, Phase};
use stopgate_build_guard::store::{self, AuditLine, BuildAuditEvent, BuildError};
use stopgate_core::checkout::{self, Checkout};
use stopgate_core::clock::UnixMillis;
use stopgate_core::fsx;
use stopgate_core::lock::HeldLock;
use stopgate_core::session::SessionKey;
use stopgate_protocol::{ErrorCode, Failure};

/// How long to wait for a hook or another command that changes the same build.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// Longest id of a build.
const MAX_ID_BYTES: usize = 64;

/// The builds of a checkout.
pub(crate) struct Builds {
    pub(crate) checkout: Checkout,
}

/// A build and where it is.
pub(crate) struct Build {
    pub(crate) dir: PathBuf,
    pub(crate) state: BuildState,
}

/// What became of a change.
pub(crate) struct BuildChange {
    pub(crate) event: BuildAuditEvent,
    pub(crate) detail: Option<String>,
}

impl BuildChange {
    pub(crate) fn of(event: BuildAuditEvent) -> Self {
        Self { event, detail: None }
    }

    pub(crate) fn saying(event: BuildAuditEvent, detail: impl Into<String>) -> Self {
        Self { event, detail: Some(detail.into()) }
    }
}

impl Builds {
    /// The builds of the checkout that the current directory lies in.
    pub(crate) fn here() -> anyhow::Result<Self> {
        let cwd = std::env::current_dir().context("the current directory is gone")?;
        let checkout = checkout::find(&cwd)
            .with_context(|| format!("{}: not in a git checkout; builds belong to one (`git init`)", cwd.display()))?;
        Ok(Self { checkout })
    }

    pub(crate) fn root(&self) -> PathBuf {
        store::root(&self.checkout)
    }

    fn builds(&self) -> PathBuf {
        self.root().join("builds")
    }

    fn archive(&self) -> PathBuf {
        self.root().join("archive")
    }

    /// Makes the place for builds, which git ignores, and takes the lock that keeps others from starting one.
    pub(crate) fn prepare(&self) -> anyhow::Result<HeldLock> {
        let root = self.root();
        for dir in [&root, &self.builds(), &self.archive()] {
            if std::fs::symlink_metadata(dir).is_ok_and(|meta| !meta.is_dir()) {
                bail!("{}: not a directory of its own; builds are not kept behind a link. Move it away", dir.display());
            }
        }
        ignored_dir(&root)
            .and_then(|()| fsx::ensure_private_dir(&self.builds()))
            .with_context(|| format!("cannot create {}", root.display()))?;
        lock(&root)
    }

    /// All builds that have not ended. A state that cannot be used is left out, and told of on standard error.
    pub(crate) fn live(&self) -> Vec<Build> {
        let builds = store::directories(&self.checkout).into_iter().filter_map(readable);
        let mut builds: Vec<_> = builds.filter(|build| !build.state.phase.is_terminal()).collect();
        builds.sort_by_key(|build| build.state.created_at_ms);
        builds
    }

    /// All builds that have ended, the last first.
    pub(crate) fn ended(&self) -> Vec<Build> {
        let entries = std::fs::read_dir(self.archive()).into_iter().flatten().filter_map(Result::ok);
        let archived = entries.map(|entry| entry.path()).filter(|dir| self.is_own_directory(dir));
        let builds = archived.chain(store::directories(&self.checkout)).filter_map(readable);
        let mut builds: Vec<_> = builds.filter(|build| build.state.phase.is_terminal()).collect();
        builds.sort_by_key(|build| std::cmp::Reverse(build.state.ended_at_ms));
        builds
    }

    /// Directories whose state was moved aside because it could not be understood.
    pub(crate) fn broken(&self) -> Vec<PathBuf> {
        let is_broken = |dir: &PathBuf| matches!(store::read(dir), Ok(None) | Err(BuildError::Quarantined(_)));
        store::directories(&self.checkout).into_iter().filter(is_broken).collect()
    }

    /// The live build that is meant: the one that was named, else that of the session this runs in, else the only one.
    pub(crate) fn choose(&self, id: Option<&str>, own: Option<&SessionKey>) -> anyhow::Result<Build> {
        if let Some(id) = id {
            let build = self.by_id(id)?;
            if build.state.phase.is_terminal() {
                return Err(MoveRefused::Ended(build.state.phase)).with_context(|| format!("build {id}"));
            }
            return Ok(build);
        }
        let mut live = self.live();
        let owned = |build: &Build| {
            build.state.owner.as_ref().is_some_and(|owner| owner.session_id.as_ref() == own.map(|own| &own.session_id))
        };
        if own.is_some() && live.iter().any(owned) {
            live.retain(owned);
        }
        if live.len() > 1 {
            let ids: Vec<_> = live.iter().map(|build| build.state.id.as_str()).collect();
            bail!("several builds are live: name one with --build ({})", ids.join(", "));
        }
        live.pop().ok_or_else(|| {
            let none = format!("no build is live in {}", self.checkout.main.display());
            let failure = |message: String| Failure::new(ErrorCode::NotFound, message);
            match self.broken().first() {
                None => failure(none).with_remedy("`stopgate build start <task>` starts one"),
                Some(dir) => {
                    failure(format!("{none}, but the state of {} was not understood and moved aside", name(dir)))
                        .with_remedy("`stopgate build restore` brings it back")
                }
            }
            .into()
        })
    }

    /// The build called `id`, live or archived.
    pub(crate) fn by_id(&self, id: &str) -> anyhow::Result<Build> {
        let dir = self.directory(id)?;
        match store::read(&dir).with_context(|| format!("build {id}"))? {
            Some(state) => Ok(Build { dir, state }),
            None => {
                bail!("build {id}: its state was moved aside; `stopgate build restore --build {id}` brings it back")
            }
        }
    }

    /// Where the build called `id` is, readable or not.
    pub(crate) fn directory(&self, id: &str) -> anyhow::Result<PathBuf> {
        if !is_build_id(id) {
            bail!(unknown(format!("--build {id:?}: not the id of a build")));
        }
        let places = [self.builds(), self.archive()].map(|parent| parent.join(id));
        let found = places.into_iter().find(|dir| self.is_own_directory(dir));
        Ok(found.ok_or_else(|| unknown(format!("no build {id} in {}", self.root().display())))?)
    }

    /// Whether `dir`, a build's, is a directory, and so are those above it up to the checkout: what was planted may be
    /// links that lead out of it.
    fn is_own_directory(&self, dir: &Path) -> bool {
        let own = dir.ancestors().take_while(|above| *above != self.checkout.main);
        own.into_iter().all(is_directory)
    }

    /// Whether a build, live or ended, has the place of one called `id`.
    pub(crate) fn is_taken(&self, id: &str) -> bool {
        [self.builds(), self.archive()].iter().any(|parent| std::fs::symlink_metadata(parent.join(id)).is_ok())
    }

    /// Where a new build called `id` will be.
    pub(crate) fn new_directory(&self, id: &str) -> anyhow::Result<PathBuf> {
        let dir = self.builds().join(id);
        // Not one that is there already: it would be another build's.
        DirBuilder::new().mode(0o700).create(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(dir)
    }

    /// Changes a build: reads it again under its lock, lets `change` work on it, writes it and the audit, and archives
    /// it if that was its end.
    pub(crate) fn update(
        &self,
        build: &Build,
        now: UnixMillis,
        change: impl FnOnce(&mut BuildState) -> anyhow::Result<BuildChange>,
    ) -> anyhow::Result<BuildState> {
        let dir = &build.dir;
        let lock = lock(dir)?;
        let mut state = store::read(dir)?.with_context(|| format!("build {} has just gone", build.state.id))?;
        let before = state.phase;
        let BuildChange { event, detail } = change(&mut state)?;
        let shown = || dir.display().to_string();
        store::write(dir, &state).with_context(shown)?;
        let from = (before != state.phase).then_some(before);
        let line = AuditLine { at_ms: now, event, from, detail, state };
        store::append_audit(dir, &line).with_context(shown)?;
        drop(lock);
        let is_live = dir.parent() == Some(&self.builds());
        if line.state.phase.is_terminal() && is_live {
            self.put_away(dir)?;
        }
        Ok(line.state)
    }

    /// Moves an ended build out of the hooks' way.
    fn put_away(&self, dir: &Path) -> anyhow::Result<()> {
        let archive = self.archive();
        let to = archive.join(dir.file_name().unwrap_or_default());
        if std::fs::symlink_metadata(&archive).is_ok_and(|meta| !meta.is_dir()) {
            bail!(
                "{}: not a directory of its own; ended builds are not kept behind a link. Move it away",
                archive.display()
            );
        }
        fsx::ensure_private_dir(&archive)
            .and_then(|()| std::fs::rename(dir, &to))
            .with_context(|| format!("cannot move {} to {}", dir.display(), archive.display()))
    }

    /// Finishes what an interrupted command left: builds that were never written, ended ones that are not archived,
    /// temporary files.
    pub(crate) fn tidy(&self) {
        let builds = store::directories(&self.checkout);
        if builds.is_empty() {
            return;
        }
        // Whoever starts a build holds this lock: its directory is not taken for an abandoned one.
        if let Ok(_root) = store::lock(&self.root(), Instant::now()) {
            for dir in builds.iter().filter(|dir| names(dir).iter().all(|name| name == "lock" || is_temporary(name))) {
                let _ = std::fs::remove_dir_all(dir);
            }
        }
        for dir in store::directories(&self.checkout) {
            let Ok(_lock) = store::lock(&dir, Instant::now()) else { continue };
            for name in names(&dir).iter().filter(|name| is_temporary(name)) {
                let _ = std::fs::remove_file(dir.join(name));
            }
            if matches!(store::read(&dir), Ok(Some(state)) if state.phase.is_terminal()) {
                let _ = self.put_away(&dir);
            }
        }
    }
}

fn unknown(message: String) -> Failure {
    Failure::new(ErrorCode::NotFound, message).with_remedy("`stopgate build list --all` shows them")
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// A file that a crashed write left behind.
fn is_temporary(name: &str) -> bool {
    name.strip_prefix(".stopgate-").is_some_and(|rest| rest.rsplit('.').next() == Some("tmp"))
}

/// Whether `path` is a directory, and no link to one.
fn is_directory(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// A directory that git ignores with all its content.
pub(crate) fn ignored_dir(dir: &Path) -> std::io::Result<()> {
    fsx::ensure_private_dir(dir)?;
    if !is_directory(dir) {
        return Err(std::io::ErrorKind::NotADirectory.into());
    }
    let ignore = dir.join(".gitignore");
    if ignore.exists() { Ok(()) } else { fsx::write_atomic(&ignore, b"*\n", 0o600) }
}

/// Keeps hooks and other commands out of a build, or of [`Builds::root`].
pub(crate) fn lock(dir: &Path) -> anyhow::Result<HeldLock> {
    store::lock(dir, Instant::now() + LOCK_PATIENCE).with_context(|| dir.display().to_string())
}

fn readable(dir: PathBuf) -> Option<Build> {
    match store::read(&dir) {
        Ok(state) => state.map(|state| Build { dir, state }),
        Err(error) => {
            crate::printer::note(format!("stopgate: build {}: {error}", name(&dir)));
            None
        }
    }
}

/// The name of a build's directory: its id.
pub(crate) fn name(dir: &Path) -> String {
    dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Lower-case letters, digits and hyphens: safe as a file name, a branch and a shell word.
pub(crate) fn is_build_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= MAX_ID_BYTES && !text.starts_with('-') && text.bytes().all(plain)
}

/// The audit of the build in `dir`; lines that are not understood are left out.
pub(crate) fn audit(dir: &Path) -> anyhow::Result<Vec<AuditLine>> {
    const MAX_AUDIT_BYTES: u64 = 64 * 1024 * 1024;
    let path = dir.join("audit.jsonl");
    match fsx::read_regular_text(&path, MAX_AUDIT_BYTES) {
        Ok(text) => Ok(text.lines().filter_map(store::parse_audit).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// The phases that an audit line is about.
pub(crate) fn phases(line: &AuditLine) -> [Option<Phase>; 2] {
    [line.from, Some(line.state.phase)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_by_live_and_by_ended_builds() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        let builds = Builds { checkout: checkout::find(dir.path()).unwrap() };
        for parent in [builds.builds(), builds.archive()] {
            assert!(!builds.is_taken("parser-3f2a"));
            let taken = parent.join("parser-3f2a");
            std::fs::create_dir_all(&taken).unwrap();
            assert!(builds.is_taken("parser-3f2a") && !builds.is_taken("parser-3f2b"), "{}", taken.display());
            std::fs::remove_dir(&taken).unwrap();
        }
    }

    #[test]
    fn an_id_is_a_safe_name() {
        assert!(is_build_id("parser-3f2a"));
        for bad in ["", "..", "a/b", "-x", "A", "a b", &"x".repeat(65)] {
            assert!(!is_build_id(bad), "{bad}");
        }
    }
}
