use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::RequestKind::{CountTokens, Main, Other, Side};
use super::*;

fn ask(mock: &MockAnthropic, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(mock.server.address()).unwrap();
    write!(stream, "{head} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const MAIN: &str =
    r#"{"model":"m","stream":true,"tools":[{"name":"Bash"}],"messages":[{"role":"user","content":"hi"}]}"#;

#[test]
fn every_route_answers_and_everything_is_recorded() {
    let script = Script {
        turns: vec![Turn::text("hello").and_tool("Bash", json!({ "command": "true" })), Turn::error(529)],
        ..Script::default()
    };
    let mock = MockAnthropic::start(script).unwrap();
    let streamed = ask(&mock, "POST /v1/messages?beta=true", MAIN);
    assert!(streamed.contains("text/event-stream"), "{streamed}");
    for part in [r#""text":"hello""#, r#""partial_json":"{\"command\":\"true\"}""#, r#""stop_reason":"tool_use""#] {
        assert!(streamed.contains(part), "{part} in {streamed}");
    }
    assert!(streamed.ends_with("\r\n0\r\n\r\n") && streamed.contains("event: message_stop\n"), "{streamed}");
    assert!(ask(&mock, "POST /v1/messages", MAIN).starts_with("HTTP/1.1 529"));
    assert!(ask(&mock, "POST /v1/messages", "{}").contains(r#""text":"ok""#));
    assert!(ask(&mock, "POST /v1/messages/count_tokens", "{}").contains("input_tokens"));
    assert!(ask(&mock, "HEAD /", "").ends_with("\r\n\r\n"));
    assert!(ask(&mock, "GET /v1/other", "").starts_with("HTTP/1.1 404"));

    let kinds: Vec<_> = mock.requests().iter().map(|request| request.kind).collect();
    assert_eq!(kinds, [Main, Main, Side, CountTokens, Other, Other]);
    assert_eq!(mock.main_requests()[0].body["messages"][0]["content"], "hi");
    assert_eq!(mock.main_requests()[1].answer.as_deref(), Some("turn[1]"));
}

#[test]
fn dropping_it_waits_for_nobody() {
    let slow = Script { turns: vec![Turn::text("late").after(Duration::from_mins(1))], ..Script::default() };
    let mock = MockAnthropic::start(slow).unwrap();
    let address = mock.server.address();
    let idle = TcpStream::connect(address).unwrap();
    let mut waiting = TcpStream::connect(address).unwrap();
    write!(waiting, "POST /v1/messages HTTP/1.1\r\ncontent-length: {}\r\n\r\n{MAIN}", MAIN.len()).unwrap();
    while mock.requests().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(mock);
    assert!(TcpStream::connect(address).is_err());
    let mut answer = String::new();
    let _ = waiting.read_to_string(&mut answer);
    assert!(!answer.contains("late"), "it was not waited for: {answer}");
    drop(idle);
}
