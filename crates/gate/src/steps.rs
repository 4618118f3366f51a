//! The steps of a plan: boxes, rows of a table with a column for the status, headings with a status below them, and
//! org-mode's `TODO`. What nobody is to do now is no step: struck through, blocked, optional, or below a heading such as
//! "Out of scope". A plan that is over or superseded has none.

mod phrases;

use std::sync::LazyLock;

use stopgate_core::redact::redact;
use stopgate_core::text::one_line;
use stopgate_core::words;

use self::phrases::Phrases;
use crate::markdown::{self, MarkdownLine, after_mark};

/// Longest text of a step that is passed on.
pub const MAX_STEP_CHARS: usize = 160;
/// How many lines from its beginning a plan may say of all of itself that it is over.
const HEAD_LINES: usize = 15;
/// The level of a section that is begun by a line in bold, or by one that ends with a colon: below each heading.
const SOFT_LEVEL: usize = 7;
/// Longest `**Status**` before its colon, in bytes.
const MAX_STATUS_NAME: usize = 40;

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is to be done: one line, without secrets. What leaves here is shown, stored and logged.
    pub text: String,
    /// Whether it is done.
    pub is_done: bool,
}

/// Which parts of a file hold steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// All: it is a plan.
    Everywhere,
    /// What stands below a heading that speaks of tasks: the file says other things as well (`AGENTS.md`).
    TaskSections,
}

/// For each line of a Markdown or org-mode file the step that stands there, if one does. Made one by one: whoever has no
/// time for a long file stops asking.
pub fn by_line(markdown: &str, within: Where) -> impl Iterator<Item = Option<Step>> {
    let mut reader = Reader::new(within);
    markdown::lines(markdown.strip_prefix('\u{feff}').unwrap_or(markdown)).map(move |line| reader.read(&line))
}

/// Words of plans, by what they say.
struct PlanWords {
    sections: Phrases,
    nobody: Phrases,
    status: Phrases,
    open: Phrases,
    done: Phrases,
    over: Phrases,
    tasks: Phrases,
}

static WORDS: LazyLock<PlanWords> = LazyLock::new(|| {
    let text = include_str!("../../../templates/signals/plan-words.txt");
    let list = |name: &str| {
        let lines =
            text.lines().skip_while(|line| line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) != Some(name));
        Phrases::of(lines.skip(1).take_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty()))
    };
    PlanWords {
        sections: list("sections"),
        nobody: list("nobody"),
        status: list("status"),
        open: list("open"),
        done: list("done"),
        over: list("over"),
        tasks: list("tasks"),
    }
});

/// What a status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Open,
    Done,
    Nobody,
}

struct Reader {
    within: Where,
    at: usize,
    in_front_matter: bool,
    is_over: bool,
    is_over_in_front: bool,
    /// The line in which the plan begins: a file may hold several.
    head_at: usize,
    /// The level of the heading that began a section in which nothing is to be done.
    skipped: Option<usize>,
    /// The level of the heading that began a section of tasks.
    tasks: Option<usize>,
    heading: Option<(usize, String)>,
    /// The column of the item above, if nobody is to do that.
    nobodys: Option<usize>,
    /// Whether a step was read.
    has_steps: bool,
    table: Option<Table>,
}

/// Which columns of a table say what.
#[derive(Clone, Copy)]
struct Table {
    status: usize,
}

impl Reader {
    fn new(within: Where) -> Self {
        Self {
            within,
            at: 0,
            in_front_matter: false,
            is_over: false,
            is_over_in_front: false,
            head_at: 0,
            skipped: None,
            tasks: None,
            heading: None,
            nobodys: None,
            has_steps: false,
            table: None,
        }
    }

