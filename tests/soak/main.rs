//! What takes long and much: thousands of stops, hundreds of sessions, large repositories. One at a time, or they would
//! measure each other.

#![allow(clippy::unwrap_used, reason = "tests")]

mod authority;
mod gate_scale;
mod leases;
mod random;
mod registry;
mod registry_cost;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits until no other test of this target runs, and keeps the others waiting.
fn alone() -> MutexGuard<'static, ()> {
    static RUNNING: Mutex<()> = Mutex::new(());
    // One that failed is over, too.
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
