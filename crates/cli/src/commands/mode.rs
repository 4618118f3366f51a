//! `stopgate mode`

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use stopgate_client::ANSWER;
use stopgate_core::switch::{self, Mode, ModeReading};
use stopgate_protocol::{Condition, ModeState, SetMode};

use super::gate::ready;
use crate::context::CliContext;
use crate::{ExitStatus, printer};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The mode to set; without it, show the mode
    mode: Option<WantedMode>,
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
            ModeState { mode: wanted, prior, changed: wanted != prior }
        }
    };
    if arguments.json {
        printer::json(&state)?;
    } else if state.changed {
        printer::line(format!("mode: {} -> {}", state.prior.name(), state.mode.name()));
    } else {
        printer::line(format!("mode: already {}", state.mode.name()));
    }
    Ok(ExitStatus::Success)
}

fn show(context: &CliContext, reading: ModeReading, json: bool) -> anyhow::Result<ExitStatus> {
    let mode = reading.mode();
    if json {
        printer::json(&ModeState { mode, prior: mode, changed: false })?;
    } else {
        printer::line(describe(context, reading));
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
