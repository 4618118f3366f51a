//! Which plans a session has to do with, and how far they were when it began.
//!
//! A plan is *moved* by boxes that were ticked since the session began, *touched* by being written (by a tool or a shell
//! command), and *named* by a prompt of the person. Reading counts as touching only where nothing else relates any plan
//! to the session, and where no more than [`MAX_READ`] plans were read by name: many agents read whatever there is when
//! they begin. Others are untouched, and are told of as such.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use std::time::Instant;
use stopgate_core::checkout::{Checkout, object_id};
use stopgate_core::clock::UnixMillis;
use stopgate_gate::facts::{Facts, Plan, PlanRelation};
use stopgate_gate::named::{Candidate, Prompts};
use stopgate_gate::steps::{Step, Where};
use stopgate_gate::transcript::TouchedFiles;

use super::elsewhere::{Elsewhere, MAX_TREES};
use super::memo::Asked;
use super::plans::{self, Unread};
use super::session::Touched;
use super::{MAX_COMMITS, Session, Times, earliest_commit, introduced_by, steps};
use crate::git::Outcome;

/// Plans that are passed on.
const MAX_PLANS: usize = 3;
/// Plans with an open step that are looked at for that.
const MAX_OPEN_PLANS: usize = 10;
/// Plans that may have been read by name, if reading is to mean anything.
const MAX_READ: usize = 2;
/// Headings and steps of a plan that are compared with prompts, and steps that are passed on.
const MAX_SAID: usize = 200;
const MAX_OPEN_TEXTS: usize = 20;

/// A plan with an open step.
struct Found {
    path: String,
    steps: Vec<Step>,
    /// What a prompt may call it by.
    says: Vec<String>,
    relation: Rank,
}

/// What relates plans to the session.
#[derive(Clone, Copy)]
struct Known<'a> {
    touched: &'a Touched,
    prompts: &'a Prompts,
    /// Commits of the session that touch a plan, by its path.
    commits: &'a BTreeMap<String, Vec<String>>,
    /// The plan that the person approved in this session, and its steps as they were then.
    approved: Option<&'a (String, Vec<Step>)>,
}

/// How a file is related to the session, as far as that is known without looking into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Unrelated,
    Read,
    /// A prompt has its name, and may mean another.
    Called,
    Named,
    Written,
    Moved,
}

/// The plans of the checkout, those first that have to do with the session.
pub(super) fn plans(
    facts: &mut Facts,
    git: &Asked<'_>,
    checkout: &Checkout,
    session: &Session<'_>,
    files: &TouchedFiles,
) {
    let others = checkout.others(MAX_TREES);
    let touched = Touched::of(checkout, &others, session.cwd, files);
    let said = session.person.prompt.iter().chain(&session.person.earlier);
    let prompts = Prompts::of(said.map(|prompt| prompt.text.as_str()).chain(session.heard));
    let jobs: Vec<String> = prompts.jobs().filter_map(|said| plans::job(git.top, session.cwd, said)).collect();
    let rank = |path: &str| {
        if touched.ticked.contains_key(path) {
            Rank::Moved
        } else if touched.written.contains(path) {
            Rank::Written
        } else if prompts.say_path(path) {
            Rank::Named
        } else if prompts.call(path) {
            Rank::Called
        } else if touched.read.contains(path) && plans::steps_in(path) == Where::Everywhere {
            Rank::Read
        } else {
            Rank::Unrelated
        }
    };
    let candidates = plans::candidates(git, &jobs, session.exclude, |path| rank(path) as u8);
    facts.incomplete = candidates.is_none();
    facts.excluded_plans = plans::excluded(git, session.exclude);
    let candidates = candidates.unwrap_or_default();
    let head = facts.head_at_start.clone();
    let commits = commits_by_file(git, session, head.as_deref(), &candidates);
    let mut found = Vec::new();
    // Those that a commit has touched are looked at first as well.
    let mut candidates: Vec<(Rank, String)> = candidates.into_iter().map(|path| (rank(&path), path)).collect();
    candidates.sort_by_key(|(rank, path)| {
        Reverse((*rank).max(if commits.contains_key(path) { Rank::Named } else { Rank::Unrelated }))
    });
    let approved = files.approved.as_ref().and_then(|plan| {
        let path = plans::approved(git.top, session.home, &plan.file)?;
        let steps = steps(&path, &plan.text, git.deadline)?;
        Some((path, steps))
    });
    if let Some((path, _)) = &approved {
        candidates.retain(|(_, candidate)| candidate != path);
        candidates.insert(0, (Rank::Written, path.clone()));
    }
    for (relation, path) in candidates {
        if found.len() == MAX_OPEN_PLANS || Instant::now() >= git.deadline {
            break;
        }
        let text = match plans::read(git.top, session.home, &path) {
            Ok(text) => text,
            Err(Unread::TooLarge) => {
                facts.too_large_plans.push(path);
                continue;
            }
            Err(Unread::Otherwise) => continue,
        };
        let Some(steps) = steps(&path, &text, git.deadline) else { continue };
        if steps.iter().any(|step| !step.is_done) {
            let says = if prompts.is_empty() { Vec::new() } else { what_it_says(&text, &steps) };
            found.push(Found { path, steps, says, relation });
        }
    }
    relate(
        facts,
        git,
        session,
        &Known { touched: &touched, prompts: &prompts, commits: &commits, approved: approved.as_ref() },
        found,
    );
    let elsewhere = facts.plans.iter().any(|plan| plan.relation() != PlanRelation::Untouched);
    if elsewhere {
        let elsewhere = Elsewhere::of(git, session, &others, &files.places);
        facts.plans.retain_mut(|plan| take_done(plan, git, session, &elsewhere));
    }
    for plan in &mut facts.plans {
        plan.open_step_texts.truncate(MAX_OPEN_TEXTS);
    }
}

