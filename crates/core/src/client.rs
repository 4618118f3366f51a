//! The way to the authority: one HTTP/1.1 request over a Unix socket, all of it under one deadline.
//!
//! Hand-written because it is on the hook's hot path, and because a connect to a stopped authority must not block:
//! a Unix socket whose queue is full keeps a blocking `connect` waiting for ever.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use crate::protocol::{PROTOCOL_VERSION, WAIT_HEADER};
use crate::stdin::timespec;

/// Largest answer that is read; a verdict is under 4 KiB, a list for people may be long.
const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;

/// Most interim answers before the answer itself; the authority gives one.
const MAX_ANNOUNCEMENTS: usize = 8;

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status code.
    pub status: u16,
    /// Body, without transfer framing.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// Nothing listens: no socket, or a stale one.
    Absent,
    /// Somebody else's process listens.
    ForeignPeer,
    /// Connected, but the deadline passed before the whole answer came.
    Deadline,
    /// What came is not an HTTP answer that this client understands.
    Malformed,
    /// The system refused.
    Io(io::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => out.write_str("the authority is not running"),
            Self::ForeignPeer => out.write_str("another user's process listens on the authority's socket"),
            Self::Deadline => out.write_str("the authority did not answer in time"),
            Self::Malformed => out.write_str("the authority's answer is not understood"),
            Self::Io(error) => write!(out, "the authority cannot be reached: {error}"),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for ClientError {
    fn from(error: Errno) -> Self {
        match error {
            // Links that lead in a circle lead to nobody.
            Errno::NOENT | Errno::CONNREFUSED | Errno::NOTDIR | Errno::LOOP => Self::Absent,
            // A full queue: there is a listener, but it does not accept.
            Errno::AGAIN => Self::Deadline,
            other => Self::Io(other.into()),
        }
    }
}

/// Sends `method path` with a JSON `body` to the authority at `socket` and reads its answer. One that speaks another
/// version of the protocol refuses it (status 426).
pub fn request(
    socket: &Path,
    method: &str,
    path: &str,
    body: &[u8],
    deadline: Instant,
) -> Result<Response, ClientError> {
    request_that_may_wait(socket, method, path, body, deadline, &mut |_| deadline)
}

/// [`request`] for whoever can be asked to wait longer. An interim answer (status 102) says how long in [`WAIT_HEADER`];
/// `prolong` is told, and says until when the answer itself is waited for.
pub fn request_that_may_wait(
    socket: &Path,
    method: &str,
    path: &str,
    body: &[u8],
    deadline: Instant,
    prolong: &mut dyn FnMut(Duration) -> Instant,
) -> Result<Response, ClientError> {
    let protocol = format!("x-stopgate-protocol: {PROTOCOL_VERSION}\r\n");
    exchange(socket, method, path, &protocol, body, deadline, prolong)
}

/// [`request`] for what an authority of every version understands.
pub fn request_of_any_version(
    socket: &Path,
    method: &str,
    path: &str,
    body: &[u8],
    deadline: Instant,
) -> Result<Response, ClientError> {
    exchange(socket, method, path, "", body, deadline, &mut |_| deadline)
}

fn exchange(
    socket: &Path,
    method: &str,
    path: &str,
    protocol: &str,
    body: &[u8],
    deadline: Instant,
    prolong: &mut dyn FnMut(Duration) -> Instant,
) -> Result<Response, ClientError> {
    let stream = connect(socket)?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: stopgate\r\nconnection: close\r\n{protocol}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut message = head.into_bytes();
    message.extend_from_slice(body);
    send_all(&stream, &message, deadline)?;
    receive(&stream, deadline, prolong)
}

/// Who listens on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// Its user.
    pub uid: u32,
    /// Its process, as it is numbered in this process's PID namespace; `None` if it lives in none that is seen from here.
    pub pid: Option<u32>,
}

/// Who listens on `socket`, by what the kernel says; nothing is asked.
pub fn listener_of(socket: &Path) -> Result<Listener, ClientError> {
    Ok(listener(&connect(socket)?)?)
}

fn connect(socket: &Path) -> Result<OwnedFd, ClientError> {
    let address = SocketAddrUnix::new(socket).map_err(ClientError::from)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let stream = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&stream, &address)?;
    let listener = listener(&stream)?.uid;
    if listener != rustix::process::geteuid().as_raw() && listener != 0 {
        return Err(ClientError::ForeignPeer);
    }
    Ok(stream)
}

