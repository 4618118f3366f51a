//! Trains the models in `crates/gate/models` from `tests/corpus`, and writes their digests beside them.
//!
//! `cargo run --release -p stopgate-gate --example train-models` writes them, `... -- --check` fails where that would
//! change a byte.

#![allow(clippy::print_stdout, reason = "a command of the repository")]

use std::error::Error;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use stopgate_gate::model::training::{stops, train_stops};

/// What the models may be trained on: never the parts that are held out.
const TRAINING: [&str; 3] = ["tuning.jsonl", "scenes/train-1.jsonl", "scenes/train-2.jsonl"];

fn main() -> Result<(), Box<dyn Error>> {
    let checks = std::env::args().any(|argument| argument == "--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut labelled = Vec::new();
    for name in TRAINING {
        let file = root.join("../../tests/corpus").join(name);
        let text = std::fs::read_to_string(&file)?;
        labelled.extend(stops(&text).map_err(|(line, why)| format!("{}:{line}: {why}", file.display()))?);
    }
    let models = [("stop-text.bin", train_stops(&labelled).to_bytes())];
    // Other models are trained by commands of their own.
    let sums = root.join("models/SHA256SUMS");
    let there = std::fs::read_to_string(&sums).unwrap_or_default();
    let is_other = |line: &&str| !models.iter().any(|(name, _)| line.ends_with(&format!("  {name}")));
    let mut digests: Vec<String> = there.lines().filter(is_other).map(str::to_owned).collect();
    for (name, bytes) in &models {
        let digest = Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        digests.push(format!("{digest}  {name}"));
        put(&root.join("models").join(name), bytes, checks)?;
        println!("{name}: {} bytes, sha256 {digest}, of {} stops", bytes.len(), labelled.len());
    }
    put(&sums, (digests.join("\n") + "\n").as_bytes(), checks)
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
