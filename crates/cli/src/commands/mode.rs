//! `stopgate mode`

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use stopgate_client::ANSWER;
use stopgate_core::switch::{self, Mode, ModeReading};
use stopgate_gate::RuleId;
use stopgate_protocol::{Condition, ModeState, RuleModeState, SetMode, SetRuleMode};

use super::gate::ready;
use crate::context::CliContext;
use crate::{ExitStatus, printer, rule_modes};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The mode to set; without it, show the mode
    mode: Option<WantedMode>,
    /// Set or show what one rule may do at most (U3, or its whole id). The operator's; grades given before no longer count against
    /// the rule
    #[arg(long, value_name = "RULE", value_parser = rule_of)]
    rule: Option<RuleId>,
    /// Do not ask before enforcing
    #[arg(long, short)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum WantedMode {
    /// Judge and record no stop
    Off,
    /// Judge and record every stop, block none
    Shadow,
    /// Block the stops that the verdict says should go on
    Enforce,
}

/// A rule by its name.
pub(crate) fn rule_of(name: &str) -> Result<RuleId, String> {
    RuleId::holding_by_name(name).ok_or_else(|| {
        let names: Vec<_> = RuleId::holding().map(RuleId::short).collect();
        format!("no rule that can hold a stop; one of {}, or its whole id", names.join(", "))
    })
}

impl From<WantedMode> for Mode {
    fn from(wanted: WantedMode) -> Self {
        match wanted {
            WantedMode::Off => Self::Off,
            WantedMode::Shadow => Self::Shadow,
            WantedMode::Enforce => Self::Enforce,
        }
    }
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    if let Some(rule) = arguments.rule {
        return match arguments.mode {
            Some(wanted) => set_rule(context, rule, wanted.into(), arguments.json),
            None => show_rule(context, rule, arguments.json),
        };
    }
    let file = context.home.mode_file();
    let seen = switch::stamp(&file);
    let reading = switch::read_mode(&context.home);
    let Some(wanted) = arguments.mode.map(Mode::from) else { return show(context, reading, arguments.json) };
    let prior = reading.mode();
    if wanted == Mode::Enforce && prior != Mode::Enforce {
        for line in ready::delta(context) {
            printer::note(line);
        }
        let question = "Enforce: the gate may send agents back to their work. Go on?";
        printer::consent(question, arguments.yes).required("not enforced")?;
    }
    let asked = context.ensure_authority().and_then(|()| {
        context.authority().call(&SetMode { mode: wanted, condition: CliContext::condition(&seen, ANSWER) })
    });
    let state = match asked {
        Ok(state) => state,
        Err(error) if error.is_decided() => return Err(error.into()),
        // The switch is a file: it can be set with the authority down or broken.
        Err(error) => {
            let flip = SetMode { mode: wanted, condition: Condition::default() };
            // What tightens is everybody's.
            if flip.loosens(prior) {
                context.operators_only(&flip.action())?;
            }
            // It may be set by now: the answer was lost, not the request.
            if switch::stamp(&file) != seen && switch::read_mode(&context.home).mode() != wanted {
                bail!("not done: {} was changed meanwhile; look with `stopgate mode`", file.display());
            }
            switch::write_mode(&context.home, wanted).with_context(|| {
                format!(
                    "the mode is still {}: cannot write {}. Make room or make it writable and try again (to let every \
                     agent go at once: `stopgate kill on`)",
                    prior.name(),
                    file.display()
                )
            })?;
            printer::note(format!("note: {error}; the mode was written to {}", file.display()));
            ModeState { mode: wanted, prior, changed: wanted != prior, rules: rule_modes::current(&context.home) }
        }
    };
    if arguments.json {
        printer::json(&state)?;
    } else if state.changed {
        printer::line(format!("mode: {} -> {}", state.prior.name(), state.mode.name()));
    } else {
        printer::line(format!("mode: already {}", state.mode.name()));
    }
    if !arguments.json && state.mode == Mode::Enforce {
        rule_modes::lines(&context.home).into_iter().for_each(printer::line);
    }
    Ok(ExitStatus::Success)
}