/// What a prompt may call a plan by: its headings, and its open steps.
fn what_it_says(text: &str, steps: &[Step]) -> Vec<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_matches(['#', ' ']));
    let open = steps.iter().filter(|step| !step.is_done).map(|step| step.text.as_str());
    headings.take(MAX_SAID).chain(open.take(MAX_SAID)).map(str::to_owned).collect()
}

/// Makes plans of what was `found`, the most related ones, as many as are passed on.
fn relate(facts: &mut Facts, git: &Asked<'_>, session: &Session<'_>, known: &Known<'_>, mut found: Vec<Found>) {
    let Known { touched, prompts, commits, .. } = *known;
    let candidates: Vec<Candidate<'_>> =
        found.iter().map(|plan| Candidate { path: &plan.path, says: &plan.says }).collect();
    let named = prompts.named(&candidates);
    let is_read = |path: &str| touched.read.contains(path) && plans::steps_in(path) == Where::Everywhere;
    for (plan, named) in found.iter_mut().zip(named) {
        // That a name is said is not enough where another one is meant.
        plan.relation = match plan.relation {
            Rank::Called | Rank::Named if !named => Rank::Unrelated,
            relation if named => relation.max(Rank::Named),
            relation => relation,
        };
        if plan.relation == Rank::Unrelated && is_read(&plan.path) {
            plan.relation = Rank::Read;
        }
    }
    let reading_counts = found.iter().filter(|plan| is_read(&plan.path)).count() <= MAX_READ;
    let order = |plan: &Found| {
        let by_commit = commits.contains_key(&plan.path);
        Reverse(if by_commit { Rank::Moved } else { plan.relation })
    };
    found.sort_by_key(order);
    let head = facts.head_at_start.clone();
    for plan in found {
        if facts.plans.len() == MAX_PLANS || Instant::now() >= git.deadline {
            break;
        }
        let commits = commits.get(&plan.path).map(Vec::as_slice).unwrap_or_default();
        facts.plans.extend(predating(git, plan, session, head.as_deref(), commits, known));
    }
    let is_related = facts.plans.iter().any(|plan| plan.relation() != PlanRelation::Untouched);
    if reading_counts && !is_related {
        for plan in facts.plans.iter_mut().filter(|plan| is_read(&plan.path)) {
            plan.touched_by_session = true;
        }
    }
    facts.plans.sort_by_key(Plan::relation);
}

/// Takes the steps out that are done elsewhere; whether any is left.
fn take_done(plan: &mut Plan, git: &Asked<'_>, session: &Session<'_>, elsewhere: &Elsewhere) -> bool {
    let done = elsewhere.done(git, session, &plan.path, &plan.open_step_texts);
    if done.is_empty() {
        return true;
    }
    plan.open_step_texts.retain(|step| !done.contains(step));
    plan.ticked_by_session += done.len();
    plan.open_steps = plan.open_steps.saturating_sub(done.len());
    if done.contains(&plan.next_step) {
        // What was open when the session began comes first, in its order; the steps that it wrote itself are no evidence.
        let next = plan.open_step_texts.first();
        let Some(next) = next else { return false };
        plan.next_step.clone_from(next);
    }
    true
}

