//! How a program ends.

use std::process::ExitCode;

use stopgate_protocol::ErrorCode;

/// A program's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// All was done as asked, or there was nothing to do.
    Success,
    /// Something that should have been done was not, or does not work.
    Failure,
    /// Nothing was done, because nobody agreed to it or because it may not be.
    Refused,
    /// What sessions that coordinate are told by a code of its own: held by another, and so on.
    Told(ErrorCode),
}

impl ExitStatus {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Refused => 2,
            Self::Told(code) => code.exit_code(),
        }
    }
}

impl From<ErrorCode> for ExitStatus {
    fn from(code: ErrorCode) -> Self {
        match code.exit_code() {
            2 => Self::Refused,
            10.. => Self::Told(code),
            _ => Self::Failure,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}
