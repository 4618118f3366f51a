//! Which plan the person's prompts speak of: by its path or its name, by a heading or a step of it, or by a general word
//! ("the plan") where only one can be meant.

use std::collections::HashMap;
use std::sync::LazyLock;

use stopgate_core::words::{is_unspaced, lower};

use crate::transcript::TEXT_EXTENSIONS;

/// How much of a prompt is looked at, half from each end.
const MAX_PROMPT_BYTES: usize = 16 * 1024;
/// Prompts that are looked at, the last ones.
const MAX_PROMPTS: usize = 8;
/// Paths that are taken from prompts.
const MAX_PATHS: usize = 32;
/// A heading or a step names its plan only if it has so many words: "Tests" stands in every other prompt.
const MIN_WORDS: usize = 3;
/// How many words stand between a path and what is to be done with it.
const NEAR: usize = 5;

/// A word, or a sign of a script without spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    text: String,
    /// Nothing but `-`, `_`, `.` or `/` stands between it and the one before: they are one name.
    is_glued: bool,
    /// All of its letters are large.
    shouts: bool,
}

/// One prompt, read once: phrases are then found by their first word.
#[derive(Debug)]
struct Prompt {
    tokens: Vec<Token>,
    places: HashMap<String, Vec<usize>>,
    /// What in it reads like the path of a text file.
    paths: Vec<String>,
}

/// The person's last prompts, newest first.
#[derive(Debug, Default)]
pub struct Prompts(Vec<Prompt>);

/// A plan that may be meant.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its path, relative to the top of the working tree.
    pub path: &'a str,
    /// Its headings and open steps, as far as they were read.
    pub says: &'a [String],
}

/// A kind of general word, as the words of a file's name have it.
struct Kind {
    /// Words of names of such files.
    names: Vec<&'static str>,
    phrases: Vec<Vec<String>>,
}

/// `[plan]`: what a file of that kind is called, then the phrases of prompts.
static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let text = include_str!("../../../templates/signals/plan-names.txt");
    let mut kinds: Vec<Kind> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line == "[!]" {
            break;
        }
        if let Some(names) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            kinds.push(Kind { names: names.split_whitespace().collect(), phrases: Vec::new() });
        } else if let Some(kind) = kinds.last_mut() {
            kind.phrases.push(tokens(line).into_iter().map(|token| token.text).collect());
        }
    }
    kinds
});

/// `[!]`: words by which a prompt has a file worked through.
static WORKED_THROUGH: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let text = include_str!("../../../templates/signals/plan-names.txt");
    let lines = text.lines().map(str::trim).skip_while(|line| *line != "[!]").skip(1);
    let phrases = lines.filter(|line| !line.is_empty());
    phrases.map(|line| tokens(line).into_iter().map(|token| token.text).collect()).collect()
});

