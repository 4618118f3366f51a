//! Trains the models that tell what a prompt asks for, from `tests/corpus`, writes them and their digest below
//! `crates/gate/models`, and scores them on authors that they were not trained on.
//!
//! `cargo run --release -p stopgate-gate --example train-prompts` writes them, `... -- --check` fails where that would
//! change a byte. `... -- --cross` writes nothing: it scores each author that is trained on by models of all others, and
//! names each prompt that is told wrongly, which is what phrases may be learned from.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a command of the repository")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use stopgate_gate::asked::{PromptClass, PromptModels, class_by, features};
use stopgate_gate::model::fit::{Sample, Training, fit};

/// What is trained on: prompts by themselves, and those of scenes.
const TRAINING: [&str; 3] = ["prompts/train.jsonl", "scenes/train-1.jsonl", "scenes/train-2.jsonl"];
/// Whose authors and styles are not among them.
const HELD_OUT: [&str; 2] = ["prompts/held-out.jsonl", "scenes/held-out.jsonl"];
const WEIGHTS: &str = "prompts.bin";

/// A prompt, what it asks for, and who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Prompt {
    text: String,
    class: PromptClass,
    author: String,
}

/// The labelled prompts of a file.
fn prompts(path: &Path) -> Vec<Prompt> {
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut all = Vec::new();
    for row in rows {
        let author = row["author"].as_str().or_else(|| row["id"].as_str()?.split('-').next()).unwrap().to_owned();
        let each = match row["scene"]["prompts"].as_array() {
            Some(prompts) => prompts.clone(),
            None if row["text"].is_string() => vec![row],
            None => Vec::new(),
        };
        all.extend(each.into_iter().map(|row| Prompt {
            text: row["text"].as_str().unwrap().to_owned(),
            class: serde_json::from_value(row["class"].clone()).unwrap(),
            author: author.clone(),
        }));
    }
    all
}

fn train<'a>(prompts: impl Iterator<Item = &'a Prompt>) -> PromptModels {
    let mut labelled: Vec<_> = prompts.map(|prompt| (&*prompt.text, prompt.class)).collect();
    labelled.sort_unstable();
    labelled.dedup();
    let read: Vec<_> = labelled.into_iter().map(|(text, class)| (features(text), class)).collect();
    PromptModels(PromptClass::ALL.map(|class| {
        let sample =
            |(features, of): &(Vec<_>, PromptClass)| Sample { features: features.clone(), is_kind: *of == class };
        fit(&read.iter().map(sample).collect::<Vec<_>>(), Training::default())
    }))
}

/// Prints what of `classed` is told rightly.
fn score(name: &str, classed: &[(&Prompt, PromptClass)]) {
    let count = |test: &dyn Fn(PromptClass, PromptClass) -> bool| {
        classed.iter().filter(|(is, said)| test(is.class, *said)).count()
    };
    let is_job = |class| class == PromptClass::Execute;
    println!(
        "{name}: {} of {} right; execute or not: {} right; {} of {} others taken for execute",
        count(&|is, said| is == said),
        classed.len(),
        count(&|is, said| is_job(is) == is_job(said)),
        count(&|is, said| !is_job(is) && is_job(said)),
        count(&|is, _| !is_job(is)),
    );
    println!("  {:9}{}", "", PromptClass::ALL.map(|class| format!("{:>9}", class.name())).concat());
    for class in PromptClass::ALL {
        let row = PromptClass::ALL.map(|as_what| format!("{:>9}", count(&|is, said| is == class && said == as_what)));
        println!("  {:9}{}", class.name(), row.concat());
    }
}

fn main() -> ExitCode {
    let is_asked = |option: &str| std::env::args().any(|argument| argument == option);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = root.join("../../tests/corpus");
    let training: Vec<_> = TRAINING.iter().flat_map(|name| prompts(&corpus.join(name))).collect();
    if is_asked("--cross") {
        let mut authors: Vec<&str> = training.iter().map(|prompt| &*prompt.author).collect();
        authors.sort_unstable();
        authors.dedup();
        let mut all = Vec::new();
        for author in authors {
            let models = train(training.iter().filter(|prompt| prompt.author != author));
            let own = training.iter().filter(|prompt| prompt.author == author);
            let classed: Vec<_> = own.map(|prompt| (prompt, class_by(&models, &prompt.text))).collect();
            score(author, &classed);
            all.extend(classed);
        }
        score("all, each by models of all others", &all);
        for (prompt, said) in all.iter().filter(|(prompt, said)| prompt.class != *said) {
            let text = prompt.text.replace('\n', "\\n");
            println!("{} taken for {}: {} {text:.200}", prompt.class.name(), said.name(), prompt.author);
        }
        return ExitCode::SUCCESS;
    }
    let models = train(training.iter());
    let bytes = models.to_bytes();
    let digest = Sha256::digest(&bytes).iter().fold(String::new(), |mut digest, byte| {
        let _ = write!(digest, "{byte:02x}");
        digest
    });
    let (weights, sums) = (root.join("models").join(WEIGHTS), root.join("models/SHA256SUMS"));
    // Other models are trained by commands of their own.
    let there = std::fs::read_to_string(&sums).unwrap_or_default();
    let mut lines: Vec<&str> = there.lines().filter(|line| !line.ends_with(WEIGHTS)).collect();
    let line = format!("{digest}  {WEIGHTS}");
    lines.push(&line);
    lines.sort_unstable_by_key(|line| line.rsplit(' ').next());
    let listed = lines.join("\n") + "\n";
    println!("{WEIGHTS}: {} bytes, sha256 {digest}, of {} prompts", bytes.len(), training.len());
    if is_asked("--check") {
        let is_same = std::fs::read(&weights).is_ok_and(|there| there == bytes) && there == listed;
        if !is_same {
            println!("{WEIGHTS} or its digest is not what the texts give: run this without --check");
        }
        return if is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    std::fs::write(&weights, bytes).unwrap();
    std::fs::write(&sums, listed).unwrap();
    for name in HELD_OUT {
        let rows = prompts(&corpus.join(name));
        let classed: Vec<_> = rows.iter().map(|prompt| (prompt, class_by(&models, &prompt.text))).collect();
        score(name, &classed);
    }
    ExitCode::SUCCESS
}
