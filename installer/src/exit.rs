//! How the program ends.

use stopgate_core::paths::NoHome;
pub(crate) use stopgate_terminal::ExitStatus;

use crate::wiring::UnspeakableHome;

/// The status that `error` stands for.
pub(crate) fn status_of(error: &anyhow::Error) -> ExitStatus {
    let refuses = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<Refusal>() || cause.is::<NoHome>() || cause.is::<UnspeakableHome>()
    };
    if error.chain().any(refuses) { ExitStatus::Refused } else { ExitStatus::Failure }
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
        assert_eq!(status_of(&refused), ExitStatus::Refused);
        assert_eq!(status_of(&anyhow::anyhow!("disk full")), ExitStatus::Failure);
    }
}
