//! Every route of the socket, one line each: method, path, what is sent, what comes back, and who may ask.

use stopgate_coordination::fence::{FenceAnswer, FenceQuestion};
use stopgate_core::protocol::{
    EvaluateRequest, EvaluateResponse, HookEvent, ROUTE_EVALUATE, ROUTE_EVENTS, ROUTE_FENCE,
};
use stopgate_gate::report::GateReport;
use stopgate_reaper::report::{self as reaper, ReaperAudit, ReaperStatus};
use stopgate_reaper::switch::ReaperSwitch;

use crate::endpoint::{Caller, Endpoint, Method, Route, Serving};
use crate::version::is_newer;
use crate::{
    AskLease, AskLeave, BreakerStates, BreakersReset, Contest, Contested, CorrectionState, EndSession, EventTaken,
    ExplainFence, ExplainReaper, ExplainStop, FenceExplanation, FenceGraded, FenceReport, FenceState, FenceStatus,
    FollowRoom, GateLog, GetFence, GetHealth, GetReaper, GetRoom, GradeFence, Graded, Health, KillState, LeaseAnswer,
    LeaseRoom, LeaveGiven, ListBreakers, ListLeases, ListSessions, ListUnattended, LogFilter, MarkSeen, MarkedSeen,
    ModeState, ReadFenceReport, ReadReaperAudit, ReadReport, RenameSession, ResetBreakers, RoomNews, RoomView,
    RuleModeState, SessionEnded, SessionRenamed, SessionRow, SetCorrection, SetFence, SetGrade, SetKill, SetMode,
    SetReaper, SetRuleMode, Shutdown, StopExplanation, Stopping, UnattendedAct,
};

