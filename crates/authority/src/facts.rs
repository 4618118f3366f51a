//! Gathers the facts about a checkout, and checks evidence against it, within one deadline.

mod elsewhere;
mod fingerprint;
mod memo;
mod plans;
mod related;
mod session;
mod tree;
mod untracked;

use std::cmp::Ordering;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use stopgate_core::checkout::{self, Checkout, object_id};
use stopgate_core::clock::{UnixMillis, to_millis};
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::fsx;
use stopgate_core::person::Person;
use stopgate_core::redact::redact;
use stopgate_core::session::SessionKey;
use stopgate_core::text::one_line;
use stopgate_gate::EvidencePointer;
use stopgate_gate::evidence::EvidenceFault;
use stopgate_gate::facts::{Facts, GitTrouble};
use stopgate_gate::steps::{self as plan_steps, Step};
use stopgate_gate::transcript::{TaskStatus, Transcript};

pub(crate) use self::fingerprint::dirty_fingerprint;
use self::memo::Asked;
pub(crate) use self::memo::Memo;
pub(crate) use self::tree::{FileStat, Tree};
use crate::git::{Git, Outcome, Unlisted};

/// Longest beginning of a prompt that is passed on.
const MAX_PROMPT_CHARS: usize = 500;
/// Lines between two looks at the clock.
const CLOCK_STRIDE: usize = 256;
/// File systems keep time by a clock that lags behind: what was written just before the session is compared with git.
const CLOCK_LAG_MS: UnixMillis = 100;
/// Moves of HEAD that are looked at, as a number and in git's words.
const MAX_MOVES: (usize, &str) = (10_000, "--max-count=10000");
/// Commits of a session that are looked at.
const MAX_COMMITS: &str = "--max-count=50";

/// What is known of the session whose checkout is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Session<'a> {
    pub(crate) key: &'a SessionKey,
    pub(crate) cwd: &'a Path,
    pub(crate) transcript: Option<&'a Path>,
    /// What its end tells, if that was read already.
    pub(crate) told: Option<&'a Transcript>,
    /// What the transcript shows of the person.
    pub(crate) person: &'a Person,
    /// The end of the last prompt that is known otherwise, where the transcript shows none.
    pub(crate) heard: Option<&'a str>,
    pub(crate) started_at_ms: UnixMillis,
    /// The time of day was not set since. Otherwise no time of a file or a commit can be compared with the start, and only
    /// what git has of that moment counts.
    pub(crate) clock_held: bool,
    pub(crate) head_at_start: Option<&'a str>,
    /// The directory that it began in.
    pub(crate) start_cwd: Option<&'a Path>,
    /// `PATH` of its hooks.
    pub(crate) search_path: Option<&'a str>,
    /// The person's own directory. A checkout of all of it holds settings, and is nobody's project.
    pub(crate) home: Option<&'a Path>,
    /// Paths that are never taken for a plan (`gate.exclude_plans`).
    pub(crate) exclude: &'a [String],
}

/// The facts, as far as they could be gathered before `deadline`. What is said of a checkout is left out without one,
/// and in one that is another than the session began in.
pub(crate) fn gather(memo: &Memo, session: &Session<'_>, deadline: Instant) -> Facts {
    let told = session::transcript(session, deadline);
    let is_read = told.is_some();
    let transcript = told.unwrap_or_default();
    let mut facts = Facts {
        tasks: transcript.tasks.clone(),
        person_asked_to_stop: session.person.end.is_some(),
        // Redacted before it is cut, so that no half of a secret is left.
        last_prompt: session.person.prompt.as_ref().map(|prompt| one_line(&redact(&prompt.text), MAX_PROMPT_CHARS)),
        head_at_start: session.head_at_start.and_then(object_id),
        ..Facts::default()
    };
    let checkout = checkout::find(session.cwd).filter(|found| !is_home(found, session.home));
    if let Some(checkout) = checkout {
        let git = Git::of(&checkout, session.search_path);
        let asked = memo.ask(&git, &checkout, deadline);
        let began_here = match facts.head_at_start.as_deref() {
            Some(head) => has_commit(&asked, head) == Some(true),
            None => began_unnoticed(&mut facts, &asked, &checkout, session),
        };
        // Asked anew where the answer is no: from memory alone nobody can tell.
        let usable = if began_here { asked.tree().map(drop) } else { asked.answers() };
        match usable {
            Ok(()) if began_here => look_around(&mut facts, &asked, &checkout, session, &transcript),
            Ok(()) => {}
            Err(Unlisted::Trouble(trouble)) => facts.git_trouble = Some(trouble),
            Err(Unlisted::NotInTime) => facts.incomplete = true,
        }
        facts.incomplete |= Instant::now() >= deadline;
        let slow = memo.is_slow(asked.top, facts.incomplete).then_some(GitTrouble::Slow);
        memo.note(asked.top, facts.git_trouble.or(slow), to_millis(SystemTime::now()));
    }
    facts.incomplete |= !is_read || Instant::now() >= deadline;
    facts.fingerprint = fingerprint::of_work(&facts);
    facts
}

