//! The last step for Codex: whether it will run what was registered.

use serde::Serialize;
use stopgate_core::clock::{Clock, SystemClock};

use super::InitPlan;
use crate::codex::{self, Listed, Trust, Unasked};
use crate::commands::Context;
use crate::ledger::Ledger;
use crate::printer::{Tone, columns};

/// How Codex stands to our hooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TrustReport {
    /// What it says of each of them; `None` if it could not be asked.
    hooks: Option<Vec<Listed>>,
    /// What a person has to do.
    steps: Vec<String>,
    /// What went wrong.
    pub(super) problem: Option<String>,
}

/// Shows the trust in our hooks, and writes it first if `is_wanted`. Call it under the lock.
pub(super) fn see_to(context: &Context<'_>, plan: &InitPlan, is_wanted: bool) -> TrustReport {
    let location = &plan.settings.location;
    let mut report = TrustReport { hooks: None, steps: codex::steps(location), problem: None };
    if is_wanted {
        match write(context, plan) {
            Ok(hooks) => report.hooks = Some(hooks),
            Err(error) => report.problem = Some(format!("trust: {error:#}")),
        }
    } else {
        match codex::ask(context.environment, &plan.account, location, plan.wiring.bin()) {
            Ok(answer) => report.hooks = Some(answer.hooks),
            Err(Unasked::NoClient) => {}
            Err(unasked) => report.problem = Some(unasked.to_string()),
        }
    }
    show(context, &mut report);
    report
}

fn write(context: &Context<'_>, plan: &InitPlan) -> anyhow::Result<Vec<Listed>> {
    let location = &plan.settings.location;
    let mut ledger = Ledger::read(&plan.home)?;
    let now = SystemClock.now_ms();
    let trusted = codex::trust(context.environment, &plan.home, &mut ledger, &plan.account, location, now)?;
    if trusted.is_written {
        ledger.save(&plan.home)?;
    }
    if let Some(left) = trusted.hooks.iter().find(|hook| hook.trust.can_be_given()) {
        anyhow::bail!("Codex took the trust for {} on {} and does not show it", left.hook, left.event);
    }
    Ok(trusted.hooks)
}

fn show(context: &Context<'_>, report: &mut TrustReport) {
    let printer = context.printer;
    printer.heading("does Codex trust the hooks?");
    let hooks = report.hooks.as_deref().unwrap_or_default();
    let row = |hook: &Listed| vec![hook.event.clone(), hook.hook.to_owned(), hook.trust.word().to_owned()];
    for (line, hook) in columns(&hooks.iter().map(row).collect::<Vec<_>>()).iter().zip(hooks) {
        let tone = if hook.trust == Trust::Trusted { Tone::Good } else { Tone::Bad };
        printer.line(format!("  {}", printer.toned(tone, line)));
    }
    match &report.hooks {
        None => printer.line("  not known: Codex could not be asked"),
        Some(hooks) if hooks.is_empty() => printer.line("  Codex lists none of them: it does not read this file yet"),
        Some(hooks) if hooks.iter().all(|hook| hook.trust == Trust::Trusted) => {
            report.steps.clear();
            return;
        }
        Some(_) => printer.line("  it will skip those that are not; `--trust` changes that, or you do:"),
    }
    for (number, step) in report.steps.iter().enumerate() {
        printer.line(format!("  {}. {step}", number + 1));
    }
}
