//! Hook latency: every hook spawned a few hundred times in every situation it meets, beside a no-op process of the
//! same build profile in the same run.
//!
//! A situation that is not what its name claims ends the bench with an error: a hook that silently failed would
//! look fast. A promise that is missed does not, because this is a measurement and not a test.

mod authority;
mod binaries;
mod check;
mod checkouts;
mod console;
mod elf;
mod load;
mod machine;
mod measure;
mod options;
mod payload;
mod promise;
mod report;
mod run;
mod situations;
mod sizes;
mod stats;
mod table;
mod world;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use crate::binaries::Binaries;
use crate::options::Options;
use crate::report::Report;
use crate::world::World;

/// The bench's `main`. Fails only when something could not be measured.
pub fn main() -> ExitCode {
    let options = Options::parse();
    if !options.bench {
        // `cargo test --all-targets` starts benches too, without the flag.
        console::progress("hooks: nothing measured; run `cargo bench -p stopgate-benches`");
        return ExitCode::SUCCESS;
    }
    match measure_all(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::progress(&format!("hooks: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The load bench's `main`. Fails only when something could not be measured.
pub fn load_main() -> ExitCode {
    match load::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::progress(&format!("load: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn measure_all(options: &Options) -> anyhow::Result<()> {
    console::progress("building the release binaries ...");
    let binaries = Binaries::build()?;
    console::progress("preparing homes, checkouts and authorities ...");
    let world = World::create(&binaries)?;
    let situations = situations::all(&world, options)?;
    let measured = run::all(&world, &situations, options.spawns)?;
    let report = Report::new(&situations, &measured, &binaries)?;
    console::line(&report.text());
    if let Some(path) = &options.json {
        std::fs::write(path, report.json()).with_context(|| format!("cannot write {}", path.display()))?;
        console::progress(&format!("numbers written to {}", path.display()));
    }
    Ok(())
}