/// Whether the session began in the checkout, or in none at all and works in this one now, where nobody noted what was
/// checked out at its start. What git's own log tells of that is taken then.
fn began_unnoticed(facts: &mut Facts, git: &Asked<'_>, checkout: &Checkout, session: &Session<'_>) -> bool {
    let Some(start_cwd) = session.start_cwd else { return false };
    let began = checkout::find(start_cwd);
    if began.as_ref().is_some_and(|began| began != checkout) {
        return false;
    }
    // That goes by the time of day.
    facts.head_at_start = session.clock_held.then(|| head_in_reflog(git, session.started_at_ms)).flatten();
    facts.start_from_reflog = facts.head_at_start.is_some();
    began.is_some() || facts.start_from_reflog || checkout.worktree.starts_with(start_cwd)
}

/// What was checked out at `start_ms` by git's log of HEAD. Of a checkout that was made since (cloned): what it began with,
/// if that is of before. `None` if the log does not tell: there is none, it is too long, something moved within the very
/// second.
fn head_in_reflog(git: &Asked<'_>, start_ms: UnixMillis) -> Option<String> {
    let arguments = ["log", "--walk-reflogs", MAX_MOVES.1, "--date=unix", "--format=%H %ct %gd", "HEAD", "--"];
    let output = git.ask(&arguments).output()?;
    let start = start_ms.div_euclid(1_000);
    let mut oldest = None;
    for (count, line) in String::from_utf8_lossy(&output).lines().enumerate() {
        let mut words = line.split(' ');
        let id = object_id(words.next()?)?;
        let committed: i64 = words.next()?.parse().ok()?;
        let moved: i64 = words.next()?.strip_prefix("HEAD@{")?.strip_suffix('}')?.parse().ok()?;
        match moved.cmp(&start) {
            Ordering::Less => return Some(id),
            Ordering::Equal => return None,
            Ordering::Greater => oldest = Some((id, committed)).filter(|_| count + 1 < MAX_MOVES.0),
        }
    }
    // Commit times have whole seconds.
    oldest.filter(|(_, committed)| *committed < start).map(|(id, _)| id)
}

/// The facts about the checkout itself.
fn look_around(
    facts: &mut Facts,
    git: &Asked<'_>,
    checkout: &Checkout,
    session: &Session<'_>,
    transcript: &Transcript,
) {
    facts.head = git.head().map(str::to_owned);
    facts.is_stopgate = is_stopgate(git.top);
    facts.live_builds = session::live_builds(checkout, session.key, git.deadline);
    let head = facts.head_at_start.clone();
    related::plans(facts, git, checkout, session, &transcript.files);
    facts.session_commits = commits_since(git, session, head.as_deref());
    // Half of what is left: with the rest of it the evidence is looked at.
    let now = Instant::now();
    let until = now + git.deadline.saturating_duration_since(now) / 2;
    if let Some((dirty, state)) = fingerprint::dirty_files(git, until) {
        facts.dirty_files = dirty;
        facts.fingerprint = state;
    }
}

/// The steps of the plan in `path`; `None` if there was no time to read them.
fn steps(path: &str, text: &str, deadline: Instant) -> Option<Vec<Step>> {
    let mut found = Vec::new();
    for (at, step) in plan_steps::by_line(text, plans::steps_in(path)).enumerate() {
        if at.is_multiple_of(CLOCK_STRIDE) && Instant::now() >= deadline {
            return None;
        }
        found.extend(step);
    }
    Some(found)
}

