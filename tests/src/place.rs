//! Places as machines have them: a person, and mounts that nobody else sees.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::person::{Person, text};
use crate::run::{Stdin, finish};
use crate::world::binary;

/// What a script ends with that cannot have what it needs.
const CANNOT: i32 = 77;

/// A person whose settings are `.claude/settings.json`, and a mount namespace.
pub struct Place {
    /// The person.
    pub person: Person,
}

impl Place {
    /// With these settings.
    pub fn new(settings: &str) -> Self {
        let person = Person::new();
        person.write_settings(settings);
        Self { person }
    }

    /// A file of what a script finds.
    pub fn out(&self, name: &str) -> PathBuf {
        self.person.world.root().join(name)
    }

    /// Runs `script` by a shell with mounts of its own: `$dir` is `.claude`, `$home` stopgate's home, `$out` a directory
    /// for what it finds, `$bin` the programs of this build. `None` if it cannot have what it needs here.
    pub fn run(&self, script: &str) -> Option<Output> {
        let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
        let mut command = Command::new("unshare");
        command.args([flags, "sh", "-c", &format!("set -u\n{script}")]).env_clear();
        command.current_dir(self.person.world.root()).env("HOME", self.person.dir());
        command.env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin").env("STOPGATE_NO_AUTOSTART", "1");
        command.env("dir", self.person.dir().join(".claude")).env("home", self.person.world.home.root());
        command.env("out", self.person.world.root()).env("bin", binary("installer").parent().unwrap());
        command.env("TMPDIR", self.person.world.root()).env("STOPGATE_TOP", std::process::id().to_string());
        let output = finish(command, Stdin::from(""));
        let said = text(&output.stderr);
        if output.status.code() == Some(CANNOT) || said.contains("unshare failed") || said.contains("unshare:") {
            let _ = writeln!(std::io::stderr(), "SKIPPED: no such place to be had here: {said}");
            return None;
        }
        Some(output)
    }

    /// A report that a script has left.
    pub fn report(&self, name: &str) -> Value {
        let bytes = std::fs::read(self.out(name)).unwrap();
        serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{name}: {error}: {}", text(&bytes)))
    }
}
