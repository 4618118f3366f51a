//! What stopgate costs: every hook spawned some hundred times in every situation it meets, beside a no-op process of the
//! same build profile, and beside the same hook in other languages, in the same run; the authority under load and at
//! rest; the sizes of the binaries; system calls and instructions of each hook.
//!
//! A situation that is not what its name claims ends the bench with an error: a hook that silently failed would
//! look fast. A promise that is missed does not, because this is a measurement and not a test.

mod anatomy;
mod authority;
mod binaries;
mod check;
mod checkouts;
mod elf;
mod leases;
mod load;
mod machine;
mod measure;
mod options;
mod page;
mod payload;
mod peers;
mod promise;
mod report;
mod run;
mod seats;
mod situations;
mod sizes;
mod stats;
mod table;
mod words;
mod world;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use stopgate_terminal as console;

use crate::binaries::Binaries;
use crate::options::Options;
use crate::peers::Language;
use crate::report::{AuthorityRows, HookRows, Report};
use crate::world::World;

/// The bench's `main`. Fails only when something could not be measured.
pub fn main() -> ExitCode {
    let options = Options::parse();
    if !options.bench {
        // `cargo test --all-targets` starts benches too, without the flag.
        console::note("nothing measured; run `cargo bench -p stopgate-benches`");
        return ExitCode::SUCCESS;
    }
    match measure_all(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::note(format!("performance: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn measure_all(options: &Options) -> anyhow::Result<()> {
    console::note("building the release binaries ...");
    let binaries = Binaries::build()?;
    for language in Language::ALL {
        if let Some(program) = language.missing() {
            console::note(format!("{} is not measured: no {program} here", language.peer()));
        }
    }
    let (hooks, anatomy) = {
        console::note("preparing homes, checkouts and authorities ...");
        let world = World::create(&binaries)?;
        let situations = situations::all(&world, options)?;
        let hooks = HookRows::new(&situations, &run::all(&world, &situations, options.spawns)?)?;
        (hooks, anatomy::all(&world, &situations)?)
    };
    let authority = match options.filter.as_deref() {
        Some("leases") => {
            AuthorityRows { leases: Some(leases::all(&binaries, options.load_seconds)?), ..AuthorityRows::default() }
        }
        Some(_) => AuthorityRows { words: words::all(options)?, ..AuthorityRows::default() },
        None => AuthorityRows {
            words: words::all(options)?,
            long: Some(load::long_stops(&binaries)?),
            loads: load::all(&binaries, options.load_seconds)?,
            idle: Some(load::idle(&binaries)?),
            leases: Some(leases::all(&binaries, options.load_seconds)?),
        },
    };
    let report = Report::new(hooks, authority, anatomy, &binaries)?;
    console::line(report.text());
    if let Some(path) = &options.json {
        std::fs::write(path, report.json()).with_context(|| format!("cannot write {}", path.display()))?;
        console::note(format!("numbers written to {}", path.display()));
    }
    if options.page {
        console::note(format!("{} written", page::write(&report.page())?.display()));
        console::note(format!("{} written", page::write_numbers(&report.numbers())?.display()));
    }
    Ok(())
}
