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
    begun: Phrases,
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
        begun: list("begun"),
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
            let step = step_of_heading(text.trim_start_matches('#').trim())?;
            self.has_steps = true;
            // It has its status: a line below it gives it no other.
            self.heading = Some((1, step.1.clone()));
            return self.step(step);
        }
        let is_head = self.at < self.head_at + HEAD_LINES && !self.has_steps;
        if is_head && self.heading.as_ref().is_none_or(|(level, _)| *level == 1) {
            if is_over(text) {
                self.is_over = true;
            } else if self.head_at > 0 && status_value(text).is_some() {
                self.is_over = self.is_over_in_front;
            }
        }
        if let Some(title) = summary(text) {
            self.begins(SOFT_LEVEL, title);
        } else if text == "</details>" {
            self.begins(SOFT_LEVEL, "");
        } else if is_soft_heading(line) {
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
        self.step(step)
    }

    /// What is read of a step, by where it stands.
    fn step(&self, (status, text): (Status, String)) -> Option<Step> {
        let is_elsewhere = self.within == Where::TaskSections && self.tasks.is_none();
        if self.is_over || self.skipped.is_some() || self.nobodys.is_some() || is_elsewhere {
            return None;
        }
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

/// Marks of what is not to be begun.
fn is_barrier(sign: char) -> bool {
    "\u{1f6ab}\u{26d4}\u{1f512}\u{23f8}\u{23ed}".contains(sign)
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
    } else if let Some(rest) = ["NEXT ", "DOING ", "STARTED "]
        .iter()
        .find_map(|word| said.strip_prefix(word).filter(|_| stars.len() < text.len()))
    {
        // Further words of org-mode, which anything else may begin with elsewhere.
        (Status::Open, rest)
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

/// The step that a heading is, with a box before or behind its text.
fn step_of_heading(title: &str) -> Option<(Status, String)> {
    let bare = title.trim_matches(['*', '_', ' ']);
    let of = |mark: &str| match mark {
        "[ ]" => Some(Status::Open),
        "[x]" | "[X]" => Some(Status::Done),
        _ => None,
    };
    let ahead = bare.split_at_checked(3).and_then(|(mark, rest)| Some((of(mark)?, rest)));
    let behind = || bare.split_at_checked(bare.len().checked_sub(3)?).and_then(|(rest, mark)| Some((of(mark)?, rest)));
    let (status, said) = ahead.or_else(behind)?;
    let said = said.trim_matches([' ', '*', '_']);
    (!said.is_empty()).then(|| (if is_nobodys(said) { Status::Nobody } else { status }, said.to_owned()))
}

/// What a part that folds is called: `<details><summary>Later</summary>`.
fn summary(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<summary>")?;
    Some(rest.split_once("</summary>").map_or(rest, |(title, _)| title))
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
    if WORDS.begun.begin(said).next().is_some() {
        return true;
    }
    let is_several = |phrase: &str| phrase.contains(' ') || says_it_anywhere(phrase);
    // Hyphens for spaces are one way to write the same.
    if WORDS.sections.stand_in(said, is_several) || said.contains('-') && WORDS.sections.has(&said.replace('-', " ")) {
        return true;
    }
    said.split(MARKS).any(|part| {
        if stands_for_all(part.trim()) {
            return true;
        }
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

/// Whether a phrase in a script without spaces is so long that it is no part of another word.
fn says_it_anywhere(phrase: &str) -> bool {
    let is_loan = |sign: char| matches!(sign, '\u{30a0}'..='\u{30ff}');
    let is_glued = |sign: char| matches!(sign, '\u{ac00}'..='\u{d7af}');
    phrase.chars().count() >= 3
        && phrase.chars().all(words::is_unspaced)
        && !phrase.chars().all(is_loan)
        && !phrase.chars().any(is_glued)
}

/// Whether such a phrase is all that `part` of a heading says, or has a word behind it that makes it one: without spaces
/// "for later" begins many other words (人工 is "by hand", 人工智能 "artificial intelligence").
fn stands_for_all(part: &str) -> bool {
    const BEHIND: [&str; 22] = [
        "の",
        "的",
        "に",
        "へ",
        "は",
        "を",
        "事项",
        "计划",
        "計画",
        "工作",
        "优化",
        "改进",
        "扩展",
        "拡張",
        "想法",
        "課題",
        "タスク",
        "任务",
        "項目",
        "部分",
        "에",
        "의",
    ];
    WORDS.sections.begin(part).filter(|phrase| phrase.starts_with(words::is_unspaced)).any(|phrase| {
        let rest = &part[phrase.len()..];
        rest.is_empty() || BEHIND.iter().any(|behind| rest.starts_with(behind))
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
    // Marks before it: one that stands for a barrier says it alone.
    let bare = step.trim_start_matches(|sign: char| !sign.is_alphanumeric() && !"([\u{ff08}\u{3010}@#".contains(sign));
    if step[..step.len() - bare.len()].contains(is_barrier) {
        return true;
    }
    let (step, said) =
        (bare, said.trim_start_matches(|sign: char| !sign.is_alphanumeric() && !"([\u{ff08}\u{3010}@#".contains(sign)));
    let begins = |text: &str| {
        WORDS.nobody.begin(text).any(|phrase| {
            let rest = text[phrase.len()..].trim_start();
            phrase.contains(' ')
                || rest.is_empty()
                || rest.starts_with([':', '-', '\u{2013}', '\u{2014}', ',', '.', ';', '\u{ff1a}', ')', ']'])
        })
    };
    // Where words are not spaced, more than it may begin with a phrase: "optional parameter".
    let ends = |rest: &str| {
        rest.chars().next().is_none_or(|sign| !sign.is_alphanumeric())
            || ["中", "到", "至", "まで"].iter().any(|behind| rest.starts_with(behind))
    };
    let is_called = |text: &str| {
        WORDS.nobody.begin(text).any(|phrase| !phrase.ends_with(words::is_unspaced) || ends(&text[phrase.len()..]))
    };
    // "BLOCKED waiting for ops": shouted, it is a mark and no word of the step.
    let shouts = step.split_whitespace().next().is_some_and(|first| {
        first.chars().filter(|sign| sign.is_uppercase()).count() > 3
            && first.chars().all(|sign| !sign.is_alphabetic() || sign.is_uppercase())
            && is_called(&plain(first))
    });
    let is_marked = |byte: u8| matches!(byte, b'(' | b'[' | b'@' | b'#' | b'-') || byte >= 0x80;
    if begins(said) || shouts {
        return true;
    }
    if !said.bytes().any(is_marked) {
        return false;
    }
    let bracketed = said
        .match_indices(['(', '[', '\u{ff08}', '\u{3010}'])
        .any(|(at, mark)| is_called(said[at + mark.len()..].trim_start()));
    let behind_dash = [" - ", " -- ", " \u{2013} ", " \u{2014} "]
        .iter()
        .any(|dash| said.rsplit_once(dash).is_some_and(|(_, last)| is_called(last)));
    // "... #blocked", "... \u{1f512} blocked by ops".
    let tagged = said.match_indices(" #").any(|(at, mark)| is_called(&said[at + mark.len()..]));
    let barred = said
        .char_indices()
        .filter(|(_, sign)| is_barrier(*sign))
        .any(|(at, sign)| is_called(said[at + sign.len_utf8()..].trim_start_matches(['\u{fe0f}', ' '])));
    bracketed || behind_dash || tagged || barred || said.contains("@human") || said.contains("@person")
}

/// Whether a text beside a box says what the box means.
fn is_legend(said: &str) -> bool {
    let said = said.trim_start_matches(['=', ':', '-', ' ']);
    let is = |said: &str| WORDS.open.has(said) || WORDS.done.has(said);
    // All of them in one line.
    let several =
        || said.contains("[x]") && said.split(['/', ',', ';', '|', '\u{b7}']).next().is_some_and(|one| is(one.trim()));
    is(said) || several()
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
    const SAYS: [&str; 21] = [
        "this plan ",
        "this document ",
        "this file ",
        "this roadmap ",
        "dieser plan ",
        "ce plan ",
        "este plan ",
        "este documento ",
        "este plano ",
        "questo piano ",
        "dit plan ",
        "ten plan ",
        "bu plan ",
        "этот план ",
        "план ",
        "本计划",
        "此计划",
        "该计划",
        "この計画は",
        "このプランは",
        "이 계획은 ",
    ];
    const HAS: [&str; 20] = [
        "is ",
        "has been ",
        "was ",
        "now ",
        "ist ",
        "wurde ",
        "est ",
        "a été ",
        "está ",
        "ha sido ",
        "foi ",
        "è ",
        "jest ",
        "został ",
        "уже ",
        "已经",
        "已",
        "もう",
        "すでに",
        "artık ",
    ];
    let text = text.trim_start_matches(['>', ' ']);
    let said = plain(text.trim_start_matches('#'));
    let said = said.trim_start_matches(|sign: char| !sign.is_alphanumeric());
    let is = |value: &str| begins_over(value.trim_start_matches(|sign: char| !sign.is_alphanumeric()));
    // "ARCHIVED": shouted, it is a mark and no sentence.
    let first = text.split_whitespace().next().unwrap_or_default();
    let letters = || first.chars().filter(|sign| sign.is_alphabetic());
    let shouts = letters().count() > 3 && letters().all(char::is_uppercase) && is(said);
    // "Note: this plan is superseded".
    let noted = said.split_once(": ").filter(|(note, _)| note.len() < MAX_STATUS_NAME).map_or(said, |(_, rest)| rest);
    let told =
        SAYS.iter().find_map(|of| said.strip_prefix(of).or_else(|| noted.strip_prefix(of))).is_some_and(|rest| {
            let rest = HAS.iter().fold(rest, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
            begins_over(rest)
        });
    status_value(text).is_some_and(|value| is(&value))
        || (text.starts_with('#') && said.match_indices(['(', '[']).any(|(at, _)| is(&said[at..])))
        || shouts
        || told
        || ["superseded by", "obsolete:", "superseded:", "archived:", "deprecated:"]
            .iter()
            .any(|mark| words::begins_with(said, mark))
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
    let value = value.trim_start_matches(|sign: char| !sign.is_alphanumeric() && !"~[".contains(sign));
    if name == "active" && matches!(value, "false" | "no") {
        return true;
    }
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
            | "completedat"
            | "completed-at"
            | "completedon"
            | "archivedat"
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
            // Two signs in lower case, of which nobody types the second.
            '\u{130}' => out.push('i'),
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
mod tests;
