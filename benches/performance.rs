//! `cargo bench -p stopgate-benches`: what stopgate costs.

use std::process::ExitCode;

fn main() -> ExitCode {
    stopgate_benches::main()
}
