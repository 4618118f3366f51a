//! `stopgate gate report`: what the gate did, counted.

mod html;
mod text;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use stopgate_core::clock::days;
use stopgate_core::fsx;
use stopgate_core::session::LIVE_CHECK_PREFIX;
use stopgate_gate::report::Day;
use stopgate_protocol::{Decided, GateLog, LogFilter, ReadReport};

use super::log;
use crate::context::CliContext;
use crate::{ExitStatus, printer};

/// Would-blocks that the page shows in full.
const SHOWN_ROWS: usize = 50;
/// Bars that a chart has at most; days are put together until that suffices.
const MAX_BARS: usize = 31;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How many days back from now; all verdicts that are kept, as `gate ready` counts them, if not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: Option<u32>,
    /// Print JSON
    #[arg(long, conflicts_with = "html")]
    json: bool,
    /// Write a page for the browser to this file: self-contained, without a script
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let since = arguments.days.map_or(0, |count| context.now_ms.saturating_sub(days(count)).max(0));
    let report = context.read(&ReadReport { since_ms: since }, |store| store.report(since, context.now_ms))?;
    if arguments.json {
        printer::json(&report)?;
    } else if let Some(file) = &arguments.html {
        let page = html::render(&report, &would_blocks(context, since)?);
        fsx::write_atomic(file, page.as_bytes(), 0o600)
            .with_context(|| format!("cannot write the report to {}: name a file that can be made", file.display()))?;
        printer::line(format!("written to {}", file.display()));
    } else {
        for line in text::render(&report) {
            printer::line(line);
        }
    }
    Ok(ExitStatus::Success)
}

/// The newest would-blocks of the span.
fn would_blocks(context: &CliContext, since: i64) -> anyhow::Result<GateLog> {
    let filter = LogFilter { tail: Some(1_000), decision: Some(Decided::Continue), ..LogFilter::default() };
    let mut log = log::fetch(context, &filter)?;
    log.events.retain(|row| row.at_ms >= since && !row.session_id.starts_with(LIVE_CHECK_PREFIX));
    log.events.truncate(SHOWN_ROWS);
    Ok(log)
}

/// Days put together to bars, and how many days a bar stands for.
fn bars(days: &[Day]) -> (usize, Vec<Day>) {
    let each = days.len().div_ceil(MAX_BARS).max(1);
    let together = |days: &[Day]| Day {
        start_ms: days.first().map_or(0, |day| day.start_ms),
        stops: days.iter().map(|day| day.stops).sum(),
        would_block: days.iter().map(|day| day.would_block).sum(),
        failed: days.iter().map(|day| day.failed).sum(),
    };
    (each, days.chunks(each).map(together).collect())
}

/// The end of an interval as a percentage with one digit; shares themselves are [`stopgate_gate::report::Proportion::percent`].
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use stopgate_core::clock::DAY_MS;

    use super::*;

    #[test]
    fn a_long_span_makes_no_more_bars_and_loses_nothing() {
        let day = |number| Day { start_ms: number * DAY_MS, stops: 1, would_block: 1, failed: 0 };
        let days: Vec<_> = (0..100).map(day).collect();
        let (each, bars) = bars(&days);
        assert_eq!((each, bars.len()), (4, 25));
        assert_eq!(bars.iter().map(|bar| bar.stops).sum::<u64>(), 100);
        assert_eq!(super::bars(&days[..31]).1.len(), 31);
        assert_eq!(super::bars(&[]), (1, vec![]));
    }
}
