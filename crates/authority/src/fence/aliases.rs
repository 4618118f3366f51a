//! Aliases of git: what git's configuration says of a command that git does not have.

use std::path::{Path, PathBuf};
use std::time::Instant;

use stopgate_coordination::fence::{Around, FileLinks, GitAlias, Intent, read_alias};
use stopgate_core::checkout;
use stopgate_core::env::{self, Env as _, ProcessEnv};

use crate::git::{Git, Outcome};

/// How deep aliases of aliases are read.
const MAX_DEPTH: usize = 4;
/// How many are asked for altogether.
const MAX_ASKED: usize = 8;

/// Adds to `intent` what its aliases mean, as far as git says so until `deadline`, and takes them out: what stands behind them is
/// recorded nowhere.
pub(super) fn resolve(intent: &mut Intent, deadline: Instant) {
    let mut left = MAX_ASKED;
    for _ in 0..MAX_DEPTH {
        for alias in std::mem::take(&mut intent.aliases) {
            if left > 0
                && let Some(meant) = meaning(&alias, deadline)
            {
                add(&mut intent.writes, meant.writes);
                add(&mut intent.acts, meant.acts);
                add(&mut intent.parts, meant.parts);
                intent.aliases.extend(meant.aliases);
            }
            left = left.saturating_sub(1);
        }
        if intent.aliases.is_empty() {
            return;
        }
    }
    intent.aliases.clear();
}

fn add<T: PartialEq>(known: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !known.contains(&one) {
            known.push(one);
        }
    }
}

/// What `alias` would do; `None` if it is none, or git does not say.
fn meaning(alias: &GitAlias, deadline: Instant) -> Option<Intent> {
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || "-._".contains(sign);
    if !alias.directory.is_absolute() || alias.name.is_empty() || !alias.name.chars().all(is_plain) {
        return None;
    }
    let checkout = checkout::find(&alias.directory)?;
    let arguments = ["config", "--get", &format!("alias.{}", alias.name)];
    let Outcome::Success(said) = Git::of(&checkout, None).run(&alias.directory, &arguments, deadline) else {
        return None;
    };
    let meaning = String::from_utf8(said).ok()?;
    let home = ProcessEnv.os(env::HOME).map(PathBuf::from).filter(|home| home.is_absolute());
    let around = Around { cwd: &alias.directory, home: home.as_deref(), links: &FileLinks };
    let top: &Path = &checkout.worktree;
    Some(read_alias(&around, top, meaning.trim_end(), &alias.rest))
}
