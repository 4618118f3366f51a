//! Labelled messages: JSON, one object a line. Read strictly, so that a typo in a corpus is an error and no wrong score.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stopgate_core::json::snake_case_fields;
use stopgate_gate::asked::{Asked, PromptClass};
use stopgate_gate::circumstances::Circumstances;
use stopgate_gate::facts::Facts;
use stopgate_gate::turn::PersonTurn;
use stopgate_gate::turn_end::TurnEnd;

use super::Agreement;
use crate::bounded;
use stopgate_gate::scene::Scene;

/// What a corpus looks like, for `--help`.
pub(super) const FORMAT: &str = "\
Each line of a corpus is one JSON object:
  {\"id\": \"t1\", \"label\": \"continue\", \"why\": \"an excuse\", \"message\": \"...\", \"facts\": {...}}
  label    continue (the stop should be held) or allow (it is legitimate)
  why      one line: the reason for the label
  facts    what the authority would have found: plans, session_commits, tasks, ... (may be left out);
           nobody knows then what was asked for, and the words decide, by the rules of 0.1.0
  scene    instead of facts, what there was when the agent stopped: prompts (text, class), plans (path, done, open,
           next_step, relation), todos, commits, dirty, failed_call, denied_call, background (kind, wakes, what), usage
           (used, window), permission_mode, headless, asked_by_tool, api_error, interrupted (each may be left out)
  kind, language, style, author
           what --by counts by (may be left out)
Empty lines are skipped. Nothing is asked of the authority, and nothing is stored.";

/// What should become of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Label {
    /// It should be held.
    Continue,
    /// It is legitimate.
    Allow,
}

/// A labelled message, and where it stands.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) id: String,
    pub(super) label: Label,
    pub(super) why: String,
    pub(super) message: String,
    pub(super) kind: Option<String>,
    pub(super) language: Option<String>,
    pub(super) style: Option<String>,
    pub(super) facts: Facts,
    pub(super) circumstances: Circumstances,
    pub(super) turn: PersonTurn,
    pub(super) turn_end: TurnEnd,
    /// What the person asked for by the words of the prompts; `None` where the corpus has none.
    asked_by_words: Option<Asked>,
    /// Whether it is known what there was besides the message: else words decide, by the rules of 0.1.0.
    pub(super) has_scene: bool,
    /// What the last prompt asks for by its label.
    labelled: Option<PromptClass>,
}

impl Case {
    /// Takes what the person asked for from the words of the prompts, as the authority does.
    pub(super) fn ask_by_words(&mut self) {
        if let Some(asked) = &self.asked_by_words {
            self.turn.asked = asked.clone();
        }
    }
}

/// How often the words of the last prompt say what its label says, if there are prompts.
pub(super) fn agreement(cases: &[Case]) -> Option<Agreement> {
    let both: Vec<_> =
        cases.iter().filter_map(|case| Some((case.asked_by_words.as_ref()?.class, case.labelled?))).collect();
    let same = both.iter().filter(|(words, label)| *words == Some(*label)).count();
    (!both.is_empty()).then_some(Agreement { same, of: both.len() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CorpusRow {
    id: String,
    label: Label,
    why: String,
    message: String,
    #[serde(default)]
    facts: Value,
    scene: Option<Scene>,
    kind: Option<String>,
    language: Option<String>,
    style: Option<String>,
    #[serde(rename = "author")]
    _author: Option<String>,
}

/// The cases in `file`.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<Case>> {
    let text = bounded::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut cases = Vec::new();
    let mut seen = HashMap::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("{}:{}", file.display(), at + 1);
        let case = case(file, at + 1, line).with_context(place)?;
        if let Some(first) = seen.insert(case.id.clone(), at + 1) {
            bail!("{}: field `id`: {:?} is taken by line {first}", place(), case.id);
        }
        cases.push(case);
    }
    ensure!(!cases.is_empty(), "{}: no message in it; see `stopgate gate eval --help` for the format", file.display());
    Ok(cases)
}

fn case(file: &Path, number: usize, line: &str) -> anyhow::Result<Case> {
    let row: CorpusRow = serde_json::from_str(line)?;
    ensure!(row.scene.is_none() || row.facts.is_null(), "fields `facts` and `scene`: give one of them");
    let has_scene = row.scene.is_some();
    let scene = row.scene.unwrap_or_default();
    let facts = if row.facts.is_null() { scene.facts() } else { strict_facts(row.facts)? };
    ensure!(!row.id.is_empty(), "field `id` is empty");
    ensure!(!row.why.trim().is_empty(), "field `why` is empty: say in one line why the label is right");
    let CorpusRow { id, label, why, message, kind, language, style, .. } = row;
    let (circumstances, turn, turn_end) = (scene.circumstances(), scene.turn(), scene.turn_end());
    Ok(Case {
        file: file.to_owned(),
        line: number,
        id,
        label,
        why,
        message,
        kind,
        language,
        style,
        facts,
        circumstances,
        has_scene,
        labelled: turn.asked.class.filter(|_| has_scene),
        turn,
        turn_end,
        asked_by_words: scene.asked_by_words(),
    })
}

/// Facts, without fields that nobody knows: the authority may add some, a corpus with a typo may not.
fn strict_facts(mut given: Value) -> anyhow::Result<Facts> {
    snake_case_fields(&mut given);
    let facts: Facts = serde_json::from_value(given.clone()).context("field `facts`")?;
    let known = serde_json::to_value(&facts)?;
    if let Some(field) = unknown(&given, &known, "facts") {
        bail!("unknown field `{field}`");
    }
    Ok(facts)
}

/// The path of a field in `given` that is not in `known`.
fn unknown(given: &Value, known: &Value, path: &str) -> Option<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => given.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            known.get(name).map_or_else(|| Some(path.clone()), |known| unknown(value, known, &path))
        }),
        (Value::Array(given), Value::Array(known)) => given
            .iter()
            .zip(known)
            .enumerate()
            .find_map(|(at, (given, known))| unknown(given, known, &format!("{path}[{at}]"))),
        _ => None,
    }
}
