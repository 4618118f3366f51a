//! The clipboard of the terminal, also over ssh: OSC 52.

use std::io::{self, Write as _};

use stopgate_core::env::{self, Env as _, ProcessEnv};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Asks the terminal to put `text` on the clipboard. Whether it does is the terminal's affair: it does not answer.
pub(super) fn copy(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(sequence(text, ProcessEnv.os(env::TMUX).is_some()).as_bytes())?;
    stdout.flush()
}

/// The request; in tmux wrapped, so that it is passed on to the terminal outside as well.
fn sequence(text: &str, in_tmux: bool) -> String {
    let request = format!("\x1b]52;c;{}\x07", base64(text.as_bytes()));
    if in_tmux { format!("{request}\x1bPtmux;{}\x1b\\", request.replace('\x1b', "\x1b\x1b")) } else { request }
}

/// RFC 4648. A dozen lines rather than a library for one line of text.
fn base64(bytes: &[u8]) -> String {
    let letter = |bits: u32, shift: u32| char::from(ALPHABET[(bits >> shift & 63) as usize]);
    let encode = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let letters = [18, 12, 6, 0].map(|shift| letter(bits, shift));
        letters.into_iter().take(chunk.len() + 1).chain("==".chars().take(3 - chunk.len())).collect::<String>()
    };
    bytes.chunks(3).map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        let encoded = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(encoded, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }

    #[test]
    fn tmux_passes_it_on() {
        assert_eq!(sequence("foo", false), "\x1b]52;c;Zm9v\x07");
        assert_eq!(sequence("foo", true), "\x1b]52;c;Zm9v\x07\x1bPtmux;\x1b\x1b]52;c;Zm9v\x07\x1b\\");
    }
}
