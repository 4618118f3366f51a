//! What a sandbox takes away.

use std::os::unix::net::UnixStream;

/// Whether this process may connect to no Unix socket at all, as in an agent's sandbox: nothing can be asked of an
/// authority then, nor can one be started that others could ask.
pub fn forbids_sockets() -> bool {
    // Nobody listens there, nor ever will. Who may try is told that there is no such thing; a file that may not be looked at
    // would be another error (EACCES).
    let refused = UnixStream::connect("/proc/self/nobody-listens").err().and_then(|error| error.raw_os_error());
    refused == Some(rustix::io::Errno::PERM.raw_os_error())
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_may_connect() {
        assert!(!super::forbids_sockets());
    }
}
