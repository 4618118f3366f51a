//! What a route is, and how what is asked and answered goes over the socket. The routes themselves are a table,
//! [`endpoints`](crate::endpoints).

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stopgate_core::switch::Mode;

/// A route, by what is sent to it: the type of a request says where it goes, what comes back, and who may ask.
pub trait Endpoint: Serialize + DeserializeOwned + Send + 'static {
    /// `GET` carries the request as query, `POST` as body.
    const METHOD: Method;
    /// The path, without query.
    const PATH: &'static str;
    /// Whether an authority of every version understands it: by such routes a program and an authority of two versions
    /// come to terms.
    const OF_ANY_VERSION: bool;
    /// What is answered. What serializes as `null` is an answer without a body, status 202.
    type Response: Serialize + DeserializeOwned + Send + 'static;

    /// Who may ask this of an authority that stands as `now` says.
    fn caller(&self, now: &Serving<'_>) -> Caller;

    /// What a body that is not understood is taken for; `None` refuses it.
    fn of_garbage() -> Option<Self> {
        None
    }
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Looks at something.
    Get,
    /// Changes something.
    Post,
}

impl Method {
    /// As HTTP has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// How an authority stands when it is asked: what a request does depends on that. What costs a look is found when it is
/// asked for.
#[derive(Clone, Copy)]
pub struct Serving<'a> {
    /// The version it goes by.
    pub version: &'a str,
    /// The mode.
    pub mode: &'a dyn Fn() -> Mode,
    /// The mode of the fence.
    pub fence: &'a dyn Fn() -> Mode,
    /// Whether the asker is one of the programs that are deployed in the authority's home.
    pub asker_is_deployed: &'a dyn Fn() -> bool,
}

/// Who may ask something. What tightens is everybody's; what loosens, or ends something, is the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Everybody, agents too.
    Anybody,
    /// The operator: whoever does not descend from an agent.
    Operator {
        /// What is asked, as an agent is told that may not, and as it is logged.
        action: String,
    },
    /// The operator at a terminal.
    AtTerminal {
        /// The same.
        action: String,
    },
}

impl Caller {
    /// The operator, for `action`.
    pub fn operator(action: impl Into<String>) -> Self {
        Self::Operator { action: action.into() }
    }

    /// What is asked, unless everybody may.
    pub fn action(&self) -> Option<&str> {
        match self {
            Self::Anybody => None,
            Self::Operator { action } | Self::AtTerminal { action } => Some(action),
        }
    }
}

/// A route without its types, for whoever goes through all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// How it is asked.
    pub method: Method,
    /// Where.
    pub path: &'static str,
}

/// A request as it goes over the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Path and query.
    pub target: String,
    /// JSON; empty where the query says it all.
    pub body: Vec<u8>,
}

impl Message {
    /// What to send for `request`. Fails for a request that cannot be a query or JSON.
    pub fn of<E: Endpoint>(request: &E) -> Result<Self, NotSent> {
        match E::METHOD {
            Method::Get => {
                let query = serde_urlencoded::to_string(request).map_err(|error| NotSent(error.to_string()))?;
                let mark = if query.is_empty() { "" } else { "?" };
                Ok(Self { target: format!("{}{mark}{query}", E::PATH), body: Vec::new() })
            }
            Method::Post => {
                let body = serde_json::to_vec(request).map_err(|error| NotSent(error.to_string()))?;
                Ok(Self { target: E::PATH.to_owned(), body })
            }
        }
    }
}

/// Why a request cannot be sent.
#[derive(Debug)]
pub struct NotSent(String);

impl fmt::Display for NotSent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the request cannot be written: {}", self.0)
    }
}

impl std::error::Error for NotSent {}

/// The request in what came over the socket; the error names line, column and field, and quotes nothing. No body is an
/// object without fields.
pub fn request<E: Endpoint>(query: &str, body: &[u8]) -> Result<E, String> {
    match E::METHOD {
        Method::Get => serde_urlencoded::from_str(query).map_err(|error| format!("query: {error}")),
        Method::Post => serde_json::from_slice(if body.is_empty() { b"{}" } else { body })
            .or_else(|error| E::of_garbage().ok_or_else(|| format!("body: {error}"))),
    }
}

