//! What only the operator may do, and the one thing everybody may: turn the kill switch on.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use axum::response::Response;
use stopgate_core::clock::monotonic_ms;
use stopgate_core::env::ProcessEnv;
use stopgate_core::switch::{self, KillRecord, Mode};
use stopgate_core::text::one_line;
use stopgate_gate::rules::RuleModes;
use stopgate_gate::rules::switches::{RuleSwitch, RuleSwitches, SwitchedBy};
use stopgate_protocol::{
    Condition, ErrorCode, KillState, ModeState, RuleModeState, SetKill, SetMode, SetRuleMode, Shutdown, Stopping,
};

use super::{Routes, off_loop, problem};
use crate::operator;
use crate::peer::Peer;
use crate::rules;
use crate::state::State;

/// The routes of this subject.
pub(super) fn routes(routes: Routes) -> Routes {
    routes.serve(set_mode).serve(set_rule_mode).serve(set_kill_switch).serve(shutdown)
}

async fn set_mode(state: Arc<State>, peer: Peer, wanted: SetMode) -> Result<ModeState, Response> {
    let flip = move || {
        let _flipping = state.flipping.lock().unwrap_or_else(PoisonError::into_inner);
        let file = state.home.mode_file();
        still_counts(&peer, &wanted.condition, &file, "stopgate mode")?;
        let (mode, prior) = (wanted.mode, switch::read_mode(&state.home).mode());
        // It may have been tightened since the asker was looked at: under the lock that cannot happen any more.
        if wanted.loosens(prior) {
            operator::check(&state, &peer, &operator::may_ask(&state, &wanted, &|| false)).map_err(super::refused)?;
        }
        switch::write_mode(&state.home, mode).map_err(not_written(&file))?;
        operator::done(&state, &peer, &wanted.action(), prior.name());
        rules::demote(&state);
        let rules = current_modes(&state);
        Ok(ModeState { mode, prior, changed: mode != prior, rules })
    };
    off_loop(flip).await?
}

/// What the rules may do, without what checkouts say.
fn current_modes(state: &State) -> RuleModes {
    let config = state.settings.current();
    RuleModes::of(&config.rules, &config.rules, &state.rules.switches())
}

async fn set_rule_mode(state: Arc<State>, peer: Peer, wanted: SetRuleMode) -> Result<RuleModeState, Response> {
    let flip = move || {
        let rule = wanted.rule;
        if rule.basis().is_none() {
            return Err(problem(
                ErrorCode::Malformed,
                format!("rule: {rule} holds no stop, and has no mode of its own"),
            ));
        }
        let _flipping = state.flipping.lock().unwrap_or_else(PoisonError::into_inner);
        let file = state.home.rules_file();
        still_counts(&peer, &wanted.condition, &file, "stopgate mode")?;
        let prior = current_modes(&state).effective(rule, Mode::Enforce);
        // From here on the rule has a new account.
        let last = state.storage.with_store(|store| store.last_grade()).unwrap_or_default();
        let switch = RuleSwitch {
            mode: wanted.mode,
            by: SwitchedBy::Operator,
            at_ms: state.storage.now_ms(),
            after_grade: last.max(state.rules.last_grade()),
            why: String::new(),
        };
        let mut switches = RuleSwitches::clone(&state.rules.switches());
        switches.set(rule, switch);
        state.rules.set(switches).map_err(not_written(&file))?;
        operator::done(&state, &peer, &wanted.action(), prior.name());
        let kept = current_modes(&state).of_rule(rule);
        let mode = kept.map_or(Mode::Enforce, |own| own.mode);
        Ok(RuleModeState { rule, mode, prior, changed: mode != prior, kept })
    };
    off_loop(flip).await?
}

/// Refuses (409) a flip that nobody waits for any more, or that answers a state which is no more: it lay in the
/// socket while this process was hung, and the person has acted in another way since.
#[expect(clippy::result_large_err, reason = "the error is the HTTP answer")]
pub(super) fn still_counts(peer: &Peer, condition: &Condition, file: &Path, command: &str) -> Result<(), Response> {
    let refused = |why: String| Err(problem(ErrorCode::Conflict, why));
    if peer.is_gone() {
        return refused("not done: whoever asked is gone".to_owned());
    }
    if condition.until_monotonic_ms.is_some_and(|until| monotonic_ms() >= until) {
        return refused("not done: the request is late, nobody waits for it any more".to_owned());
    }
    match &condition.seen {
        Some(seen) if *seen != switch::stamp(file) => {
            refused(format!("not done: {} was changed meanwhile; look with `{command}`, and ask again", file.display()))
        }
        _ => Ok(()),
    }
}

pub(super) fn not_written(file: &Path) -> impl Fn(io::Error) -> Response {
    move |error| {
        let remedy = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room on that disk, and do it again",
            _ => "",
        };
        problem(ErrorCode::Failed, format!("{}: {error}{remedy}", file.display()))
    }
}

async fn set_kill_switch(state: Arc<State>, peer: Peer, wanted: SetKill) -> Result<KillState, Response> {
    let flip = move || {
        let _flipping = state.flipping.lock().unwrap_or_else(PoisonError::into_inner);
        let file = state.home.kill_file();
        still_counts(&peer, &wanted.condition, &file, "stopgate kill status")?;
        let prior = switch::is_killed(&ProcessEnv, &state.home);
        if wanted.value {
            let record = KillRecord {
                by: one_line(&wanted.by, 64),
                at_ms: state.storage.now_ms(),
                reason: one_line(&stopgate_core::redact::redact(&wanted.reason), 500),
            };
            if !wanted.done {
                switch::set_kill(&state.home, &record).map_err(not_written(&file))?;
            }
            operator::done(&state, &peer, wanted.action(), &record.reason);
        } else {
            switch::clear_kill(&state.home).map_err(not_written(&file))?;
            operator::done(&state, &peer, wanted.action(), "");
        }
        let on = switch::is_killed(&ProcessEnv, &state.home);
        Ok(KillState { kill_switch: on, prior, changed: on != prior })
    };
    off_loop(flip).await?
}

/// Ends the authority, or has it make way for a newer program.
async fn shutdown(state: Arc<State>, peer: Peer, wanted: Shutdown) -> Result<Stopping, Response> {
    tracing::info!(for_version = wanted.for_version, "asked to stop");
    let note = {
        let state = Arc::clone(&state);
        move || {
            let may = operator::may_ask(&state, &wanted, &|| operator::is_deployed(&state, &peer));
            // A hand-over is no act of anybody's.
            if may.action().is_some() {
                operator::done(&state, &peer, Shutdown::ACTION, wanted.for_version.as_deref().unwrap_or_default());
            }
        }
    };
    off_loop(note).await?;
    state.stop.notify_one();
    Ok(Stopping { stopping: true })
}
