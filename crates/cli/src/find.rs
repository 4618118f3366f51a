//! Finding sessions: in the authority's view of them, or without one in the store.

use std::time::Duration;

use anyhow::bail;
use stopgate_protocol::{ErrorCode, Failure, ListSessions, SessionRow};

use stopgate_store::Store;

use crate::context::CliContext;

/// Sessions that are read when the store is read directly.
const MAX_SESSIONS: u32 = 1_000;
/// How long [`sessions_in_store`] waits for others who write.
const STORE_PATIENCE: Duration = Duration::from_millis(500);
/// How many sessions are named when an id fits several.
const MAX_NAMED: usize = 5;

/// Known sessions, the last active first; those that said that they ended only with `all`.
pub(crate) fn sessions(context: &CliContext, all: bool) -> anyhow::Result<Vec<SessionRow>> {
    context.read(&ListSessions { all, id: None }, |store| {
        let mut rows = if all { store.sessions(MAX_SESSIONS) } else { store.sessions_not_ended(MAX_SESSIONS) }?;
        stopgate_registry::look(&mut rows, &context.home, context.now_ms);
        Ok(rows)
    })
}

/// Sessions that have not ended as an authority that runs sees them, or else the store: for whoever starts nothing, and
/// says nothing if there is nothing to be read.
pub(crate) fn sessions_at_hand(context: &CliContext) -> Vec<SessionRow> {
    context.authority().call(&ListSessions::default()).unwrap_or_else(|_| sessions_in_store(context))
}

/// [`sessions_at_hand`] past an authority that does not answer.
pub(crate) fn sessions_in_store(context: &CliContext) -> Vec<SessionRow> {
    let store = Store::open_to_read(&context.home, STORE_PATIENCE);
    let mut rows = store.and_then(|store| store.sessions_not_ended(MAX_SESSIONS)).unwrap_or_default();
    stopgate_registry::look(&mut rows, &context.home, context.now_ms);
    rows
}

/// The one session whose id is `id`, or begins so, or whose name it is. A name is that of the session which lives, if one does.
pub(crate) fn session(context: &CliContext, id: &str) -> anyhow::Result<SessionRow> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!(
            Failure::new(ErrorCode::NotFound, format!("session id {id:?}: it is none, nor the beginning of one"))
                .with_remedy("`stopgate sessions` shows them")
        );
    }
    let named = ListSessions { all: false, id: Some(id.to_owned()) };
    let mut rows = context.read(&named, |store| {
        let mut rows = store.sessions_named(id, MAX_SESSIONS)?;
        stopgate_registry::look(&mut rows, &context.home, context.now_ms);
        Ok(rows)
    })?;
    // That very id wins over the name of one that lives, and that over ids that begin so and names of old.
    let is_called = |row: &SessionRow| row.name.as_deref() == Some(id);
    let ways: [&dyn Fn(&SessionRow) -> bool; 3] =
        [&|row| row.session_id == id, &|row| is_called(row) && !row.state.is_over(), &|row| {
            row.session_id.starts_with(id)
        }];
    if let Some(way) = ways.into_iter().find(|way| rows.iter().any(way)) {
        rows.retain(way);
    } else {
        // Who had the name last: the last active comes first.
        rows.truncate(1);
    }
    match rows.as_slice() {
        [] => bail!(
            Failure::new(ErrorCode::NotFound, format!("no session has the id {id}, or that name"))
                .with_remedy("`stopgate sessions --all` lists them")
        ),
        [_] => Ok(rows.swap_remove(0)),
        several => {
            let named: Vec<_> = several.iter().take(MAX_NAMED).map(|row| row.key().to_string()).collect();
            let more = several.len().saturating_sub(MAX_NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            bail!("{} sessions begin with {id}: {}{more}; give more of the id", several.len(), named.join(", "))
        }
    }
}
