//! The installed clients, beside the versions that stopgate was tried with.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use stopgate_core::env::{self, Env};
use stopgate_core::session::Harness;
use stopgate_core::subprocess::{self, Ending, ProgramLimits};
use stopgate_core::text::one_line;
use stopgate_protocol::version::Version;

use super::finding::Checkup;
use super::registration::unrecorded;
use crate::commands::Context;
use crate::ledger::Ledger;

/// A client that is no script answers in a fraction of a second; one that waits for something is not waited for.
const DEADLINE: Duration = Duration::from_secs(10);
const MAX_OUTPUT_BYTES: usize = 4 * 1024;
const SHOWN_CHARS: usize = 100;
/// What a client needs to tell its version.
const PASSED: [&str; 3] = [env::HOME, env::PATH, env::TMPDIR];

/// An installed client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct InstalledClient {
    pub(super) harness: Harness,
    /// What it says.
    pub(super) version: String,
    /// The version in whose way registered lines are run: the newest that was tried and is no newer.
    pub(super) tried_as: &'static str,
}

/// How an installed version stands to those that were tried, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Older,
    Known(&'static str),
    Newer(&'static str),
}

pub(super) fn check(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    let unrecorded = unrecorded(context, ledger);
    for harness in Harness::ALL {
        let is_used = ledger.installs.iter().any(|install| install.harness == harness)
            || unrecorded.iter().any(|location| location.harness == harness);
        // Without one on the search path there is none to ask: an editor may have its own.
        let path = context.environment.os(env::PATH).filter(|_| is_used);
        let Some(program) = path.and_then(|path| subprocess::find(&path, harness.spec().command)) else { continue };
        match version(context.environment, &program) {
            Ok(said) => compare(harness, &program, &said, checkup),
            Err(why) => checkup.unchecked(format!("which version {} is", program.display()), why),
        }
    }
}

fn compare(harness: Harness, program: &Path, said: &str, checkup: &mut Checkup) {
    let spec = harness.spec();
    let Some(standing) = standing(said, spec.tried) else {
        let what = format!("which version {} is", program.display());
        return checkup.unchecked(what, format!("it says {said:?}"));
    };
    let [oldest, .., newest] = spec.tried else { return };
    let (product, shown) = (spec.product, program.display());
    let why = "a client may run hooks, and read settings, in another way than those that were tried";
    let tried_as = match standing {
        Standing::Known(tried_as) => tried_as,
        Standing::Newer(tried_as) => {
            let what = format!("{product} {said} is newer than {newest}, the last that stopgate was tried with");
            let fix = "see in `stopgate status` whether hooks fire and deliver; update stopgate when it can be";
            checkup.notice("client-newer", shown, what, why, fix);
            tried_as
        }
        Standing::Older => {
            let what = format!("{product} {said} is older than {oldest}, the first that stopgate was tried with");
            checkup.notice("client-older", shown, what, why, format!("update {product}"));
            oldest
        }
    };
    checkup.clients.push(InstalledClient { harness, version: said.to_owned(), tried_as });
}

fn standing(said: &str, tried: &'static [&'static str]) -> Option<Standing> {
    let version = Version::parse(said)?;
    let newest = tried.last().copied()?;
    let known = tried.iter().rev().copied().find(|known| Version::parse(known).is_some_and(|known| known <= version));
    Some(match known {
        None => Standing::Older,
        Some(known) if known == newest && Version::parse(newest)? < version => Standing::Newer(known),
        Some(known) => Standing::Known(known),
    })
}

/// What `program` says of its version: the first word that is one.
fn version(environment: &dyn Env, program: &Path) -> Result<String, String> {
    let mut command = Command::new(program);
    command.arg("--version").env_clear().current_dir("/").stdin(Stdio::null()).stderr(Stdio::null());
    command.envs(PASSED.into_iter().filter_map(|name| Some((name, environment.os(name)?))));
    // It is only asked.
    command.env("DISABLE_AUTOUPDATER", "1");
    let limits = ProgramLimits {
        deadline: Instant::now() + DEADLINE,
        stdout_bytes: MAX_OUTPUT_BYTES,
        stderr_bytes: 0,
        alone: true,
    };
    let ended = subprocess::finish(command, &limits).map_err(|error| format!("it cannot be started: {error}"))?;
    match ended.ending {
        Ending::Exited(status) if status.success() => {}
        Ending::Exited(status) => return Err(format!("`--version`: {status}")),
        Ending::Deadline => return Err(format!("`--version`: no end within {} s", DEADLINE.as_secs())),
        Ending::TooMuch | Ending::Lost => return Err("`--version`: no answer".to_owned()),
    }
    let said = String::from_utf8_lossy(&ended.stdout);
    let word = said.split_whitespace().find(|word| Version::parse(word).is_some());
    word.map(str::to_owned).ok_or_else(|| format!("it says {:?}", one_line(&said, SHOWN_CHARS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_by_its_numbers() {
        const TRIED: &[&str] = &["2.1.9", "2.1.20", "2.10.0"];
        for (said, expected) in [
            ("2.1.8", Some(Standing::Older)),
            ("2.1.9", Some(Standing::Known("2.1.9"))),
            ("2.1.10", Some(Standing::Known("2.1.9"))),
            ("2.9.0", Some(Standing::Known("2.1.20"))),
            ("2.10.0", Some(Standing::Known("2.10.0"))),
            ("2.10.1", Some(Standing::Newer("2.10.0"))),
            ("3.0.0-alpha.1", Some(Standing::Newer("2.10.0"))),
            ("2.10.0-alpha.1", Some(Standing::Known("2.1.20"))),
            ("two", None),
        ] {
            assert_eq!(standing(said, TRIED), expected, "{said}");
        }
        assert_eq!(standing("1.0.0", &[]), None);
    }
}
