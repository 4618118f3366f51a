//! Why something was not done: one shape, on the socket and in what `--json` prints.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An error's body, in every route and of every command: `{"error": {"code", "message", "remedy"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What went wrong.
    pub error: Failure,
}

/// What went wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which kind it is.
    pub code: ErrorCode,
    /// What is wrong, and with which file or field.
    pub message: String,
    /// What to do about it, where that can be said.
    pub remedy: Option<String>,
}

impl Failure {
    /// A failure with the remedy that its kind has.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), remedy: code.remedy().map(str::to_owned) }
    }

    /// What an answer with an error `status` says. Protocol 1 had nothing but a text; what has none of either is of no
    /// authority.
    pub fn of_answer(status: u16, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct ProblemOfProtocol1 {
            error: String,
        }
        if let Ok(Problem { error }) = serde_json::from_slice(body) {
            return error;
        }
        let message = match serde_json::from_slice(body) {
            Ok(ProblemOfProtocol1 { error }) if status == ErrorCode::OperatorOnly.status() => {
                return Self { code: ErrorCode::OperatorOnly, message: error, remedy: None };
            }
            Ok(ProblemOfProtocol1 { error }) => error,
            Err(_) => format!("the authority answered with status {status}"),
        };
        Self { code: ErrorCode::OtherVersion, message, remedy: None }
    }

    /// The same with a remedy of its own.
    #[must_use]
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)?;
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(out, "; {remedy}"))
    }
}

impl std::error::Error for Failure {}

/// A line is `variant word, HTTP status, exit code, remedy`.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident $word:literal, $status:literal, $exit:literal, $remedy:expr;)+) => {
        /// What kind of failure it is. Word, HTTP status and exit code are public contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $variant,)+
        }

        impl ErrorCode {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in JSON.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The status of the answer over HTTP. What a program finds by itself has none of its own: 500.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// The exit code of a command that ends with it: 1 failed, 2 refused or wrong usage, and of coordination 10 held
            /// by another, 11 held and may be taken, 12 no such recipient or resource, 13 stale token, 14 time is up, 15 would
            /// deadlock.
            pub const fn exit_code(self) -> u8 {
                match self { $(Self::$variant => $exit,)+ }
            }

            /// What to do about it, whatever was asked.
            pub const fn remedy(self) -> Option<&'static str> {
                match self { $(Self::$variant => $remedy,)+ }
            }
        }
    };
}

codes! {
    /// The command line is not understood.
    Usage "usage", 500, 2, None;
    /// The request, or a field of it, is not understood.
    Malformed "malformed", 400, 2, None;
    /// It is the operator's, and an agent asked.
    OperatorOnly "operator_only", 403, 2, Some("run it from a terminal of your own");
    /// Nobody agreed to it.
    NoConsent "no_consent", 500, 2, Some("add --yes");
    /// It may not be done, and nothing was.
    Refused "refused", 500, 2, None;
    /// What was named does not exist.
    NotFound "not_found", 404, 1, None;
    /// The socket has no such route.
    NoSuchRoute "no_such_route", 404, 1, None;
    /// The route has other methods.
    WrongMethod "wrong_method", 405, 1, None;
    /// Something changed meanwhile, or nobody waits any more; nothing was done.
    Conflict "conflict", 409, 1, None;
    /// The request is larger than any is.
    TooLarge "too_large", 413, 1, None;
    /// A stop without a verdict cannot be graded.
    NoVerdict "no_verdict", 422, 1, None;
    /// Program and authority are of versions that do not understand each other.
    OtherVersion "other_version", 426, 1, Some("run `stopgate authority start` from the newer installation");
    /// The authority does not run.
    NotRunning "not_running", 500, 1, Some("`stopgate authority start` starts it");
    /// Somebody holds the authority's lock and does not serve.
    NotAnswering "not_answering", 500, 1, None;
    /// The authority cannot be reached.
    Unreachable "unreachable", 500, 1, None;
    /// The authority cannot be started.
    NotStarted "not_started", 500, 1, None;
    /// The authority does not end.
    NotStopped "not_stopped", 500, 1, None;
    /// The store cannot be read or written.
    StoreUnavailable "store_unavailable", 503, 1, Some("`installer doctor` shows what is wrong with it");
    /// Others hold it, or wait for it.
    Held "held", 409, 10, Some("`stopgate lease wait` waits for it, and `stopgate room` shows who holds what");
    /// Others hold it, and it may be taken from them.
    MayBeTaken "may_be_taken", 409, 11, Some("`stopgate lease take RESOURCE --reason TEXT` takes it");
    /// No living session of that name, or nobody holds such a resource.
    NoSuchTarget "no_such_target", 404, 12, Some("`stopgate room` shows who is there and who holds what");
    /// The token is not the one that counts.
    StaleToken "stale_token", 409, 13, Some("nothing was done: what it was good for is another's by now, or nobody's");
    /// Nothing happened in the time that was given.
    TimeUp "time_up", 408, 14, Some("ask again: a place in the queue is kept for 60 s, and one that is parked for longer");
    /// Waiting for it would never end.
    WouldDeadlock "would_deadlock", 409, 15, Some("release what the others wait for, then ask for all of it at once");
    /// Who asks cannot be told.
    UnprovenCaller "unproven_caller", 403, 1, None;
    /// Anything else.
    Failed "failed", 500, 1, None;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_one_shape_and_comes_back_as_it_was() {
        for code in ErrorCode::ALL {
            let problem = Problem { error: Failure::new(*code, "it: \"quoted\"") };
            let json = serde_json::to_value(&problem).unwrap();
            assert_eq!(json["error"]["code"], code.word());
            assert_eq!(json["error"]["message"], "it: \"quoted\"");
            assert_eq!(json["error"]["remedy"].as_str(), code.remedy());
            assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
            assert!((400..600).contains(&code.status()) && matches!(code.exit_code(), 1..=2 | 10..=15), "{code:?}");
        }
        assert!(serde_json::from_str::<Problem>(r#"{"error": "as protocol 1 said it"}"#).is_err());
    }

    #[test]
    fn an_authority_of_another_version_is_heard_too() {
        let of = |status, body: &str| {
            let Failure { code, message, .. } = Failure::of_answer(status, body.as_bytes());
            (code, message)
        };
        assert_eq!(of(403, r#"{"error": "refused"}"#), (ErrorCode::OperatorOnly, "refused".to_owned()));
        assert_eq!(of(426, r#"{"error": "speaks 1"}"#), (ErrorCode::OtherVersion, "speaks 1".to_owned()));
        let nothing = (ErrorCode::OtherVersion, "the authority answered with status 404".to_owned());
        for body in ["", "<html>", "{}", r#"{"error": {"code": "invented", "message": "m", "remedy": null}}"#] {
            assert_eq!(of(404, body), nothing, "{body}");
        }
        let body = serde_json::to_vec(&Problem { error: Failure::new(ErrorCode::Conflict, "m") }).unwrap();
        assert_eq!(Failure::of_answer(409, &body), Failure::new(ErrorCode::Conflict, "m"));
    }

    #[test]
    fn a_person_reads_what_to_do_behind_what_is_wrong() {
        let refused = Failure::new(ErrorCode::OperatorOnly, "refused");
        assert_eq!(refused.to_string(), "refused; run it from a terminal of your own");
        assert_eq!(Failure::new(ErrorCode::Failed, "why").with_remedy("do this").to_string(), "why; do this");
    }
}
