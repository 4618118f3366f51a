//! Asks the authority for leases, below an agent's process as its shell tool would: each line that comes from the socket
//! named as the argument is a request, and goes to the authority as it is; a line with the answer goes back, empty where none
//! came.

#![allow(clippy::unwrap_used, reason = "test support")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use stopgate_core::client;
use stopgate_core::paths::Home;
use stopgate_protocol::{AskLease, Endpoint as _};

fn main() {
    let driver = UnixStream::connect(std::env::args_os().nth(1).unwrap()).unwrap();
    let home = Home::of_process().unwrap();
    let mut answers = driver.try_clone().unwrap();
    for line in BufReader::new(driver).lines() {
        let Ok(line) = line else { return };
        let until = Instant::now() + Duration::from_secs(30);
        let asked = client::request(&home.socket(), AskLease::METHOD.name(), AskLease::PATH, line.as_bytes(), until);
        let body = asked.ok().filter(|answer| answer.status == 200).map(|answer| answer.body).unwrap_or_default();
        let text = String::from_utf8(body).unwrap().replace('\n', " ");
        if writeln!(answers, "{text}").is_err() {
            return;
        }
    }
}
