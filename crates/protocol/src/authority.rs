//! The authority itself: how it is, and its end.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_gate::facts::GitTrouble;

/// Asks how the authority is: who serves, and which version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetHealth {}

/// How the authority is: answer of [`GetHealth`]. One of every version has to be understood, so that it can be told to
/// make way; protocol 1 had its fields in camelCase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`, or `degraded` when the store does not work, or cannot be written.
    pub status: HealthStatus,
    /// Version of the program.
    pub version: String,
    /// Version of the protocol.
    pub protocol: u32,
    /// The authority's process.
    pub pid: u32,
    /// When it began to serve.
    #[serde(alias = "startedAtMs")]
    pub started_at_ms: UnixMillis,
    /// What is wrong, if something is.
    pub problem: Option<String>,
    /// What is wrong with `config.toml`, if something is; the last one without a fault stays in force.
    #[serde(default, alias = "configProblem")]
    pub config_problem: Option<String>,
    /// Checkouts about which git could not be asked at their last stop: every stop there is let go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub git_troubles: Vec<CheckoutTrouble>,
}

/// A checkout about which git could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutTrouble {
    /// Top of its working tree.
    pub checkout: PathBuf,
    /// Since when, or when that was last found.
    pub at_ms: UnixMillis,
    /// Why.
    pub trouble: GitTrouble,
}

/// How well the authority is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// All is well.
    Ok,
    /// It serves, but without its store.
    Degraded,
}

/// Ends the authority; may be empty, and what is not understood counts as empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shutdown {
    /// Version of the program that takes over. Agents may hand over to a newer one; ending it is the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_version: Option<String>,
    /// The same, for an authority that speaks protocol 1.
    #[serde(rename = "forVersion", skip_serializing_if = "Option::is_none")]
    for_version_of_protocol_1: Option<String>,
}

impl Shutdown {
    /// As it is typed.
    pub const ACTION: &str = "authority stop";

    /// Asks to make way for the program of `version`.
    pub fn for_version(version: &str) -> Self {
        let version = Some(version.to_owned());
        Self { for_version_of_protocol_1: version.clone(), for_version: version }
    }
}

/// Answer of [`Shutdown`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stopping {
    /// Always true.
    pub stopping: bool,
}
