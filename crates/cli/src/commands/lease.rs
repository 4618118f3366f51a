//! `stopgate lease`: what a session holds of what it shares with others.

mod claims;
mod gone;
mod text;

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::{Args, Subcommand};
use stopgate_client::{AskError, forbids_sockets};
use stopgate_coordination::lease::{Claim, HandoffText, LeaseMode, Token};
use stopgate_coordination::room::Place;
use stopgate_core::client::ClientError;
use stopgate_core::env::{Env as _, ProcessEnv};
use stopgate_core::session::{Harness, SessionKey};
use stopgate_protocol::{AskLease, ErrorCode, Failure, LeaseAct, LeaseAnswer, LeaseOutcome, ListLeases};

use self::gone::Gone;
use crate::context::CliContext;
use crate::{ExitStatus, printer};

/// How much longer than it was asked for an answer may take.
const MARGIN: Duration = Duration::from_secs(5);

/// What stands below the help of each.
const CODES: &str = "A RESOURCE is a path, relative to where you are (a directory means all below it, / the whole working \
                     tree), or a name that all working trees of the repository share: @leader, @merge:main.\n\n\
                     Exit codes: 0 done or granted, 1 failed, 2 refused or wrong usage, 10 held by another, 11 held and may be \
                     taken, 12 no such recipient or resource, 13 stale token, 14 time is up, 15 would deadlock.";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Hold all of this, or nothing
    #[command(after_help = CODES)]
    Acquire {
        #[command(flatten)]
        what: Wanted,
        /// For this session; the person's to say
        #[arg(long = "for", value_name = "SESSION")]
        for_session: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Hold all of this, and wait for it where it is held; without a resource, for what this session waits for already
    #[command(after_help = CODES)]
    Wait {
        #[command(flatten)]
        what: MaybeWanted,
        /// How long, in seconds
        #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=3600))]
        timeout: u32,
        /// Do not wait, but keep the place: it is given when the session is heard of
        #[arg(long)]
        park: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Say that it is still needed: the longest time begins anew
    #[command(after_help = CODES)]
    Renew {
        #[command(flatten)]
        which: Held,
        #[command(flatten)]
        output: Output,
    },
    /// Give it back; without a resource all that this session has asked for, and its place in the queue
    #[command(after_help = CODES)]
    Release {
        #[command(flatten)]
        which: Held,
        #[command(flatten)]
        handoff: Handoff,
        #[command(flatten)]
        output: Output,
    },
    /// Give it to one session
    #[command(after_help = CODES)]
    Pass {
        /// Who gets it
        session: String,
        #[command(flatten)]
        which: Held,
        #[command(flatten)]
        handoff: Handoff,
        #[command(flatten)]
        output: Output,
    },
    /// Take it from a session that is silent; the person takes it from any
    #[command(after_help = CODES)]
    Take {
        #[command(flatten)]
        what: Wanted,
        /// Why: whoever loses it reads this
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// For this session; the person's to say
        #[arg(long = "for", value_name = "SESSION")]
        for_session: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Whether a grant still counts, for scripts; without a token, whether this session holds it
    #[command(after_help = CODES)]
    Check {
        #[command(flatten)]
        what: Wanted,
        /// The number of the grant
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        token: Option<u64>,
        #[command(flatten)]
        output: Output,
    },
    /// Show who holds what here, and who waits
    List {
        /// In all rooms
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Args)]
struct Wanted {
    /// What
    #[arg(required = true, value_name = "RESOURCE")]
    resources: Vec<OsString>,
    /// Only to read, beside others that read
    #[arg(long)]
    read: bool,
}

#[derive(Args)]
struct MaybeWanted {
    /// What
    #[arg(value_name = "RESOURCE")]
    resources: Vec<OsString>,
    /// Only to read, beside others that read
    #[arg(long)]
    read: bool,
}

#[derive(Args)]
struct Held {
    /// What; without any, all that this session has asked for
    #[arg(value_name = "RESOURCE")]
    resources: Vec<OsString>,
    /// The number of the grant, which has to be the one that counts
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    token: Option<u64>,
}

#[derive(Args)]
struct Handoff {
    /// How things stand, for the next holder
    #[arg(long, value_name = "TEXT", requires = "next")]
    status: Option<String>,
    /// What the next holder should do
    #[arg(long, value_name = "TEXT", requires = "status")]
    next: Option<String>,
    /// The file, or lines of it, that it is about
    #[arg(long, value_name = "PATH[:FROM-TO]", requires = "status")]
    artifact: Option<String>,
    /// What is open
    #[arg(long, value_name = "TEXT", requires = "status")]
    question: Option<String>,
}

impl Handoff {
    fn text(&self) -> Option<HandoffText> {
        let (status, next) = self.status.clone().zip(self.next.clone())?;
        Some(HandoffText { status, next, artifact: self.artifact.clone(), question: self.question.clone() })
    }
}

#[derive(Args)]
struct Output {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    if forbids_sockets() {
        bail!(in_sandbox());
    }
    let cwd =
        std::env::current_dir().map_err(|error| Failure::new(ErrorCode::Failed, format!("where you are: {error}")))?;
    let place = claims::place(&cwd)?;
    let mode = |read: bool| if read { LeaseMode::Read } else { LeaseMode::Write };
    let of = |resources: &[OsString], read: bool| claims::of(resources, mode(read), &cwd, &place);
    let token = |token: Option<u64>| token.map(Token);
    let (act, output) = match &arguments.action {
        Action::Acquire { what, for_session, output } => {
            (LeaseAct::Acquire { claims: of(&what.resources, what.read)?, for_session: for_session.clone() }, output)
        }
        Action::Wait { what, timeout, park, output } => {
            let claims = of(&what.resources, what.read)?;
            return wait(context, &place, claims, Duration::from_secs((*timeout).into()), *park, output);
        }
        Action::Renew { which, output } => {
            (LeaseAct::Renew { claims: of(&which.resources, false)?, token: token(which.token) }, output)
        }
        Action::Release { which, handoff, output } => {
            let claims = of(&which.resources, false)?;
            (LeaseAct::Release { claims, token: token(which.token), handoff: handoff.text() }, output)
        }
        Action::Pass { session, which, handoff, output } => {
            let (claims, to) = (of(&which.resources, false)?, session.clone());
            (LeaseAct::Pass { claims, token: token(which.token), to, handoff: handoff.text() }, output)
        }
        Action::Take { what, reason, for_session, output } => {
            let claims = of(&what.resources, what.read)?;
            (LeaseAct::Take { claims, reason: reason.clone(), for_session: for_session.clone() }, output)
        }
        Action::Check { what, token: number, output } => {
            (LeaseAct::Check { claims: of(&what.resources, what.read)?, token: token(*number) }, output)
        }
        Action::List { all, output } => return list(context, &place, *all, output),
    };
    context.ensure_authority()?;
    let asked = AskLease { told: told(), room: place.room.clone(), act };
    let answer = context.authority().call(&asked)?;
    if !answer.handoffs.is_empty() {
        hear(context, &place, &answer);
    }
    say(&answer, output)
}

/// The sessions that the environment names.
fn told() -> Vec<SessionKey> {
    let named = |harness: Harness| SessionKey::new(harness, &ProcessEnv.text(harness.spec().session_variable?)?);
    Harness::ALL.into_iter().filter_map(named).collect()
}

/// What is left where no socket can be reached.
fn in_sandbox() -> Failure {
    Failure::new(
        ErrorCode::Unreachable,
        "this sandbox lets nothing be asked of the authority, so no lease can be asked for or given back from here",
    )
    .with_remedy(
        "what still works: a lease that this session holds is renewed by its hooks and given back when it ends, and the fence \
         and its notes work as ever; ask for the permission to run this outside of the sandbox, or have your person run it \
         with --for",
    )
}

fn say(answer: &LeaseAnswer, output: &Output) -> anyhow::Result<ExitStatus> {
    let status = match (&answer.error, answer.outcome) {
        (Some(error), _) => error.code.into(),
        (None, LeaseOutcome::Queued) => ErrorCode::Held.into(),
        (None, _) => ExitStatus::Success,
    };
    if output.json {
        printer::json(answer)?;
    } else {
        text::answer(answer);
    }
    Ok(status)
}

/// Tells the authority that the answer has arrived; without that it counts as not taken up.
fn hear(context: &CliContext, place: &Place, answer: &LeaseAnswer) {
    for token in answer.leases.iter().map(|row| row.lease.token).collect::<std::collections::BTreeSet<_>>() {
        let _ = context.authority().call(&AskLease {
            told: told(),
            room: place.room.clone(),
            act: LeaseAct::Heard { token },
        });
    }
}

/// Waits, also over the end of an authority: the place in the queue is written down.
fn wait(
    context: &CliContext,
    place: &Place,
    claims: Vec<Claim>,
    timeout: Duration,
    park: bool,
    output: &Output,
) -> anyhow::Result<ExitStatus> {
    let until = Instant::now() + timeout;
    let mut gone = Gone::of(&context.home);
    context.ensure_authority()?;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let act = LeaseAct::Wait { claims: claims.clone(), timeout_ms, park };
        let asked = AskLease { told: told(), room: place.room.clone(), act };
        match context.authority().call_within(left + MARGIN, &asked) {
            Ok(answer) => {
                if answer.outcome == LeaseOutcome::Granted {
                    hear(context, place, &answer);
                }
                return say(&answer, output);
            }
            Err(AskError::Unreachable(error)) if !left.is_zero() && !matches!(error, ClientError::ForeignPeer) => {
                if context.ensure_authority().is_err() && !gone.wait_for_another(until) {
                    let failure = Failure::new(ErrorCode::TimeUp, "time is up, and the authority is gone");
                    return say(&LeaseAnswer::refused(failure), output);
                }
            }
            Err(error) => bail!(error),
        }
    }
}

fn list(context: &CliContext, place: &Place, all: bool, output: &Output) -> anyhow::Result<ExitStatus> {
    context.ensure_authority()?;
    let room = (!all).then(|| place.room.clone());
    let found = context.authority().call(&ListLeases { room })?;
    if output.json {
        printer::json(&found)?;
    } else {
        text::list(&found, context.now_ms);
    }
    Ok(ExitStatus::Success)
}