impl Prompts {
    /// `texts` are the newest first.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self(texts.into_iter().take(MAX_PROMPTS).map(Prompt::of).collect())
    }

    /// Whether nothing is known to have been said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What in them reads like the path of a text file, newest first.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|prompt| &prompt.paths).map(String::as_str)
    }

    /// Whether one of them says the path of the file, or the end of it.
    pub fn say_path(&self, path: &str) -> bool {
        self.0.iter().any(|prompt| prompt.names_path(path).is_some())
    }

    /// Whether one of them calls the file by its name.
    pub fn call(&self, path: &str) -> bool {
        self.0.iter().any(|prompt| prompt.names_stem(path))
    }

    /// What reads like the path of a text file that is to be worked through, whatever it is called: "execute notes/x.md".
    pub fn jobs(&self) -> impl Iterator<Item = &str> {
        let is_job = |prompt: &&Prompt, path: &str| {
            let words: Vec<String> = tokens(path).into_iter().map(|token| token.text).collect();
            prompt.find(&words).any(|at| {
                let near = at.saturating_sub(NEAR)..(at + words.len() + NEAR).min(prompt.tokens.len());
                let near: Vec<&str> = prompt.tokens[near].iter().map(|token| token.text.as_str()).collect();
                WORKED_THROUGH.iter().any(|verb| near.windows(verb.len().max(1)).any(|words| words == verb.as_slice()))
            })
        };
        self.0
            .iter()
            .flat_map(move |prompt| prompt.paths.iter().map(String::as_str).filter(move |path| is_job(&prompt, path)))
    }

    /// Which of `candidates` the prompts name. The newest prompt that names any by its path, its name or what it says
    /// decides; general words count where none does.
    pub fn named(&self, candidates: &[Candidate<'_>]) -> Vec<bool> {
        let none = || vec![false; candidates.len()];
        let by_name = |prompt: &Prompt| -> Option<Vec<bool>> {
            let longest = candidates.iter().filter_map(|candidate| prompt.names_path(candidate.path)).max();
            let by_path = |candidate: &Candidate<'_>| longest.is_some() && prompt.names_path(candidate.path) == longest;
            let paths: Vec<bool> = candidates.iter().map(by_path).collect();
            let count = paths.iter().filter(|named| **named).count();
            if count == 1 {
                return Some(paths);
            }
            // Several files of that name, and the prompt does not say which: the one that stands out.
            if count > 1 {
                return prompt.outstanding(candidates, |at| paths[at].then_some(true));
            }
            let by_stem: Vec<bool> = candidates.iter().map(|candidate| prompt.names_stem(candidate.path)).collect();
            if by_stem.contains(&true) {
                return Some(by_stem);
            }
            let says = |candidate: &Candidate<'_>| candidate.says.iter().any(|text| prompt.repeats(text));
            let by_words: Vec<bool> = candidates.iter().map(says).collect();
            match by_words.iter().filter(|named| **named).count() {
                0 => None,
                1 => Some(by_words),
                _ => prompt.outstanding(candidates, |at| by_words[at].then_some(true)),
            }
        };
        let general = |prompt: &Prompt| {
            let kind = KINDS
                .iter()
                .find(|kind| kind.phrases.iter().any(|phrase| prompt.says(phrase)) || prompt.shouts(kind))?;
            let fits = |at: usize| {
                let is_exact = has_name(candidates[at].path, &kind.names);
                // "The plan" may be any file of that sort, the others are called what they are.
                (is_exact || kind.names.contains(&"plan") || kind.names.is_empty()).then_some(is_exact)
            };
            prompt.outstanding(candidates, fits)
        };
        let named = self.0.iter().find_map(by_name).or_else(|| self.0.iter().find_map(general));
        named.unwrap_or_else(none)
    }
}

