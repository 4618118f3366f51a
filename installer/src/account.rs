//! A person's accounts with a harness: each is a directory of configuration of its own, which a variable names.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use stopgate_core::env::{self, Env};
use stopgate_core::session::Harness;

use crate::exit::Refusal;
use crate::ledger::Ledger;
use crate::settings::locate::{Location, Scope, user_dir};
use crate::shell;

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    harness: Harness,
    /// Its directory, by the path that the harness knows it by.
    pub(crate) dir: PathBuf,
}

impl Account {
    /// That which `harness` has in this environment.
    pub(crate) fn current(environment: &dyn Env, harness: Harness) -> Result<Self, Refusal> {
        Ok(Self { harness, dir: user_dir(environment, harness)? })
    }

    /// That whose own file is at `location`; of a project's file, the current one.
    pub(crate) fn of(environment: &dyn Env, location: &Location) -> Result<Self, Refusal> {
        match location.path.parent() {
            Some(dir) if location.scope == Scope::User => Ok(Self { harness: location.harness, dir: dir.to_owned() }),
            _ => Self::current(environment, location.harness),
        }
    }

    /// Those that `ledger` knows of `harness`, and the current one; each directory once.
    pub(crate) fn all(environment: &dyn Env, ledger: &Ledger, harness: Harness) -> Vec<Self> {
        let of_harness = || ledger.installs.iter().filter(|install| install.harness == harness);
        let own = of_harness().filter(|install| install.scope == Scope::User).map(|install| install.settings.as_path());
        let trusting = of_harness().flat_map(|install| &install.trust).map(|trust| trust.config.as_path());
        let current = user_dir(environment, harness).ok();
        let dirs = own.chain(trusting).filter_map(Path::parent).map(Path::to_owned).chain(current);
        once(dirs.map(|dir| Self { harness, dir }))
    }

    /// Those that run the hooks of the file at `location`, as far as `ledger` knows.
    pub(crate) fn of_install(environment: &dyn Env, ledger: &Ledger, location: &Location) -> Vec<Self> {
        let install = ledger.of(location);
        let trusting = install.into_iter().flat_map(|install| &install.trust).filter_map(|trust| trust.config.parent());
        let trusting = trusting.map(|dir| Self { harness: location.harness, dir: dir.to_owned() });
        once(Self::of(environment, location).into_iter().chain(trusting))
    }

    /// The file of that name in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// What the harness's variable has to be for it; `None` if it has to be unset. Codex spells the names of hooks by
    /// it, with links followed where it is set and not where it is not: what the person has stays.
    pub(crate) fn variable(&self, environment: &dyn Env) -> Option<OsString> {
        let name = self.harness.spec().directory_variable;
        if user_dir(environment, self.harness).is_ok_and(|dir| dir == self.dir) {
            return environment.os(name).filter(|value| !value.is_empty());
        }
        (!self.is_default(environment)).then(|| self.dir.clone().into_os_string())
    }

    /// What stands before a command of the installer that is to be about this account.
    pub(crate) fn prefix(&self, environment: &dyn Env) -> String {
        let name = self.harness.spec().directory_variable;
        let is_set = environment.os(name).is_some_and(|value| !value.is_empty());
        match (self.is_default(environment), is_set) {
            (false, _) => format!("{name}={} ", shell::word(&self.dir.display().to_string())),
            (true, true) => format!("env -u {name} "),
            (true, false) => String::new(),
        }
    }

    fn is_default(&self, environment: &dyn Env) -> bool {
        let home = environment.os(env::HOME).map(PathBuf::from);
        home.is_some_and(|home| home.join(self.harness.spec().directory) == self.dir)
    }
}

/// Each directory once, whatever path leads to it.
fn once(accounts: impl Iterator<Item = Account>) -> Vec<Account> {
    let mut found: Vec<(PathBuf, Account)> = Vec::new();
    for account in accounts {
        let real = account.dir.canonicalize().unwrap_or_else(|_| account.dir.clone());
        if !found.iter().any(|(known, _)| *known == real) {
            found.push((real, account));
        }
    }
    found.into_iter().map(|(_, account)| account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::env::MapEnv;

    fn account(dir: &str) -> Account {
        Account { harness: Harness::Codex, dir: dir.into() }
    }

    #[test]
    fn the_variable_is_what_the_person_has_or_names_the_account() {
        let plain = MapEnv::of([(env::HOME, "/home/dev")]);
        let other = MapEnv::of([(env::HOME, "/home/dev"), ("CODEX_HOME", "/work account")]);
        let same = MapEnv::of([(env::HOME, "/home/dev"), ("CODEX_HOME", "/home/dev/.codex")]);
        let (default, work) = (account("/home/dev/.codex"), account("/work account"));
        for (env, account, variable, prefix) in [
            (&plain, &default, None, ""),
            (&plain, &work, Some("/work account"), "CODEX_HOME='/work account' "),
            (&other, &default, None, "env -u CODEX_HOME "),
            (&other, &work, Some("/work account"), "CODEX_HOME='/work account' "),
            (&same, &default, Some("/home/dev/.codex"), "env -u CODEX_HOME "),
        ] {
            assert_eq!(account.variable(env), variable.map(OsString::from), "{account:?}");
            assert_eq!(account.prefix(env), prefix, "{account:?}");
        }
    }

    #[test]
    fn a_directory_is_one_account_whatever_leads_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let dirs = [&real, &link, &dir.path().join("gone")].map(|dir| account(dir.to_str().unwrap()));
        assert_eq!(once(dirs.clone().into_iter()), [dirs[0].clone(), dirs[2].clone()]);
    }
}
