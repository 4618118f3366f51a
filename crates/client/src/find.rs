//! Who serves: also in the moment in which one begins, ends, or binds its socket again.

use std::time::{Duration, Instant};

use stopgate_core::client::ClientError;
use stopgate_protocol::{ErrorCode, Failure, Health};

use crate::ask::Authority;
use crate::error::AskError;
use crate::limits::{POLL, SETTLE, UNTOLD};
use crate::silent::Silence;

impl Authority<'_> {
    /// Who serves; `None` if nobody holds the authority's lock. Whoever holds it and does not listen is waited for, and
    /// in the end an error, as is one that does not answer.
    pub fn find(&self) -> Result<Option<Health>, AskError> {
        self.find_within(SETTLE)
    }

    pub(crate) fn find_within(&self, patience: Duration) -> Result<Option<Health>, AskError> {
        let mut is_changing = false;
        let found = self.wait(patience, "listen", || match self.health() {
            Ok(Some(health)) => Some(Ok(Some(health))),
            Ok(None) if self.holder().is_none() => Some(Ok(None)),
            Ok(None) => {
                is_changing = true;
                None
            }
            // Whoever ends cuts off those that it has not taken in.
            Err(AskError::Unreachable(ClientError::Malformed)) if is_changing => None,
            Err(error) => Some(Err(self.named(error))),
        });
        match found {
            Some(found) => found,
            None => self.silent(Silence::DoesNotListen).map_or(Ok(None), |silent| Err(AskError::Silent(silent))),
        }
    }

    /// `error` as an answer to the question who serves, with a name and a remedy where there are any.
    pub(crate) fn named(&self, error: AskError) -> AskError {
        match error {
            AskError::Unreachable(ClientError::Deadline) => {
                self.silent(Silence::DoesNotAnswer).map_or(error, AskError::Silent)
            }
            AskError::Unreachable(ClientError::Malformed) => {
                self.silent(Silence::IsNotUnderstood).map_or(error, AskError::Silent)
            }
            AskError::Refused(Failure { code: ErrorCode::NoSuchRoute | ErrorCode::OtherVersion, message, .. }) => {
                AskError::OtherVersion(message)
            }
            AskError::NotUnderstood(why) => AskError::OtherVersion(format!("its answer is not understood: {why}")),
            error => error,
        }
    }

    /// Looks again and again until `look` has found something, for `patience` at most. When it takes long, the person is
    /// told what the authority is waited for `to` do.
    pub(crate) fn wait<T>(&self, patience: Duration, to: &str, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let began = Instant::now();
        let mut is_told = false;
        loop {
            if let Some(found) = look() {
                return Some(found);
            }
            if began.elapsed() > patience {
                return None;
            }
            if !is_told && began.elapsed() > UNTOLD {
                (self.notice)(&format!("waiting for the authority to {to} ..."));
                is_told = true;
            }
            std::thread::sleep(POLL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::env::MapEnv;
    use stopgate_core::lock::HeldLock;
    use stopgate_core::paths::Home;

    use crate::start::Successor;

    #[test]
    fn whoever_holds_the_lock_without_listening_is_no_success() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        home.create().unwrap();
        std::fs::write(home.lock(), "4242\n").unwrap();
        let lock = std::fs::File::open(home.lock()).unwrap();
        lock.try_lock().unwrap();
        let lock = HeldLock::new(lock);
        let told = std::sync::Mutex::new(Vec::new());
        let notice = |text: &str| told.lock().unwrap().push(text.to_owned());
        let authority = Authority::of(&home).telling(&notice);
        let AskError::Silent(silent) = authority.stop().unwrap_err() else { panic!("not silent") };
        assert_eq!((silent.silence, silent.pid, silent.is_certain), (Silence::DoesNotListen, Some(4242), false));
        assert_eq!(*told.lock().unwrap(), ["waiting for the authority to listen ..."], "once");
        let ensured = authority.ensure(&MapEnv::default(), Successor::Installed).unwrap_err();
        assert!(matches!(ensured, AskError::Silent(_)), "{ensured}");
        drop(lock);
        assert!(matches!(authority.find(), Ok(None)));
        assert!(matches!(authority.stop(), Ok(false)));
    }
}