/// A line is `method path request => response, who`; `who` is `anybody`, or what decides from the request and how
/// the authority stands. `[any_version]` marks what authorities of every version understand. `, else` says what a body is
/// taken for that is not understood; without it such a body is refused.
macro_rules! endpoints {
    ($($(#[doc = $doc:literal])+ $([$version:ident])? $method:ident $path:tt $request:ty => $response:ty, $caller:expr $(, else $garbage:expr)?;)+) => {
        $(
            $(#[doc = $doc])+
            impl Endpoint for $request {
                const METHOD: Method = Method::$method;
                const PATH: &'static str = $path;
                const OF_ANY_VERSION: bool = !concat!($(stringify!($version))?).is_empty();
                type Response = $response;

                fn caller(&self, now: &Serving<'_>) -> Caller {
                    let who: fn(&Self, &Serving<'_>) -> Caller = $caller;
                    who(self, now)
                }

                $(fn of_garbage() -> Option<Self> {
                    Some($garbage)
                })?
            }
        )+

        /// Every route.
        pub const ALL: &[Route] = &[$(Route { method: Method::$method, path: $path }),+];
    };
}

/// Everybody may.
fn anybody<T>(_: &T, _: &Serving<'_>) -> Caller {
    Caller::Anybody
}

endpoints! {
    /// Who serves, and which version.
    [any_version] Get "/health" GetHealth => Health, anybody;

    /// Something happened in a session. Hooks send it; what they link of it is in `stopgate_core::protocol`.
    Post ROUTE_EVENTS HookEvent => EventTaken, anybody;
    /// Judge a stop. Hooks send it. In shadow it is answered without a verdict.
    Post ROUTE_EVALUATE EvaluateRequest => Option<EvaluateResponse>, anybody;

    /// May a tool call touch what another session lives in or holds? The fence's hook asks.
    Post ROUTE_FENCE FenceQuestion => FenceAnswer, anybody;
    /// How the fence is: its mode, working trees that are shared, leases.
    Get "/fence/status" GetFence => FenceStatus, anybody;
    /// Set its mode. Everybody may tighten it.
    Post "/fence/mode" SetFence => FenceState, |wanted, now| {
        if wanted.loosens((now.fence)()) { Caller::operator(wanted.action()) } else { Caller::Anybody }
    };
    /// What it did, counted.
    Get "/fence/report" ReadFenceReport => FenceReport, anybody;
    /// What a verdict of it was reached from.
    Get "/fence/explain" ExplainFence => FenceExplanation, anybody;
    /// Say whether a denial was right.
    Post "/fence/annotations" GradeFence => FenceGraded, |_, _| Caller::operator(GradeFence::ACTION);

    /// Set the mode. Everybody may tighten it.
    Post "/internal/stop-gate/mode" SetMode => ModeState, |wanted, now| {
        if wanted.loosens((now.mode)()) { Caller::operator(wanted.action()) } else { Caller::Anybody }
    };
    /// Set the mode of one rule.
    Post "/internal/stop-gate/rules" SetRuleMode => RuleModeState, |wanted, _| Caller::operator(wanted.action());
    /// Set the kill switch: on lets every agent go, and off takes back what the person has said.
    Post "/internal/stop-gate/kill-switch" SetKill => KillState, |wanted, _| Caller::operator(wanted.action());

    /// Verdicts, newest first.
    Get "/internal/stop-gate/log" LogFilter => GateLog, anybody;
    /// What the verdict on a stop was reached from.
    Get "/internal/stop-gate/explain" ExplainStop => StopExplanation, anybody;
    /// What the gate did, counted.
    Get "/internal/stop-gate/report" ReadReport => GateReport, anybody;
    /// An agent says why its stop is right; the next stop of its session goes through. It costs one reminder, and a
    /// person can grade it.
    Post "/internal/stop-gate/contest" Contest => Contested, anybody;
    /// Grade a verdict.
    Post "/internal/stop-gate/annotations" SetGrade => Graded, |_, _| Caller::operator(SetGrade::ACTION);

    /// Have what was learned of grades count, or go back.
    Post "/internal/stop-gate/learned" SetCorrection => CorrectionState, |wanted, _| Caller::operator(wanted.action());

    /// The breakers of judges that failed.
    Get "/internal/stop-gate/breaker" ListBreakers => BreakerStates, anybody;
    /// Close them all.
    Post "/internal/stop-gate/breaker/reset" ResetBreakers => BreakersReset, |_, _| Caller::operator(ResetBreakers::ACTION);

    /// Known sessions.
    Get "/sessions" ListSessions => Vec<SessionRow>, anybody;
    /// A room: its trees, who lives in them, who holds what.
    Get "/rooms" GetRoom => RoomView, anybody;
    /// What happens there, once something does.
    Get "/rooms/follow" FollowRoom => RoomNews, anybody;
    /// Give a session another name.
    Post "/sessions/rename" RenameSession => SessionRenamed, |wanted, _| Caller::operator(wanted.action());
    /// End a session.
    Post "/sessions/end" EndSession => SessionEnded, |wanted, _| Caller::operator(wanted.action());

    /// Ask for a lease, give one back, or wait for one: as the session that calls, or the person.
    Post "/leases" AskLease => LeaseAnswer, anybody;
    /// Who holds what in a room, and who waits.
    Get "/leases" ListLeases => LeaseRoom, anybody;

    /// How the reaper is.
    Get "/sessions/reaper" GetReaper => ReaperStatus, anybody;
    /// Set its switch. Anybody may turn it off: that ends nobody.
    Post "/sessions/reaper" SetReaper => ReaperStatus, |wanted, _| match wanted.switch {
        ReaperSwitch::Off => Caller::Anybody,
        ReaperSwitch::DryRun | ReaperSwitch::Live => Caller::operator(wanted.action()),
    };
    /// What it decided and did, newest last.
    Get "/sessions/reaper/audit" ReadReaperAudit => ReaperAudit, anybody;
    /// Every gate of a session with its value.
    Get "/sessions/reaper/explain" ExplainReaper => reaper::ReaperExplanation, anybody;

    /// What was done without a terminal, and no person has marked as seen.
    Get "/operator/unattended" ListUnattended => Vec<UnattendedAct>, anybody;
    /// Whether the caller may do what is the operator's.
    Post "/operator/leave" AskLeave => LeaveGiven, |wanted, _| Caller::operator(wanted.action.clone());
    /// Mark it as seen.
    Post "/operator/seen" MarkSeen => MarkedSeen, |_, _| Caller::AtTerminal { action: MarkSeen::ACTION.to_owned() };

    /// End the authority. An agent may only have it hand over to a newer program that is deployed; whatever the body is, the
    /// person must get through.
    [any_version] Post "/authority/shutdown" Shutdown => Stopping, |wanted, now| match &wanted.for_version {
        Some(version) if is_newer(version, now.version) && (now.asker_is_deployed)() => Caller::Anybody,
        _ => Caller::operator(Shutdown::ACTION),
    }, else Shutdown::default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_routes_are_the_same() {
        for (at, route) in ALL.iter().enumerate() {
            assert!(!ALL[at + 1..].contains(route), "{route:?}");
        }
    }
}
