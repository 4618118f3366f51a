//! Whoever connects to the socket may say anything, or nothing: the next stop is judged all the same.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;
use stopgate_protocol::{Endpoint as _, GetHealth};
use stopgate_tests::world::{EXCUSE, World, block_reason};

/// Connections that say half of something and stay.
const LINGERING: usize = 200;

fn connect(world: &World) -> UnixStream {
    let stream = UnixStream::connect(world.home.socket_to_connect().unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// The status of what comes back, if an answer does.
fn status(stream: &mut UnixStream) -> Option<u16> {
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(read) if read > 0 => answer.extend_from_slice(&chunk[..read]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}

#[test]
fn whatever_is_sent_the_next_stop_is_judged() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s", &checkout.top);
    let head = |rest: &str| format!("POST /internal/stop-gate/evaluate HTTP/1.1\r\nhost: x\r\n{rest}");
    let long = "x".repeat(1 << 20);
    let abuses = [
        String::new(),
        "\0\u{1}\u{2}".to_owned(),
        "GET".to_owned(),
        "GET / SIP/2.0\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"),
        head(&format!("x-long: {long}\r\n\r\n")),
        head(&format!("{}\r\n", "a: b\r\n".repeat(5_000))),
        head("content-length: -1\r\n\r\n"),
        head("content-length: 99999999999999999999\r\n\r\n"),
        head("content-length: 4\r\ncontent-length: 5\r\n\r\n{}{}{}"),
        head("content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        head("transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n"),
        head("content-length: 18446744073709551615\r\n\r\n{"),
        head(&format!("content-length: {}\r\n\r\n{}", 64 << 20, "[".repeat(1 << 20))),
        head(&format!("content-length: {}\r\n\r\n{}", 100_000, "[".repeat(100_000))),
        head("content-length: 4\r\n\r\nnull"),
        head("x-stopgate-protocol: 99999\r\ncontent-length: 2\r\n\r\n{}"),
        head("expect: 100-continue\r\ncontent-length: 2\r\n\r\n"),
        head("upgrade: websocket\r\nconnection: upgrade\r\ncontent-length: 0\r\n\r\n"),
        "GET /health HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000),
        "DELETE /internal/../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
    ];
    for (number, abuse) in abuses.iter().enumerate() {
        let mut stream = connect(&world);
        // A server that has heard enough closes.
        let _ = stream.write_all(abuse.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let answered = status(&mut stream);
        let is_health = abuse.starts_with("GET /health");
        assert!(
            answered.is_none_or(|code| is_health || code == 100 || (400..600).contains(&code)),
            "{number}: {answered:?}"
        );
    }
    // Many that never come to an end, in the head and in the body, and many that take no answer.
    let lingering: Vec<_> = (0..LINGERING)
        .map(|number| {
            let mut stream = connect(&world);
            let said = match number % 3 {
                0 => "POST /internal/stop-gate/eva".to_owned(),
                1 => head("content-length: 1000\r\n\r\n{"),
                _ => "GET /sessions HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50),
            };
            stream.write_all(said.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(authority.request("GET", GetHealth::PATH, &Value::Null).status, 200);
    block_reason(&world.stop_session("s", &checkout.top, EXCUSE));
    drop(lingering);
    world.start_session("s2", &checkout.top);
    checkout.work();
    block_reason(&world.stop_session("s2", &checkout.top, EXCUSE));
}
