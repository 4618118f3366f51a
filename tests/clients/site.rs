//! A person's machine with a checkout, an installed client, and stopgate as `installer init` puts it there.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use stopgate_protocol::{GateLogRow, SessionRow};
use stopgate_tests::checkout::Checkout;
use stopgate_tests::claude_driver::{LOOPBACK_UP, namespace};
use stopgate_tests::codex_daemon::CodexDaemon;
use stopgate_tests::mock_anthropic::Script;
use stopgate_tests::person::{Person, text};
use stopgate_tests::run::{Stdin, eventually, finish, under};
use stopgate_tests::world::binary;

use crate::client::Client;
use crate::live::Live;

/// How the ids of the sessions begin that the installer makes up to try what it has installed.
const LIVE_CHECK: &str = "stopgate-live-check-";

/// What another client is told by arguments. Each session puts the model's address in its place.
const PROVIDER: &str = "model_provider = \"mock\"\ncheck_for_update_on_startup = false\n\n[analytics]\nenabled = false\n\n\
    [model_providers.mock]\nname = \"mock\"\nbase_url = \"http://127.0.0.1:9/v1\"\nenv_key = \"MOCK_API_KEY\"\n\
    wire_api = \"responses\"\nrequest_max_retries = 0\nstream_max_retries = 0\nsupports_websockets = false\n";

/// The machine.
pub(crate) struct Site {
    pub(crate) client: Client,
    pub(crate) person: Person,
    pub(crate) checkout: Checkout,
    socket: PathBuf,
    /// Where sessions share one: it ends while there is still an authority to report to.
    pub(crate) daemon: Option<CodexDaemon>,
    /// Whether its clients' hooks are patient: what they do in time on a machine with more work than processors.
    pub(crate) is_patient: bool,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.daemon.take();
        let _ = finish(self.tmux_command(&["kill-server"]), Stdin::from(""));
    }
}

impl Site {
    /// A checkout with an unfinished plan, and a client that has asked its first questions; nothing of stopgate's.
    pub(crate) fn bare(client: Client) -> Self {
        Self::of(client, Person::new())
    }

    /// A guarded one, no part of which lies in a directory that sandboxes let be written to.
    pub(crate) fn outside_of_tmp(client: Client) -> Self {
        let site = Self::of(client, Person::living_in(Path::new("/var/tmp")));
        site.init(&[]);
        site.enforce();
        site
    }

    fn of(client: Client, person: Person) -> Self {
        let checkout = person.world.planned_checkout();
        for (name, value) in [("user.name", "t"), ("user.email", "t@example.invalid"), ("commit.gpgsign", "false")] {
            checkout.git(&["config", name, value]);
        }
        std::fs::create_dir(person.world.root().join("bin")).unwrap();
        std::fs::create_dir(person.dir().join("tmp")).unwrap();
        let socket = person.world.root().join("tm");
        let mut site = Self { client, person, checkout, socket, daemon: None, is_patient: false };
        site.has(client);
        if client.has_daemon() {
            let program = client.program().unwrap();
            let name = format!("codex-packages-{}", client.version_of(&program));
            let copies = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            site.daemon = Some(CodexDaemon::of(program, site.person.dir(), &copies));
        }
        site
    }

    /// A bare one with stopgate for the user, in enforce.
    pub(crate) fn guarded(client: Client) -> Self {
        let site = Self::bare(client);
        site.init(&[]);
        site.enforce();
        site
    }

    /// Puts a client there, which has asked its first questions.
    pub(crate) fn has(&self, client: Client) {
        let bin = self.person.world.root().join("bin");
        symlink(client.program().unwrap(), bin.join(client.command())).unwrap();
        let project = self.checkout.top.to_str().unwrap();
        if client.is_codex() {
            let provider = if client.has_daemon() { PROVIDER } else { "" };
            let text = format!(
                "model = \"gpt-5.5\"\n{provider}\n[notice.model_migrations]\n\"gpt-5.5\" = \"gpt-6-sol\"\n\n\
                 [projects.\"{project}\"]\ntrust_level = \"trusted\"\n"
            );
            std::fs::create_dir(self.person.dir().join(".codex")).unwrap();
            std::fs::write(self.file(".codex/config.toml"), text).unwrap();
        } else {
            let known = json!({
                "hasCompletedOnboarding": true, "theme": "dark",
                "projects": {project: {"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true}},
                "customApiKeyResponses": {"approved": ["test-key"], "rejected": []},
            });
            std::fs::write(self.file(".claude.json"), known.to_string()).unwrap();
        }
    }

    /// A file in the person's home.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.person.dir().join(path)
    }

    fn path(&self) -> String {
        format!("{}:/usr/local/bin:/usr/bin:/bin", self.person.world.root().join("bin").display())
    }

    /// `program` as the person runs it, who has the client on the search path.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = self.person.command(program);
        command.env("PATH", self.path());
        command
    }

