//! The local authority: one process a person, asked by the hooks over a Unix socket.
//!
//! It alone judges stops and it alone keeps the store. Everything it is asked fails open at the asker: when it is
//! absent, slow or broken, agents stop as they please.
//!
//! * For the program that it is part of: [`run`]. How others start, ask and end it is `stopgate_client`'s affair.
//! * The process: `server`, `instance` (one a home), `connection`, `peer`, `state`, `version`.
//! * What it is asked: `routes`, and what hooks could not deliver: `spooled`.
//! * Judging a stop: `evaluate`, with `facts` and `git`, `judge`, `turns`, `contests` and `memory`; `journal` keeps what was answered
//!   and is not stored yet.
//! * Coordination: `leases`, `fence`, `neighbours`; `watched` for the ends of processes.
//! * On its own: `reaper`, `retention`, `process_files`.
//! * For whoever asks what it would say of a stop: [`trial`].
//! * For whoever tries it without a socket, as `fuzz/` does: [`rehearsal`].

#![allow(clippy::result_large_err, reason = "in the routes the error is the HTTP answer")]

pub mod rehearsal;
pub mod trial;

mod connection;
mod contests;
mod continued;
mod descriptors;
mod evaluate;
mod facts;
mod fence;
mod git;
mod heard_prompt;
mod instance;
mod journal;
mod judge;
mod learned;
mod leases;
mod memory;
mod neighbours;
mod operator;
mod peer;
mod process_files;
mod reaper;
mod retention;
mod routes;
mod rules;
mod server;
mod settings;
mod slot;
mod spooled;
mod state;
mod storage;
mod turns;
mod version;
mod watched;

pub use server::{RunError, RunOptions, run};
