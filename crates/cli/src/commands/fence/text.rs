//! What `stopgate fence` prints for people.

use stopgate_coordination::fence::verdict::{FenceGround, ForeignLease, Party, StashEntry, WorkSeen};
use stopgate_coordination::lease::LeaseOrigin;
use stopgate_core::clock::UnixMillis;
use stopgate_core::switch::Mode;
use stopgate_core::text::one_line;
use stopgate_protocol::{FenceExplanation, FenceReport, FenceStatus, VerdictCounts};

use crate::{printer, when};

/// Longest path or command on a line.
const MAX_SHOWN: usize = 100;

pub(super) fn status(status: &FenceStatus) -> Vec<String> {
    let mut lines = vec![format!("leases       {} declared, {} observed", status.declared, status.observed)];
    for shared in &status.shared_trees {
        let tree = one_line(&shared.tree.display().to_string(), MAX_SHOWN);
        lines.push(format!("shared       {tree}: {}", names(&shared.sessions)));
    }
    if status.shared_trees.is_empty() {
        lines.push("shared       no working tree has more than one living session".to_owned());
    }
    lines.extend(unfenced(status));
    if let Some(problem) = &status.problem {
        lines.push(format!("problem      {problem}: hooks do not ask, and every write goes through"));
    }
    lines
}

/// The line about sessions of shared trees that nothing was heard of.
pub(crate) fn unfenced(status: &FenceStatus) -> Option<String> {
    let some = !status.unfenced.is_empty();
    some.then(|| {
        format!(
            "unfenced     {}: no write has come to the fence (none was made, or its client has not loaded the hook: \
             `installer doctor` says what to do)",
            names(&status.unfenced)
        )
    })
}

fn names(parties: &[Party]) -> String {
    parties.iter().map(|one| format!("{} ({})", one.name, one.key.harness)).collect::<Vec<_>>().join(", ")
}

pub(super) fn report(report: &FenceReport, mode: Mode, now_ms: UnixMillis) -> Vec<String> {
    let since =
        report.since_ms.map_or_else(|| "all that is kept".to_owned(), |at| format!("since {}", when::rfc3339(at)));
    let mut lines = vec![
        format!("the fence    {} now; {since}", mode.name()),
        format!("asked        {} calls that touch a tree with another session in it", report.asked),
        format!("decided      {}", counts(report.decided)),
        format!("answered     {}", counts(report.answered)),
        format!("slowest 1 %  {:.1} ms", std::time::Duration::from_micros(report.p99_us).as_secs_f64() * 1_000.0),
        format!("collisions   {} files that two sessions touched within an hour of each other", report.collisions),
        format!(
            "of denials   {} of {} were of such a file, or of work that really was there",
            report.denied_collisions, report.decided.deny
        ),
        format!("graded       {} right, {} wrong", report.graded.right, report.graded.wrong),
    ];
    lines.push(match report.missing.as_slice() {
        [] => "ready        yes: `stopgate fence enforce`".to_owned(),
        missing => format!("ready        no: {}", missing.join("; ")),
    });
    let table = |head: [&str; 5], rows: Vec<Vec<String>>, lines: &mut Vec<String>| {
        if !rows.is_empty() {
            let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
            let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
            lines.push(String::new());
            lines.extend(printer::columns(&rows));
        }
    };
    let numbers = |counts: VerdictCounts| [counts.deny, counts.note, counts.allow].map(|count| count.to_string());
    let harnesses = report.by_harness.iter().map(|one| {
        let mut row = vec![one.harness.to_string(), String::new()];
        row.extend(numbers(one.counts));
        row
    });
    table(["CLIENT", "", "DENY", "NOTE", "ALLOW"], harnesses.collect(), &mut lines);
    let pairs = report.by_pair.iter().map(|one| {
        let mut row = vec![one.who.clone(), one.against.clone()];
        row.extend(numbers(one.counts));
        row
    });
    table(["WHO", "WHOSE", "DENY", "NOTE", "ALLOW"], pairs.collect(), &mut lines);
    let denials = report.denials.iter().map(|one| {
        let what = one.what.rsplit_once(' ').map_or(one.what.as_str(), |(what, _)| what);
        let word = match (one.refused, one.is_right) {
            (_, Some(true)) => "graded right",
            (_, Some(false)) => "graded wrong",
            (true, None) => "refused",
            (false, None) => "would refuse",
        };
        vec![
            one.event_id.chars().take(13).collect(),
            format!("{} ago", when::ago(one.at_ms, now_ms)),
            format!("{} -> {}", one.who, one.against),
            one_line(what, MAX_SHOWN),
            format!("{word}{}", if one.collided { "" } else { ", seen touched by one only" }),
        ]
    });
    table(["ID", "WHEN", "WHO", "WHAT", "VERDICT"], denials.collect(), &mut lines);
    lines
}

fn counts(counts: VerdictCounts) -> String {
    let VerdictCounts { allow, note, deny } = counts;
    format!("{deny} deny, {note} note, {allow} allow")
}

