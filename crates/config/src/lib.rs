//! What is configured: `config.toml` of the operator, and what a checkout's own file takes away from that.
//!
//! One table (`keys`) says of every key its type, limits, default and meaning; the parser, the reference and the
//! step of an update that adds missing keys all read it. A file with a fault is refused as a whole, with every fault
//! by line and key; [`LastGood`] keeps the last configuration without one in force.

mod fault;
mod keys;
mod last_good;
mod load;
mod page;
mod reference;
mod setting;
mod tables;

pub use fault::{Fault, Faults};
pub use keys::{ConfigKey, Section};
pub use last_good::LastGood;
pub use load::{load, load_for_checkout, parse, project_file, user_file};
pub use page::page;
pub use reference::{ShownValue, effective, missing_keys, reference, values, with_missing_keys};
pub use setting::{HeadlessHold, JudgeKind, JudgeWire, ObservedWrites, Project};
pub use tables::{
    Config, GateConfig, JudgeConfig, KeyOf, LeaseConfig, OperatorConfig, PromotionConfig, ReaperConfig, RulesConfig,
};

#[cfg(test)]
mod tests;
