//! `cargo bench -p stopgate-benches --bench load`: the authority under a steady load.

use std::process::ExitCode;

fn main() -> ExitCode {
    stopgate_benches::load_main()
}