/// Who listens. Not through rustix, whose process ids are never 0: that is the listener's where it lives
/// in another PID namespace.
#[expect(unsafe_code, reason = "a system call that fills in a struct of plain numbers")]
fn listener(stream: &OwnedFd) -> io::Result<Listener> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap_or_default();
    // SAFETY: the pointers are to a struct of the kernel's layout and to its length, both on this stack.
    let done = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Listener { uid: peer.uid, pid: u32::try_from(peer.pid).ok().filter(|pid| *pid > 0) })
}

fn wait(stream: &OwnedFd, what: PollFlags, deadline: Instant) -> Result<(), ClientError> {
    loop {
        // Asked also when none is left: an answer that lies there counts with the authority as delivered.
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(&mut [PollFd::new(stream, what)], Some(&timespec(left))) {
            Ok(0) => return Err(ClientError::Deadline),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn send_all(stream: &OwnedFd, mut bytes: &[u8], deadline: Instant) -> Result<(), ClientError> {
    while !bytes.is_empty() {
        match rustix::net::send(stream, bytes, SendFlags::NOSIGNAL) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(Errno::AGAIN) => wait(stream, PollFlags::OUT, deadline)?,
            Err(Errno::INTR) => {}
            // The authority may answer (413, 426) and close before it has read everything.
            Err(Errno::PIPE | Errno::CONNRESET) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn receive(
    stream: &OwnedFd,
    mut deadline: Instant,
    prolong: &mut dyn FnMut(Duration) -> Instant,
) -> Result<Response, ClientError> {
    let mut bytes = Vec::with_capacity(2048);
    let mut announcements = 0..MAX_ANNOUNCEMENTS;
    loop {
        while let Some((length, wait)) = interim(&bytes) {
            announcements.next().ok_or(ClientError::Malformed)?;
            bytes.drain(..length);
            deadline = wait.map_or(deadline, &mut *prolong);
        }
        if let Some(response) = parse(&bytes, false)? {
            return Ok(response);
        }
        if bytes.len() > MAX_RESPONSE_BYTES {
            return Err(ClientError::Malformed);
        }
        wait(stream, PollFlags::IN, deadline)?;
        if bytes.capacity() - bytes.len() < 2048 {
            bytes.reserve(bytes.len().max(2048));
        }
        match rustix::io::read(stream, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(0) => return parse(&bytes, true)?.ok_or(ClientError::Malformed),
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
            Err(Errno::CONNRESET) => return Err(ClientError::Malformed),
            Err(error) => return Err(error.into()),
        }
    }
}

/// An answer that only says that another is to come: its length, and how long that may take.
fn interim(bytes: &[u8]) -> Option<(usize, Option<Duration>)> {
    if !bytes.starts_with(b"HTTP/1.1 1") {
        return None;
    }
    let head_end = find(bytes, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..head_end]).ok()?;
    let wait = head.split("\r\n").find_map(|line| line.strip_prefix(WAIT_HEADER)?.strip_prefix(": "));
    Some((head_end + 4, wait.and_then(|wait| wait.parse().ok()).map(Duration::from_millis)))
}

/// Parses an answer; `None` while more is to come. `at_end` says that the peer has closed.
fn parse(bytes: &[u8], at_end: bool) -> Result<Option<Response>, ClientError> {
    const MAX_HEAD_BYTES: usize = 16 * 1024;
    let Some(head_end) = find(bytes, b"\r\n\r\n") else {
        // Garbage is recognised early, so that a babbling peer does not cost the whole deadline.
        let begins_well = b"HTTP/1.".iter().zip(bytes).all(|(expected, byte)| expected == byte);
        return if begins_well && bytes.len() <= MAX_HEAD_BYTES { Ok(None) } else { Err(ClientError::Malformed) };
    };
    let head = std::str::from_utf8(&bytes[..head_end]).map_err(|_| ClientError::Malformed)?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1."))
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or(ClientError::Malformed)?;
    let mut length = None;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(ClientError::Malformed)?;
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse::<usize>().map_err(|_| ClientError::Malformed)?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(ClientError::Malformed);
        }
    }
    let body = &bytes[head_end + 4..];
    match length {
        Some(length) if length > MAX_RESPONSE_BYTES => Err(ClientError::Malformed),
        Some(length) => Ok(body.get(..length).map(|body| Response { status, body: body.to_vec() })),
        None if at_end => Ok(Some(Response { status, body: body.to_vec() })),
        None => Ok(None),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(200)
    }

    /// Serves one connection with `answer` and closes.
    fn serving(answer: &'static [u8]) -> (tempfile::TempDir, std::path::PathBuf, std::thread::JoinHandle<Vec<u8>>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = vec![0; 4096];
            let count = stream.read(&mut seen).unwrap();
            seen.truncate(count);
            let _ = stream.write_all(answer);
            seen
        });
        (dir, path, server)
    }

    #[test]
    fn a_request_is_sent_whole_and_its_answer_read() {
        let (_dir, path, server) = serving(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}trailing");
        let response = request(&path, "POST", "/x", b"{\"a\":1}", soon()).unwrap();
        assert_eq!(response, Response { status: 200, body: b"{}".to_vec() });
        let seen = String::from_utf8(server.join().unwrap()).unwrap();
        assert!(seen.starts_with("POST /x HTTP/1.1\r\n") && seen.ends_with("\r\n\r\n{\"a\":1}"), "{seen}");
    }

    #[test]
    fn an_answer_that_lies_there_is_read_however_late_it_is() {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let ours = OwnedFd::from(ours);
        assert!(matches!(receive(&ours, Instant::now(), &mut |_| Instant::now()), Err(ClientError::Deadline)));
        theirs.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        assert_eq!(receive(&ours, Instant::now(), &mut |_| Instant::now()).unwrap().body, b"{}");
    }

    #[test]
    fn an_answer_that_is_announced_is_waited_for_as_long_as_whoever_asks_will() {
        let announced = b"HTTP/1.1 102 Processing\r\nx-stopgate-wait-ms: 70000\r\n\r\n";
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let ours = OwnedFd::from(ours);
        theirs.write_all(announced).unwrap();
        let mut told = Vec::new();
        // Told in time, the rest comes after the first deadline is over.
        let late = std::thread::scope(|scope| {
            let (said, is_said) = std::sync::mpsc::channel();
            scope.spawn(move || {
                is_said.recv().unwrap();
                theirs.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
            });
            receive(&ours, Instant::now(), &mut |wait| {
                told.push(wait);
                said.send(()).unwrap();
                soon()
            })
        });
        assert_eq!((late.unwrap().status, told), (200, vec![Duration::from_secs(70)]));

        // Whoever cannot wait gives up when it would have given up anyway.
        let (_dir, path, server) = serving(announced);
        let answer = request(&path, "GET", "/", b"", soon());
        assert!(matches!(answer, Err(ClientError::Malformed)), "{answer:?}");
        server.join().unwrap();
        for odd in [&b"HTTP/1.1 102 Processing\r\n\r\n"[..], b"HTTP/1.1 100 x\r\nx-stopgate-wait-ms: -1\r\n\r\n"] {
            assert_eq!(interim(odd), Some((odd.len(), None)));
        }
        assert_eq!(interim(b"HTTP/1.1 200 OK\r\n\r\n"), None);
        let babble = announced.repeat(MAX_ANNOUNCEMENTS + 1);
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        theirs.write_all(&babble).unwrap();
        let answer = receive(&OwnedFd::from(ours), soon(), &mut |_| soon());
        assert!(matches!(answer, Err(ClientError::Malformed)), "{answer:?}");
    }

    #[test]
    fn garbage_and_lies_are_malformed() {
        for answer in [
            &b"\x00\x01\x02 what"[..],
            b"SSH-2.0-x\r\n\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            b"",
        ] {
            let (_dir, path, server) = serving(answer);
            let result = request(&path, "GET", "/", b"", soon());
            assert!(matches!(result, Err(ClientError::Malformed)), "{answer:?}: {result:?}");
            server.join().unwrap();
        }
    }

    #[test]
    fn nobody_there_is_absent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        assert!(matches!(request(&path, "GET", "/", b"", soon()), Err(ClientError::Absent)));
        drop(UnixListener::bind(&path).unwrap());
        assert!(matches!(request(&path, "GET", "/", b"", soon()), Err(ClientError::Absent)), "a stale socket");
    }

    #[test]
    fn a_listener_that_never_accepts_costs_no_more_than_the_deadline_even_with_its_queue_full() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _listener = UnixListener::bind(&path).unwrap();
        let deadline = Instant::now() + Duration::from_millis(30);
        let mut held = Vec::new();
        while let Ok(stream) = connect(&path) {
            held.push(stream);
            assert!(held.len() < 100_000, "the queue never fills");
        }
        assert!(matches!(request(&path, "GET", "/", b"", deadline), Err(ClientError::Deadline)));
        held.truncate(1);
    }
}
