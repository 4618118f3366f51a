//! What hooks and the authority say to each other: JSON bodies over HTTP/1.1 on a Unix socket.
//!
//! What people's programs say besides is in the crate `stopgate-protocol`.

mod hooks;

pub use self::hooks::{EvaluateRequest, EvaluateResponse, HookEvent, Origin, search_path};

/// Version of this protocol. The authority refuses (426) a request of another version, so that a half-finished
/// update fails open instead of being misread.
pub const PROTOCOL_VERSION: u32 = 2;

/// Largest request body that the authority reads.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// Longest search path (`PATH`) that a hook passes on; a longer one counts as unknown.
pub const MAX_SEARCH_PATH_BYTES: usize = 16 * 1024;

/// Header of an interim answer (status 102): how many milliseconds the answer may take from now on.
pub const WAIT_HEADER: &str = "x-stopgate-wait-ms";

/// `POST`: something happened in a session.
pub const ROUTE_EVENTS: &str = "/hooks/events";
/// `POST`: judge a stop.
pub const ROUTE_EVALUATE: &str = "/internal/stop-gate/evaluate";
/// `POST`: may a tool write what it would? What is asked and answered is in the crate `stopgate-coordination`.
pub const ROUTE_FENCE: &str = "/fence";
