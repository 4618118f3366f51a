//! Questions to whoever sits at the terminal.

use std::io::{self, BufRead, IsTerminal as _, Write as _};

use stopgate_protocol::{ErrorCode, Failure};

/// What came of asking whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// A clear yes, in advance or to the question.
    Given,
    /// Any other answer.
    Declined,
    /// There is nobody to ask.
    NobodyThere,
}

impl Consent {
    fn of(yes: bool, is_terminal: bool, ask: impl FnOnce() -> bool) -> Self {
        match (yes, is_terminal) {
            (true, _) => Self::Given,
            (false, false) => Self::NobodyThere,
            (false, true) if ask() => Self::Given,
            (false, true) => Self::Declined,
        }
    }

    /// `Err` if it was not given, which left something `undone`.
    pub fn required(self, undone: &str) -> Result<(), Failure> {
        match self {
            Self::Given => Ok(()),
            Self::Declined => Err(Failure { remedy: None, ..Failure::new(ErrorCode::NoConsent, undone) }),
            Self::NobodyThere => {
                Err(Failure::new(ErrorCode::NoConsent, format!("{undone}: there is no terminal to ask on")))
            }
        }
    }
}

/// Asks a yes-or-no question, to which everything but a yes means no; `yes` has answered it.
pub fn consent(question: &str, yes: bool) -> Consent {
    let ask = || {
        show(&format!("{question} [y/N] "));
        answer(&mut io::stdin().lock()).is_some_and(|answer| is_yes(&answer))
    };
    Consent::of(yes, has_terminal(), ask)
}

/// Asks for a line; `None` when there is nobody to ask, and at the end of the input.
pub fn ask_line(question: &str) -> Option<String> {
    if !has_terminal() {
        return None;
    }
    show(question);
    answer(&mut io::stdin().lock())
}

/// Whether there is somebody to ask.
pub fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn show(question: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
}

fn answer(input: &mut dyn BufRead) -> Option<String> {
    let mut answer = String::new();
    let read = input.read_line(&mut answer).ok()?;
    (read > 0).then(|| answer.trim().to_owned())
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_consent() {
        for (said, expected) in
            [("y\n", true), ("Yes\n", true), ("\n", false), ("no\n", false), ("yep\n", false), ("", false)]
        {
            assert_eq!(answer(&mut said.as_bytes()).is_some_and(|answer| is_yes(&answer)), expected, "{said:?}");
        }
        assert_eq!(answer(&mut "".as_bytes()), None, "the end of the input is no answer");
        assert_eq!(answer(&mut " r because \n".as_bytes()).as_deref(), Some("r because"));
    }

    #[test]
    fn without_a_terminal_nobody_is_asked() {
        let never = || panic!("asked");
        assert_eq!(Consent::of(true, false, never), Consent::Given);
        assert_eq!(Consent::of(false, false, never), Consent::NobodyThere);
        assert_eq!(Consent::of(false, true, || false), Consent::Declined);
        assert_eq!(Consent::of(false, true, || true), Consent::Given);
    }
}
