//! What only the operator may do: to take stopgate back, or a file of it, is not an agent's.

use std::time::Duration;

use anyhow::Result;
use stopgate_client::AskError;
use stopgate_config::LastGood;
use stopgate_core::clock::{Clock, SystemClock};
use stopgate_core::process::ProcFs;
use stopgate_protocol::{AskLeave, ErrorCode, LeaveGiven};
use stopgate_registry::Caller;
use stopgate_store::Store;

use crate::authority;
use crate::commands::Context;

/// How long the authority is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long others who write to the store are waited for.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// Who runs this, if they may do what is the operator's; either is noted. A store that cannot be read refuses nobody by
/// itself: what the kernel says of this process does.
pub(crate) fn only(context: &Context<'_>, action: &str) -> Result<Caller> {
    let home = &context.home;
    let store = home.database().exists().then(|| Store::open(home, STORE_PATIENCE).ok()).flatten();
    let caller = Caller::of(store.as_ref(), Some(ProcFs::own_pid()));
    let terminal_only = LastGood::peek(home).config.operator.terminal_only;
    let refusal = caller.refusal(action, terminal_only);
    // The authority may see more: whoever made a namespace of its own hides in it from itself. One that sees less, for it
    // is in such a namespace itself, is an error, and what is seen here counts.
    let asked =
        refusal.is_none().then(|| authority::of(home).call_within(PATIENCE, &AskLeave { action: action.to_owned() }));
    match asked {
        Some(Ok(LeaveGiven {})) => return Ok(caller),
        Some(Err(AskError::Refused(refused))) if refused.code == ErrorCode::OperatorOnly => {
            return Err(refused.into());
        }
        _ => {}
    }
    let detail = refusal.as_ref().map(|refusal| refusal.detail.as_str()).unwrap_or_default();
    if let Some(store) = &store {
        let act = caller.act(SystemClock.now_ms(), action, refusal.is_none(), detail);
        let _ = store.record_operator_action(&act);
    }
    match refusal {
        Some(refusal) => Err(refusal.told.into()),
        None => Ok(caller),
    }
}
