//! Who runs this command: the session, the place and the process that a build's stamp is made of.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use stopgate_build_guard::owner::OwnerStamp;
use stopgate_core::clock::UnixMillis;
use stopgate_core::env::{Env, ProcessEnv};
use stopgate_core::process::host;
use stopgate_core::process::{
    self, Ancestor, Ancestry, FIRST_NAMESPACE, ProcFs, ProcessIdentity, ProcessTable as _, Top,
};
use stopgate_core::session::{self, Harness, SessionKey};
use stopgate_core::tmux::{TmuxPlace, is_pane_id, query};
use stopgate_protocol::{ErrorCode, Failure, chain_text};
use stopgate_registry::Caller;

use crate::context::CliContext;

/// Longest time for asking tmux.
const TMUX_PATIENCE: Duration = Duration::from_secs(3);

/// Whoever named the owner on the command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct OwnerFlags {
    /// The session that owns the build; by default the one this runs in
    #[arg(long, value_name = "ID")]
    owner_session: Option<String>,
    /// The tmux session (if it has one pane) or pane (`%7`) that the owner lives in; by default this one
    #[arg(long, value_name = "NAME")]
    owner_tmux: Option<String>,
}

impl OwnerFlags {
    pub(crate) const fn is_given(&self) -> bool {
        self.owner_session.is_some() || self.owner_tmux.is_some()
    }

    /// Whether somebody else than the session `own` is named, which is for the operator to do: whoever is named is held.
    pub(crate) fn names_another(&self, own: Option<&SessionKey>) -> bool {
        let is_own = self.owner_tmux.is_none() && own.map(|key| &key.session_id) == self.owner_session.as_ref();
        self.is_given() && !is_own
    }
}

/// The session whose shell tool this process runs in. The environment is anybody's to set: it names a session only if that is
/// known to run in a process above this one. Else it is the only one that is known of the harness above, or the one that a
/// client has made this sandbox for.
pub(crate) fn own_session(environment: &dyn Env, context: &CliContext) -> Option<SessionKey> {
    let told = |harness: Harness| SessionKey::new(harness, &environment.text(harness.spec().session_variable?)?);
    let Some((harness, process)) = harness_above() else {
        let ancestry = Ancestry::of(&ProcFs, ProcFs::own_pid());
        let (boot, namespace) = (ProcFs.boot_id()?, ProcFs.namespace());
        let is_above = |known: &ProcessIdentity| {
            let is = |ancestor: &Ancestor| (ancestor.pid, ancestor.start_ticks) == (known.pid, known.start_ticks);
            known.boot_id == boot && known.pid_namespace == namespace && ancestry.ancestors.iter().any(is)
        };
        let runs_above = |key: &SessionKey| context.processes_of(key).iter().any(is_above);
        let named = Harness::ALL.into_iter().filter_map(told).find(runs_above);
        return named.or_else(|| sandboxed_session(context, &ancestry, &boot));
    };
    let runs_there = |key: &SessionKey| context.processes_of(key).iter().any(|known| known.is(&process));
    told(harness).filter(runs_there).or_else(|| context.only_session_of(harness, &process))
}

/// The session for which a client has made the sandbox that this process runs in. The session's own process is not to be seen
/// from there: what tells is the client's program as the first process in there, by what it was started with, which nobody
/// below it can change.
fn sandboxed_session(context: &CliContext, ancestry: &Ancestry, boot: &str) -> Option<SessionKey> {
    let first = ancestry.ancestors.last().filter(|_| ancestry.top == Top::Reached)?;
    let is_sandbox = |harness: &Harness| harness.spec().sandbox_command == Some(first.command.as_str());
    let harness = Harness::ALL.into_iter().find(is_sandbox).filter(|_| CliContext::sees_too_little())?;
    let name = harness.spec().session_variable?;
    let variables = ProcFs.environment(first.pid);
    let session = |pair: &[u8]| {
        let id = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        SessionKey::new(harness, std::str::from_utf8(id).ok()?)
    };
    let key = variables.split(|byte| *byte == 0).find_map(session)?;
    let program = ProcFs.executable(first.pid)?;
    // As it was started as; it may have been replaced since.
    let program = program.trim_end_matches(" (deleted)");
    let is_outside = |known: &ProcessIdentity| {
        known.boot_id == boot && !is_here(known) && known.executable.as_deref() == Some(program)
    };
    context.processes_of(&key).iter().any(is_outside).then_some(key)
}

/// Whether a process counts in this process's PID namespace.
fn is_here(process: &ProcessIdentity) -> bool {
    process.pid_namespace == ProcFs.namespace()
}