impl Prompt {
    fn of(text: &str) -> Self {
        let text = stopgate_core::text::ends(text, MAX_PROMPT_BYTES);
        let tokens = tokens(&text);
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, token) in tokens.iter().enumerate() {
            places.entry(token.text.clone()).or_default().push(at);
        }
        Self { tokens, places, paths: paths(&text) }
    }

    /// Whether the words of `phrase` stand in it one after the other.
    fn says(&self, phrase: &[String]) -> bool {
        self.find(phrase).next().is_some()
    }

    fn find<'a>(&'a self, phrase: &'a [String]) -> impl Iterator<Item = usize> + 'a {
        let places = phrase.first().and_then(|first| self.places.get(first));
        places.into_iter().flatten().copied().filter(move |at| {
            let here = self.tokens.get(*at..at + phrase.len());
            here.is_some_and(|here| here.iter().zip(phrase).all(|(token, word)| token.text == *word))
        })
    }

    /// How many parts of its path the prompt names; `None` if it does not name it by that.
    fn names_path(&self, path: &str) -> Option<usize> {
        let own: Vec<String> = path.split('/').map(lowered).collect();
        let named = |said: &String| {
            let said: Vec<String> =
                said.split('/').filter(|part| !matches!(*part, "" | "." | "..")).map(lowered).collect();
            let same = own.iter().rev().zip(said.iter().rev()).take_while(|(own, said)| own == said).count();
            // One has to be the end of the other: of an absolute path the file's is.
            (same > 0 && same == own.len().min(said.len())).then_some(same)
        };
        self.paths.iter().filter_map(named).max()
    }

    /// Whether it names a file by its name without the extension: all of it, or what sets it apart beside a word for plans.
    fn names_stem(&self, path: &str) -> bool {
        let stem = stem(path);
        let words: Vec<String> = tokens(stem).into_iter().map(|token| token.text).collect();
        let is_number = |word: &&String| word.bytes().all(|byte| byte.is_ascii_digit());
        // A date before the name says nothing, a number behind it does.
        let own: Vec<String> = words.iter().skip_while(is_number).filter(|word| !is_plan_word(word)).cloned().collect();
        if own.is_empty() {
            // "phase-2", "step-3": the number sets it apart.
            return words.len() > 1
                && words.iter().any(|word| word.bytes().all(|b| b.is_ascii_digit()))
                && self.says(&words);
        }
        if words.len() > 1 && self.says(&words) {
            return true;
        }
        // "The migration plan" is `plans/migration.md` and `migration-plan.md`.
        let is_beside = |at: usize| {
            let near = at.saturating_sub(2)..(at + own.len() + 2).min(self.tokens.len());
            self.tokens[near].iter().any(|token| is_plan_word(&token.text)) || self.tokens[at].is_glued
        };
        self.find(&own).any(is_beside)
    }

    /// Whether it says what a heading or a step says.
    fn repeats(&self, text: &str) -> bool {
        let words: Vec<String> = tokens(text).into_iter().map(|token| token.text).collect();
        let is_number = |word: &String| word.bytes().all(|byte| byte.is_ascii_digit());
        // "Phase 2: the exporter" is called by its number as well.
        let (label, rest) = text.split_once([':', '\u{ff1a}', '\u{2014}', '\u{2013}']).unwrap_or((text, ""));
        let label: Vec<String> = tokens(label).into_iter().map(|token| token.text).collect();
        let is_numbered = label.len() == 2 && is_number(&label[1]) && !is_number(&label[0]);
        let rest: Vec<String> = tokens(rest).into_iter().map(|token| token.text).collect();
        let is_long = |words: &[String]| words.iter().map(|word| weight(word)).sum::<usize>() >= MIN_WORDS * 2;
        (is_numbered && self.says(&label)) || [words, rest].iter().any(|words| is_long(words) && self.says(words))
    }

    /// Whether it has the name of such a file in capitals: "PLAN", "TODO".
    fn shouts(&self, kind: &Kind) -> bool {
        kind.names.iter().filter_map(|name| self.places.get(*name)).flatten().any(|at| {
            let is_alone = !self.tokens[*at].is_glued && self.tokens.get(at + 1).is_none_or(|next| !next.is_glued);
            self.tokens[*at].shouts && is_alone
        })
    }

    /// The one of `candidates` that stands out, of those that `fits` is something for, and better if that is true. Others
    /// are put behind those in a directory that the prompt speaks of.
    fn outstanding(&self, candidates: &[Candidate<'_>], fits: impl Fn(usize) -> Option<bool>) -> Option<Vec<bool>> {
        let in_directory = |path: &str| {
            let (directory, _) = path.rsplit_once('/').unwrap_or_default();
            let last = directory.rsplit('/').next().unwrap_or_default();
            let words: Vec<String> = tokens(last).into_iter().map(|token| token.text).collect();
            !words.is_empty() && !matches!(last, "docs" | "doc" | "plans" | "plan" | "specs") && self.says(&words)
        };
        let score = |at: usize| {
            let path = candidates[at].path;
            let is_exact = fits(at)?;
            Some((in_directory(path), is_exact, place(path)))
        };
        let scores: Vec<_> = (0..candidates.len()).map(score).collect();
        let best = scores.iter().flatten().max()?;
        let is_best: Vec<bool> = scores.iter().map(|score| score.as_ref() == Some(best)).collect();
        (is_best.iter().filter(|best| **best).count() == 1).then_some(is_best)
    }
}

