//! Trains the models that tell what a prompt asks for, from `tests/corpus`, writes them down, and scores them on authors
//! that they were not trained on. `--score` only scores those that are written down.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a command of the repository")]

use std::path::Path;

use serde_json::Value;
use stopgate_gate::asked::{PromptClass, PromptModels, class_by, features};
use stopgate_gate::model::fit::{Sample, Training, fit};

/// What is trained on: prompts by themselves, and those of scenes.
const TRAINING: [&str; 3] = ["prompts/train.jsonl", "scenes/train-1.jsonl", "scenes/train-2.jsonl"];
/// Whose authors and styles are not among them.
const HELD_OUT: [&str; 2] = ["prompts/held-out.jsonl", "scenes/held-out.jsonl"];

/// The labelled prompts of a file.
fn prompts(path: &Path) -> Vec<(String, PromptClass)> {
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let each = rows.flat_map(|row| match row["scene"]["prompts"].as_array() {
        Some(prompts) => prompts.clone(),
        None if row["text"].is_string() => vec![row],
        None => Vec::new(),
    });
    each.map(|row| (row["text"].as_str().unwrap().to_owned(), serde_json::from_value(row["class"].clone()).unwrap()))
        .collect()
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (corpus, weights) = (root.join("../../tests/corpus"), root.join("models/prompts.bin"));
    if std::env::args().nth(1).as_deref() != Some("--score") {
        let mut training: Vec<_> = TRAINING.iter().flat_map(|name| prompts(&corpus.join(name))).collect();
        training.sort();
        training.dedup();
        let read: Vec<_> = training.iter().map(|(text, class)| (features(text), *class)).collect();
        let models = PromptModels(PromptClass::ALL.map(|class| {
            let sample =
                |(features, of): &(Vec<_>, PromptClass)| Sample { features: features.clone(), is_kind: *of == class };
            fit(&read.iter().map(sample).collect::<Vec<_>>(), Training::default())
        }));
        std::fs::write(&weights, models.to_bytes()).unwrap();
    }
    let models = PromptModels::from_bytes(&std::fs::read(&weights).unwrap()).unwrap();
    for name in HELD_OUT {
        let rows = prompts(&corpus.join(name));
        let classed: Vec<_> = rows.iter().map(|(text, class)| (*class, class_by(&models, text))).collect();
        let count = |test: &dyn Fn(PromptClass, PromptClass) -> bool| {
            classed.iter().filter(|(is, said)| test(*is, *said)).count()
        };
        let is_job = |class| class == PromptClass::Execute;
        println!(
            "{name}: {} of {} right; execute or not: {} right; {} of {} others taken for execute",
            count(&|is, said| is == said),
            rows.len(),
            count(&|is, said| is_job(is) == is_job(said)),
            count(&|is, said| !is_job(is) && is_job(said)),
            count(&|is, _| !is_job(is)),
        );
        println!("  {:9}{}", "", PromptClass::ALL.map(|class| format!("{:>9}", class.name())).concat());
        for class in PromptClass::ALL {
            let row =
                PromptClass::ALL.map(|as_what| format!("{:>9}", count(&|is, said| is == class && said == as_what)));
            println!("  {:9}{}", class.name(), row.concat());
        }
        if std::env::args().any(|word| word == "--misses") {
            for (row, (_, said)) in rows.iter().zip(&classed).filter(|(row, (_, said))| row.1 != *said) {
                println!("{} taken for {}: {:.160}", row.1.name(), said.name(), row.0.replace('\n', "\\n"));
            }
        }
    }
}
