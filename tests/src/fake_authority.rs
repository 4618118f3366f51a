//! Stands in the authority's place and does everything an authority can do wrong.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the stand-in does with a connection.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Accepts and never says anything.
    Silent,
    /// Says these bytes after the request, and closes.
    Says(Vec<u8>),
    /// Says what this makes of the request, and closes.
    Answers(fn(&str) -> Vec<u8>),
    /// Says these bytes one at a time, slowly, for ever.
    Drips(Vec<u8>),
    /// Closes at once.
    HangsUp,
}

impl Behaviour {
    /// A well-formed HTTP answer.
    pub fn answer(status: &str, body: &str) -> Self {
        Self::Says(answer(status, body))
    }
}

/// A well-formed HTTP answer.
pub fn answer(status: &str, body: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
    format!("{head}\r\n\r\n{body}").into_bytes()
}

/// A listener on the authority's socket; ends when it is dropped.
pub struct FakeAuthority {
    socket: std::path::PathBuf,
    connections: Arc<AtomicUsize>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeAuthority {
    /// Listens at `socket`.
    pub fn listen(socket: &Path, behaviour: Behaviour) -> Self {
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(socket).unwrap();
        let (connections, ending) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (connections, ending) = (Arc::clone(&connections), Arc::clone(&ending));
            std::thread::spawn(move || {
                let mut held = Vec::new();
                for stream in listener.incoming().map_while(Result::ok) {
                    if ending.load(Ordering::SeqCst) {
                        return;
                    }
                    connections.fetch_add(1, Ordering::SeqCst);
                    let (behaviour, ending) = (behaviour.clone(), Arc::clone(&ending));
                    held.push(std::thread::spawn(move || behave(stream, &behaviour, &ending)));
                }
            })
        };
        Self { socket: socket.to_owned(), connections, ending, thread: Some(thread) }
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for FakeAuthority {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.socket);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn behave(mut stream: UnixStream, behaviour: &Behaviour, ending: &AtomicBool) {
    let until_the_end = || {
        while !ending.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    match behaviour {
        Behaviour::Silent => until_the_end(),
        Behaviour::HangsUp => {}
        Behaviour::Says(bytes) => {
            let _ = stream.read(&mut [0; 16 * 1024]);
            let _ = stream.write_all(bytes);
        }
        Behaviour::Answers(answer) => {
            let mut request = vec![0; 64 * 1024];
            let count = stream.read(&mut request).unwrap_or(0);
            let _ = stream.write_all(&answer(&String::from_utf8_lossy(&request[..count])));
        }
        Behaviour::Drips(bytes) => {
            let _ = stream.read(&mut [0; 16 * 1024]);
            for byte in bytes.iter().cycle() {
                if ending.load(Ordering::SeqCst) || stream.write_all(&[*byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}
