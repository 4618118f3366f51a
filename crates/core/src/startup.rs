//! What a process does before anything else.

use std::fs::OpenOptions;
use std::mem::forget;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::stdio;

/// Makes a write beyond the limit on the size of files (`ulimit -f`) an error like that of a full disk. Otherwise the
/// system ends the process, and a hook would end by a signal.
pub fn survive_size_limit() {
    ignore(libc::SIGXFSZ);
}

/// What the standard library does before `main`, for a program with a `main` of its own: standard handles that are
/// closed become `/dev/null`, so that no file of ours takes their place, and a reader that has gone is an error.
///
/// Left out is its handler for stack overflows, which would only say so before the process ends all the same.
pub fn as_the_standard_library() {
    let handles = [stdio::stdin(), stdio::stdout(), stdio::stderr()];
    let mut looked = handles.map(|handle| PollFd::from_borrowed_fd(handle, PollFlags::empty()));
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    if retry_on_intr(|| poll(&mut looked, Some(&at_once))).is_ok_and(|closed| closed > 0) {
        for _ in looked.iter().filter(|handle| handle.revents().contains(PollFlags::NVAL)) {
            // The lowest free number is the next closed handle's. Never closed again.
            let _ = OpenOptions::new().read(true).write(true).open("/dev/null").map(forget);
        }
    }
    ignore(libc::SIGPIPE);
}

fn ignore(signal: libc::c_int) {
    // SAFETY: called before any other thread is, with a disposition that runs no code of ours.
    #[expect(unsafe_code, reason = "the standard library knows no signals, and rustix leaves them to libc")]
    unsafe {
        libc::signal(signal, libc::SIG_IGN);
    }
}