/// The open steps of a plan that somebody named, whatever its directory; `None` if there was no time to read them.
pub(crate) fn open_steps(path: &str, text: &str) -> Option<Vec<String>> {
    let steps = steps(path, text, Instant::now() + Duration::from_secs(5))?;
    Some(steps.into_iter().filter(|step| !step.is_done).map(|step| step.text).collect())
}

/// The commit `back` before the one that is checked out, and when it was made; `None` if there is none.
pub(crate) fn commit_back(
    checkout: &Checkout,
    search_path: Option<&str>,
    back: u32,
    deadline: Instant,
) -> Option<(String, UnixMillis)> {
    let skip = format!("--skip={back}");
    let arguments = ["log", "--max-count=1", &skip, "--format=%H %ct", "HEAD", "--"];
    let output = Git::of(checkout, search_path).run(&checkout.worktree, &arguments, deadline).output()?;
    parse_commits(&output).next()
}

fn is_home(checkout: &Checkout, home: Option<&Path>) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    home.and_then(identity).is_some_and(|home| identity(&checkout.worktree) == Some(home))
}

/// Whether a commit is in the repository; `None` if git did not say.
fn has_commit(git: &Asked<'_>, id: &str) -> Option<bool> {
    says_yes(git, &["cat-file", "-e", &format!("{id}^{{commit}}")])
}

/// When a file was made and last written; a file system that does not tell says "now".
struct Times {
    born: Option<UnixMillis>,
    written: Option<UnixMillis>,
}

impl Times {
    fn of(path: &Path) -> Self {
        let meta = std::fs::symlink_metadata(path);
        let at = |time: fn(&std::fs::Metadata) -> std::io::Result<SystemTime>| {
            meta.as_ref().ok().and_then(|meta| time(meta).ok()).map(to_millis)
        };
        Self { born: at(std::fs::Metadata::created), written: at(std::fs::Metadata::modified) }
    }

    fn born_before(&self, at_ms: UnixMillis) -> bool {
        self.born.is_some_and(|born| born < at_ms)
    }

    fn written_since(&self, at_ms: UnixMillis) -> bool {
        self.written.is_some_and(|written| written >= at_ms)
    }

    fn untouched_since(&self, at_ms: UnixMillis) -> bool {
        self.born_before(at_ms) && self.written.is_some_and(|written| written < at_ms - CLOCK_LAG_MS)
    }
}

/// The commit that brought `path` in, and when.
fn introduced_by(git: &Asked<'_>, path: &str) -> Option<(String, UnixMillis)> {
    let arguments = ["log", "--max-count=1", "--diff-filter=A", "--format=%H %ct", "HEAD", "--", path];
    parse_commits(&git.ask(&arguments).output()?).next()
}

/// Commits made since the session began, newest first.
fn commits_since(git: &Asked<'_>, session: &Session<'_>, head_at_start: Option<&str>) -> Vec<String> {
    let not_before = head_at_start.map(|head| format!("^{head}"));
    let mut arguments = vec!["log", MAX_COMMITS, "--format=%H %ct", "HEAD"];
    arguments.extend(not_before.as_deref());
    arguments.push("--");
    let Some(earliest) = earliest_commit(session, head_at_start) else { return Vec::new() };
    let output = git.ask(&arguments).output().unwrap_or_default();
    parse_commits(&output).filter(|(_, at_ms)| *at_ms >= earliest).map(|(id, _)| id).collect()
}

/// From when on a commit is the session's; `None` if that cannot be told.
fn earliest_commit(session: &Session<'_>, head_at_start: Option<&str>) -> Option<UnixMillis> {
    // Commit times have whole seconds: the second in which the session began counts as after it only when the
    // commit is known not to be an ancestor of where the session began.
    match (session.clock_held, head_at_start) {
        (true, Some(_)) => Some(session.started_at_ms - 999),
        (true, None) => Some(session.started_at_ms),
        // What is no ancestor of that commit came later.
        (false, Some(_)) => Some(UnixMillis::MIN),
        (false, None) => None,
    }
}

