//! Trains the models that tell what a prompt asks for, from `tests/corpus`, writes them and their digest below
//! `crates/gate/models`, and scores them on authors that they were not trained on.
//!
//! `cargo run --release -p stopgate-gate --example train-prompts` writes them, `... -- --check` fails where that would
//! change a byte (`train-models` writes them as well). `... -- --cross` writes nothing: it scores each author that is trained on by models of all others, and
//! names each prompt that is told wrongly, which is what phrases may be learned from.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a command of the repository")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use sha2::{Digest as _, Sha256};
use stopgate_gate::asked::{PromptClass, class_by};
use stopgate_gate::training::{LabelledPrompt, LabelledStop, PROMPTS, STOPS, rows, train_prompts};

/// Whose authors and styles are not among what is trained on.
const HELD_OUT: [&str; 2] = ["prompts/held-out.jsonl", "scenes/held-out.jsonl"];
const WEIGHTS: &str = "prompts.bin";

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Vec<T> {
    rows(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Prints what of `classed` is told rightly.
fn score(name: &str, classed: &[(&LabelledPrompt, PromptClass)]) {
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
    let prompts: Vec<LabelledPrompt> = read(&corpus.join(PROMPTS));
    let stops: Vec<LabelledStop> = STOPS.iter().flat_map(|name| read(&corpus.join(name))).collect();
    let training: Vec<_> = prompts.iter().cloned().chain(stops.iter().flat_map(LabelledStop::prompts)).collect();
    if is_asked("--cross") {
        let mut authors: Vec<&str> = training.iter().map(|prompt| &*prompt.author).collect();
        authors.sort_unstable();
        authors.dedup();
        let mut all = Vec::new();
        for author in authors {
            let others = stops.iter().filter(|stop| stop.author() != author);
            let models = train_prompts(prompts.iter().filter(|prompt| prompt.author != author), others);
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
    let models = train_prompts(&prompts, &stops);
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
        let file = corpus.join(name);
        let rows: Vec<LabelledPrompt> = if name.starts_with("scenes") {
            read::<LabelledStop>(&file).iter().flat_map(LabelledStop::prompts).collect()
        } else {
            read(&file)
        };
        let classed: Vec<_> = rows.iter().map(|prompt| (prompt, class_by(&models, &prompt.text))).collect();
        score(name, &classed);
    }
    ExitCode::SUCCESS
}
