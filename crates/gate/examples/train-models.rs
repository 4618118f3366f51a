//! Trains all models in `crates/gate/models` from `tests/corpus`, and writes their digests beside them: how messages read, what
//! prompts ask for, and how much each ground counts.
//!
//! `cargo run --release -p stopgate-gate --example train-models` writes them, `... -- --check` fails where that would
//! change a byte. `... -- --cross` writes nothing: it scores each author by models of all others. `... -- --cross FILE...`
//! takes these scenes as well, and `--misses` names what is judged wrongly.

#![allow(clippy::print_stdout, reason = "a command of the repository")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use stopgate_gate::rules::Weighing;
use stopgate_gate::training::{
    LabelledPrompt, LabelledStop, NEEDS_SOMEBODY, NOT_TICKED, PROMPTS, ReadStop, STOPS, across, authors, rows,
    train_prompts, train_stops, weigh, without,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut takes = |option: &str| {
        let there = arguments.len();
        arguments.retain(|argument| argument != option);
        arguments.len() < there
    };
    let (checks, crosses, misses) = (takes("--check"), takes("--cross"), takes("--misses"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = root.join("../../tests/corpus");
    let more = arguments.iter().map(PathBuf::from);
    let mut stops: Vec<LabelledStop> = Vec::new();
    for file in STOPS.into_iter().map(|name| corpus.join(name)).chain(more) {
        stops.extend(read(&file)?);
    }
    let prompts: Vec<LabelledPrompt> = read(&corpus.join(PROMPTS))?;
    let read = across(&stops, &prompts);
    let weighing = weigh(&read);
    if crosses {
        show(&read, &weighing, misses);
        return Ok(());
    }
    let messages = train_stops(&stops);
    let files = [
        ("done-text.bin", messages.done.to_bytes()),
        ("prompts.bin", train_prompts(&prompts, &stops).to_bytes()),
        ("stop-text.bin", messages.stop.to_bytes()),
        ("weighing.json", (serde_json::to_string_pretty(&weighing)? + "\n").into_bytes()),
    ];
    let mut digests = String::new();
    for (name, bytes) in &files {
        let mut digest = String::new();
        for byte in Sha256::digest(bytes) {
            write!(digest, "{byte:02x}")?;
        }
        writeln!(digests, "{digest}  {name}")?;
        put(&root.join("models").join(name), bytes, checks)?;
        println!("{name}: {} bytes, sha256 {digest}", bytes.len());
    }
    println!("of {} stops and {} prompts", stops.len(), prompts.len());
    put(&root.join("models/SHA256SUMS"), digests.as_bytes(), checks)
}

/// The rows of a corpus.
fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<Vec<T>, Box<dyn Error>> {
    let text = std::fs::read_to_string(file).map_err(|why| format!("{}: {why}", file.display()))?;
    rows(&text).map_err(|(line, why)| format!("{}:{line}: {why}", file.display()).into())
}

/// Prints what comes of each author's stops by models, weights and threshold of the others.
fn show(read: &[ReadStop<'_>], weighing: &Weighing, misses: bool) {
    println!("{weighing:?}");
    let mut all = [0_usize; 4];
    for author in authors(read) {
        let by = Weighing { holds_above: weighing.holds_above, last_step: weighing.last_step, ..without(read, author) };
        let mut count = [0_usize; 4];
        for stop in read.iter().filter(|stop| stop.stop.author() == author) {
            let (held, should_continue) = (stop.held_by(&by), stop.stop.should_continue());
            let is_counted =
                if should_continue { held.is_some() } else { held.is_some_and(|rule| stop.is_wrong(rule)) };
            count[usize::from(!should_continue) * 2 + usize::from(is_counted)] += 1;
            if misses && is_counted != should_continue {
                let trace = stop.judged(&by);
                println!(
                    "MISS {} {} {held:?} {:?} {} {:?} {:?}",
                    stop.stop.id,
                    stop.stop.kind,
                    trace.why,
                    stop.reading.milli_log_odds,
                    stop.asked.class,
                    stop.asked.odds
                );
            }
        }
        line(author, count);
        all.iter_mut().zip(count).for_each(|(all, one)| *all += one);
    }
    line("all", all);
    text_alone("the text alone, beside stops that need somebody", read, |kind| NEEDS_SOMEBODY.contains(&kind));
    text_alone("the text alone, beside all legitimate stops", read, |kind| kind != NOT_TICKED);
}

/// Prints what the model of messages would catch by itself, with one threshold for all authors by which it holds
/// `MOST_HELD_BY_TEXT` of the legitimate stops of these kinds; and what that threshold makes of each author.
fn text_alone(name: &str, read: &[ReadStop<'_>], is_counted: impl Fn(&str) -> bool) {
    const MOST_HELD_BY_TEXT: usize = 4;
    let counted = || read.iter().filter(|stop| stop.stop.should_continue() || is_counted(&stop.stop.kind));
    let odds = |stop: &ReadStop<'_>| stop.reading.text_alone();
    let mut legitimate: Vec<i32> = counted().filter(|stop| !stop.stop.should_continue()).map(odds).collect();
    legitimate.sort_unstable_by_key(|odds| std::cmp::Reverse(*odds));
    let holds_above = legitimate.get(legitimate.len() * MOST_HELD_BY_TEXT / 100).copied().unwrap_or(i32::MAX);
    let count = |author: Option<&str>| {
        let mut count = [0_usize; 4];
        for stop in counted().filter(|stop| author.is_none_or(|author| stop.stop.author() == author)) {
            count[usize::from(!stop.stop.should_continue()) * 2 + usize::from(odds(stop) > holds_above)] += 1;
        }
        count
    };
    println!("{name}, above {holds_above}:");
    for author in authors(read) {
        line(&format!("  {author}"), count(Some(author)));
    }
    line("  all", count(None));
}

#[allow(clippy::cast_precision_loss, reason = "numbers of messages")]
fn line(name: &str, [missed, caught, let_go, held]: [usize; 4]) {
    let percent = |part: usize, rest: usize| part as f64 * 100.0 / (part + rest).max(1) as f64;
    println!(
        "{name}: {:.1} % caught ({caught} of {}), {:.1} % held wrongly ({held} of {})",
        percent(caught, missed),
        caught + missed,
        percent(held, let_go),
        held + let_go
    );
}

fn put(file: &Path, bytes: &[u8], checks: bool) -> Result<(), Box<dyn Error>> {
    if std::fs::read(file).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if checks {
        return Err(format!("{} is not what its texts give: run this without --check", file.display()).into());
    }
    Ok(std::fs::write(file, bytes)?)
}
