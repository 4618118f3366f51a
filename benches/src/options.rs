//! What the bench can be told.

use std::path::PathBuf;

/// Measures what each hook costs, beside a process that does nothing.
#[derive(Debug, clap::Parser)]
#[command(name = "performance", disable_version_flag = true)]
pub(crate) struct Options {
    /// Measure only situations, and readings of words, whose name contains this (the no-op is always measured), and no load;
    /// `leases`: what leases cost, alone
    pub(crate) filter: Option<String>,

    /// How often each hook is spawned in each situation
    #[arg(long, default_value_t = 500, value_parser = at_least_one)]
    pub(crate) spawns: usize,

    /// How often where the authority is hung: each costs the hook's whole patience
    #[arg(long, default_value_t = 5, value_parser = at_least_one)]
    pub(crate) hung_spawns: usize,

    /// For how long the authority is loaded at each rate, in seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(crate) load_seconds: u32,

    /// Write `docs/performance.md`, and the numbers in `docs/coordination.md`, with the numbers of this run
    #[arg(long, conflicts_with = "filter")]
    pub(crate) page: bool,

    /// Write the numbers to this file, too (relative to the package, where cargo starts benches)
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,

    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("not a number of spawns: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[test]
    fn cargo_s_flag_is_taken_and_zero_spawns_are_refused() {
        let options = Options::try_parse_from(["performance", "--spawns", "7", "--bench"]).unwrap();
        assert_eq!((options.spawns, options.hung_spawns, options.bench), (7, 5, true));
        assert!(Options::try_parse_from(["performance", "--spawns", "0"]).is_err());
    }
}