    fn read(&mut self, line: &MarkdownLine) -> Option<Step> {
        self.at += 1;
        let text = line.text.as_str();
        if text.is_empty() {
            self.table = None;
            return None;
        }
        let is_fence = |mark: u8| text.len() >= 3 && text.bytes().all(|byte| byte == mark);
        if (is_fence(b'-') || is_fence(b'+')) && (self.at == 1 || self.in_front_matter) {
            self.in_front_matter = self.at == 1;
            return None;
        }
        if self.in_front_matter {
            self.is_over_in_front |= ends_in_front(text);
            self.is_over = self.is_over_in_front;
            return None;
        }
        if let Some(level) = heading_level(text) {
            let is_later = self.heading.is_some();
            self.begins(level, text.trim_start_matches('#').trim());
            if level == 1 && is_later {
                // Another plan in the same file.
                (self.head_at, self.has_steps) = (self.at, false);
            }
            if level == 1 && !is_later {
                self.is_over |= is_over(text);
            } else if self.skipped.is_none()
                && (is_over(text) || text.trim_start_matches(['#', ' ']).starts_with(is_done_mark))
            {
                self.skipped = Some(level);
            }
            return None;
        }
        let is_head = self.at < self.head_at + HEAD_LINES && !self.has_steps;
        if is_head && self.heading.as_ref().is_none_or(|(level, _)| *level == 1) {
            if is_over(text) {
                self.is_over = true;
            } else if self.head_at > 0 && status_value(text).is_some() {
                self.is_over = self.is_over_in_front;
            }
        }
        if is_soft_heading(line) {
            self.begins(SOFT_LEVEL, text);
        }
        // What stands below a step that nobody is to do is a part of it.
        if self.nobodys.is_some_and(|column| line.is_item && line.column <= column) {
            self.nobodys = None;
        }
        let step = if text.starts_with('|') {
            self.row(text)
        } else {
            self.table = None;
            step_of_item(text).or_else(|| self.status_line(text))
        }?;
        self.has_steps = true;
        if step.0 == Status::Nobody && line.is_item && self.nobodys.is_none() {
            self.nobodys = Some(line.column);
        }
        let is_elsewhere = self.within == Where::TaskSections && self.tasks.is_none();
        if self.is_over || self.skipped.is_some() || self.nobodys.is_some() || is_elsewhere {
            return None;
        }
        let (status, text) = step;
        let is_done = match status {
            Status::Open => false,
            Status::Done => true,
            Status::Nobody => return None,
        };
        // Redacted before it is cut, so that no half of a secret is left.
        let text = one_line(&redact(&text), MAX_STEP_CHARS);
        (!text.is_empty()).then_some(Step { text, is_done })
    }

    /// A section begins.
    fn begins(&mut self, level: usize, title: &str) {
        let ends = |begun: Option<usize>| begun.filter(|begun| *begun < level);
        let said = plain(title);
        self.skipped = ends(self.skipped).or_else(|| is_skipped(&said).then_some(level));
        let speaks_of_tasks = || WORDS.tasks.stand_in(&said, |_| true);
        self.tasks = ends(self.tasks).or_else(|| speaks_of_tasks().then_some(level));
        if level < SOFT_LEVEL {
            self.heading = Some((level, title.to_owned()));
        }
        self.table = None;
    }

    /// A row of a table: the first one names the columns.
    fn row(&mut self, text: &str) -> Option<(Status, String)> {
        let cells: Vec<&str> = text.trim_matches('|').split('|').map(str::trim).collect();
        let Some(table) = self.table else {
            let is_status = |cell: &&str| WORDS.status.has(&plain(cell));
            self.table = cells.iter().position(is_status).map(|status| Table { status });
            return None;
        };
        let status = status_of(cells.get(table.status)?)?;
        let says = |cell: &&str| cell.chars().filter(|sign| sign.is_alphabetic()).count() >= 3;
        let task = cells.iter().enumerate().filter(|(at, _)| *at != table.status).map(|(_, cell)| *cell).find(says)?;
        Some((if is_nobodys(task) { Status::Nobody } else { status }, task.to_owned()))
    }

    /// `**Status:** pending` below the heading of a step.
    fn status_line(&mut self, text: &str) -> Option<(Status, String)> {
        let value = status_value(text)?;
        // Of the whole plan it says nothing about a step.
        let (_, title) = self.heading.take_if(|(level, _)| *level > 1)?;
        let status = status_of(&value)?;
        Some((if is_nobodys(&title) { Status::Nobody } else { status }, title))
    }
}

/// Marks of what is open, in a list: others (a cross) stand for what not to do as well.
fn is_open_mark(sign: char) -> bool {
    "\u{2610}\u{2b1c}\u{1f532}\u{25a1}\u{25fb}\u{23f3}\u{1f6a7}".contains(sign)
}

/// Marks of what is done.
fn is_done_mark(sign: char) -> bool {
    "\u{2705}\u{2611}\u{2714}\u{2713}".contains(sign)
}

