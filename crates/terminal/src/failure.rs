//! What a command that failed says.

use std::error::Error;

use stopgate_protocol::{ErrorCode, Failure, Problem};

use crate::{ExitStatus, json, lost, note};

/// How a command of `program` ends. Why it failed is said to a person, and as one JSON object to a program that asked
/// for `as_json`; `known` tells what the program's own errors stand for. A result that could not be printed is a failure.
pub fn end(
    program: &str,
    done: anyhow::Result<ExitStatus>,
    known: impl Fn(&(dyn Error + 'static)) -> Option<Failure>,
    as_json: bool,
) -> ExitStatus {
    let failure = match (done, lost()) {
        (Ok(_), Some(error)) => Failure::new(ErrorCode::Failed, format!("cannot print the result: {error}")),
        (Ok(status), None) => return status,
        (Err(error), _) => failure(&error, known),
    };
    note(format!("{program}: {failure}"));
    let status = failure.code.into();
    if as_json {
        let _ = json(&Problem { error: failure });
    }
    status
}

/// Kind and remedy of what `error` came from, with all that led there on one line. `known` tells what a program's own
/// errors stand for.
fn failure(error: &anyhow::Error, known: impl Fn(&(dyn Error + 'static)) -> Option<Failure>) -> Failure {
    let mut path: Vec<String> = Vec::new();
    for cause in error.chain() {
        if let Some(found) = cause.downcast_ref::<Failure>().cloned().or_else(|| known(cause)) {
            path.push(found.message.clone());
            return Failure { message: path.join(": "), ..found };
        }
        path.push(cause.to_string());
    }
    Failure::new(ErrorCode::Failed, path.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context as _, anyhow};

    #[test]
    fn the_kind_is_found_under_its_context() {
        let known = |cause: &(dyn Error + 'static)| {
            cause.is::<std::fmt::Error>().then(|| Failure::new(ErrorCode::NotRunning, "not there"))
        };
        let of = |error: anyhow::Error| {
            let Failure { code, message, .. } = failure(&error.context("outer"), known);
            (code, message)
        };
        assert_eq!(of(anyhow!("inner")), (ErrorCode::Failed, "outer: inner".to_owned()));
        assert_eq!(of(std::fmt::Error.into()), (ErrorCode::NotRunning, "outer: not there".to_owned()));
        let told = Failure::new(ErrorCode::OperatorOnly, "no").with_remedy("do");
        assert_eq!(of(told.clone().into()), (ErrorCode::OperatorOnly, "outer: no".to_owned()));
        let shown = failure(&Err::<(), _>(told).context("outer").unwrap_err(), known);
        assert_eq!(shown.to_string(), "outer: no; do");
    }
}
