//! The steps of a plan: boxes, rows of a table with a column for the status, headings with a status below them, and
//! org-mode's `TODO`. What nobody is to do now is no step: struck through, blocked, optional, or below a heading such as
//! "Out of scope". A plan that is over or superseded has none.

mod forms;
mod over;
mod phrases;

use std::sync::LazyLock;

use stopgate_core::redact::redact;
use stopgate_core::text::one_line;
use stopgate_core::words;

use self::forms::{
    is_barrier, is_done_mark, is_open_mark, status_of, step_by_last_word, step_of_heading, step_of_item,
};
use self::over::{ends_in_front, is_over};
use self::phrases::Phrases;
use crate::markdown::{self, MarkdownLine, after_mark};

/// Longest text of a step that is passed on.
pub const MAX_STEP_CHARS: usize = 160;
/// How many lines from its beginning a plan may say of all of itself that it is over.
const HEAD_LINES: usize = 15;
/// The level of a section that is begun by a line in bold, or by one that ends with a colon: below each heading.
const SOFT_LEVEL: usize = 7;
/// Longest title that is underlined, in bytes: a rule may stand below a paragraph as well.
const MAX_TITLE: usize = 60;
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
    /// The level of the heading of a section that is done: what is open in it was forgotten.
    finished: Option<usize>,
    /// Whether an item of this section, and whether a heading, was seen that gives its own status by a word or a mark.
    items_tell: bool,
    headings_tell: bool,
    /// Whether the line before is blank.
    is_below_blank: bool,
    /// The line before, if it may be a title that is underlined.
    above: Option<String>,
    /// Org-mode: stars begin headings.
    is_org: bool,
    /// The last item at the margin with one star, while nobody knows whether that is a heading.
    star: Option<String>,
    /// The line before, if it may be the head of a table without bars at its edges.
    head: Option<String>,
    /// A task in front matter.
    front: FrontTask,
}

