//! How much the fence may do: the word in `switches/fence`, as `switches/mode` has that of the gate.

use std::io;

use stopgate_core::paths::Home;
use stopgate_core::switch::{self, Mode, ModeReading};

/// What the file says. Without one the fence is off: coordination was never turned on.
pub fn read(home: &Home) -> ModeReading {
    switch::read_word(&home.fence_file())
}

/// The mode that applies. Nobody chose, or doubt: [`Mode::Off`].
pub fn of(reading: ModeReading) -> Mode {
    match reading {
        ModeReading::Chosen(mode) => mode,
        ModeReading::Default | ModeReading::Unreadable => Mode::Off,
    }
}

/// Writes down an operator's choice. Where nothing can be written any more, such as on a full disk, taking the file away
/// turns it off all the same.
pub fn write(home: &Home, mode: Mode) -> io::Result<()> {
    let file = home.fence_file();
    let written = switch::write_word(&file, mode);
    if mode == Mode::Off && written.is_err() && std::fs::remove_file(&file).is_ok() {
        return Ok(());
    }
    written
}

/// What a mode means for the fence, for people.
pub const fn meaning(mode: Mode) -> &'static str {
    match mode {
        Mode::Off => "no write is looked at",
        Mode::Shadow => "writes where sessions share a tree are judged and recorded, none is refused",
        Mode::Enforce => "a write that would hit another session's work is refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_word_that_is_understood_it_is_off() {
        let dir = tempfile::tempdir().unwrap_or_else(|why| panic!("{why}"));
        let home = Home::at(dir.path().join("home"));
        assert_eq!((read(&home), of(read(&home))), (ModeReading::Default, Mode::Off));
        for mode in [Mode::Off, Mode::Shadow, Mode::Enforce] {
            write(&home, mode).unwrap_or_else(|why| panic!("{why}"));
            assert_eq!(of(read(&home)), mode);
        }
        std::fs::write(home.fence_file(), "enforced").unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((read(&home), of(read(&home))), (ModeReading::Unreadable, Mode::Off));
    }
}
