//! What is decided about a stop.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the authority decided about a stop. The names are public contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The turn may end.
    Allow,
    /// The turn should go on.
    Continue,
    /// Undecidable: the turn may end, and an operator should look.
    Escalate,
    /// The turn should go on, but the ceiling of continues is reached: it may end.
    ForceAllow,
}

impl Decision {
    /// The word in the store, in JSON and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Continue => "continue",
            Self::Escalate => "escalate",
            Self::ForceAllow => "force_allow",
        }
    }
}

impl FromStr for Decision {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        [Self::Allow, Self::Continue, Self::Escalate, Self::ForceAllow]
            .into_iter()
            .find(|decision| decision.name() == name)
            .ok_or(UnknownName)
    }
}

/// The text is the name of nothing known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_the_wire_are_the_names_in_the_store() {
        for decision in [Decision::Allow, Decision::Continue, Decision::Escalate, Decision::ForceAllow] {
            assert_eq!(serde_json::to_value(decision).unwrap(), decision.name());
            assert_eq!(decision.name().parse(), Ok(decision));
        }
    }
}