/// A step without a box: a mark before or behind its text, or `TODO:`.
fn step_by_mark(said: &str) -> Option<(Status, &str)> {
    // A mark may have a sign behind it that says how it is drawn.
    let bare = said.trim_matches([' ', '\u{fe0f}', '*']);
    let (first, last) = (bare.chars().next()?, bare.chars().next_back()?);
    let by = |sign: char| {
        if is_open_mark(sign) { Some(Status::Open) } else { is_done_mark(sign).then_some(Status::Done) }
    };
    let text = |text: &'_ str| !text.is_empty();
    if let Some(status) = by(first) {
        let rest = bare[first.len_utf8()..].trim_matches([' ', '\u{fe0f}']);
        return text(rest).then_some((status, rest));
    }
    let status = by(last)?;
    let rest = bare[..bare.len() - last.len_utf8()].trim_matches([' ', '\u{fe0f}']);
    text(rest).then_some((status, rest))
}

/// `TODO: text`, `DONE: text`.
fn step_by_word(said: &str) -> Option<(Status, &str)> {
    let after = |word: &str| said.strip_prefix(word)?.strip_prefix([':', '\u{ff1a}']).map(str::trim);
    after("TODO").map(|rest| (Status::Open, rest)).or_else(|| after("DONE").map(|rest| (Status::Done, rest)))
}

/// `- [ ] text`, `* [x] text`, `1. [ ] text`, `* TODO text`, `** DONE text`, `- \u{2b1c} text`, `\u{2610} text`, `TODO: text`.
fn step_of_item(text: &str) -> Option<(Status, String)> {
    if text.starts_with(['\u{2610}', '\u{2611}']) {
        let (status, said) = step_by_mark(text)?;
        return Some((if is_nobodys(said) { Status::Nobody } else { status }, said.to_owned()));
    }
    if let Some((status, said)) = step_by_word(text).filter(|(_, said)| !said.is_empty()) {
        return Some((if is_nobodys(said) { Status::Nobody } else { status }, said.to_owned()));
    }
    let stars = text.trim_start_matches('*');
    let said = if stars.len() < text.len() && stars.starts_with(' ') { stars } else { after_mark(text)? };
    let said = said.trim_start_matches([' ', '\t', '\u{a0}']);
    let (status, said) = if let Some(boxed) = said.strip_prefix(['[', '\u{ff3b}']) {
        let (mark, rest) = boxed.split_once([']', '\u{ff3d}'])?;
        // `[text](link)` is no box.
        let status = match mark.trim_matches([' ', '\t', '\u{a0}', '\u{2007}', '\u{202f}', '\u{3000}']) {
            "" if !mark.is_empty() => Status::Open,
            "/" | ">" | "~" if mark.len() == 1 && !rest.starts_with('(') => Status::Open,
            "x" | "X" | "\u{2713}" | "\u{2714}" | "\u{2705}" if !rest.starts_with('(') => Status::Done,
            // Cancelled, as many write it; in org-mode a step that is begun.
            "-" if mark.len() == 1 && !rest.starts_with('(') => Status::Nobody,
            _ => return None,
        };
        (status, rest)
    } else if let Some(rest) = said.strip_prefix("TODO ") {
        (Status::Open, rest)
    } else if let Some(rest) = said.strip_prefix("DONE ") {
        (Status::Done, rest)
    } else {
        // Most items of lists are no steps.
        step_by_word(said).or_else(|| if said.is_ascii() { None } else { step_by_mark(said) })?
    };
    let said = said.trim_matches([' ', '\t', '\u{a0}']);
    let lower = plain(said);
    if said.is_empty() || is_legend(&lower) {
        return None;
    }
    Some((if says_nobody(said, &lower) { Status::Nobody } else { status }, said.to_owned()))
}

/// The level of a heading.
fn heading_level(text: &str) -> Option<usize> {
    let rest = text.trim_start_matches('#');
    let level = text.len() - rest.len();
    ((1..SOFT_LEVEL).contains(&level) && rest.starts_with([' ', '\t'])).then_some(level)
}

/// Whether a line stands over a list without being a heading: all of it bold, or with a colon at its end.
fn is_soft_heading(line: &MarkdownLine) -> bool {
    let text = line.text.trim();
    let is_bold = |mark: &str| {
        text.len() > 2 * mark.len() && text.starts_with(mark) && text.trim_end_matches(':').ends_with(mark)
    };
    !line.is_item && !text.starts_with('|') && (is_bold("**") || is_bold("__") || text.ends_with([':', '\u{ff1a}']))
}

