//! Does nothing: what starting any Rust program of this build profile costs.

fn main() {}
