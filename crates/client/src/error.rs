//! Why the authority could not be asked, started or ended.

use stopgate_core::client::ClientError;
use stopgate_protocol::endpoint::NotSent;
use stopgate_protocol::{ErrorCode, Failure};

use crate::secluded::Secluded;
use crate::silent::Silent;

/// Why the authority could not be asked, started or ended.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It is not there, or does not answer.
    #[error(transparent)]
    Unreachable(#[from] ClientError),
    /// It lives, and does not serve.
    #[error("{0}")]
    Silent(Silent),
    /// It does not see who asks it from here, and nothing that it says of them counts.
    #[error("{0}")]
    Secluded(Secluded),
    /// It answered with an error.
    #[error(transparent)]
    Refused(Failure),
    /// One of another version serves, with which nothing can be agreed.
    #[error(
        "an authority of another version serves this home ({0}); stop it with that version's `stopgate authority stop`, \
         then try again"
    )]
    OtherVersion(String),
    /// It cannot be asked this.
    #[error(transparent)]
    NotSent(#[from] NotSent),
    /// It answered something else than expected.
    #[error("the authority's answer is not understood: {0}")]
    NotUnderstood(serde_json::Error),
    /// It is not to be started: `STOPGATE_NO_AUTOSTART` is set.
    #[error("{}", forbidden(running.as_deref()))]
    Forbidden {
        /// Version of the one that runs instead of it, if one does.
        running: Option<String>,
    },
    /// It cannot be started.
    #[error("{0}")]
    NotStarted(String),
    /// It cannot be ended.
    #[error("{0}")]
    NotStopped(String),
}

impl AskError {
    /// Whether the authority has understood the question and decided against it. Everything else is trouble, in which a
    /// person gets through in another way.
    pub fn is_decided(&self) -> bool {
        use ErrorCode::{Conflict, NoVerdict, NotFound, OperatorOnly};
        matches!(self, Self::Refused(Failure { code: OperatorOnly | Conflict | NotFound | NoVerdict, .. }))
    }

    /// The same as programs are told it.
    pub fn failure(&self) -> Failure {
        let code = match self {
            Self::Refused(failure) => return failure.clone(),
            Self::Silent(silent) => return silent.failure(),
            Self::Secluded(secluded) => return secluded.failure(),
            Self::Unreachable(ClientError::Absent) => ErrorCode::NotRunning,
            Self::Unreachable(ClientError::Deadline) => ErrorCode::NotAnswering,
            Self::Unreachable(_) => ErrorCode::Unreachable,
            Self::OtherVersion(_) | Self::NotUnderstood(_) => ErrorCode::OtherVersion,
            Self::NotSent(_) => ErrorCode::Malformed,
            Self::Forbidden { .. } | Self::NotStarted(_) => ErrorCode::NotStarted,
            Self::NotStopped(_) => ErrorCode::NotStopped,
        };
        Failure::new(code, self.to_string())
    }
}

fn forbidden(running: Option<&str>) -> String {
    match running {
        Some(version) => {
            format!("version {version} keeps running, because STOPGATE_NO_AUTOSTART is set: restart it yourself")
        }
        None => "the authority is not running and STOPGATE_NO_AUTOSTART is set: run `stopgate authority run`".into(),
    }
}