/// Whether nothing is to be done by the agent below a heading that says this.
fn is_skipped(said: &str) -> bool {
    const JOINTS: [&str; 9] = ["and", "or", "und", "et", "y", "e", "en", "i", "и"];
    const MARKS: [char; 14] =
        ['(', ')', '[', ']', '/', '&', ',', ':', '+', '|', '\u{2013}', '\u{2014}', '\u{ff1a}', '\u{3001}'];
    if said.starts_with("~~") {
        return true;
    }
    let said = said.trim_start_matches(|sign: char| !sign.is_alphanumeric());
    let is_several = |phrase: &str| phrase.contains(' ') || phrase.chars().any(words::is_unspaced);
    // Hyphens for spaces are one way to write the same.
    if WORDS.sections.stand_in(said, is_several) || said.contains('-') && WORDS.sections.has(&said.replace('-', " ")) {
        return true;
    }
    said.split(MARKS).any(|part| {
        let mut begun = 0;
        let mut words = part.split(' ');
        let mut at = 0;
        loop {
            let word = words.next();
            if word.is_none_or(|word| JOINTS.contains(&word)) && WORDS.sections.has(part[begun..at].trim()) {
                return true;
            }
            let Some(word) = word else { return false };
            at = (at + word.len() + 1).min(part.len());
            if JOINTS.contains(&word) {
                begun = at;
            }
        }
    })
}

/// Whether a step says that nobody is to do it now.
fn is_nobodys(step: &str) -> bool {
    says_nobody(step, &plain(step))
}

/// [`is_nobodys`] of a step that is `said` in lower case.
fn says_nobody(step: &str, said: &str) -> bool {
    if step.trim_start_matches(['*', '_']).starts_with("~~") || step.starts_with("<del>") || step.starts_with("<s>") {
        return true;
    }
    let begins = |text: &str| {
        WORDS.nobody.begin(text).any(|phrase| {
            let rest = text[phrase.len()..].trim_start();
            phrase.contains(' ')
                || rest.is_empty()
                || rest.starts_with([':', '-', '\u{2013}', '\u{2014}', ',', '.', ';', '\u{ff1a}', ')', ']'])
        })
    };
    let is_called = |text: &str| WORDS.nobody.begin(text).next().is_some();
    // "BLOCKED waiting for ops": shouted, it is a mark and no word of the step.
    let shouts = step.split_whitespace().next().is_some_and(|first| {
        first.chars().filter(|sign| sign.is_alphabetic()).count() > 3
            && first.chars().all(|sign| !sign.is_lowercase())
            && is_called(&plain(first))
    });
    let is_marked = |byte: u8| matches!(byte, b'(' | b'[' | b'@' | b'-') || byte >= 0x80;
    if begins(said) || shouts {
        return true;
    }
    if !said.bytes().any(is_marked) {
        return false;
    }
    let bracketed = said
        .match_indices(['(', '[', '\u{ff08}', '\u{3010}'])
        .any(|(at, mark)| is_called(said[at + mark.len()..].trim_start()));
    let behind_dash = [" - ", " \u{2013} ", " \u{2014} "]
        .iter()
        .any(|dash| said.rsplit_once(dash).is_some_and(|(_, last)| is_called(last)));
    bracketed || behind_dash || said.contains("@human") || said.contains("@person")
}

/// Whether a text beside a box says what the box means.
fn is_legend(said: &str) -> bool {
    let said = said.trim_start_matches(['=', ':', '-', ' ']);
    WORDS.open.has(said) || WORDS.done.has(said)
}

/// What a status says, in words or as a mark.
fn status_of(text: &str) -> Option<Status> {
    const OPEN: &str = "\u{2b1c}\u{2610}\u{1f532}\u{1f6a7}\u{23f3}\u{274c}\u{1f534}\u{1f7e1}\u{25fb}\u{25a1}";
    const DONE: &str = "\u{2705}\u{2611}\u{2714}\u{2713}\u{1f7e2}";
    let text = text.trim();
    if text.starts_with("[ ]") {
        return Some(Status::Open);
    }
    if text.starts_with("[x]") || text.starts_with("[X]") {
        return Some(Status::Done);
    }
    let said = plain(text);
    let said = said.trim_start_matches(|sign: char| !sign.is_alphanumeric());
    let is = |known: &Phrases| known.begin(said).next().is_some();
    if is(&WORDS.nobody) {
        Some(Status::Nobody)
    } else if is(&WORDS.done) {
        Some(Status::Done)
    } else if is(&WORDS.open) {
        Some(Status::Open)
    } else {
        let first = text.chars().next()?;
        if DONE.contains(first) { Some(Status::Done) } else { OPEN.contains(first).then_some(Status::Open) }
    }
}

