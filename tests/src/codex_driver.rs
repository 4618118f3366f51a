//! Real Codex sessions in tests: `codex exec` against a scripted model, without a network and without a key.
//!
//! As for Claude Code, a program (`drive-codex`) is started in an empty network namespace and runs client and mock
//! beside each other. The model provider is given by arguments, so that `config.toml` is what the person has.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stopgate_core::env::{Env, ProcessEnv};

use crate::claude_driver::isolated;
use crate::mock_anthropic::{Script, Turn};
use crate::mock_openai::MockOpenAi;

/// Names the native client binary (not npm's script, which needs Node).
pub const CODEX_VARIABLE: &str = "STOPGATE_TEST_CODEX";
/// Far above what a session takes (half a second): it tells a hang from a slow machine.
const HANG: Duration = Duration::from_mins(1);

/// The client named by [`CODEX_VARIABLE`]. If it is not set, says loudly that the tests that need it are skipped.
///
/// # Panics
/// If the variable names something that is not there.
pub fn real_codex() -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let Some(path) = ProcessEnv.text(CODEX_VARIABLE).map(PathBuf::from) else {
        SAID.call_once(|| {
            let _ = writeln!(
                io::stderr(),
                "SKIPPED: real Codex client not installed; set {CODEX_VARIABLE} to the path of its native binary"
            );
        });
        return None;
    };
    assert!(path.is_file(), "{CODEX_VARIABLE} names {}, which is not a file", path.display());
    Some(path)
}

/// One `codex exec` to be run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CodexSession {
    /// The client.
    pub codex: PathBuf,
    /// Where it is started.
    pub project: PathBuf,
    /// Its `HOME`; `CODEX_HOME` is `.codex` in it.
    pub home: PathBuf,
    /// What the person asks for.
    pub prompt: String,
    /// What the model does, in order; then it says "ok".
    pub turns: Vec<Turn>,
    /// Further variables of the client and so of its hooks.
    pub env: Vec<(String, String)>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CodexSummary {
    /// How the client ended; `None` if it had to be killed.
    pub exit_code: Option<i32>,
    /// What hooks said to the model at the end of a turn, in order.
    pub feedback: Vec<String>,
    /// Requests of the conversation.
    pub requests: usize,
    /// What a script that started it is given: its standard output.
    pub answer: String,
    /// The client's own account of hooks: `hook: Stop`, `hook: Stop Blocked`, ...
    pub hook_lines: Vec<String>,
    /// Everything on its standard error.
    pub stderr: String,
}

impl CodexSession {
    /// Runs the session through `driver`, in a test `env!("CARGO_BIN_EXE_drive-codex")`.
    ///
    /// # Panics
    /// If the driver itself fails. A client that fails is in the summary.
    pub fn run(&self, driver: impl AsRef<Path>) -> CodexSummary {
        let scratch = tempfile::tempdir().expect("a temp directory");
        let options = scratch.path().join("options.json");
        std::fs::write(&options, serde_json::to_vec(self).expect("options as JSON")).expect("an options file");
        let output = isolated(driver.as_ref()).arg(&options).stdin(Stdio::null()).output().expect("drive-codex starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "drive-codex: {}: {stderr}", output.status);
        serde_json::from_slice(&output.stdout).expect("a summary as JSON")
    }
}

/// Runs one real client against the mock: the inside of `drive-codex`.
pub fn run(session: &CodexSession) -> io::Result<CodexSummary> {
    let script = Script { turns: session.turns.clone(), ..Script::default() };
    let mock = MockOpenAi::start(script, None)?;
    let provider = format!(
        "model_providers.mock={{name=\"mock\",base_url=\"{}\",env_key=\"MOCK_API_KEY\",wire_api=\"responses\",\
         request_max_retries=0,stream_max_retries=0,supports_websockets=false}}",
        mock.url()
    );
    let mut command = Command::new(&session.codex);
    // Without --json: only then does the client say what became of hooks.
    command.args(["exec", "--skip-git-repo-check", "-s", "danger-full-access"]);
    for setting in [
        // The one bundled model with direct tools.
        "model=\"gpt-5.5\"",
        "model_provider=\"mock\"",
        "approval_policy=\"never\"",
        "check_for_update_on_startup=false",
        "analytics.enabled=false",
        &provider,
    ] {
        command.args(["-c", setting]);
    }
    command.arg(&session.prompt).current_dir(&session.project).process_group(0).env_clear();
    command.envs([
        ("HOME", session.home.as_os_str()),
        ("CODEX_HOME", session.home.join(".codex").as_os_str()),
        ("PATH", "/usr/local/bin:/usr/bin:/bin".as_ref()),
        ("LANG", "C.UTF-8".as_ref()),
        ("TERM", "dumb".as_ref()),
        ("MOCK_API_KEY", "test-key".as_ref()),
        ("NO_PROXY", "127.0.0.1,localhost".as_ref()),
    ]);
    // An agent that runs these tests is no part of its world.
    command.env("STOPGATE_TOP", std::process::id().to_string());
    command.envs(session.env.iter().cloned()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (answers, complaints) = (read(child.stdout.take()), read(child.stderr.take()));
    let began = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if began.elapsed() > HANG => {
                let _ = rustix::process::kill_process_group(
                    rustix::process::Pid::from_child(&child),
                    rustix::process::Signal::KILL,
                );
                child.wait()?;
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let (answer, stderr) = (answers.join().unwrap_or_default(), complaints.join().unwrap_or_default());
    let requests = mock.requests();
    let feedback = requests.last().map(feedback).unwrap_or_default();
    let hook_lines = stderr.lines().filter(|line| line.starts_with("hook: ")).map(str::to_owned).collect();
    Ok(CodexSummary {
        exit_code: status.and_then(|status| status.code()),
        feedback,
        requests: requests.len(),
        answer,
        hook_lines,
        stderr,
    })
}

/// Reads a pipe of a child to its end.
fn read(mut pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.as_mut().map(|pipe| pipe.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// What stands between `<hook_prompt ...>` and `</hook_prompt>` in the messages of `request`.
fn feedback(request: &Value) -> Vec<String> {
    let items = request["input"].as_array().into_iter().flatten().filter(|item| item["role"] == "user");
    let texts = items
        .flat_map(|item| item["content"].as_array().into_iter().flatten())
        .filter_map(|part| part["text"].as_str());
    let inside = |text: &str| {
        let (_, rest) = text.split_once("<hook_prompt ")?;
        let (text, _) = rest.split_once('>')?.1.split_once("</hook_prompt>")?;
        Some(text.to_owned())
    };
    texts.filter_map(inside).collect()
}
