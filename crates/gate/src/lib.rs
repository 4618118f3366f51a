//! The gate's judgement: pure functions from typed input to a typed decision.
//!
//! A stop runs through [`circumstances`] -> [`signals`] -> facts (gathered by the authority, typed in [`facts`]) ->
//! [`rules`] -> [`evidence`] -> [`turn`] -> verdict: [`pipeline`]. Every stage can only let go, except the rules, and
//! what the rules want has to survive the stages after them.

pub mod asked;
pub mod breaker;
pub mod circumstances;
pub mod cron;
pub mod evidence;
pub mod facts;
pub mod judge;
mod learning;
mod markdown;
pub mod model;
pub mod named;
mod phrases;
pub mod pipeline;
mod prose;
pub mod reminder;
pub mod report;
pub mod rules;
pub mod scene;
pub mod servers;
pub mod signals;
pub mod steps;
pub mod training;
pub mod transcript;
pub mod trial;
pub mod turn;
pub mod turn_end;

pub use evidence::EvidencePointer;
pub use rules::RuleId;
