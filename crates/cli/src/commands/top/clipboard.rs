//! The clipboard of the terminal, also over ssh: OSC 52.

use std::io::{self, Write as _};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use stopgate_core::env::{self, Env as _, ProcessEnv};

/// Asks the terminal to put `text` on the clipboard. Whether it does is the terminal's affair: it does not answer.
pub(super) fn copy(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(sequence(text, ProcessEnv.os(env::TMUX).is_some()).as_bytes())?;
    stdout.flush()
}

/// The request; in tmux wrapped, so that it is passed on to the terminal outside as well.
fn sequence(text: &str, in_tmux: bool) -> String {
    let request = format!("\x1b]52;c;{}\x07", BASE64_STANDARD.encode(text));
    if in_tmux { format!("{request}\x1bPtmux;{}\x1b\\", request.replace('\x1b', "\x1b\x1b")) } else { request }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tmux_passes_it_on() {
        assert_eq!(sequence("foo", false), "\x1b]52;c;Zm9v\x07");
        assert_eq!(sequence("foob", false), "\x1b]52;c;Zm9vYg==\x07");
        assert_eq!(sequence("foo", true), "\x1b]52;c;Zm9v\x07\x1bPtmux;\x1b\x1b]52;c;Zm9v\x07\x1b\\");
    }
}
