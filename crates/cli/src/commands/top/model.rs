//! What the view shows.

use stopgate_core::clock::UnixMillis;
use stopgate_core::session::SessionKey;
use stopgate_protocol::{
    GateLogRow, GetHealth, GetReaper, Health, ListSessions, ListUnattended, LogFilter, SessionRow, UnattendedAct,
};
use stopgate_reaper::report::ReaperStatus;

use super::super::fence;
use crate::context::CliContext;

/// Verdicts that are asked for; as many are shown as fit.
const VERDICTS: u32 = 20;

/// What is being asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum TopPrompt {
    #[default]
    None,
    /// Whether to end this session.
    End(SessionKey),
    /// The same, once more.
    ReallyEnd(SessionKey),
}

/// The state of the view.
pub(super) struct Model {
    pub(super) colour: bool,
    pub(super) now_ms: UnixMillis,
    pub(super) sessions: Vec<SessionRow>,
    pub(super) verdicts: Vec<GateLogRow>,
    pub(super) health: Option<Health>,
    pub(super) reaper: Option<ReaperStatus>,
    /// How the fence is, where coordination is on.
    pub(super) fence: Option<String>,
    /// What was done without a terminal, and nobody has seen.
    pub(super) unattended: Vec<UnattendedAct>,
    /// The session that is selected: the row may move.
    selected: Option<SessionKey>,
    pub(super) details: bool,
    /// Lines of the details that are scrolled away.
    pub(super) scroll: u16,
    pub(super) prompt: TopPrompt,
    /// What is said at the bottom.
    pub(super) notice: String,
    /// Why the last look failed.
    pub(super) trouble: Option<String>,
}

impl Model {
    pub(super) fn new(colour: bool) -> Self {
        Self {
            colour,
            now_ms: 0,
            sessions: Vec::new(),
            verdicts: Vec::new(),
            health: None,
            reaper: None,
            fence: None,
            unattended: Vec::new(),
            selected: None,
            details: false,
            scroll: 0,
            prompt: TopPrompt::None,
            notice: String::new(),
            trouble: None,
        }
    }

    /// Looks at everything. What cannot be had stays as it was, and it is said why.
    pub(super) fn look(&mut self, context: &CliContext) {
        self.now_ms = context.now_ms;
        let authority = context.authority();
        let looked = (|| {
            self.health = Some(authority.call(&GetHealth {})?);
            self.sessions = authority.call(&ListSessions::default())?;
            self.verdicts = authority.call(&LogFilter { tail: Some(VERDICTS), ..LogFilter::default() })?.events;
            self.reaper = Some(authority.call(&GetReaper {})?);
            self.unattended = authority.call(&ListUnattended {})?;
            Ok::<_, stopgate_client::AskError>(())
        })();
        self.fence = fence::in_a_line(context, looked.is_ok());
        self.trouble = looked.err().map(|error| error.to_string());
        if self.trouble.is_some() {
            self.health = None;
        }
        self.sessions.retain(|row| super::super::sessions::is_of_interest(row, context.now_ms));
        let there = self.selected.as_ref().is_some_and(|key| self.row(key).is_some());
        if !there {
            self.selected = self.sessions.first().map(SessionRow::key);
        }
    }

    /// The row of `key`.
    pub(super) fn row(&self, key: &SessionKey) -> Option<&SessionRow> {
        self.sessions.iter().find(|row| row.key() == *key)
    }

    /// The row that is selected.
    pub(super) fn selected(&self) -> Option<&SessionRow> {
        self.row(self.selected.as_ref()?)
    }

    /// Its place in the list.
    pub(super) fn selected_index(&self) -> Option<usize> {
        let key = self.selected.as_ref()?;
        self.sessions.iter().position(|row| row.key() == *key)
    }

    /// Moves the selection by `steps`, not beyond the ends.
    pub(super) fn select(&mut self, steps: isize) {
        let last = self.sessions.len().saturating_sub(1);
        let to = self.selected_index().unwrap_or(0).saturating_add_signed(steps).min(last);
        self.selected = self.sessions.get(to).map(SessionRow::key);
        self.scroll = 0;
    }
}
