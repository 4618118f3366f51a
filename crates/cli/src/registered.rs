//! What settings files make of the hooks that stand in them: for `stopgate status`. The installer's doctor says more.

use std::path::PathBuf;

use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::harness::VariablePlace;
use stopgate_core::harness::registration::{HooksLost, Loss, Registrations};
use stopgate_core::harness::variables::{self, GivenVariable};
use stopgate_core::hook::Hook;
use stopgate_core::session::Harness;
use stopgate_protocol::SessionRow;
use stopgate_registry::{HooksOff, hooks_off};

use crate::context::CliContext;

/// Directories of sessions that are looked into.
const MAX_DIRECTORIES: usize = 200;

/// What was found.
pub(crate) struct Registered {
    /// Lines that are gone or changed.
    pub(crate) lost: Vec<HooksLost>,
    /// Variables of ours that settings give to hooks.
    pub(crate) given: Vec<GivenVariable>,
    /// Settings by which a harness runs no hook.
    pub(crate) off: Vec<HooksOff>,
    unheard: Vec<(PathBuf, String)>,
}

impl Registered {
    /// Looks at the files that the ledger knows, and at those which apply to `sessions` and to this directory.
    pub(crate) fn look(context: &CliContext, sessions: &[SessionRow]) -> Self {
        let Registrations { mut lost, unheard, places } = Registrations::look(&context.home);
        // Said by the variables themselves.
        lost.retain(|lost| lost.how != Loss::Environment);
        let (mut given, mut off) = (Vec::new(), Vec::new());
        let here = std::env::current_dir().ok();
        for harness in Harness::ALL {
            let current = current(harness);
            let of_harness = places.iter().filter(|place| place.harness == harness);
            let (projects, mut accounts): (Vec<_>, Vec<_>) = of_harness.partition(|place| place.is_project);
            if projects.is_empty() && accounts.is_empty() {
                continue;
            }
            accounts.dedup();
            let rows = sessions.iter().filter(|row| row.harness == harness && !row.state.is_over());
            let dirs = rows.flat_map(|row| [&row.start_cwd, &row.cwd]).flatten().take(MAX_DIRECTORIES);
            let accounts = accounts.iter().map(|place| &place.dir).chain(&current);
            let projects = projects.iter().map(|place| &place.dir).chain(dirs).chain(&here);
            let places = [VariablePlace::Machine].into_iter();
            let places = places.chain(accounts.map(|dir| VariablePlace::Account(dir)));
            let places = places.chain(projects.map(|dir| VariablePlace::Project(dir)));
            let places: Vec<_> = places.collect();
            off.extend(hooks_off(harness, places.iter().copied(), &context.home.bin()));
            given.extend(variables::given(harness, places, &context.home));
        }
        // Said by the settings themselves.
        off.retain(|one: &HooksOff| !lost.iter().any(|lost| lost.how == Loss::SwitchedOff && lost.file == one.file));
        Self { lost, given, off, unheard }
    }

    /// The files whose lines of the hook `name` are called without waiting for an answer.
    pub(crate) fn unheard(&self, name: &str) -> Vec<&PathBuf> {
        debug_assert!(Hook::NAMES.contains(&name));
        let mut files: Vec<_> =
            self.unheard.iter().filter(|(_, command)| command.contains(name)).map(|(file, _)| file).collect();
        files.dedup();
        files
    }
}

/// The person's own directory of `harness` in this environment.
fn current(harness: Harness) -> Option<PathBuf> {
    let spec = harness.spec();
    let set = |name| ProcessEnv.os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set(spec.directory_variable).or_else(|| Some(set(env::HOME)?.join(spec.directory)))
}
