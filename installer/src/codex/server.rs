//! One `codex app-server`: JSON-RPC by lines over its standard input and output, under one deadline.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stopgate_core::env::{self, Env};
use stopgate_core::session::Harness;
use stopgate_core::subprocess;
use stopgate_core::text::one_line;

use crate::account::Account;

/// For the start and all calls together; a start takes half a second.
const DEADLINE: Duration = Duration::from_secs(20);
/// No answer is so long.
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024;
const SHOWN_CHARS: usize = 200;
/// What the client needs of the person's environment, beside its account.
const PASSED: [&str; 4] = [env::HOME, env::PATH, env::TMPDIR, env::USER];

/// The `codex` that the search path leads to.
pub(crate) fn client(environment: &dyn Env) -> Option<PathBuf> {
    subprocess::find(&environment.os(env::PATH)?, "codex")
}

/// A running server; it ends with the value.
pub(super) struct CodexServer {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
    deadline: Instant,
    calls: u64,
}

impl CodexServer {
    /// Starts `program` for `account`.
    pub(super) fn start(environment: &dyn Env, account: &Account, program: &Path) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.arg("app-server").env_clear().current_dir("/").process_group(0);
        command.envs(PASSED.into_iter().filter_map(|name| Some((name, environment.os(name)?))));
        command.envs(account.variable(environment).map(|dir| (Harness::Codex.spec().directory_variable, dir)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = subprocess::start(&mut command, Instant::now() + DEADLINE);
        let mut child = child.map_err(|error| format!("{}: {error}", program.display()))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no pipes to it".to_owned());
        };
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout);
            loop {
                let mut line = String::new();
                match (&mut lines).take(MAX_LINE_BYTES).read_line(&mut line) {
                    Ok(1..) if sender.send(line).is_ok() => {}
                    _ => return,
                }
            }
        });
        let mut server = Self { child, stdin, answers, deadline: Instant::now() + DEADLINE, calls: 0 };
        let info = json!({ "name": "stopgate-installer", "title": "stopgate", "version": stopgate_core::VERSION });
        let capabilities = json!({ "experimentalApi": true });
        server.call("initialize", &json!({ "clientInfo": info, "capabilities": capabilities }))?;
        server.send(&json!({ "method": "initialized" }))?;
        Ok(server)
    }

    /// Calls `method` and waits for its result. What the server says of itself meanwhile is passed over.
    pub(super) fn call(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        self.calls += 1;
        let id = self.calls;
        self.send(&json!({ "id": id, "method": method, "params": params }))?;
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let line = self.answers.recv_timeout(left).map_err(|error| match error {
                RecvTimeoutError::Timeout => format!("{method}: no answer within {} s", DEADLINE.as_secs()),
                RecvTimeoutError::Disconnected => format!("{method}: it ended without an answer"),
            })?;
            let Ok(mut answer) = serde_json::from_str::<Value>(&line) else { continue };
            if answer["id"] != id || answer.get("method").is_some() {
                continue;
            }
            if let Some(error) = answer.get("error") {
                return Err(format!("{method}: {}", one_line(&error.to_string(), SHOWN_CHARS)));
            }
            return Ok(answer["result"].take());
        }
    }

    fn send(&mut self, message: &Value) -> Result<(), String> {
        writeln!(self.stdin, "{message}")
            .and_then(|()| self.stdin.flush())
            .map_err(|error| format!("it hung up: {error}"))
    }
}

impl Drop for CodexServer {
    fn drop(&mut self) {
        subprocess::kill_group(&self.child);
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use stopgate_core::env::MapEnv;

    fn codex(dir: &Path, script: &str) -> PathBuf {
        let path = dir.join("codex");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_client_that_is_none_is_an_error_with_its_method() {
        let dir = tempfile::tempdir().unwrap();
        let env = MapEnv::of([(env::PATH, "/usr/bin:/bin"), (env::HOME, "/nowhere")]);
        let account = Account::current(&env, Harness::Codex).unwrap();
        for (script, said) in [
            ("exit 1", "initialize"),
            ("read x; echo garbage; echo '{\"id\": 1, \"error\": {\"message\": \"no\"}}'", "no"),
        ] {
            let program = codex(dir.path(), script);
            let error = CodexServer::start(&env, &account, &program).map(|_| ()).unwrap_err();
            assert!(error.contains(said) || error.contains("hung up"), "{error}");
        }
        assert!(CodexServer::start(&env, &account, Path::new("/nowhere/codex")).is_err());
    }

    #[test]
    fn the_client_is_found_on_absolute_parts_of_the_search_path() {
        let dir = tempfile::tempdir().unwrap();
        let program = codex(dir.path(), "");
        let path = format!("relative:/nowhere:{}", dir.path().display());
        assert_eq!(client(&MapEnv::of([(env::PATH, &path)])), Some(program.clone()));
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(client(&MapEnv::of([(env::PATH, &path)])), None);
    }
}
