//! A judge that is a model behind HTTP, in the Messages or the Chat Completions format.

use std::io::Read as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stopgate_config::{JudgeConfig, JudgeWire};
use stopgate_core::env::Env;
use stopgate_core::redact::REDACTED;
use stopgate_core::text::head;
use stopgate_gate::judge::{FailureKind, JudgeFailure, JudgePrompt};
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error, Proxy};

use super::MAX_OUTPUT_BYTES;
use super::route::without_credentials;

/// Version of the Messages format that is spoken.
const MESSAGES_VERSION: &str = "2023-06-01";
/// Shortest key of which a repetition in an error is looked for; shorter ones occur by chance.
const MIN_KEY_BYTES: usize = 6;

/// Asks the model of `judge`; the text of its answer.
pub(super) fn ask(
    environment: &dyn Env,
    judge: &JudgeConfig,
    prompt: &JudgePrompt,
    deadline: Instant,
) -> Result<String, JudgeFailure> {
    let key = key(environment, judge)?;
    let answered = exchange(judge, key.as_deref(), prompt, deadline);
    // Some providers repeat the key they refuse.
    answered.map_err(|mut failure| {
        if let Some(key) = key.filter(|key| key.len() >= MIN_KEY_BYTES) {
            failure.detail = failure.detail.replace(&key, REDACTED);
        }
        failure
    })
}

/// The key, from the environment variable that is configured.
fn key(environment: &dyn Env, judge: &JudgeConfig) -> Result<Option<String>, JudgeFailure> {
    let name = judge.api_key_env.as_str();
    if name.is_empty() {
        return Ok(None);
    }
    let key = environment.text(name).map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
    let missing = || {
        let what = format!("judge.api_key_env names {name}, which is not set where the authority was started");
        JudgeFailure::new(FailureKind::Unauthorised, &what)
    };
    key.ok_or_else(missing).map(Some)
}

fn exchange(
    judge: &JudgeConfig,
    key: Option<&str>,
    prompt: &JudgePrompt,
    deadline: Instant,
) -> Result<String, JudgeFailure> {
    let unavailable = |what: &str| JudgeFailure::new(FailureKind::Unavailable, what);
    let place = without_credentials(&judge.url);
    let uri: Uri = judge.url.parse().map_err(|_| unavailable(&format!("{place} is not an address")))?;
    let plain = uri.scheme_str() == Some("http");
    if plain && key.is_some() && !is_loopback(&uri) {
        return Err(unavailable(&format!("the key is not sent to {place} without encryption: use https")));
    }
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(timeout());
    }
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(left.max(Duration::from_millis(1))))
        // The key goes to the configured place and to no other.
        .max_redirects(0)
        .http_status_as_error(false)
        // A proxy sees what goes through it in plain text; TLS goes through it closed.
        // A company's own authority counts, and one that the system no longer trusts does not.
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        .proxy(if plain { None } else { Proxy::try_from_env() })
        .user_agent(concat!("stopgate/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut request = agent.post(uri).header("content-type", "application/json").header("accept", "application/json");
    match (judge.wire, key) {
        (JudgeWire::Messages, key) => {
            request = request.header("anthropic-version", MESSAGES_VERSION);
            if let Some(key) = key {
                request = request.header("x-api-key", key);
            }
        }
        (JudgeWire::ChatCompletions, Some(key)) => {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        (JudgeWire::ChatCompletions, None) => {}
    }
    let mut response = request.send(body(judge, prompt).to_string()).map_err(|error| failed(&error, &place))?;
    let status = response.status().as_u16();
    let mut bytes = Vec::new();
    let read = response.body_mut().as_reader().take(MAX_OUTPUT_BYTES as u64 + 1).read_to_end(&mut bytes);
    if status != 200 {
        // What came of the explanation is enough.
        return Err(refused(status, &place, &bytes));
    }
    if let Err(error) = read {
        return Err(failed(&Error::from(error), &place));
    }
    if bytes.len() > MAX_OUTPUT_BYTES {
        let what = format!("the answer has more than {MAX_OUTPUT_BYTES} bytes");
        return Err(JudgeFailure::new(FailureKind::Malformed, &what));
    }
    text(judge.wire, &bytes)
}

/// Whether an address is on this machine, so that nothing sent there crosses a network.
fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn body(judge: &JudgeConfig, prompt: &JudgePrompt) -> Value {
    let (model, most) = (&judge.model, judge.max_output_tokens);
    match judge.wire {
        JudgeWire::Messages => json!({
            "model": model, "max_tokens": most, "temperature": 0, "system": prompt.system,
            "messages": [{"role": "user", "content": prompt.question}],
        }),
        JudgeWire::ChatCompletions => json!({
            "model": model, "max_tokens": most, "temperature": 0,
            "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.question}],
        }),
    }
}

/// The model's text in what a provider puts around it.
fn text(wire: JudgeWire, bytes: &[u8]) -> Result<String, JudgeFailure> {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let text = match wire {
        JudgeWire::Messages => value["content"].as_array().map(|blocks| {
            blocks.iter().filter(|block| block["type"] == "text").filter_map(|block| block["text"].as_str()).collect()
        }),
        JudgeWire::ChatCompletions => value["choices"][0]["message"]["content"].as_str().map(str::to_owned),
    };
    text.ok_or_else(|| {
        let what = format!("not an answer in the {} format: {}", wire.name(), String::from_utf8_lossy(bytes));
        JudgeFailure::new(FailureKind::Malformed, &what)
    })
}

fn timeout() -> JudgeFailure {
    JudgeFailure::new(FailureKind::Timeout, "no answer before the deadline")
}

fn refused(status: u16, place: &str, bytes: &[u8]) -> JudgeFailure {
    let kind = match status {
        401 | 403 => FailureKind::Unauthorised,
        429 => FailureKind::RateLimited,
        500..=599 => FailureKind::ServerError,
        _ => FailureKind::Unavailable,
    };
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let said = value["error"]["message"].as_str().map_or_else(|| String::from_utf8_lossy(bytes), Into::into);
    JudgeFailure::new(kind, &format!("{place} answered with status {status}: {}", head(&said, 4_096)))
}

fn failed(error: &Error, place: &str) -> JudgeFailure {
    match error {
        Error::Timeout(_) => timeout(),
        // One that its own reader wrapped.
        Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => timeout(),
        Error::Http(_) => {
            JudgeFailure::new(FailureKind::Unauthorised, "the key cannot be sent: it holds a control character")
        }
        Error::Protocol(error) => {
            JudgeFailure::new(FailureKind::Malformed, &format!("{place} does not speak HTTP: {error}"))
        }
        error => JudgeFailure::new(FailureKind::Unavailable, &format!("{place}: {error}")),
    }
}
