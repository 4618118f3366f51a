//! `fill-store COUNT HOME`: a made-up past of COUNT judged stops in a new stopgate home, to try reports on.

#![allow(clippy::print_stderr, clippy::unwrap_used, reason = "a tool for whoever works on stopgate")]

use std::path::Path;
use std::process::ExitCode;

use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::paths::Home;
use stopgate_tests::evaluations::write_many;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = arguments.first().and_then(|count| count.parse().ok());
    match (count, arguments.get(1).map(|home| std::path::absolute(Path::new(home)).unwrap())) {
        (Some(count), Some(home)) if !home.exists() => {
            write_many(&Home::at(home), count, SystemClock.now_ms());
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: fill-store COUNT HOME (a directory that does not exist yet)");
            ExitCode::from(2)
        }
    }
}