/// Sets what one rule may do.
fn set_rule(context: &CliContext, rule: RuleId, mode: Mode, json: bool) -> anyhow::Result<ExitStatus> {
    let file = context.home.rules_file();
    let seen = switch::stamp(&file);
    let wanted = SetRuleMode { rule, mode, condition: CliContext::condition(&seen, ANSWER) };
    let state = match context.ensure_authority().and_then(|()| context.authority().call(&wanted)) {
        Ok(state) => state,
        Err(error) if error.is_decided() => return Err(error.into()),
        // The switch is a file: it can be set with the authority down or broken.
        Err(error) => {
            context.operators_only(&wanted.action())?;
            if switch::stamp(&file) != seen {
                bail!(
                    "not done: {} was changed meanwhile; look with `stopgate mode --rule {}`",
                    file.display(),
                    rule.short()
                );
            }
            let state = rule_modes::set(context, rule, mode)
                .with_context(|| format!("{} is as it was: cannot write {}", rule.short(), file.display()))?;
            printer::note(format!("note: {error}; it was written to {}", file.display()));
            state
        }
    };
    if json {
        printer::json(&state)?;
        return Ok(ExitStatus::Success);
    }
    let name = rule.short();
    printer::line(if state.changed {
        format!("{name}: {} -> {}", state.prior.name(), state.mode.name())
    } else {
        format!("{name}: already {}", state.mode.name())
    });
    if let Some(kept) = state.kept.filter(|kept| kept.mode < mode) {
        printer::line(format!("{name} is kept in {} by {}: change it there", kept.mode.name(), kept.by.meaning()));
    }
    let general = switch::read_mode(&context.home).mode();
    if general < state.mode {
        printer::line(format!(
            "the mode is {}: no rule does more than that (`stopgate mode {}`)",
            general.name(),
            mode.name()
        ));
    }
    Ok(ExitStatus::Success)
}

fn show_rule(context: &CliContext, rule: RuleId, json: bool) -> anyhow::Result<ExitStatus> {
    let kept = rule_modes::current(&context.home).of_rule(rule);
    let mode = kept.map_or(Mode::Enforce, |kept| kept.mode);
    if json {
        printer::json(&RuleModeState { rule, mode, prior: mode, changed: false, kept })?;
        return Ok(ExitStatus::Success);
    }
    let shown = rule_modes::shown(&context.home).into_iter().find(|shown| shown.rule == rule);
    let general = switch::read_mode(&context.home).mode().name();
    printer::line(
        shown.map_or_else(|| format!("{}: what the mode says ({general})", rule.short()), |shown| shown.line()),
    );
    Ok(ExitStatus::Success)
}

fn show(context: &CliContext, reading: ModeReading, json: bool) -> anyhow::Result<ExitStatus> {
    let mode = reading.mode();
    if json {
        let rules = rule_modes::current(&context.home);
        printer::json(&ModeState { mode, prior: mode, changed: false, rules })?;
    } else {
        printer::line(describe(context, reading));
        rule_modes::lines(&context.home).into_iter().for_each(printer::line);
    }
    Ok(ExitStatus::Success)
}

/// One line about the mode.
pub(crate) fn describe(context: &CliContext, reading: ModeReading) -> String {
    let meaning = reading.mode().meaning();
    let origin = match reading {
        ModeReading::Chosen(_) => String::new(),
        ModeReading::Default => ", by default".to_owned(),
        ModeReading::Unreadable => format!(
            ", because {} is not understood: write off, shadow or enforce with `stopgate mode`",
            context.home.mode_file().display()
        ),
    };
    format!("{} ({meaning}{origin})", reading.mode().name())
}