/// How much a word says: a sign of a script without spaces is half of one at most.
fn weight(word: &str) -> usize {
    if word.chars().next().is_some_and(is_unspaced) { 1 } else { 2 }
}

/// How well a plan is placed: at the top or where plans are kept, and called just that.
fn place(path: &str) -> u8 {
    let (directory, _) = path.rsplit_once('/').unwrap_or(("", path));
    let is_plain = is_plan_word(&lowered(stem(path)));
    let is_top = matches!(directory, "" | "docs" | "doc" | ".claude" | ".claude/plans" | "plans" | "docs/plans");
    u8::from(is_plain) * 2 + u8::from(is_top)
}

fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Whether a word is one that plans are called by.
fn is_plan_word(word: &str) -> bool {
    KINDS.iter().any(|kind| {
        kind.names.contains(&word) || kind.phrases.iter().any(|phrase| phrase.len() == 1 && phrase[0] == word)
    })
}

/// Whether a word of the file's name, or the directory of the plans that it lies in, is one of `names`.
fn has_name(path: &str, names: &[&str]) -> bool {
    let (directory, _) = path.rsplit_once('/').unwrap_or(("", path));
    let is = |text: &str| tokens(text).iter().any(|token| names.contains(&token.text.as_str()));
    is(stem(path)) || directory.split('/').any(is)
}

fn lowered(text: &str) -> String {
    text.chars().map(lower).collect()
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    let mut gap_is_glue = false;
    let mut in_word = false;
    for sign in text.chars() {
        let alone = is_unspaced(sign);
        if !sign.is_alphanumeric() {
            if in_word || gap_is_glue || found.is_empty() {
                gap_is_glue = matches!(sign, '-' | '_' | '.' | '/');
            }
            in_word = false;
            continue;
        }
        if in_word && !alone && found.last().is_some_and(|last| !last.text.chars().next_back().is_some_and(is_unspaced))
        {
            if let Some(last) = found.last_mut() {
                last.text.push(lower(sign));
                last.shouts &= !sign.is_lowercase();
            }
            continue;
        }
        let is_glued = gap_is_glue && !in_word && !found.is_empty();
        found.push(Token { text: lower(sign).to_string(), is_glued, shouts: sign.is_uppercase() });
        in_word = true;
        gap_is_glue = false;
    }
    found
}

/// What in a text reads like the path of a text file.
fn paths(text: &str) -> Vec<String> {
    let is_end = |sign: char| {
        sign.is_whitespace()
            || sign.is_control()
            || "\"'`()[]{}<>,;|\u{201c}\u{201d}\u{201e}\u{300c}\u{300d}\u{3001}\u{3002}\u{ff0c}\u{ff08}\u{ff09}\u{ff1a}"
                .contains(sign)
    };
    let mut found = Vec::new();
    for word in text.split(is_end).filter(|word| word.contains('.')) {
        let ends = word.match_indices('.').filter_map(|(at, _)| {
            let rest = &word[at + 1..];
            let extension = rest.find(|sign: char| !sign.is_ascii_alphanumeric()).map_or(rest, |end| &rest[..end]);
            let known = TEXT_EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension));
            known.then_some(at + 1 + extension.len())
        });
        let Some(end) = ends.max() else { continue };
        // Behind a word of a script without spaces a name begins with the first letter that is not of it.
        let named = word[..end].replace('\\', "/");
        let named = named.trim_start_matches('@').trim_start_matches("file://");
        found.push(named.to_owned());
        let after =
            named.rfind(is_unspaced).map(|at| &named[at + named[at..].chars().next().map_or(1, char::len_utf8)..]);
        found.extend(after.filter(|rest| !rest.starts_with('.') && !rest.is_empty()).map(str::to_owned));
        if found.len() >= MAX_PATHS {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests;
