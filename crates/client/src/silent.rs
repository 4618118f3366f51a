//! An authority that lives and does not serve: which process it is, and what ends it.

use std::fmt;
use std::path::PathBuf;

use stopgate_core::holder::{Holder, holder};
use stopgate_core::paths::Home;
use stopgate_protocol::{ErrorCode, Failure};

/// How an authority that lives does not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// It takes the question, and says nothing.
    DoesNotAnswer,
    /// It says something else than an answer.
    IsNotUnderstood,
    /// Its lock is held, and nobody listens on its socket.
    DoesNotListen,
}

impl Silence {
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::DoesNotAnswer => "does not answer",
            Self::IsNotUnderstood => "says nothing that is understood",
            Self::DoesNotListen => "does not listen",
        }
    }
}

/// Whoever holds the authority's lock without serving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silent {
    /// What it does not do.
    pub silence: Silence,
    /// The lock that it holds.
    pub lock: PathBuf,
    /// Its process, as far as the lock file names one.
    pub pid: Option<u32>,
    /// Whether that is the authority of this home beyond doubt.
    pub is_certain: bool,
    pub(crate) holder: Holder,
}

impl Silent {
    /// Whoever holds the lock of `home`; `None` if nobody does.
    pub(crate) fn of(home: &Home, silence: Silence) -> Option<Self> {
        let holder = holder(home)?;
        let is_certain = holder.verified(home).is_some();
        Some(Self { silence, lock: home.lock(), pid: holder.pid, is_certain, holder })
    }

    /// How a person ends it. Nobody is told to kill a process that is not surely it.
    pub fn remedy(&self) -> String {
        match self.pid.filter(|_| self.is_certain) {
            Some(pid) => format!("end it with `kill {pid}`, or `kill -9 {pid}` if it hangs"),
            None => format!("`fuser -v {}` shows who it is: end it", self.lock.display()),
        }
    }
}

impl Silent {
    /// The same as programs are told it.
    pub fn failure(&self) -> Failure {
        let (lock, verb) = (self.lock.display(), self.silence.verb());
        let message = match self.pid {
            Some(pid) => format!("process {pid} holds {lock}, but {verb}"),
            None => format!("a process holds {lock}, but {verb}"),
        };
        let remedy = match self.pid.filter(|_| self.is_certain) {
            Some(pid) => format!("end it with `stopgate authority stop`, or with `kill -9 {pid}`"),
            None => self.remedy(),
        };
        Failure::new(ErrorCode::NotAnswering, message).with_remedy(remedy)
    }
}

impl fmt::Display for Silent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure().fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(pid: Option<u32>, is_certain: bool) -> Silent {
        let lock = PathBuf::from("/h/run/authority.lock");
        Silent { silence: Silence::DoesNotAnswer, lock, pid, is_certain, holder: Holder::default() }
    }

    #[test]
    fn only_what_is_surely_the_authority_is_to_be_killed() {
        let surely = silent(Some(42), true);
        assert_eq!(
            surely.to_string(),
            "process 42 holds /h/run/authority.lock, but does not answer; end it with `stopgate authority stop`, or with \
             `kill -9 42`"
        );
        assert_eq!(surely.remedy(), "end it with `kill 42`, or `kill -9 42` if it hangs");
        for doubtful in [silent(Some(42), false), silent(None, false)] {
            assert_eq!(doubtful.remedy(), "`fuser -v /h/run/authority.lock` shows who it is: end it");
            assert!(doubtful.to_string().ends_with(&doubtful.remedy()), "{doubtful}");
        }
    }
}
