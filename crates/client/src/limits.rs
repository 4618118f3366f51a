//! How long things may take, and how patient a person is.

use std::time::Duration;

/// How long an answer may take.
pub const ANSWER: Duration = Duration::from_secs(5);
/// How long a start may take, one's own or another's, or an end that was asked for.
pub(crate) const CHANGE: Duration = Duration::from_secs(10);
/// How long an authority that does not listen is waited for before anything is concluded: it may be about to begin, or
/// to end (it gives what it has taken in 3 s), or to bind its socket again (it looks every 3 s).
pub(crate) const SETTLE: Duration = Duration::from_secs(4);
/// How long an end by signal may take: the authority itself gives what it has taken in 3 s.
pub(crate) const AFTER_SIGNAL: Duration = Duration::from_secs(5);
/// After this long, a person is told what is waited for.
pub(crate) const UNTOLD: Duration = Duration::from_secs(1);
/// How long to wait between two looks.
pub(crate) const POLL: Duration = Duration::from_millis(10);