pub(super) fn explanation(one: &FenceExplanation) -> Vec<String> {
    let question = &one.question;
    let short = |text: &str| one_line(text, MAX_SHOWN);
    let mut lines = vec![
        format!("event        {}, {}", question.event_id, when::rfc3339(question.at_ms)),
        format!("session      {} ({})", short(&one.name), question.session),
        format!("tool         {}", short(&question.tool)),
    ];
    if let Some(agent) = &question.agent_id {
        lines.push(format!("subagent     {}", short(agent)));
    }
    if !question.said.is_empty() {
        lines.push(format!("command      {}", short(&question.said)));
    }
    if question.intent.is_opaque {
        lines.push("not seen     a part of it is not understood, and may write".to_owned());
    }
    for write in &one.facts.writes {
        let what = write.resource.as_ref().map_or("a path that no lease can be of", |resource| resource.as_str());
        lines.push(format!("writes       {} of {}", short(what), short(&write.tree.display().to_string())));
        lines.push(format!(
            "  others     {}",
            if write.others.is_empty() { "nobody".to_owned() } else { names(&write.others) }
        ));
        lines.extend(write.leases.iter().map(|held| format!("  lease      {}", lease(held))));
    }
    for act in &one.facts.acts {
        lines.push(format!("does         {} in {}", act.act.verb.command(), short(&act.tree.display().to_string())));
        lines.push(format!(
            "  others     {}",
            if act.others.is_empty() { "nobody".to_owned() } else { names(&act.others) }
        ));
        lines.extend(act.leases.iter().map(|held| format!("  lease      {}", lease(held))));
        lines.push(format!("  work       {}", work(&act.work)));
        if let Some(entry) = &act.entry {
            lines.push(format!(
                "  stash      {}",
                match entry {
                    StashEntry::Empty => "there is no such entry".to_owned(),
                    StashEntry::Own => "its own entry".to_owned(),
                    StashEntry::Of { who, since_ms } =>
                        format!("{}'s entry, of {}", short(&who.name), when::rfc3339(*since_ms)),
                    StashEntry::Unknown => "nobody was seen to make that entry".to_owned(),
                }
            ));
        }
    }
    lines.push(format!(
        "decided      {} ({}; the agent was answered: {}), in {} us",
        one.decided.verdict,
        one.mode.name(),
        one.answered,
        one.took_us
    ));
    lines.extend(one.decided.grounds.iter().map(|found| format!("  because    {}", ground(found))));
    let again = if one.replayed == one.decided {
        "the same".to_owned()
    } else {
        format!("{} (by this version; the facts are those of then)", one.replayed.verdict)
    };
    lines.push(format!("decided now  {again}"));
    if !one.text.is_empty() {
        lines.push(format!("would tell   {}", one.text));
    }
    lines
}

fn lease(lease: &ForeignLease) -> String {
    let origin = match lease.origin {
        LeaseOrigin::Declared => "declared",
        LeaseOrigin::Observed => "observed",
    };
    let (name, resource) = (one_line(&lease.holder.name, MAX_SHOWN), one_line(lease.resource.as_str(), MAX_SHOWN));
    format!("{resource}, {origin} by {name}, since {}", when::rfc3339(lease.since_ms))
}

fn work(work: &WorkSeen) -> String {
    match work {
        WorkSeen::NotAsked => "not looked at: nobody else is concerned".to_owned(),
        WorkSeen::Silent => "git did not say in time".to_owned(),
        WorkSeen::Known(work) => format!(
            "{} files of others, {} of its own, {} of nobody known",
            work.foreign_count,
            work.own_count,
            work.unknown_count + work.perhaps_count
        ),
    }
}

fn ground(ground: &FenceGround) -> String {
    let what = match ground {
        FenceGround::DeclaredLease { path, lease: held } => format!("{path}: {}", lease(held)),
        FenceGround::ObservedLease { path, lease: held, .. } => {
            format!("{path} was written by another: {}", lease(held))
        }
        FenceGround::TreeHeld { verb, lease: held } => {
            format!("{} changes a tree that is held: {}", verb.command(), lease(held))
        }
        FenceGround::OthersWork { verb, lease: held, file, count, .. } => {
            format!("{} touches {count} files of others, {file} for one: {}", verb.command(), lease(held))
        }
        FenceGround::OthersStash { verb, who, .. } => format!("{} is of {}'s entry", verb.command(), who.name),
        FenceGround::PerhapsOthersWork { verb, count, .. } => {
            format!("{} touches {count} files that may be another's", verb.command())
        }
        FenceGround::PerhapsOthersStash { verb, .. } => {
            format!("{} is of an entry that may be another's", verb.command())
        }
        FenceGround::MayTouchLease { verb, lease: held } => {
            format!("{} may change what is held: {}", verb.command(), lease(held))
        }
        FenceGround::OthersLiveThere { verb, .. } => format!("{} removes a tree that another lives in", verb.command()),
        FenceGround::GitSilent { verb, .. } => format!("git did not say what {} would touch", verb.command()),
    };
    format!("{} ({})", one_line(&what, 200), ground.verdict())
}
