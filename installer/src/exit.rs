//! How the program ends.

use std::process::ExitCode;

use stopgate_core::paths::NoHome;

use crate::wiring::UnspeakableHome;

/// The program's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// All was done, or there was nothing to do.
    Success,
    /// Something that should have been done was not, or does not work.
    Failure,
    /// Nothing was done, because it may not be.
    Refused,
}

impl ExitStatus {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Refused => 2,
        }
    }

    /// The status that `error` stands for.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let refuses = |cause: &(dyn std::error::Error + 'static)| {
            cause.is::<Refusal>() || cause.is::<NoHome>() || cause.is::<UnspeakableHome>()
        };
        if error.chain().any(refuses) { Self::Refused } else { Self::Failure }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

/// A request that is turned down with everything left as it was. Says what, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) String);

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_refusal_is_recognised_under_its_context() {
        let refused = Err::<(), _>(Refusal("no".into())).context("outer").unwrap_err();
        assert_eq!(ExitStatus::of(&refused), ExitStatus::Refused);
        assert_eq!(ExitStatus::of(&anyhow::anyhow!("disk full")), ExitStatus::Failure);
    }
}