/// What stands behind `Status:`, in lower case.
fn status_value(text: &str) -> Option<String> {
    let (name, _) = text.split_once([':', '\u{ff1a}'])?;
    // Most lines with a colon are sentences.
    if name.len() > MAX_STATUS_NAME {
        return None;
    }
    let said = plain(text);
    let said = said.trim_start_matches(['-', '*', ' ']);
    let (name, value) = said.split_once([':', '\u{ff1a}'])?;
    (WORDS.status.has(name.trim()) && !value.trim().is_empty()).then(|| value.trim().to_owned())
}

/// Whether a line at the beginning of a plan says that it is over.
fn is_over(text: &str) -> bool {
    const SAYS: [&str; 6] = ["this plan ", "this document ", "this file ", "this roadmap ", "dieser plan ", "ce plan "];
    const HAS: [&str; 7] = ["is ", "has been ", "was ", "now ", "ist ", "wurde ", "est "];
    let text = text.trim_start_matches(['>', ' ']);
    let said = plain(text.trim_start_matches('#'));
    let said = said.trim_start_matches(|sign: char| !sign.is_alphanumeric());
    let is = |value: &str| begins_over(value.trim_start_matches(|sign: char| !sign.is_alphanumeric()));
    // "ARCHIVED": shouted, it is a mark and no sentence.
    let first = text.split_whitespace().next().unwrap_or_default();
    let letters = || first.chars().filter(|sign| sign.is_alphabetic());
    let shouts = letters().count() > 3 && letters().all(|sign| !sign.is_lowercase()) && is(said);
    let told = SAYS.iter().find_map(|of| said.strip_prefix(of)).is_some_and(|rest| {
        let rest = HAS.iter().fold(rest, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
        begins_over(rest)
    });
    status_value(text).is_some_and(|value| is(&value))
        || (text.starts_with('#') && said.match_indices(['(', '[']).any(|(at, _)| is(&said[at..])))
        || shouts
        || told
        || words::begins_with(said, "superseded by")
        || words::begins_with(said, "do not execute this")
}

fn begins_over(said: &str) -> bool {
    WORDS.over.begin(said).next().is_some()
}

/// The same of a line of front matter, in YAML or TOML.
fn ends_in_front(text: &str) -> bool {
    let said = plain(text).replace(['"', '\''], "");
    let Some((name, value)) = said.split_once([':', '=']) else { return false };
    let (name, value) = (name.trim().replace('_', " "), value.trim());
    let is_set = !matches!(value, "" | "false" | "no" | "null" | "~" | "[]");
    // `plain` takes underscores away.
    let is_mark = matches!(
        name.as_str(),
        "archived"
            | "completed"
            | "superseded"
            | "supersededby"
            | "superseded by"
            | "superseded-by"
            | "obsolete"
            | "done"
    );
    (is_mark && is_set) || (WORDS.status.has(&name) && begins_over(value))
}

/// Lower case, without emphasis, and with plain spaces.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in text.trim().chars() {
        match sign {
            '*' | '_' | '`' | '"' => {}
            sign if sign.is_ascii() => {
                out.push(if sign.is_ascii_whitespace() { ' ' } else { sign.to_ascii_lowercase() });
            }
            sign if sign.is_whitespace() => out.push(' '),
            sign => out.extend(sign.to_lowercase()),
        }
    }
    let end = out.trim_end().len();
    out.truncate(end);
    let begin = out.len() - out.trim_start().len();
    out.drain(..begin);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn read(text: &str) -> Vec<Step> {
        by_line(text, Where::Everywhere).flatten().collect()
    }

    fn open(text: &str) -> Vec<String> {
        read(text).into_iter().filter(|step| !step.is_done).map(|step| step.text).collect()
    }

    #[rstest]
    #[case::boxes("- [x] a1\n- [ ] b2\n  * [ ] c3\n1. [ ] d4\n", &["b2", "c3", "d4"])]
    #[case::no_break_spaces("- [\u{a0}] a1\n-\u{a0}[ ]\u{a0}b2\n", &["a1", "b2"])]
    #[case::org("* TODO Write the parser\n** DONE Write the lexer\n- [ ] and tests\n", &["Write the parser", "and tests"])]
    #[case::table("| # | Task | Status |\n|---|---|---|\n| 1 | Lexer | done |\n| 2 | Parser | pending |\n| 3 | Tests | \u{2b1c} |\n| 4 | Docs | optional |\n", &["Parser", "Tests"])]
    #[case::table_in_german("| Aufgabe | Stand |\n|---|---|\n| Lexer | erledigt |\n| Parser | offen |\n", &["Parser"])]
    #[case::status_below_headings("# Plan\n**Status:** in progress\n\n## Step 1: lexer\n**Status:** done\n\n## Step 2: parser\n**Status:** pending\n\nText.\n", &["Step 2: parser"])]
    #[case::status_in_japanese("## 手順1\n状態：完了\n\n## 手順2\n状態：未着手\n", &["手順2"])]
    fn steps_are_read_in_every_form(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(open(text), expected);
    }

    #[rstest]
    #[case("- [ ] ~~Write the exporter~~")]
    #[case("- [ ] BLOCKED: waiting for ops")]
    #[case("- [ ] **BLOCKED** waiting for ops")]
    #[case("- [ ] blocked by #12")]
    #[case("- [ ] Exporter (optional)")]
    #[case("- [ ] (optional) exporter")]
    #[case("- [ ] [optional] exporter")]
    #[case("- [ ] Optional: exporter")]
    #[case("- [ ] Exporter \u{2014} deferred to 2.0")]
    #[case("- [ ] rotate the key @human")]
    #[case("- [-] cancelled")]
    #[case("- [ ] open")]
    #[case("- [ ] in progress")]
    #[case("- [ ] (optionnel) exportateur")]
    #[case("- [ ] Zur\u{fc}ckgestellt: Exporter")]
    #[case("- [ ] \u{53ef}\u{9009}\u{ff1a}\u{5bfc}\u{51fa}")]
    #[case("- [text](link) and more")]
    #[case("- [](link)")]
    fn what_nobody_is_to_do_is_no_step(#[case] text: &str) {
        assert_eq!(open(text), Vec::<String>::new(), "{text}");
    }

    #[rstest]
    #[case("Optional chaining in the parser")]
    #[case("Skip links for keyboards")]
    #[case("Waiting room screen")]
    #[case("Write the manual page")]
    #[case("Unblock the queue (the lock in `q.rs`)")]
    #[case("Open files lazily")]
    #[case("TODO comments are listed")]
    #[case("Cancel button")]
    fn steps_that_only_sound_like_it_are_steps(#[case] text: &str) {
        assert_eq!(open(&format!("- [ ] {text}")), [text]);
    }

    #[rstest]
    #[case("## Out of scope")]
    #[case("## Future ideas")]
    #[case("### For the human")]
    #[case("## Optional")]
    #[case("## Ideas and later")]
    #[case("## Stretch goals (maybe)")]
    #[case("## Out-of-scope")]
    #[case("## Nice-to-haves")]
    #[case("## Backlog")]
    #[case("## Follow-ups")]
    #[case("## Human tasks")]
    #[case("## \u{1f9ca} Icebox")]
    #[case("## ~~Phase 2~~")]
    #[case("## \u{411}\u{44d}\u{43a}\u{43b}\u{43e}\u{433}")]
    #[case("**Nice to have:**")]
    #[case("Later:")]
    #[case("## Au\u{df}erhalb")]
    #[case("## Fuera de alcance")]
    #[case("## \u{5c06}\u{6765}\u{306e}\u{62e1}\u{5f35}")]
    #[case("## \u{041f}\u{043e}\u{0437}\u{0436}\u{0435}")]
    fn a_section_for_later_holds_no_steps_and_the_next_one_does(#[case] heading: &str) {
        let text = format!("# Plan\n\n## Steps\n- [ ] a1\n\n{heading}\n- [ ] b2\n\n## More\n- [ ] c3\n");
        assert_eq!(open(&text), ["a1", "c3"]);
    }

    #[rstest]
    #[case("## Future-proof storage")]
    #[case("## Human readable output")]
    #[case("## Waiting room")]
    #[case("## Late binding")]
    fn a_heading_that_only_sounds_like_it_holds_steps(#[case] heading: &str) {
        assert_eq!(open(&format!("{heading}\n- [ ] a1\n")), ["a1"]);
    }

    #[test]
    fn what_is_below_a_section_for_later_is_for_later() {
        let text = "## Later\n### Exporter\n- [ ] a1\n## Now\n### Importer\n- [ ] b2\n";
        assert_eq!(open(text), ["b2"]);
    }

    #[rstest]
    #[case("---\ntitle: x\nstatus: completed\n---\n")]
    #[case("---\nStatus: \"superseded\"\n---\n")]
    #[case("# Plan\n\n**Status:** Superseded by plan-2.md\n\n")]
    #[case("# Plan (archived)\n")]
    #[case("> note\n\nSuperseded by [plan 2](plan-2.md)\n\n")]
    #[case("# \u{8ba1}\u{5212}\n\u{72b6}\u{6001}\u{ff1a}\u{5df2}\u{5e9f}\u{5f03}\n\n")]
    fn a_plan_that_is_over_has_no_steps(#[case] head: &str) {
        assert_eq!(open(&format!("{head}## Steps\n- [ ] a1\n")), Vec::<String>::new());
        assert_eq!(
            open(&format!("{}## Steps\n- [ ] a1\n", head.replace("status: completed", "status: active"))).is_empty(),
            !head.contains("status: completed")
        );
    }

    #[rstest]
    #[case("---\narchived: true\n---\n")]
    #[case("---\nsuperseded_by: plan-2.md\n---\n")]
    #[case("---\nstatus: on hold\n---\n")]
    #[case("+++\nstatus = \"done\"\n+++\n")]
    #[case("# Plan\n\n- Status: done\n\n")]
    #[case("# Plan\n\n> **Status:** superseded by docs/new.md\n\n")]
    #[case("# Plan\n\n**SUPERSEDED**\n\n")]
    #[case("# Plan\n\n**DEPRECATED** do not use\n\n")]
    #[case("# Plan\n\nThis plan has been completed.\n\n")]
    #[case("# Plan\n\nThis plan is superseded by plan 2.\n\n")]
    #[case("Do not execute this plan.\n\n")]
    fn a_plan_says_in_many_ways_that_it_is_over(#[case] head: &str) {
        assert_eq!(open(&format!("{head}## Steps\n- [ ] a1\n")), Vec::<String>::new());
    }

    #[rstest]
    #[case("---\narchived: false\ntitle: done deal\n---\n")]
    #[case("# Plan\n\nThis plan is about the archive.\n\n")]
    #[case("# Plan\n\nClosed captions are missing.\n\n")]
    #[case("# Plan\n\n- [x] Status: done is shown\n\n")]
    #[case("# API for finished orders\n\n")]
    fn and_a_plan_that_only_sounds_like_it_is_not(#[case] head: &str) {
        assert_eq!(open(&format!("{head}## Steps\n- [ ] a1\n")), ["a1"]);
    }

    #[test]
    fn what_stands_below_a_step_that_nobody_is_to_do_is_a_part_of_it() {
        let text =
            "- [ ] ~~big~~\n  - [ ] sub\n    - [ ] subsub\n- [ ] n1\n  - [ ] its part\n- [ ] BLOCKED: x\n\t- [ ] y\n";
        assert_eq!(open(text), ["n1", "its part"]);
    }

    #[test]
    fn a_file_that_says_other_things_as_well_has_steps_in_its_task_sections_only() {
        let text = "# Rules\n- [ ] tick before a commit\n\n## Current tasks\n- [ ] a1\n\n## Style\n- [ ] b2\n";
        let steps: Vec<Step> = by_line(text, Where::TaskSections).flatten().collect();
        assert_eq!(steps, [Step { text: "a1".to_owned(), is_done: false }]);
    }

    #[test]
    fn what_is_done_is_told() {
        let steps = read("- [x] a1\n- [X] b2\n- [ ] c3\n");
        assert_eq!(steps.iter().map(|step| step.is_done).collect::<Vec<_>>(), [true, true, false]);
    }

    /// Plans as they are written elsewhere; what is left of each.
    #[rstest]
    #[case::github_issue("### Tasks\n- [x] #12\n- [ ] octo/repo#34\n- [ ] https://example.invalid/issues/5\n", &["octo/repo#34", "https://example.invalid/issues/5"])]
    #[case::notion("# Launch 1f2e3d\n\nStatus: In progress\nOwner: Ann\n\n- [x]  Draft\n- [ ]  Review\n    - [ ]  Legal\n", &["Review", "Legal"])]
    #[case::ballot_boxes("\u{2611} lexer\n\u{2610} parser\n- \u{2610} tests\n- \u{2705} docs\n", &["parser", "tests"])]
    #[case::todo_lines("TODO: write the parser\nDONE: write the lexer\n- TODO: tests\n", &["write the parser", "tests"])]
    #[case::numbers_and_marks("1. \u{2705} Lexer\n2. \u{2b1c} Parser\n3. \u{274c} Tests\n", &["Parser"])]
    #[case::marks_behind("- Lexer \u{2705}\n- Parser \u{2b1c}\n", &["Parser"])]
    #[case::draft("---\nstatus: draft\n---\n- [ ] a1\n", &["a1"])]
    #[case::completed("---\nstatus: completed\n---\n- [ ] a1\n", &[])]
    #[case::superseded("---\nstatus: superseded\nsuperseded-by: b.md\n---\n- [ ] a1\n", &[])]
    #[case::later("## Jetzt\n- [ ] a1\n## Sp\u{e4}ter\n- [ ] b2\n", &["a1"])]
    #[case::future("## \u{4eca}\n- [ ] a1\n## \u{5c06}\u{6765}\n- [ ] b2\n", &["a1"])]
    #[case::legend("Legend: - [ ] open, - [x] done\n\n- [ ] open\n- [x] done\n- [ ] a1\n", &["a1"])]
    #[case::struck_through("- [ ] ~~a1~~ dropped\n- [ ] b2\n- [ ] **~~c3~~**\n", &["b2"])]
    #[case::blocked("- [ ] BLOCKED: a1\n- [ ] a2 [BLOCKED]\n- [ ] \u{1f6ab} a3 (blocked)\n- [ ] b4\n", &["b4"])]
    #[case::below_a_done_parent("- [x] big\n  - [ ] left over\n- [ ] b2\n", &["left over", "b2"])]
    #[case::two_plans_in_one_file("# Plan A\n**Status:** completed\n- [ ] a1\n\n# Plan B\n**Status:** active\n- [ ] b1\n", &["b1"])]
    #[case::two_plans_the_second_over("# Plan B\n- [ ] b1\n\n# Plan A (superseded)\n- [ ] a1\n", &["b1"])]
    #[case::phase_that_is_done("# Plan\n## Phase 1 (done)\n- [ ] a1\n## Phase 2\n- [ ] b1\n", &["b1"])]
    #[case::phase_with_a_mark("# Plan\n## \u{2705} Phase 1\n- [ ] a1\n## Phase 2\n- [ ] b1\n", &["b1"])]
    #[case::table_of_boxes("| Step | Done |\n|---|---|\n| Lexer | [x] |\n| Parser | [ ] |\n", &["Parser"])]
    #[case::table_in_chinese("| \u{4efb}\u{52a1} | \u{72b6}\u{6001} |\n|---|---|\n| \u{89e3}\u{6790}\u{5668} | \u{5df2}\u{5b8c}\u{6210} |\n| \u{6d4b}\u{8bd5}\u{7528}\u{4f8b} | \u{5f85}\u{529e} |\n", &["\u{6d4b}\u{8bd5}\u{7528}\u{4f8b}"])]
    #[case::org_checkboxes("* Plan [1/2]\n- [X] a1\n- [ ] b2\n", &["b2"])]
    #[case::org_priorities("* TODO [#A] Write the parser :work:\n* DONE Lexer\n* CANCELLED Old\n", &["[#A] Write the parser :work:"])]
    #[case::quoted("> - [ ] an example of somebody\n\n- [ ] a1\n", &["a1"])]
    #[case::windows_lines("# Plan\r\n- [x] a1\r\n- [ ] b2\r\n", &["b2"])]
    #[case::byte_order_mark("\u{feff}- [ ] a1\n", &["a1"])]
    #[case::asterisks_and_tabs("*\t[ ]\ta1\n+ [x] b2\n", &["a1"])]
    #[case::capital_x_and_check("- [X] a1\n- [\u{2713}] b2\n- [v] c3\n- [ ] d4\n", &["d4"])]
    #[case::full_width("- \u{ff3b} \u{ff3d} a1\n- [\u{3000}] b2\n", &["a1", "b2"])]
    #[case::russian_status("## \u{428}\u{430}\u{433} 1\n**\u{421}\u{442}\u{430}\u{442}\u{443}\u{441}:** \u{433}\u{43e}\u{442}\u{43e}\u{432}\u{43e}\n## \u{428}\u{430}\u{433} 2\n**\u{421}\u{442}\u{430}\u{442}\u{443}\u{441}:** \u{432} \u{440}\u{430}\u{431}\u{43e}\u{442}\u{435}\n", &["\u{428}\u{430}\u{433} 2"])]
    #[case::non_goals("## Non-Goals\n- [ ] a1\n## Goals\n- [ ] b1\n", &["b1"])]
    #[case::changelog_prose("Release 2 is done.\nTODO comments are listed by the linter.\n", &[])]
    fn plans_of_other_places(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(open(text), expected);
    }
}
