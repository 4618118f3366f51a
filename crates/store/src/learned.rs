//! What was learned of the operator's grades: one small file, and what counted before beside it.

use std::io;
use std::path::Path;

use stopgate_core::fsx;
use stopgate_core::paths::Home;
use stopgate_gate::model::correction::{Correction, MAX_BYTES, NotACorrection};

/// The correction of `home`, for weights of that name; `None` where nothing was learned.
pub fn read(home: &Home, model: &str) -> Result<Option<Correction>, NotACorrection> {
    match fsx::read_regular(&home.correction_file(), MAX_BYTES) {
        Ok(bytes) => Correction::from_json(&bytes, model).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(_) => Err(NotACorrection::Garbled),
    }
}

/// Has `correction` count from now on; what counted before is kept for [`undo`].
pub fn write(home: &Home, correction: &Correction) -> io::Result<()> {
    let (file, before) = (home.correction_file(), home.correction_before());
    if let Some(dir) = file.parent() {
        fsx::ensure_private_dir(dir)?;
    }
    let text = correction.to_json().map_err(io::Error::other)?;
    match fsx::read_regular(&file, MAX_BYTES) {
        Ok(was) => fsx::write_atomic(&before, &was, 0o600)?,
        // Nothing, or nothing that anybody would go back to.
        Err(_) => remove(&before)?,
    }
    fsx::write_atomic(&file, &text, 0o600)
}

/// Goes back to what counted before the last [`write()`], and from there to nothing.
pub fn undo(home: &Home) -> io::Result<()> {
    match std::fs::rename(home.correction_before(), home.correction_file()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => remove(&home.correction_file()),
        other => other,
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use stopgate_gate::model::correction::GradedMessage;

    use super::*;

    const MODEL: &str = "0123456789abcdef";

    /// What is learned of so many grades of a habit.
    fn learned(grades: usize) -> Correction {
        let message = |number: usize| {
            let should_continue = number.is_multiple_of(2);
            let end = if should_continue { "I am parking this" } else { "it goes over to review" };
            let log_odds = if should_continue { -0.4 } else { 0.4 };
            GradedMessage { text: format!("Part {number} compiles; {end}."), log_odds, should_continue }
        };
        Correction::learn(MODEL, &(0..grades).map(message).collect::<Vec<_>>()).unwrap().0
    }

    #[test]
    fn what_is_taken_can_be_taken_back_step_by_step() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let (first, second) = (learned(40), learned(36));
        assert_ne!(first, second);
        let now = || read(&home, MODEL);
        assert_eq!(now(), Ok(None));
        write(&home, &first).unwrap();
        write(&home, &second).unwrap();
        assert_eq!(now(), Ok(Some(second)));
        undo(&home).unwrap();
        assert_eq!(now(), Ok(Some(first)));
        undo(&home).unwrap();
        undo(&home).unwrap();
        assert_eq!(now(), Ok(None));
        std::fs::create_dir(home.correction_file()).unwrap();
        assert_eq!(now(), Err(NotACorrection::Garbled), "a directory stands in its place");
    }
}
