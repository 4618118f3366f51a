//! Root in somebody else's home: what root writes there its owner cannot read, so that a switch would no longer be
//! understood.

use std::io;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::process::{DumpableBehavior, Gid, Uid, set_dumpable_behavior};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
use stopgate_core::paths::Home;
use stopgate_protocol::{ErrorCode, Failure};

/// Whose a home is that is not root's, as which root is to act in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    /// The owner of `home`, if this process is root's and the home is not, and it could write there: one without root's
    /// privileges does no harm.
    pub fn other_than_root(home: &Home) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let meta = std::fs::metadata(home.root()).ok()?;
        let may_write = || accessat(CWD, home.root(), Access::WRITE_OK, AtFlags::EACCESS).is_ok();
        (meta.uid() != 0 && may_write()).then(|| Self { uid: meta.uid(), gid: meta.gid() })
    }

    /// Makes this process the owner's, for good. Only while it has one thread.
    ///
    /// # Errors
    /// The kernel does not let it, as where root is none of the machine's.
    pub fn take_on(self) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        set_thread_groups(&[gid])?;
        set_thread_gid(gid)?;
        set_thread_uid(uid)?;
        // Whoever changes its user hides itself from its own `/proc`.
        Ok(set_dumpable_behavior(DumpableBehavior::Dumpable)?)
    }

    /// That root has to run `program` as the owner, and how.
    pub fn failure(self, program: &str, home: &Home) -> Failure {
        let user = self.name().unwrap_or_else(|| format!("'#{}'", self.uid));
        let home = home.root().display();
        let why = format!("{home} is the home of user {user}, who could not read what root writes there");
        let how = format!("run it as that user: `sudo -u {user} STOPGATE_HOME={home} {program} ...`");
        Failure::new(ErrorCode::Refused, why).with_remedy(how)
    }

    /// The owner's name, as `/etc/passwd` has it.
    fn name(self) -> Option<String> {
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(self.uid)).then(|| name.to_owned())
        })
    }
}
