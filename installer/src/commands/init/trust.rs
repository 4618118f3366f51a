//! The last step for Codex: whether it will run what was registered.

use serde::Serialize;
use stopgate_core::clock::{Clock, SystemClock};

use super::InitPlan;
use crate::codex::{self, CodexAnswer, Listed, Trust, Unasked};
use crate::commands::Context;
use crate::dialect;
use crate::ledger::Ledger;
use crate::printer::{Tone, columns};
use crate::switched_off::SwitchedOff;

/// How Codex stands to our hooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct TrustReport {
    /// What it says of each of them; `None` if it could not be asked.
    hooks: Option<Vec<Listed>>,
    /// What keeps Codex from running them, trusted or not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) switched_off: Vec<SwitchedOff>,
    /// What a person has to do.
    steps: Vec<String>,
    /// What went wrong.
    pub(super) problem: Option<String>,
}

impl TrustReport {
    fn take(&mut self, answer: CodexAnswer) {
        self.switched_off = answer.switched_off;
        self.hooks = Some(answer.hooks);
    }
}

/// Shows the trust in our hooks, and writes it first if `is_wanted`. Call it under the lock.
pub(super) fn see_to(context: &Context<'_>, plan: &InitPlan, is_wanted: bool) -> TrustReport {
    let location = &plan.settings.location;
    let mut report =
        TrustReport { hooks: None, switched_off: Vec::new(), steps: codex::steps(location), problem: None };
    if is_wanted {
        match write(context, plan) {
            Ok(answer) => report.take(answer),
            Err(error) => report.problem = Some(format!("trust: {error:#}")),
        }
    } else {
        match codex::ask(context.environment, &plan.account, location, plan.wiring.bin()) {
            Ok(answer) => report.take(answer),
            Err(Unasked::NoClient) => {}
            Err(unasked) => report.problem = Some(unasked.to_string()),
        }
    }
    if report.hooks.is_none() {
        let accounts = std::slice::from_ref(&plan.account);
        report.switched_off = dialect::of(location.harness).switched_off(accounts, &[], plan.wiring.bin());
    }
    show(context, &mut report);
    report
}

fn write(context: &Context<'_>, plan: &InitPlan) -> anyhow::Result<CodexAnswer> {
    let location = &plan.settings.location;
    let mut ledger = Ledger::read(&plan.home)?;
    let now = SystemClock.now_ms();
    let trusted = codex::trust(context.environment, &plan.home, &mut ledger, &plan.account, location, now)?;
    if trusted.is_written {
        ledger.save(&plan.home)?;
    }
    if let Some(left) = trusted.answer.hooks.iter().find(|hook| hook.trust.can_be_given()) {
        anyhow::bail!("Codex took the trust for {} on {} and does not show it", left.hook, left.event);
    }
    Ok(trusted.answer)
}

fn show(context: &Context<'_>, report: &mut TrustReport) {
    let printer = context.printer;
    printer.heading("does Codex trust the hooks?");
    if !report.switched_off.is_empty() {
        report.steps.clear();
        return printer.line("  that does not matter now: they are switched off");
    }
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