fn parse_commits(output: &[u8]) -> impl Iterator<Item = (String, UnixMillis)> {
    String::from_utf8_lossy(output)
        .lines()
        .filter_map(|line| {
            let (id, seconds) = line.split_once(' ')?;
            Some((object_id(id)?, seconds.parse::<i64>().ok()?.saturating_mul(1000)))
        })
        .collect::<Vec<_>>()
        .into_iter()
}

/// The line of stopgate's own `Cargo.toml` that no other project has by chance.
const SOURCE_TREE: &str = r#"source-tree = "1e1b6f0c-5a0e-4b6f-9d6e-0f2f6c1d7a35""#;

/// Whether the checkout is stopgate's own: whoever works on the gate is not held by it.
fn is_stopgate(top: &Path) -> bool {
    fsx::read_beneath(top, Path::new("Cargo.toml"), 64 * 1024)
        .is_ok_and(|manifest| manifest.lines().any(|line| line.trim() == SOURCE_TREE))
}

/// Whether the session's own task list, read again, still has `task` open.
/// `None` if that could not be read before `deadline`.
pub(crate) fn has_open_task(session: &Session<'_>, task: &str, deadline: Instant) -> Option<bool> {
    let tasks = session::transcript(&Session { told: None, ..*session }, deadline)?.tasks;
    Some(tasks.iter().any(|item| item.text == task && item.status != TaskStatus::Completed))
}

/// Checks that the evidence exists: the plan in the working tree with its step still open, the commits in the
/// repository, the session's commit a descendant of the plan's.
pub(crate) fn verify(
    memo: &Memo,
    cwd: &Path,
    search_path: Option<&str>,
    evidence: &EvidencePointer,
    deadline: Instant,
) -> Result<(), EvidenceFault> {
    let in_time = || if Instant::now() < deadline { Ok(()) } else { Err(EvidenceFault::NotKnownInTime) };
    in_time()?;
    let checkout = checkout::find(cwd).ok_or(EvidenceFault::PlanChanged)?;
    let home = ProcessEnv.os(env::HOME).map(PathBuf::from).filter(|_| evidence.plan_file.starts_with(plans::HOME));
    let text = plans::read(&checkout.worktree, home.as_deref(), &evidence.plan_file)
        .map_err(|_| EvidenceFault::PlanChanged)?;
    let steps = steps(&evidence.plan_file, &text, deadline).ok_or(EvidenceFault::NotKnownInTime)?;
    if !steps.iter().any(|step| !step.is_done && step.text == evidence.next_step) {
        return Err(EvidenceFault::PlanChanged);
    }
    let git = Git::of(&checkout, search_path);
    let git = memo.ask(&git, &checkout, deadline);
    for commit in [&evidence.plan_commit_sha, &evidence.incremental_commit_sha].into_iter().flatten() {
        let commit = object_id(commit).ok_or(EvidenceFault::NotAnObjectId)?;
        if !has_commit(&git, &commit).ok_or(EvidenceFault::NotKnownInTime)? {
            return Err(EvidenceFault::NoSuchCommit);
        }
    }
    if let (Some(plan), Some(later)) = (&evidence.plan_commit_sha, &evidence.incremental_commit_sha) {
        let descends = says_yes(&git, &["merge-base", "--is-ancestor", plan, later]);
        if !descends.ok_or(EvidenceFault::NotKnownInTime)? {
            return Err(EvidenceFault::NotDescendant);
        }
    }
    in_time()
}

/// What is checked out in `cwd` where files do not tell, if it is surely what was checked out when a session began there
/// a moment ago: a commit of before.
pub(crate) fn head_at_start(checkout: &Checkout, git: &Git, start_ms: UnixMillis, deadline: Instant) -> Option<String> {
    let output =
        git.run(&checkout.worktree, &["log", "--max-count=1", "--format=%H %ct", "HEAD"], deadline).output()?;
    // Commit times have whole seconds.
    parse_commits(&output).next().filter(|(_, at_ms)| at_ms + 1_000 <= start_ms).map(|(id, _)| id)
}

/// Whether git says yes; `None` if it did not answer.
fn says_yes(git: &Asked<'_>, arguments: &[&str]) -> Option<bool> {
    match git.ask(arguments) {
        Outcome::Success(_) => Some(true),
        Outcome::Failure => Some(false),
        Outcome::NoAnswer => None,
    }
}

#[cfg(test)]
mod tests;
