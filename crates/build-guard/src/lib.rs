//! A build that one session owns: what it is ([`state`]), how it may move ([`machine`]), whom it holds ([`guard`],
//! [`hold`]), what the held one is told ([`reason`]), and where it lies on disk ([`store`]).

pub mod guard;
pub mod hold;
pub mod machine;
pub mod owner;
pub mod reason;
pub mod state;
pub mod store;
