//! What it costs to read the words of a stop: the same functions that the authority calls, in this process, on messages and
//! prompts of the corpus. What is promised of them is in `docs/architecture.md`, under "Budgets".

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use stopgate_core::harness::MAX_MESSAGE_BYTES;
use stopgate_core::redact::redact;
use stopgate_core::stop_request;
use stopgate_core::text;
use stopgate_gate::asked::Asked;
use stopgate_gate::model::Reading;
use stopgate_gate::signals;

use crate::options::Options;
use crate::stats::Summary;
use crate::table::word;

/// Where messages and prompts are: a file of the corpus, and a field of its rows.
const MESSAGES: (&str, &str) = ("scenes/train-1.jsonl", "message");
const PROMPTS: (&str, &str) = ("prompts/train.jsonl", "text");
/// A message, and a prompt, of usual length, in bytes.
const USUAL: usize = 2 * 1024;
/// A last message that is far too long.
const LONG: usize = 300 * 1000;
/// How many different texts of a length are read, at most and at least.
const TEXTS: usize = 100;
const FEWEST: usize = 20;
/// How often each is read.
const ROUNDS: usize = 20;

/// What was read, and how long that took.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    name: &'static str,
    summary: Summary,
    /// The median is promised to be no longer.
    promise: Option<Duration>,
}

/// Reads all that `options` ask for.
pub(crate) fn all(options: &Options) -> anyhow::Result<Vec<Words>> {
    let (messages, prompts) = (texts(MESSAGES.0, MESSAGES.1, USUAL)?, texts(PROMPTS.0, PROMPTS.1, USUAL)?);
    let kept = |long: String| text::tail(&long, MAX_MESSAGE_BYTES).to_owned();
    let long: Vec<String> = long_messages()?.into_iter().map(kept).collect();
    let rows: [Read<'_>; 8] = [
        ("message of 2 KB: text models", &messages, Some(100), &|text| drop(black_box(Reading::of(text, None)))),
        ("message of 2 KB: phrases", &messages, None, &|text| drop(black_box(signals::detect(text)))),
        ("message of 2 KB: secrets", &messages, None, &|text| drop(black_box(redact(text)))),
        ("prompt of 2 KB: what it asks for", &prompts, Some(300), &|text| drop(black_box(Asked::of([text])))),
        ("prompt of 2 KB: whether it ends the turn", &prompts, None, &|text| {
            black_box(stop_request::meaning(text));
        }),
        ("message of 300 KB, what is kept: text models", &long, None, &|text| drop(black_box(Reading::of(text, None)))),
        ("message of 300 KB, what is kept: phrases", &long, None, &|text| drop(black_box(signals::detect(text)))),
        ("message of 300 KB, what is kept: secrets", &long, None, &|text| drop(black_box(redact(text)))),
    ];
    let wanted = |row: &Read<'_>| options.filter.as_ref().is_none_or(|part| row.0.contains(part));
    rows.into_iter().filter(wanted).map(Words::measure).collect()
}

/// Processor time of this thread: what else runs on the machine is not in it.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// A row: its name, what is read, how many microseconds are promised, and what reads it.
type Read<'a> = (&'static str, &'a [String], Option<u64>, &'a dyn Fn(&str));

impl Words {
    fn measure((name, texts, promise, read): Read<'_>) -> anyhow::Result<Self> {
        // Once unmeasured: weights and phrases are unpacked at their first use.
        for text in texts {
            read(text);
        }
        let mut times = Vec::with_capacity(TEXTS * ROUNDS);
        for _ in 0..ROUNDS {
            for text in texts {
                let began = spent();
                read(black_box(text));
                times.push(spent().saturating_sub(began));
            }
        }
        let summary = Summary::of(&times).with_context(|| format!("{name}: nothing read"))?;
        Ok(Self { name, summary, promise: promise.map(Duration::from_micros) })
    }

    /// Heads of [`Words::cells`].
    pub(crate) const HEADS: [&'static str; 7] = ["what is read", "n", "median", "p95", "p99", "promise", ""];

    fn kept(&self) -> Option<bool> {
        self.promise.map(|most| self.summary.median <= most)
    }

    /// What the table shows: microseconds.
    pub(crate) fn cells(&self) -> [String; 7] {
        let Summary { count, median, p95, p99, .. } = self.summary;
        let time = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e6);
        let promise = self.promise.map_or_else(|| "-".to_owned(), |most| format!("<= {} us", most.as_micros()));
        let [median, p95, p99] = [median, p95, p99].map(time);
        [self.name.to_owned(), count.to_string(), median, p95, p99, promise, word(self.kept()).to_owned()]
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        json!({
            "what": self.name, "n": self.summary.count, "median_us": micros(self.summary.median),
            "p95_us": micros(self.summary.p95), "p99_us": micros(self.summary.p99), "kept": self.kept(),
        })
    }
}

/// Messages that are far too long, each of other texts.
pub(crate) fn long_messages() -> anyhow::Result<Vec<String>> {
    let parts = texts(MESSAGES.0, MESSAGES.1, USUAL)?;
    let from = |first: usize| parts.iter().cycle().skip(first).take(LONG / USUAL + 1).map(String::as_str).collect();
    Ok((0..parts.len()).map(from).map(|long: String| text::tail(&long, LONG).to_owned()).collect())
}

/// Texts of so many bytes: the texts of a file of the corpus, one after the other until there is enough.
fn texts(file: &str, field: &str, length: usize) -> anyhow::Result<Vec<String>> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus").join(file);
    let rows = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut all = Vec::new();
    let mut next = String::new();
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row).with_context(|| format!("{}: a line is no JSON", file.display()))?;
        next.push_str(row[field].as_str().with_context(|| format!("{}: no `{field}`", file.display()))?);
        next.push_str("\n\n");
        if next.len() >= length {
            all.push(text::tail(&next, length).to_owned());
            next.clear();
        }
    }
    ensure!(all.len() >= FEWEST, "{}: too few texts", file.display());
    all.truncate(TEXTS);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_of_the_length_that_is_promised_something_of_and_differ() {
        for (file, field) in [MESSAGES, PROMPTS] {
            let mut all = texts(file, field, USUAL).unwrap();
            assert!(all.iter().all(|text| (USUAL - 4..=USUAL).contains(&text.len())), "{file}");
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{file}");
        }
    }

    #[test]
    fn a_promise_is_of_the_median() {
        let time = Duration::from_micros(100);
        let summary = Summary { count: 1, min: time, median: time, p95: 2 * time, p99: 2 * time, max: 2 * time };
        let row = |promise| Words { name: "x", summary, promise };
        assert_eq!(row(Some(time)).kept(), Some(true));
        assert_eq!(row(Some(time / 2)).kept(), Some(false));
        assert_eq!(row(None).kept(), None);
    }
}
