//! The fence before each write: whether its switch and its lines go together, and whether it refuses what it is told to.

use stopgate_coordination::fence::mode;
use stopgate_core::hook::{Hook, WireSet};
use stopgate_core::switch::{Mode, ModeReading};

use stopgate_core::session::Harness;
use stopgate_protocol::GetFence;

use super::finding::{Checkup, Fired};
use crate::authority;
use crate::commands::Context;
use crate::ledger::{Install, Ledger};
use crate::live_check::fence::{self, Denial};

const ENABLE: &str = "stopgate coordination enable";
const DISABLE: &str = "stopgate coordination disable";

/// The switch, and the files that have the lines.
pub(super) fn check(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    let file = context.home.fence_file();
    let shown = file.display();
    let installs = || ledger.installs.iter().filter(|install| install.gone().is_none());
    let has = |install: &&Install| install.sets.contains(&WireSet::Coordination);
    let (with, without): (Vec<_>, Vec<_>) = installs().partition(has);
    let reading = mode::read(&context.home);
    let is_on = mode::of(reading) != Mode::Off;
    if reading == ModeReading::Unreadable {
        let what = "holds none of the words off, shadow and enforce";
        checkup.problem("fence-unreadable", shown, what, "the fence counts as off", ENABLE);
    } else if is_on && with.is_empty() {
        let what = "the fence is on, and no settings file has its line";
        let why = "unless a plugin has it, no write is looked at";
        checkup.problem("fence-unregistered", shown, what, why, format!("{ENABLE}, or {DISABLE}"));
    } else if !is_on && !with.is_empty() {
        let what = "the fence is off, and settings files have its line";
        let why = "the hook is started before each write, and does nothing";
        checkup.notice("fence-off", shown, what, why, format!("{ENABLE}, or {DISABLE}"));
    }
    if !with.is_empty() {
        for install in without {
            let what = "has stopgate's hooks, but not the fence's line";
            let why = "sessions that read it are not fenced, and others may be told nothing of what they write";
            checkup.notice("fence-partly", install.settings.display(), what, why, ENABLE);
        }
    }
}

/// Sessions that share a working tree, and of which no write has come to the fence.
pub(super) fn unfenced(context: &Context<'_>, checkup: &mut Checkup) {
    if mode::of(mode::read(&context.home)) == Mode::Off {
        return;
    }
    // Whether the authority runs is looked at elsewhere.
    let Ok(status) = authority::of(&context.home).call(&GetFence {}) else { return };
    for one in status.unfenced {
        let harness = one.key.harness;
        let what = "shares a working tree with another session, and none of its writes has come to the fence";
        let why =
            "if it has written, its client has not loaded the hook: it is refused nothing, and others are told nothing";
        let product = harness.spec().product;
        let fix = match harness {
            Harness::Claude => format!(
                "nothing if it has not written yet; else `/hooks` in it must show PreToolUse, or end {product} and take the \
                 session up again (`stopgate resume {}`)",
                one.name
            ),
            Harness::Codex => format!(
                "nothing if it has not written yet; else trust the hook (`{ENABLE} --trust`), end {product} and take the \
                 session up again (`stopgate resume {}`)",
                one.name
            ),
        };
        checkup.notice("session-unfenced", format!("{} ({})", one.name, one.key), what, why, fix);
    }
}

/// A refusal, through the program as it is installed, for each harness that has the line.
pub(super) fn fire(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    let mut done = Vec::new();
    for install in &ledger.installs {
        let has = install.sets.contains(&WireSet::Coordination) && install.gone().is_none();
        if !has || done.contains(&install.harness) {
            continue;
        }
        done.push(install.harness);
        let Denial { answer, milliseconds } = match fence::deny(context.environment, &context.home, install.harness) {
            Ok(denial) => denial,
            Err(why) => {
                checkup.unchecked(format!("a refusal of the fence for {}", install.harness), why);
                continue;
            }
        };
        if answer.is_problem() {
            let subject = format!("{} PreToolUse {}", install.harness, Hook::WriteFence.name());
            let why = "a write that the authority refuses goes through";
            checkup.problem("fence-lets-through", subject, answer.shown(), why, "run `installer init` of the release");
        }
        checkup.fired.push(Fired {
            harness: install.harness,
            event: "PreToolUse".to_owned(),
            hook: format!("{} (asked to refuse)", Hook::WriteFence.name()),
            milliseconds,
            shell_milliseconds: None,
            answer: answer.shown(),
        });
    }
}
