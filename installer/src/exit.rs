//! How the program ends.

use stopgate_core::paths::NoHome;
use stopgate_protocol::{ErrorCode, Failure};
pub(crate) use stopgate_terminal::ExitStatus;

use crate::wiring::UnspeakableHome;

/// What the program's own errors stand for.
pub(crate) fn known(cause: &(dyn std::error::Error + 'static)) -> Option<Failure> {
    let refuses = cause.is::<Refusal>() || cause.is::<NoHome>() || cause.is::<UnspeakableHome>();
    refuses.then(|| Failure::new(ErrorCode::Refused, cause.to_string()))
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

    #[test]
    fn a_refusal_is_recognised_and_a_full_disk_is_none() {
        assert_eq!(known(&Refusal("no".into())), Some(Failure::new(ErrorCode::Refused, "no")));
        assert_eq!(known(&std::io::Error::from(std::io::ErrorKind::StorageFull)), None);
    }
}
