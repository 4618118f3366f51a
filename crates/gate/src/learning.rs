//! What a graded stop teaches, and what a past stop would come to with what was learned.

use crate::model::Reading;
use crate::model::correction::{Correction, GradedMessage};
use crate::pipeline::Recording;
use crate::report::Grade;

impl Recording {
    /// What `grade` of this stop teaches, which would have been held or not; `None` where nobody could tell, or nothing was read.
    pub fn graded(&self, grade: Grade, would_block: bool) -> Option<GradedMessage> {
        let should_continue = match grade {
            Grade::Right => would_block,
            Grade::Wrong => !would_block,
            Grade::Unclear => return None,
        };
        let milli_log_odds = self.reading_now()?.uncorrected();
        #[expect(clippy::cast_precision_loss, reason = "a million at most")]
        let log_odds = milli_log_odds as f32 / 1000.0;
        Some(GradedMessage { text: self.inputs.message.clone(), log_odds, should_continue })
    }

    /// The same stop, read by the weights of now and with `correction` alone.
    #[must_use]
    pub fn corrected(&self, correction: Option<&Correction>) -> Self {
        let mut changed = self.clone();
        let message = &self.inputs.message;
        changed.inputs.reading = self.reading_now().map(|reading| reading.corrected(correction, message));
        changed
    }

    /// How the message reads by the weights of now; `None` where it was not read.
    fn reading_now(&self) -> Option<Reading> {
        let inputs = &self.inputs;
        if inputs.message.trim().is_empty() {
            return None;
        }
        let current = inputs.reading.clone().filter(Reading::is_current);
        current.or_else(|| Reading::of(&inputs.message, inputs.turn_end.failed_call.as_deref()))
    }
}
