//! Leaves the tables for unwinding out of released hooks: an eighth of their size, read by nobody.

#![allow(clippy::disallowed_methods, reason = "a build script is told by its environment")]

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=no-unwind-tables.ld");
    let is = |name, value: &str| env::var(name).is_ok_and(|found| found == value);
    // What a profile makes of a panic is not told here; all that inherit `release` abort.
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let script = format!("{}/no-unwind-tables.ld", env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{script}");
    }
}
