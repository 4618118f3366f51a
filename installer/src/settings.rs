//! A harness's settings file: found, read, edited and written without harm to anything that is not ours.
//!
//! [`document`] reads the file into a concrete syntax tree, [`splice`] changes single places of its text,
//! [`edit`] decides which, [`foreign`] looks at what is not ours, and [`running`] tells what of it runs programs of stopgate,
//! [`ignored`] and [`codex`] say what a harness would not read at all, [`plan`] makes one object of the outcome, and [`write`](mod@write) brings it to
//! the disk, with all that [`access`] says belongs to it,
//! unless there is an [`obstacle`].

mod access;
pub(crate) mod codex;
pub(crate) mod document;
pub(crate) mod edit;
pub(crate) mod exchange;
pub(crate) mod foreign;
pub(crate) mod ignored;
pub(crate) mod locate;
pub(crate) mod obstacle;
pub(crate) mod plan;
pub(crate) mod render;
pub(crate) mod running;
mod splice;
pub(crate) mod write;

#[cfg(test)]
mod roundtrip_tests;
