//! A person's machine as the installer finds it: a `HOME`, perhaps settings, and nothing of stopgate's.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::{Value, json};
use stopgate_core::hook::TABLE;
use stopgate_core::session::Harness;

use crate::run::{Stdin, finish};
use crate::world::{StopsAuthority, World, binary};

/// What `init` registers for Claude Code: event, hook, timeout in seconds.
pub static WIRING: LazyLock<Vec<(&str, &str, u16)>> = LazyLock::new(|| {
    let wires = TABLE.into_iter().filter(|(hook, wire)| hook.set().is_base() && wire.is_of(Harness::Claude));
    wires.map(|(hook, wire)| (wire.event.name(), hook.name(), wire.timeout.as_seconds())).collect()
});

/// How much of the table Codex has.
pub static CODEX_WIRES: LazyLock<usize> =
    LazyLock::new(|| TABLE.iter().filter(|(hook, wire)| hook.set().is_base() && wire.is_of(Harness::Codex)).count());

/// For an installation that is not to be tried: neither authority nor live check.
pub const QUIETLY: [&str; 2] = ["--yes", "--no-live-check"];

/// A person; the authority that an installation has started ends with the value.
pub struct Person {
    /// Where the person lives.
    pub world: World,
}

impl Default for Person {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        drop(StopsAuthority(&self.world));
        // One that should never have been, in the default home beside the one that was chosen.
        if self.world.home.root() != self.dir().join(".stopgate") && self.dir().join(".stopgate").exists() {
            let mut stop = self.command(&binary("stopgate"));
            stop.args(["authority", "stop"]).env("STOPGATE_NO_AUTOSTART", "1");
            let _ = finish(stop, Stdin::from(""));
        }
    }
}

impl Person {
    /// A person who keeps everything in its default place.
    pub fn new() -> Self {
        Self { world: World::with_home("home/.stopgate") }
    }

    /// The same in a new directory below `parent`.
    pub fn living_in(parent: &Path) -> Self {
        Self { world: World::with_home_in(parent, "home/.stopgate") }
    }

    /// The person's `HOME`.
    pub fn dir(&self) -> PathBuf {
        self.world.root().join("home")
    }

    /// The person's settings file.
    pub fn settings(&self) -> PathBuf {
        self.dir().join(".claude/settings.json")
    }

    /// Writes the settings file.
    pub fn write_settings(&self, bytes: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.dir().join(".claude")).unwrap();
        std::fs::write(self.settings(), bytes).unwrap();
    }

    /// `program` with `HOME` and nothing of stopgate's in its environment.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = self.world.command(program);
        command.env_remove("STOPGATE_HOME").env_remove("STOPGATE_NO_AUTOSTART");
        command
    }

    /// The installer of this build.
    pub fn installer(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&binary("installer"));
        command.args(arguments);
        command
    }

    /// Runs the installer of this build.
    pub fn run(&self, arguments: &[&str]) -> Output {
        finish(self.installer(arguments), Stdin::from(""))
    }

    /// Runs the installer, which must succeed; what it prints.
    pub fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "installer {arguments:?}: {output:?}");
        text(&output.stdout)
    }

    /// `init` with [`QUIETLY`] and these arguments, which must succeed and starts nothing.
    pub fn install(&self, arguments: &[&str]) -> String {
        let mut command = self.installer(&["init"]);
        command.args(QUIETLY).args(arguments).env("STOPGATE_NO_AUTOSTART", "1");
        let output = finish(command, Stdin::from(""));
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout)
    }

    /// Runs the installer with `--json`: its exit code, and the one object on its standard output.
    pub fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let mut command = self.installer(arguments);
        command.arg("--json");
        let output = finish(command, Stdin::from(""));
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.status.code().unwrap(), report)
    }

    /// An installed program, by its path alone.
    pub fn installed(&self, name: &str) -> Command {
        self.command(&self.world.home.bin().join(name))
    }

    /// Whether the authority of the home answers.
    pub fn has_authority(&self) -> bool {
        self.world.stopgate(&["authority", "status"]).status.success()
    }
}

/// What was printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the doctor's `report` found, by id.
pub fn finding_ids(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap()).collect()
}

/// The settings file that `init` makes where there was none, for the programs in `bin`.
pub fn fresh_settings(bin: &Path) -> Value {
    let mut hooks = json!({});
    for (event, hook, timeout) in WIRING.iter().copied() {
        if hooks[event].is_null() {
            hooks[event] = json!([{ "hooks": [] }]);
        }
        let command = bin.join(hook);
        let entry = json!({ "type": "command", "command": command, "args": ["claude"], "timeout": timeout });
        hooks[event][0]["hooks"].as_array_mut().unwrap().push(entry);
    }
    json!({ "hooks": hooks })
}

/// A settings file, which must be strict JSON.
pub fn read_settings(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every command hook in `settings`, each with its event, in the order of the file's groups.
pub fn registered(settings: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (event, groups) in settings["hooks"].as_object().into_iter().flatten() {
        for entry in groups.as_array().unwrap().iter().filter_map(|group| group["hooks"].as_array()).flatten() {
            found.push((event.clone(), entry.clone()));
        }
    }
    found
}

/// Everything below `dir`: mode, and content or where a link leads.
pub fn tree(dir: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_dir() {
            found.extend(tree(&path));
            Vec::new()
        } else if meta.is_symlink() {
            std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else if meta.is_file() {
            std::fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        found.insert(path, (meta.permissions().mode() & 0o7777, content));
    }
    found
}

/// Permission bits of `path`.
pub fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
