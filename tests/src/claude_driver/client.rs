//! Runs one real client against the mock: the inside of `drive-claude`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::options::Options;
use super::process::{Run, by_stream};
use super::summary::Summary;
use super::texts::{hook_texts, new_texts, without_preamble};
use crate::mock_anthropic::{MockAnthropic, Recorded, RequestKind, Script};

/// Runs the session that `options` describe; `path` is the `PATH` of the client.
pub fn run(options: &Options, claude: &Path, path: Option<OsString>) -> io::Result<Summary> {
    let script: Script = fs::read(&options.script)
        .and_then(|text| Ok(serde_json::from_slice(&text)?))
        .map_err(naming(&options.script))?;
    let project = std::path::absolute(&options.project)?;
    let home = match &options.home {
        Some(home) => std::path::absolute(home)?,
        None => project.with_file_name("claude-home"),
    };
    let temp = home.join("tmp");
    fs::create_dir_all(&project)?;
    fs::create_dir_all(&temp)?;
    let mock = MockAnthropic::start(script)?;

    let mut command = Command::new(std::path::absolute(claude)?);
    command.args(arguments(options)).current_dir(&project).process_group(0);
    command.env_clear().envs(environment(&home, &temp, &mock.url(), path)).envs(options.env.iter().cloned());
    let run = Run::of(command, &options.prompts, options.timeout).map_err(naming(claude))?;

    let requests = mock.requests();
    if let Some(keep) = &options.keep {
        keep_raw(keep, &run, &requests)?;
    }
    Ok(summarise(run, &requests, &home))
}

/// An error that says which file it is about.
fn naming(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn arguments(options: &Options) -> Vec<String> {
    let mut out = vec!["-p".to_owned()];
    match options.prompts.as_slice() {
        [] => out.push("go".into()),
        prompts if !by_stream(prompts) => out.extend_from_slice(prompts),
        _ => out.extend(["--input-format".into(), "stream-json".into()]),
    }
    out.extend(["--output-format", "stream-json", "--verbose", "--include-hook-events"].map(String::from));
    out.extend(
        ["--permission-mode", "acceptEdits", "--allowedTools", "Bash,Write,Edit,Read,Task,Agent"].map(String::from),
    );
    out.extend(options.resume.iter().flat_map(|id| ["--resume".to_owned(), id.clone()]));
    out.extend(options.args.iter().cloned());
    out
}

/// Everything the client knows of the world. Nothing of the caller's environment reaches it but the search path.
fn environment(home: &Path, temp: &Path, url: &str, path: Option<OsString>) -> Vec<(&'static str, OsString)> {
    let mut out: Vec<(&str, OsString)> = vec![
        ("HOME", home.into()),
        // The client writes below the temp directory too, whatever HOME is.
        ("TMPDIR", temp.into()),
        ("CLAUDE_CODE_TMPDIR", temp.into()),
        ("PATH", path.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())),
        ("ANTHROPIC_BASE_URL", url.into()),
        ("ANTHROPIC_API_KEY", "test-key".into()),
        ("LANG", "C.UTF-8".into()),
        ("TERM", "dumb".into()),
        ("IS_SANDBOX", "1".into()),
        ("NO_PROXY", "127.0.0.1,localhost".into()),
        // An agent that runs these tests is no part of its world.
        ("STOPGATE_TOP", std::process::id().to_string().into()),
    ];
    let switches = [
        "DISABLE_TELEMETRY",
        "DISABLE_ERROR_REPORTING",
        "DISABLE_AUTOUPDATER",
        "DISABLE_BUG_COMMAND",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    ];
    out.extend(switches.map(|name| (name, "1".into())));
    // Where a network namespace is not to be had, whatever is not for the mock ends at a closed port.
    out.extend(["HTTP_PROXY", "HTTPS_PROXY"].map(|name| (name, "http://127.0.0.1:9".into())));
    out
}

fn keep_raw(directory: &Path, run: &Run, requests: &[Recorded]) -> io::Result<()> {
    let lines = |values: Vec<String>| values.into_iter().map(|line| line + "\n").collect::<String>();
    fs::create_dir_all(directory)?;
    fs::write(directory.join("stream.jsonl"), lines(run.events.iter().map(Value::to_string).collect()))?;
    let requests = requests.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    fs::write(directory.join("requests.jsonl"), lines(requests))?;
    fs::write(directory.join("stderr.txt"), &run.stderr)
}

fn summarise(run: Run, requests: &[Recorded], home: &Path) -> Summary {
    let results = run.events.iter().filter(|event| event["type"] == "result");
    // Hook events in front of "init" can carry a throw-away id.
    let init = run.events.iter().filter(|event| event["subtype"] == "init");
    let mut session_ids: Vec<String> = Vec::new();
    for id in init.chain(results.clone()).filter_map(|event| event["session_id"].as_str()) {
        if !session_ids.iter().any(|known| known == id) {
            session_ids.push(id.to_owned());
        }
    }
    let session_id = session_ids.first().cloned();
    let is_hook = |event: &&Value| matches!(event["subtype"].as_str(), Some("hook_started" | "hook_response"));
    let main = || requests.iter().filter(|request| request.is_main());
    let fresh = new_texts(main().map(|request| &request.body));
    let other = requests.iter().filter(|request| matches!(request.kind, RequestKind::CountTokens | RequestKind::Other));
    Summary {
        exit_code: run.exit_code,
        timed_out: run.timed_out,
        wall_ms: u64::try_from(run.wall.as_millis()).unwrap_or(u64::MAX),
        transcript: session_id.as_deref().and_then(|id| find_transcript(home, id)),
        session_id,
        session_ids,
        results: results.map(lenient).collect(),
        main_requests: main().count(),
        side_requests: requests.iter().filter(|request| request.kind == RequestKind::Side).count(),
        other_requests: other.map(|request| format!("{} {}", request.method, request.path)).collect(),
        answers: main().filter_map(|request| request.answer.clone()).collect(),
        hook_texts: hook_texts(&fresh),
        tool_results: fresh.iter().flatten().filter(|new| new.tool_result).map(|new| new.text.clone()).collect(),
        new_texts: without_preamble(fresh),
        hook_events: run.events.iter().filter(is_hook).map(lenient).collect(),
        stderr: run.stderr,
    }
}

/// Fields of an unexpected type must not hide the rest of the summary.
fn lenient<T: DeserializeOwned + Default>(event: &Value) -> T {
    T::deserialize(event).unwrap_or_default()
}

fn find_transcript(home: &Path, session_id: &str) -> Option<PathBuf> {
    let projects = fs::read_dir(home.join(".claude/projects")).ok()?;
    let name = format!("{session_id}.jsonl");
    projects.flatten().map(|project| project.path().join(&name)).find(|path| path.is_file())
}