    /// Runs the installer.
    pub(crate) fn installer(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(&binary("installer"));
        command.args(arguments);
        finish(command, Stdin::from(""))
    }

    /// Runs the installer, which must succeed; what it prints.
    #[track_caller]
    pub(crate) fn must(&self, arguments: &[&str]) -> String {
        let output = self.installer(arguments);
        assert!(output.status.success(), "installer {arguments:?}: {output:?}");
        text(&output.stdout)
    }

    /// The words of `installer init` for this client, without further ones.
    pub(crate) fn init_words(&self) -> Vec<&'static str> {
        init_words(self.client)
    }

    /// `installer init` for another client beside it.
    #[track_caller]
    pub(crate) fn init_for(&self, client: Client) -> String {
        self.must(&init_words(client))
    }

    /// `installer init --yes`, for Codex with `--trust`.
    #[track_caller]
    pub(crate) fn init(&self, more: &[&str]) -> String {
        self.must(&[&self.init_words()[..], more].concat())
    }

    /// `installer uninstall --yes`.
    #[track_caller]
    pub(crate) fn uninstall(&self, more: &[&str]) -> String {
        let words: &[&str] = if self.client.is_codex() { &["--harness", "codex"] } else { &[] };
        self.must(&[&["uninstall", "--yes"], words, more].concat())
    }

    /// `stopgate mode enforce`.
    pub(crate) fn enforce(&self) {
        self.person.world.set_mode("enforce");
    }

    /// `stopgate` as an agent's shell tool runs it.
    pub(crate) fn stopgate_line(&self, arguments: &str) -> String {
        format!("'{}' {arguments}", self.person.world.home.bin().join("stopgate").display())
    }

    /// Runs `stopgate` in the checkout, which must succeed; its JSON.
    #[track_caller]
    pub(crate) fn stopgate(&self, arguments: &[&str]) -> Value {
        let output = self.person.world.stopgate_in(&self.checkout.top, arguments);
        assert!(output.status.success(), "stopgate {arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// `stopgate` at the person's own terminal, which must succeed; what it prints.
    #[track_caller]
    pub(crate) fn as_person(&self, arguments: &[&str]) -> String {
        let mut command = self.command(&self.person.world.home.bin().join("stopgate"));
        command.args(arguments).current_dir(&self.checkout.top);
        let output = finish(command, Stdin::from(""));
        assert!(output.status.success(), "stopgate {arguments:?}: {output:?}");
        text(&output.stdout)
    }

    /// What the gate recorded, oldest first, when everything is judged.
    pub(crate) fn verdicts(&self, at_least: usize) -> Vec<GateLogRow> {
        eventually("all stops are judged", || {
            let log = self.stopgate(&["gate", "log", "--tail", "1000", "--json"]);
            let mut rows: Vec<GateLogRow> = serde_json::from_value(log).unwrap();
            rows.retain(|row| !row.session_id.starts_with(LIVE_CHECK));
            rows.reverse();
            let are_judged = rows.iter().all(|row| row.fail_open.as_deref() != Some("pending"));
            (rows.len() >= at_least && are_judged).then_some(rows)
        })
    }

    /// All sessions on record.
    pub(crate) fn sessions(&self) -> Vec<SessionRow> {
        let sessions: Vec<SessionRow> =
            serde_json::from_value(self.stopgate(&["sessions", "--all", "--json"])).unwrap();
        sessions.into_iter().filter(|session| !session.session_id.starts_with(LIVE_CHECK)).collect()
    }

    /// The only session on record.
    #[track_caller]
    pub(crate) fn session(&self) -> SessionRow {
        let mut sessions = self.sessions();
        assert_eq!(sessions.len(), 1, "{sessions:#?}");
        sessions.remove(0)
    }

    /// The state of the only build, also of one that has ended.
    pub(crate) fn build(&self) -> Value {
        let dirs = ["builds", "archive"].map(|name| self.checkout.top.join(".stopgate").join(name));
        let mut found = dirs.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().map(|entry| entry.unwrap());
        let build = found.next().expect("a build").path();
        assert!(found.next().is_none(), "more than one build");
        serde_json::from_slice(&std::fs::read(build.join("state.json")).unwrap()).unwrap()
    }

    pub(crate) fn tmux_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(Path::new("tmux"));
        command.arg("-S").arg(&self.socket).args(["-f", "/dev/null"]).args(arguments);
        match namespace().filter(|_| self.client.has_daemon() && arguments.first() == Some(&"new-session")) {
            // The first one starts the server.
            Some(flag) => under(&["unshare", flag, "sh", "-c", LOOPBACK_UP], &command),
            None => command,
        }
    }

    /// A command of the site's own tmux server; what it prints.
    #[track_caller]
    pub(crate) fn tmux(&self, arguments: &[&str]) -> String {
        let output = finish(self.tmux_command(arguments), Stdin::from(""));
        assert!(output.status.success(), "tmux {arguments:?}: {output:?}");
        text(&output.stdout)
    }

    /// Starts the client in a terminal, beside a model with this script.
    pub(crate) fn live(&self, name: &str, script: Script) -> Live<'_> {
        self.live_with(name, script, "")
    }

    /// The same, with arguments of the client.
    pub(crate) fn live_with(&self, name: &str, script: Script, arguments: &str) -> Live<'_> {
        self.live_of(self.client, name, script, arguments)
    }

    /// The same with another client than the site's.
    pub(crate) fn live_of(&self, client: Client, name: &str, script: Script, arguments: &str) -> Live<'_> {
        Live::start(self, client, name, &script, &client.line(false, arguments))
    }

    /// A client whose tools run in its sandbox `mode`.
    pub(crate) fn in_sandbox(&self, name: &str, script: Script, mode: &str) -> Live<'_> {
        Live::start(self, self.client, name, &script, &self.client.in_sandbox(mode))
    }

    /// A client that asks before it runs a command.
    pub(crate) fn asking(&self, name: &str, script: Script) -> Live<'_> {
        Live::start(self, self.client, name, &script, &self.client.line(true, ""))
    }

    /// The environment of a client: nothing of the caller's.
    pub(crate) fn environment(&self, client: Client) -> Vec<(&'static str, String)> {
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut all = vec![
            ("HOME", path(self.person.dir())),
            ("TMPDIR", path(self.file("tmp"))),
            ("PATH", self.path()),
            ("TERM", "xterm-256color".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
            // An agent that runs these tests is no part of its world.
            ("STOPGATE_TOP", std::process::id().to_string()),
            // Where there is no namespace, whatever is not for the model ends at a closed port.
            ("HTTPS_PROXY", "http://127.0.0.1:9".to_owned()),
            ("HTTP_PROXY", "http://127.0.0.1:9".to_owned()),
        ];
        if self.is_patient {
            all.push(("STOPGATE_PATIENCE", "10".to_owned()));
        }
        if client.is_codex() {
            all.push(("MOCK_API_KEY", "test-key".to_owned()));
        } else {
            all.push(("CLAUDE_CODE_TMPDIR", path(self.file("tmp"))));
            all.push(("ANTHROPIC_API_KEY", "test-key".to_owned()));
            let switches = [
                "DISABLE_TELEMETRY",
                "DISABLE_ERROR_REPORTING",
                "DISABLE_AUTOUPDATER",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
            ];
            all.extend(switches.map(|name| (name, "1".to_owned())));
        }
        all
    }
}

fn init_words(client: Client) -> Vec<&'static str> {
    if client.is_codex() { vec!["init", "--yes", "--harness", "codex", "--trust"] } else { vec!["init", "--yes"] }
}
