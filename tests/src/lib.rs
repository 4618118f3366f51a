//! Test support: what the end-to-end tests of stopgate share.
//!
//! * [`world`]: a home of its own for each test, the real binaries, an authority that ends with the test.
//! * [`agent`], [`process`]: commands inside a recorded session, and signals.
//! * [`build`]: builds in a checkout, harness processes and tmux servers around them.
//! * [`reaper`]: stand-in harnesses in real tmux panes, with a clock and a pressure of their own.
//! * [`checkout`]: real git repositories with a past.
//! * [`evaluations`]: a made-up past of judged stops.
//! * [`person`]: a machine as the installer finds it.
//! * [`fake_authority`]: everything an authority can do wrong.
//! * [`mock_anthropic`]: a scripted "model" on loopback, for a real Claude Code client.
//! * [`mock_judge`]: a judge on loopback that answers, or does everything a judge can do wrong.
//! * [`mock_openai`], [`codex_driver`], [`codex_daemon`]: the same for a real Codex, in a process of its own and in its daemon.
//! * [`seat`]: sessions that share a tree, what they hold, and what the fence tells them.
//! * [`stalling`]: a disk that does not answer.
//! * [`transcript`]: what the clients write down of who said what.
//! * [`versions`]: of what is run and not of this checkout.
//! * [`claude_driver`]: one real Claude Code session against that mock, without a network and without a key.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "test support: a panic is a failing test"
)]

pub mod agent;
pub mod attributes;
pub mod background;
pub mod build;
pub mod checkout;
pub mod claude_driver;
pub mod codex_daemon;
pub mod codex_driver;
pub mod evaluations;
pub mod fake_authority;
pub mod field;
mod loopback;
pub mod mock_anthropic;
pub mod mock_judge;
pub mod mock_openai;
pub mod person;
pub mod place;
pub mod process;
pub mod reaper;
pub mod run;
pub mod seat;
pub mod stalling;
pub mod transcript;
pub mod versions;
pub mod world;