/// Whether this process runs in an agent, whichever session of it that may be. Where the way up ends early and the environment
/// names a session, it may.
pub(crate) fn is_in_agent(environment: &dyn Env) -> bool {
    let names = |harness: Harness| harness.spec().session_variable.is_some_and(|name| environment.text(name).is_some());
    let ends_early = ProcFs::depth(ProcFs::own_pid()) != Some(0) || ProcFs.namespace() != Some(FIRST_NAMESPACE);
    harness_above().is_some() || (ends_early && Harness::ALL.into_iter().any(names))
}

/// Who started something, for the audit: the session, or what can be seen of the caller.
pub(crate) fn starter(own: Option<&SessionKey>) -> String {
    let caller = Caller::of(None, Some(ProcFs::own_pid()));
    let who = match (own, caller.harness) {
        (Some(key), Some(pid)) => format!("session {key} (harness pid {pid})"),
        (Some(key), None) => format!("session {key}"),
        (None, Some(pid)) => format!("an agent (harness pid {pid})"),
        (None, None) => caller.kind.described().to_owned(),
    };
    format!("started by {who}: {}", chain_text(&caller.chain))
}

/// The nearest harness that this process descends from.
fn harness_above() -> Option<(Harness, ProcessIdentity)> {
    process::nearest_harness(&ProcFs, ProcFs::own_pid(), &|harness| harness.spec().told_process(&ProcessEnv))
}

/// The owner's stamp: what the flags name, or else what the environment tells.
pub(crate) fn stamp(
    environment: &dyn Env,
    context: &CliContext,
    flags: &OwnerFlags,
    now: UnixMillis,
) -> anyhow::Result<OwnerStamp> {
    let base = OwnerStamp { host: host(), stamped_at_ms: now, ..OwnerStamp::default() };
    if flags.is_given() {
        let session_id = flags.owner_session.as_deref().map(session_id).transpose()?;
        let tmux = flags.owner_tmux.as_deref().map(named_place).transpose()?;
        return Ok(OwnerStamp { session_id, tmux, ..base });
    }
    let session = own_session(environment, context);
    let above = harness_above();
    // What many sessions share has the terminal of whichever came first, and names none of them.
    let shared = above.as_ref().is_some_and(|(_, process)| process.shared);
    let tmux = TmuxPlace::of(environment).filter(|_| !shared).map(|place| {
        let record = query::record(&place, Instant::now() + TMUX_PATIENCE);
        record.map_or(place, |record| record.place)
    });
    Ok(OwnerStamp {
        harness: session.as_ref().map(|key| key.harness).or_else(|| above.as_ref().map(|(harness, _)| *harness)),
        session_id: session.map(|key| key.session_id),
        tmux,
        process: above.map(|(_, process)| process).filter(|_| !shared),
        ..base
    })
}

fn session_id(text: &str) -> anyhow::Result<String> {
    if !session::is_session_id(text) {
        let message = format!("--owner-session {text:?}: not a session id");
        bail!(Failure::new(ErrorCode::Usage, message).with_remedy("`stopgate sessions` shows them"));
    }
    Ok(text.to_owned())
}

/// The pane that `name` means. A session with several panes means none of them: that two agents in one tmux session
/// are not taken for each other is the point.
fn named_place(name: &str) -> anyhow::Result<TmuxPlace> {
    let Some(panes) = query::panes(None, Instant::now() + TMUX_PATIENCE) else {
        bail!("--owner-tmux {name}: no tmux server answers");
    };
    let is_meant = |pane: &TmuxPlace| {
        if is_pane_id(name) { pane.pane == name } else { pane.session.as_deref() == Some(name) }
    };
    let mut found: Vec<TmuxPlace> = panes.into_iter().filter(is_meant).collect();
    if found.len() > 1 {
        let ids: Vec<_> = found.iter().map(|pane| pane.pane.as_str()).collect();
        bail!("--owner-tmux {name}: the session has several panes, name one of them: {}", ids.join(", "));
    }
    found.pop().with_context(|| format!("--owner-tmux {name}: tmux knows no such session or pane"))
}

/// Whether two stamps name the same owner.
pub(crate) fn is_same_owner(left: &OwnerStamp, right: &OwnerStamp) -> bool {
    let session = left.session_id.is_some() && left.session_id == right.session_id;
    let process = matches!((&left.process, &right.process), (Some(left), Some(right)) if left.is(right));
    let pane = matches!((&left.tmux, &right.tmux), (Some(left), Some(right)) if left.same_server(right) && left.pane == right.pane);
    session || process || pane
}
