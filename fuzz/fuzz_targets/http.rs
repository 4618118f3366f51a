//! What comes in on the authority's socket: any bytes are answered in HTTP or not at all, and it serves on.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use stopgate_authority::rehearsal::Rehearsal;
use stopgate_core::paths::Home;

/// Whoever asks half a question is not waited for.
const QUIET: Duration = Duration::from_millis(5);
/// Far more than any answer takes; git and tmux may be asked.
const PATIENCE: Duration = Duration::from_secs(15);

struct World {
    authority: Rehearsal,
    _directory: tempfile::TempDir,
}

fuzz_target!(|bytes: &[u8]| {
    thread_local!(static WORLD: World = world());
    WORLD.with(|world| {
        let answer = world.authority.answer(bytes, QUIET, PATIENCE).expect("no end of the answer");
        if !answer.is_empty() {
            // An answer to HEAD tells the length of a body that it does not bring.
            let asks_for_heads = bytes.windows(5).any(|part| part == b"HEAD ");
            check(&answer, !asks_for_heads);
        }
        let health = world.authority.answer(b"GET /health HTTP/1.1\r\nconnection: close\r\n\r\n", PATIENCE, PATIENCE);
        let health = String::from_utf8_lossy(&health.expect("no end of its health")).into_owned();
        assert!(health.starts_with("HTTP/1.1 200 OK\r\n"), "it does not serve any more: {health:?}");
    });
});

fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let authority = Rehearsal::at(&Home::at(directory.path().join("home"))).unwrap();
    World { authority, _directory: directory }
}

/// The first of the answers on the connection; its body only if it `has_body`.
fn check(answer: &[u8], has_body: bool) {
    let text = String::from_utf8_lossy(answer);
    let status: u16 = text
        .strip_prefix("HTTP/1.1 ")
        .or(text.strip_prefix("HTTP/1.0 "))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .unwrap_or_else(|| panic!("no HTTP: {text}"));
    assert_ne!(status, 500, "{text}");
    let Some((head, rest)) = text.split_once("\r\n\r\n") else { return };
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    if let Some(length) = length.filter(|length| has_body && *length > 0 && head.contains("application/json"))
        && let Some(body) = rest.get(..length)
    {
        let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert!(body.is_object() || body.is_array());
        if status >= 400 {
            assert!(body["error"]["message"].as_str().is_some_and(|error| !error.is_empty()), "no reason given: {text}");
        }
    }
}