/// A task of a list in front matter, as far as it was read.
#[derive(Default)]
struct FrontTask {
    text: Option<String>,
    status: Option<Status>,
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
            finished: None,
            items_tell: false,
            headings_tell: false,
            is_below_blank: true,
            above: None,
            is_org: false,
            star: None,
            head: None,
            front: FrontTask::default(),
        }
    }

    fn read(&mut self, line: &MarkdownLine) -> Option<Step> {
        self.at += 1;
        let text = line.text.as_str();
        if text.is_empty() {
            (self.table, self.above, self.is_below_blank) = (None, None, true);
            return None;
        }
        let is_fence = |mark: u8| text.len() >= 3 && text.bytes().all(|byte| byte == mark);
        if (is_fence(b'-') || is_fence(b'+')) && (self.at == 1 || self.in_front_matter) {
            self.in_front_matter = self.at == 1;
            return None;
        }
        if self.in_front_matter {
            if line.column > 0 || line.is_item {
                // A task of a list is not all of the plan.
                let step = self.task_in_front(line)?;
                return self.step(step);
            }
            self.is_over_in_front |= ends_in_front(text);
            self.is_over = self.is_over_in_front;
            return None;
        }
        let (above, is_below_blank) = (self.above.take(), std::mem::take(&mut self.is_below_blank));
        if let Some((level, title)) = above.and_then(|above| Some((underline(text)?, above))) {
            let title = format!("{} {title}", &"######"[..level]);
            return self.heading(level, &title);
        }
        if self.begins_in_org(line) {
            return self.heading_in_org(text);
        }
        if let Some(level) = heading_level(text) {
            return self.heading(level, text);
        }
        let is_title = !line.is_item
            && text.len() <= MAX_TITLE
            && text.starts_with(char::is_alphanumeric)
            && text.ends_with(|sign: char| sign.is_alphanumeric() || matches!(sign, ')' | ']'));
        self.above = (is_below_blank && is_title).then(|| text.to_owned());
        self.below_headings(line)
    }

    /// A heading: a section begins, and it may be a step itself.
    fn heading(&mut self, level: usize, text: &str) -> Option<Step> {
        let title = text.trim_start_matches(['#', '=']).trim();
        let is_later = self.heading.is_some();
        self.begins(level, title);
        if level == 1 && is_later {
            // Another plan in the same file.
            (self.head_at, self.has_steps) = (self.at, false);
        }
        let by_word = step_by_last_word(title);
        let shouts = by_word.is_some_and(|(.., shouts)| shouts);
        let told = by_word.map(|(status, said, _)| (status, said)).or_else(|| {
            let first = title.chars().next().filter(|sign| is_done_mark(*sign) || is_open_mark(*sign))?;
            let status = if is_done_mark(first) { Status::Done } else { Status::Open };
            Some((status, title.trim_start_matches([first, '\u{fe0f}', ' '])))
        });
        if level == 1 && !is_later {
            self.is_over |= is_over(text);
        } else if self.skipped.is_none() && is_over(text) {
            self.skipped = Some(level);
        } else if self.finished.is_none() && (matches!(told, Some((Status::Done, _))) || WORDS.done.has(&plain(title)))
        {
            self.finished = Some(level);
        }
        // One heading that ends so may do by chance, and the first one is of the whole plan.
        let is_told = level > 1 && (self.headings_tell || shouts);
        self.headings_tell |= told.is_some();
        let told = told.filter(|(status, said)| is_told && *status == Status::Open && !said.is_empty());
        let told = told.map(|(status, said)| (if is_nobodys(said) { Status::Nobody } else { status }, said.to_owned()));
        let step = step_of_heading(title).or(told)?;
        self.has_steps = true;
        // It has its status: a line below it gives it no other.
        self.heading = Some((1, step.1.clone()));
        self.step(step)
    }

    /// Whether a line is a heading of org-mode, in which stars at the margin begin nothing else.
    fn begins_in_org(&mut self, line: &MarkdownLine) -> bool {
        let text = line.text.as_str();
        let level = text.len() - text.trim_start_matches('*').len();
        let is_headed = line.column == 0 && level > 0 && text[level..].starts_with(' ');
        if !self.is_org && (text.starts_with("#+") || is_headed && level > 1) {
            self.is_org = true;
            // What was taken for an item.
            if let Some(title) = self.star.take() {
                self.begins(1, &title);
            }
        }
        if is_headed && level == 1 && !self.is_org {
            self.star = Some(text[level..].trim().to_owned());
        }
        is_headed && self.is_org
    }

    /// `** Later`, `** TODO Write the parser`.
    fn heading_in_org(&mut self, text: &str) -> Option<Step> {
        const NOBODYS: [&str; 8] = ["CANCELLED", "CANCELED", "KILL", "HOLD", "WAIT", "WAITING", "SOMEDAY", "DEFERRED"];
        let level = text.len() - text.trim_start_matches('*').len();
        let step = step_of_item(text);
        let (title, level) = (text[level..].trim(), level.min(SOFT_LEVEL - 1));
        self.begins(level, if step.is_some() { "" } else { title });
        if self.skipped.is_none() && title.split(' ').next().is_some_and(|word| NOBODYS.contains(&word)) {
            self.skipped = Some(level);
        }
        self.has_steps |= step.is_some();
        self.step(step?)
    }

    /// A line of a list of tasks in front matter: `- content: text`, `status: pending`.
    fn task_in_front(&mut self, line: &MarkdownLine) -> Option<(Status, String)> {
        if line.is_item {
            self.front = FrontTask::default();
        }
        let (name, value) = line.text.trim_start_matches(['-', ' ']).split_once(':')?;
        let value = value.trim().trim_matches(['"', '\'']);
        match plain(name).as_str() {
            "content" | "task" | "title" | "text" | "description" => self.front.text = Some(value.to_owned()),
            name if WORDS.status.has(name) => self.front.status = status_of(value),
            _ => return None,
        }
        let status = self.front.status?;
        let text = self.front.text.take()?;
        Some((if is_nobodys(&text) { Status::Nobody } else { status }, text))
    }

    /// A line that is no heading.
    fn below_headings(&mut self, line: &MarkdownLine) -> Option<Step> {
        let text = line.text.as_str();
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
        let step = if text.starts_with('|') || self.is_row(text) {
            self.row(text)
        } else {
            self.table = None;
            step_of_item(text).or_else(|| self.status_line(text)).or_else(|| self.item_with_status(line))
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
            Status::Open if self.finished.is_some() => return None,
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
        self.finished = ends(self.finished);
        self.skipped = ends(self.skipped).or_else(|| is_skipped(&said).then_some(level));
        let speaks_of_tasks = || WORDS.tasks.stand_in(&said, |_| true);
        self.tasks = ends(self.tasks).or_else(|| speaks_of_tasks().then_some(level));
        if level < SOFT_LEVEL {
            self.heading = Some((level, title.to_owned()));
            self.items_tell = false;
        }
        self.table = None;
    }

    /// An item that ends with a word for its status, as those above it do.
    fn item_with_status(&mut self, line: &MarkdownLine) -> Option<(Status, String)> {
        let said = after_mark(&line.text).filter(|_| line.is_item)?.trim();
        let (status, text, _) = step_by_last_word(said)?;
        // One that ends so may do by chance.
        let is_told = std::mem::replace(&mut self.items_tell, true);
        (is_told || status == Status::Done)
            .then(|| (if is_nobodys(text) { Status::Nobody } else { status }, text.to_owned()))
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
        // Numbers and names of tickets are none, and two signs are a word where words have no spaces.
        let says = |cell: &&str| {
            let letters = cell.chars().filter(|sign| sign.is_alphabetic());
            let is_id = cell.contains(|sign: char| sign.is_ascii_digit())
                && !cell.contains(|sign: char| sign.is_whitespace() || sign.is_lowercase() || words::is_unspaced(sign));
            !is_id && letters.map(|sign| if words::is_unspaced(sign) { 2 } else { 1 }).sum::<usize>() >= 3
        };
        let task = cells.iter().enumerate().filter(|(at, _)| *at != table.status).map(|(_, cell)| *cell).find(says)?;
        Some((if is_nobodys(task) { Status::Nobody } else { status }, task.to_owned()))
    }

    /// Whether a line is of a table without bars at its edges: the line below its head tells.
    fn is_row(&mut self, text: &str) -> bool {
        let is_rule = text.contains('|')
            && text.contains("--")
            && text.bytes().all(|byte| matches!(byte, b'|' | b'-' | b':' | b' '));
        if is_rule && let Some(head) = self.head.take() {
            self.row(&head);
            return true;
        }
        self.head = text.contains(" | ").then(|| text.to_owned());
        self.table.is_some() && self.head.is_some()
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

/// What a part that folds is called: `<details><summary>Later</summary>`.
fn summary(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<summary>")?;
    Some(rest.split_once("</summary>").map_or(rest, |(title, _)| title))
}

/// The level of a heading.
fn heading_level(text: &str) -> Option<usize> {
    // `=` is AsciiDoc's.
    let rest = text.trim_start_matches(if text.starts_with('=') { '=' } else { '#' });
    let level = text.len() - rest.len();
    ((1..SOFT_LEVEL).contains(&level) && rest.starts_with([' ', '\t'])).then_some(level)
}

/// The level of the heading that the line above `text` is, if `text` underlines it.
fn underline(text: &str) -> Option<usize> {
    let is = |mark: u8| text.len() >= 3 && text.bytes().all(|byte| byte == mark);
    if is(b'=') { Some(1) } else { is(b'-').then_some(2) }
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
    let is_marked = |byte: u8| matches!(byte, b'(' | b'[' | b'@' | b'#' | b'-' | b':') || byte >= 0x80;
    if begins(said) || shouts {
        return true;
    }
    if !said.bytes().any(is_marked) {
        return false;
    }
    // "Parser: obsolete".
    let told = said.rsplit_once([':', '\u{ff1a}']).is_some_and(|(_, last)| WORDS.nobody.has(last.trim()));
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
    told || bracketed || behind_dash || tagged || barred || said.contains("@human") || said.contains("@person")
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
mod layouts;
#[cfg(test)]
mod tests;
