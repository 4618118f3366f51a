//! `cargo bench -p stopgate-benches`: what each hook costs, beside a process that does nothing.

use std::process::ExitCode;

fn main() -> ExitCode {
    stopgate_benches::main()
}