/// The plan, with its first step that was open already when the session began; `None` if there is none: what a session
/// has written down itself is not evidence against it. Where it is not known which commit was checked out then, a
/// commit's time proves nothing, and only a file that nobody has touched since counts.
fn predating(
    git: &Asked<'_>,
    found: Found,
    session: &Session<'_>,
    head: Option<&str>,
    commits: &[String],
    known: &Known<'_>,
) -> Option<Plan> {
    let Found { path, steps, relation, .. } = found;
    let approved = known.approved.filter(|(approved, _)| *approved == path).map(|(_, steps)| steps);
    let is_inside = !path.starts_with(plans::HOME);
    let introduced = if is_inside { introduced_by(git, &path) } else { None };
    let times = Times::of(&git.top.join(&path));
    let start = session.started_at_ms;
    let untracked = introduced.is_none() && session.clock_held && times.born_before(start);
    let open = || steps.iter().filter(|step| !step.is_done).map(|step| step.text.clone());
    let mut commits = commits.to_vec();
    let mut ticked = 0;
    let open_then: Vec<String> = if let Some(then) = approved {
        // The person has approved it in this session: the steps are the person's, whoever wrote them down.
        ticked = ticked_since(then, &steps);
        let then: HashSet<&str> = then.iter().filter(|step| !step.is_done).map(|step| step.text.as_str()).collect();
        open().filter(|step| then.contains(step.as_str())).collect()
    } else if session.clock_held && times.untouched_since(start) {
        open().collect()
    } else if let Some(head) = head {
        match git.ask(&["cat-file", "blob", &format!("{head}:{path}")]) {
            Outcome::Success(then) => {
                let then = self::steps(&path, &String::from_utf8_lossy(&then), git.deadline)?;
                ticked = ticked_since(&then, &steps);
                if then == steps {
                    // They changed its look at most.
                    commits.clear();
                }
                let then: HashSet<String> =
                    then.into_iter().filter(|step| !step.is_done).map(|step| step.text).collect();
                open().filter(|step| then.contains(step)).collect()
            }
            Outcome::Failure if untracked => open().collect(),
            Outcome::Failure | Outcome::NoAnswer => Vec::new(),
        }
    } else if untracked && git.head().is_none() {
        open().collect()
    } else {
        Vec::new()
    };
    let done = steps.iter().filter(|step| step.is_done).count();
    let ticked = ticked.max(known.touched.ticked.get(&path).copied().unwrap_or_default().min(done));
    Some(Plan {
        next_step: open_then.first()?.clone(),
        touched_by_session: relation >= Rank::Written,
        named_by_prompt: relation == Rank::Named,
        open_steps: open().count(),
        path,
        predates_session: true,
        introduced_by: introduced.map(|(id, _)| id),
        session_commits: commits,
        ticked_by_session: ticked,
        done_steps: Some(done),
        open_step_texts: open_then,
    })
}

/// How many steps are done `now` that were open `then`: with the same text, or with something written behind it.
fn ticked_since(then: &[Step], now: &[Step]) -> usize {
    let open: HashSet<&str> = then.iter().filter(|step| !step.is_done).map(|step| step.text.as_str()).collect();
    let was_open = |text: &str| {
        open.contains(text) || text.match_indices([' ', ':']).any(|(at, _)| open.contains(text[..at].trim_end()))
    };
    let is_still_open: HashSet<&str> = now.iter().filter(|step| !step.is_done).map(|step| step.text.as_str()).collect();
    let done = now.iter().filter(|step| step.is_done && !is_still_open.contains(step.text.as_str()));
    done.filter(|step| was_open(&step.text)).count()
}

/// The commits since the session began that touch one of `paths`, by path, newest first.
fn commits_by_file(
    git: &Asked<'_>,
    session: &Session<'_>,
    head_at_start: Option<&str>,
    paths: &[String],
) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let Some(earliest) = earliest_commit(session, head_at_start).filter(|_| !paths.is_empty()) else { return found };
    let not_before = head_at_start.map(|head| format!("^{head}"));
    let mut arguments = vec!["log", MAX_COMMITS, "-z", "--name-only", "--no-renames", "--format=%x01%H %ct", "HEAD"];
    arguments.extend(not_before.as_deref());
    arguments.push("--");
    // One order, so that the answer is remembered.
    let mut sorted: Vec<&str> = paths.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    arguments.extend(sorted);
    let output = git.ask(&arguments).output().unwrap_or_default();
    for record in String::from_utf8_lossy(&output).split('\u{1}') {
        let Some((head, names)) = record.split_once(['\0', '\n']) else { continue };
        let Some((id, seconds)) = head.split_once(' ') else { continue };
        let at_ms = seconds.trim().parse::<UnixMillis>().ok().map(|seconds| seconds.saturating_mul(1_000));
        let Some(id) = object_id(id).filter(|_| at_ms.is_some_and(|at| at >= earliest)) else { continue };
        for name in names.split('\0').map(|name| name.trim_start_matches('\n')).filter(|name| !name.is_empty()) {
            found.entry(name.to_owned()).or_default().push(id.clone());
        }
    }
    found
}