/// The answer of a route in the body that came back.
pub fn response<E: Endpoint>(body: &[u8]) -> Result<E::Response, serde_json::Error> {
    serde_json::from_slice(if body.is_empty() { b"null" } else { body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ListSessions, LogFilter, ResetBreakers, SetFence, SetMode, Shutdown};

    #[test]
    fn a_body_that_is_garbage_is_refused_by_name() {
        let refused = request::<SetMode>("", br#"{"mode": "loud"}"#).unwrap_err();
        assert!(refused.starts_with("body: ") && refused.contains("loud"), "{refused}");
        assert!(request::<SetMode>("", b"").is_err() && request::<ResetBreakers>("", b"nonsense").is_err());
        assert_eq!(request::<ResetBreakers>("", b""), Ok(ResetBreakers::default()));
    }

    #[test]
    fn an_end_is_asked_for_by_any_body_and_by_garbage_of_the_operator() {
        let who = |asked: &Shutdown, version, is_deployed: bool| {
            asked.caller(&Serving {
                version,
                mode: &|| Mode::Enforce,
                fence: &|| Mode::Enforce,
                asker_is_deployed: &|| is_deployed,
            })
        };
        for body in ["", "{}", "nonsense", "null", "[", r#"{"for_version": 7}"#, "\u{fffd}"] {
            let asked: Shutdown = request("", body.as_bytes()).unwrap();
            assert_eq!(asked, Shutdown::default(), "{body:?}");
            assert_eq!(who(&asked, "0.0.1", true), Caller::operator(Shutdown::ACTION), "{body:?}");
        }
        let newer: Shutdown = request("", br#"{"for_version": "0.0.2"}"#).unwrap();
        let operator = Caller::operator(Shutdown::ACTION);
        assert_eq!(who(&newer, "0.0.1", true), Caller::Anybody);
        assert_eq!(who(&newer, "0.0.2", true), operator, "not newer");
        assert_eq!(who(&newer, "0.0.1", false), operator, "anybody can say a number");
    }

    #[test]
    fn a_mode_that_tightens_or_changes_nothing_is_everybodys() {
        for (at, now) in [Mode::Off, Mode::Shadow, Mode::Enforce].into_iter().enumerate() {
            for (to, mode) in [Mode::Off, Mode::Shadow, Mode::Enforce].into_iter().enumerate() {
                let wanted = SetMode { mode, condition: crate::Condition::default() };
                let fence = SetFence { mode, condition: crate::Condition::default() };
                let off = Mode::Off;
                let who = wanted.caller(&Serving {
                    version: "1",
                    mode: &|| now,
                    fence: &|| off,
                    asker_is_deployed: &|| false,
                });
                assert_eq!(who == Caller::Anybody, to >= at, "{now:?} to {mode:?}");
                let who = fence.caller(&Serving {
                    version: "1",
                    mode: &|| off,
                    fence: &|| now,
                    asker_is_deployed: &|| false,
                });
                assert_eq!(who == Caller::Anybody, to >= at, "the fence, {now:?} to {mode:?}");
            }
        }
    }

    #[test]
    fn sessions_that_are_over_are_asked_for_as_people_type_it_and_as_programs_do() {
        let all = |query: &str| request::<ListSessions>(query, b"").unwrap().all;
        assert!(["all=1", "all=true", "all=yes"].into_iter().all(all));
        assert!(!["", "all=", "all=0", "all=false"].into_iter().any(all));
        let asked = ListSessions { all: true, id: Some("a b&c".to_owned()) };
        let Message { target, body } = Message::of(&asked).unwrap();
        assert_eq!((target.as_str(), body.as_slice()), ("/sessions?all=true&id=a+b%26c", &[][..]));
        assert_eq!(request::<ListSessions>(target.split_once('?').unwrap().1, b""), Ok(asked));
    }

    #[test]
    fn a_number_of_rows_that_is_garbage_is_not_given_and_a_filter_that_is_garbage_is_refused() {
        assert_eq!(request::<LogFilter>("tail=great", b""), Ok(LogFilter::default()));
        assert_eq!(request::<LogFilter>("tail=7", b"").unwrap().rows(), 7);
        assert!(request::<LogFilter>("decision=great", b"").unwrap_err().starts_with("query: "));
    }
}
