//! What a command that failed says.

use std::error::Error;

use stopgate_protocol::{ErrorCode, Failure};

/// Kind and remedy of what `error` came from, with all that led there on one line. `known` tells what a program's own
/// errors stand for.
pub fn failure(error: &anyhow::Error, known: impl Fn(&(dyn Error + 'static)) -> Option<Failure>) -> Failure {
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
