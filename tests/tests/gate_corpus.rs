//! The labelled messages, scored by the real binary; and what it says about a corpus that is none.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use stopgate_core::decision::Decision;
use stopgate_gate::EvidencePointer;
use stopgate_gate::asked::{Asked as PersonAsked, PromptClass};
use stopgate_gate::circumstances::Circumstances;
use stopgate_gate::evidence::EvidenceFault;
use stopgate_gate::facts::Facts;
use stopgate_gate::model::Reading;
use stopgate_gate::pipeline::{self, Inputs, Judgement, Trace};
use stopgate_gate::rules::RuleModes;
use stopgate_gate::signals::Signals;
use stopgate_gate::turn::{Ceilings, PersonTurn};
use stopgate_gate::turn_end::TurnEnd;
use stopgate_tests::person::text;
use stopgate_tests::world::World;

/// At least this share of the messages that should continue is held, and at most that share of legitimate stops, in
/// percent: what is promised of rules alone.
const MIN_CAUGHT: &str = "80";
const MAX_HELD: &str = "3";

/// The same for messages in styles that nobody tuned for. No promise, and short of it: what was measured when they were
/// written, so that it does not get worse unnoticed.
const FRESH_MIN_CAUGHT: &str = "47.5";
const FRESH_MAX_HELD: &str = "15";

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name)
}

fn rows(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(corpus(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn eval(world: &World, arguments: &[&str]) -> Output {
    world.stopgate(&[&["gate", "eval"], arguments].concat())
}

#[test]
fn rules_alone_keep_their_promise_on_both_parts() {
    let world = World::new();
    for name in ["tuning.jsonl", "held-out.jsonl"] {
        let file = corpus(name).display().to_string();
        let output = eval(&world, &[&file, "--min-caught", MIN_CAUGHT, "--max-held", MAX_HELD, "--json"]);
        let score: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(output.status.success(), "{name}: {} {score:#}", text(&output.stderr));
        let count = |label: &str, what: &str| score[label][what].as_u64().unwrap();
        let all = ["held", "released"].map(|what| count("should_continue", what) + count("legitimate", what));
        assert_eq!(all.iter().sum::<u64>(), rows(name).len() as u64);
        let by_rule = score["decided_by"].as_object().unwrap();
        let wrong: u64 = by_rule.values().map(|outcome| outcome["wrong"].as_u64().unwrap()).sum();
        assert_eq!(wrong, score["misses"].as_array().unwrap().len() as u64);
    }
    assert!(!world.home.root().exists(), "nothing is stored");
}

#[test]
fn messages_in_new_styles_are_judged_no_worse_than_when_they_were_written() {
    let world = World::new();
    let file = corpus("fresh.jsonl").display().to_string();
    let output = eval(&world, &[&file, "--min-caught", FRESH_MIN_CAUGHT, "--max-held", FRESH_MAX_HELD]);
    assert!(output.status.success(), "{} {}", text(&output.stdout), text(&output.stderr));
}

fn words(message: &str) -> Vec<&str> {
    message.split_whitespace().collect()
}

/// How much of two messages is the same, from 0 to 1, by rows of three words.
fn likeness(one: &HashSet<Vec<String>>, other: &HashSet<Vec<String>>) -> f64 {
    let both = one.intersection(other).count();
    let all = one.len() + other.len() - both;
    if all == 0 { 0.0 } else { f64::from(u32::try_from(both).unwrap()) / f64::from(u32::try_from(all).unwrap()) }
}

#[test]
fn the_corpus_is_large_balanced_and_varied() {
    let all = ["tuning.jsonl", "held-out.jsonl", "fresh.jsonl"].map(rows);
    let ids: HashSet<_> = all.iter().flatten().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), all.iter().map(Vec::len).sum::<usize>());
    assert!(ids.len() >= 440, "{}", ids.len());
    for part in &all {
        let labels = part.iter().fold(HashMap::new(), |mut labels: HashMap<_, usize>, row| {
            *labels.entry(row["label"].as_str().unwrap()).or_default() += 1;
            labels
        });
        let (continues, allows) = (labels["continue"], labels["allow"]);
        assert!(continues * 10 > allows * 8 && allows * 10 > continues * 8, "{continues} and {allows}");
    }
    let messages: Vec<_> = all.iter().flatten().map(|row| row["message"].as_str().unwrap()).collect();
    let lengths: Vec<_> = messages.iter().map(|message| words(message).len()).collect();
    assert!(lengths.iter().any(|length| *length <= 3) && lengths.iter().any(|length| *length >= 3000));

    let threes = |message: &&str| -> HashSet<Vec<String>> {
        words(message).windows(3).map(|three| three.iter().map(|word| word.to_lowercase()).collect()).collect()
    };
    let threes: Vec<_> = messages.iter().filter(|message| words(message).len() < 1000).map(threes).collect();
    for (at, one) in threes.iter().enumerate() {
        for other in &threes[at + 1..] {
            assert!(likeness(one, other) < 0.5, "near duplicates: {one:?}");
        }
    }
}

/// A corpus of its own, of these lines.
fn written(world: &World, lines: &[String]) -> String {
    let file = world.root().join("corpus.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    file.display().to_string()
}

fn row(id: &str, label: &str, message: &str, facts: &Value) -> String {
    json!({"id": id, "label": label, "why": "because", "message": message, "facts": facts}).to_string()
}

fn planned() -> Value {
    json!({"plans": [{"path": "plan.md", "next_step": "write the parser", "open_steps": 1, "predates_session": true}]})
}

#[test]
fn the_table_says_which_rule_was_right_and_misses_say_why() {
    let world = World::new();
    let excuse = "I'm running low on context, so let's continue in a fresh session.";
    let file = written(
        &world,
        &[
            row("held", "continue", excuse, &planned()),
            row("missed", "continue", excuse, &Value::Null),
            String::new(),
            row("free", "allow", "Which of the two do you prefer?", &planned()),
            row("wrong", "allow", excuse, &planned()),
        ],
    );
    let output = eval(&world, &[&file, "--misses"]);
    assert!(output.status.success());
    let shown = text(&output.stdout);
    for line in [
        "should continue  1     1       50.0 % caught",
        "legitimate stop  1     1       50.0 % held wrongly",
        "U2_PLAN_FILE_NEXT_STEP_EXPLICIT  1      1",
        "U_LEGIT_DESIGN_QUESTION          1      0",
        "no-evidence                      0      1",
        ":2 missed should continue: because",
        ":5 wrong is legitimate: because",
        "context-limit \"low on context\"",
    ] {
        assert!(shown.contains(line), "{line:?} in {shown}");
    }
    assert!(!shown.contains('\u{1b}'), "no colour in a pipe: {shown}");

    for (arguments, why) in [
        (["--min-caught", "50.1"], "only 50.0 % of what should continue is held"),
        (["--max-held", "49.9"], "50.0 % of the legitimate stops are held"),
    ] {
        let output = eval(&world, &[&[file.as_str()], arguments.as_slice()].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    }
    assert!(eval(&world, &[&file, "--min-caught", "50", "--max-held", "50"]).status.success());
    assert_eq!(eval(&world, &[&file, "--max-held", "101"]).status.code(), Some(2));
    assert_eq!(eval(&world, &[]).status.code(), Some(2));
}

#[test]
fn what_is_wrong_in_a_corpus_is_named_with_file_and_line() {
    let world = World::new();
    let good = row("a", "allow", "Done.", &Value::Null);
    for (line, complaint) in [
        ("{".to_owned(), "corpus.jsonl:2: EOF while parsing"),
        (
            row("b", "maybe", "Done.", &Value::Null),
            "corpus.jsonl:2: unknown variant `maybe`, expected `continue` or `allow`",
        ),
        (
            json!({"id": "b", "label": "allow", "why": "x", "massage": "Done."}).to_string(),
            "corpus.jsonl:2: unknown field `massage`",
        ),
        (json!({"id": "b", "label": "allow", "why": "x"}).to_string(), "corpus.jsonl:2: missing field `message`"),
        (
            json!({"id": "b", "label": "allow", "why": " ", "message": "Done."}).to_string(),
            "corpus.jsonl:2: field `why` is empty",
        ),
        (row("a", "allow", "Fixed.", &Value::Null), "corpus.jsonl:2: field `id`: \"a\" is taken by line 1"),
        (row("b", "allow", "Done.", &json!({"plan": []})), "corpus.jsonl:2: unknown field `facts.plan`"),
        (
            row("b", "allow", "Done.", &json!({"plans": [{"path": "p", "next": "x"}]})),
            "corpus.jsonl:2: unknown field `facts.plans[0].next`",
        ),
        (row("b", "allow", "Done.", &json!({"plans": 1})), "corpus.jsonl:2: field `facts`: invalid type"),
    ] {
        let output = eval(&world, &[&written(&world, &[good.clone(), line])]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
        assert!(text(&output.stderr).contains(complaint), "{complaint}: {}", text(&output.stderr));
    }
    for (file, complaint) in [
        (written(&world, &[String::new()]), "corpus.jsonl: no message in it"),
        (world.root().join("none.jsonl").display().to_string(), "cannot read"),
    ] {
        let output = eval(&world, &[&file]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(complaint), "{}", text(&output.stderr));
    }
}

/// What the message, and what was asked for, decide is answered before anything else is known: it must be what the whole
/// pipeline says, whatever turns out to have been asked for.
#[test]
fn what_the_message_alone_decides_is_what_all_stages_decide() {
    let mut foregone = 0;
    let parts = ["tuning.jsonl", "held-out.jsonl", "fresh.jsonl", "scenes/train-1.jsonl", "scenes/train-2.jsonl"];
    for row in parts.into_iter().flat_map(rows) {
        let case = row["message"].as_str().unwrap();
        let (signals, reading) = (stopgate_gate::signals::detect(case), Reading::of(case, None).unwrap());
        for has_judge in [false, true] {
            let blind = pipeline::foregone(&signals, &reading, None, has_judge);
            foregone += usize::from(blind.is_some());
            for class in PromptClass::ALL.map(Some).into_iter().chain([None]) {
                let asked = PersonAsked { class, has_job: true, ..PersonAsked::default() };
                let mut inputs = Inputs { has_judge, ..started(case) };
                inputs.turn.asked = asked.clone();
                let mut world = Asked::default();
                let whole = pipeline::run(&inputs, &mut world);
                let alone = pipeline::foregone(&signals, &reading, Some(&asked), has_judge);
                assert_eq!(alone.is_some(), !world.0, "{case}: facts are asked for if, and only if, they can matter");
                if let Some(alone) = &alone {
                    let of = |trace: &Trace| (trace.decision(), trace.rule, trace.release);
                    assert_eq!(of(alone), of(&whole), "{case}");
                }
                if blind.is_some() {
                    assert_eq!(whole.decision(), Decision::Allow, "{case}");
                    assert!(alone.is_some(), "{class:?} {case}: to know more asks for no more");
                }
            }
        }
    }
    assert!(foregone > 100, "{foregone}");
}

/// What the pipeline is given of a session that began, and of which nothing else is known.
fn started(message: &str) -> Inputs {
    Inputs {
        circumstances: Circumstances::plain(1),
        message: message.to_owned(),
        turn: PersonTurn::default(),
        limits: Ceilings::default(),
        has_judge: false,
        turn_end: TurnEnd::default(),
        reading: Reading::of(message, None),
        rule_modes: RuleModes::default(),
    }
}

/// A world without facts that remembers whether it was asked for them.
#[derive(Default)]
struct Asked(bool);

impl pipeline::PipelineWorld for Asked {
    fn facts(&mut self) -> Facts {
        self.0 = true;
        Facts::default()
    }

    fn judge(&mut self, _: &Signals, _: &Facts) -> Judgement {
        Judgement::NotAsked { why: "nobody is there".to_owned() }
    }

    fn verify(&mut self, _: &EvidencePointer) -> Result<(), EvidenceFault> {
        Ok(())
    }
}

/// The parts whose messages stand in a scene: what the person asked, plans, task list, commits, failed calls. The last is held
/// out, and no other has a style of it. `train-3.jsonl` is none of them: it has one message in several scenes, on purpose.
const SCENES: [&str; 7] = [
    "scenes/train-1.jsonl",
    "scenes/train-2.jsonl",
    "scenes/train-4.jsonl",
    "scenes/train-5.jsonl",
    "scenes/train-6.jsonl",
    "scenes/train-7.jsonl",
    "scenes/held-out.jsonl",
];

/// What was measured on the part that nobody tunes for when it was written, in percent, so that it does not get worse
/// unnoticed. No promise.
const SCENES_MIN_CAUGHT: &str = "64";
const SCENES_MAX_HELD: &str = "3";

#[test]
fn scenes_are_many_balanced_and_varied_and_no_style_that_is_held_out_stands_elsewhere() {
    let parts = SCENES.map(rows);
    assert!(parts.iter().map(Vec::len).sum::<usize>() >= 2_500);
    let of = |rows: &[Value], field: &str| -> HashSet<String> {
        rows.iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
    };
    let styles: Vec<HashSet<String>> = parts.iter().map(|rows| of(rows, "style")).collect();
    let all: HashSet<&String> = styles.iter().flatten().collect();
    // By author: two may have given their styles the same name.
    let by_author = |rows: &Vec<Value>| -> HashSet<String> {
        let author = |row: &Value| row["id"].as_str().unwrap().split('-').next().unwrap().to_owned();
        rows.iter().map(|row| format!("{} {}", author(row), row["style"].as_str().unwrap())).collect()
    };
    let each: Vec<HashSet<String>> = parts.iter().map(by_author).collect();
    let (held_out, trained_on) = each.split_last().unwrap();
    assert!(trained_on.iter().all(|styles| styles.is_disjoint(held_out)), "a style that is held out is trained on");
    assert!(all.len() >= 20);
    for rows in &parts {
        assert!(of(rows, "language").len() >= 12);
        let continues = rows.iter().filter(|row| row["label"] == "continue").count();
        assert!(continues * 10 > rows.len() * 4 && continues * 10 < rows.len() * 6);
        let messages: HashSet<_> = rows.iter().map(|row| row["message"].as_str().unwrap()).collect();
        assert_eq!(messages.len(), rows.len());
    }
}

#[test]
fn messages_in_scenes_are_judged_no_worse_than_when_they_were_written() {
    let world = World::new();
    let file = corpus("scenes/held-out.jsonl").display().to_string();
    let output =
        eval(&world, &[&file, "--min-caught", SCENES_MIN_CAUGHT, "--max-held", SCENES_MAX_HELD, "--by", "language"]);
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown} {}", text(&output.stderr));
    assert!(shown.contains("95 %") && shown.lines().any(|line| line.starts_with("ja ")), "{shown}");
}

#[test]
fn a_scene_says_what_there_was_besides_the_message() {
    let world = World::new();
    let excuse = "I'm running low on context, so let's continue in a fresh session.";
    let row = |id: &str, label: &str, scene: &Value| {
        json!({"id": id, "label": label, "why": "because", "kind": id, "message": excuse, "scene": scene}).to_string()
    };
    let plan = json!([{"path": "plan.md", "open": 1, "next_step": "write the parser", "relation": "touched"}]);
    let asked = |text: &str| json!({"plans": plan, "prompts": [{"text": text, "class": "execute"}]});
    let with = |field: &str, value: Value| {
        let mut scene = asked("Execute plan.md");
        scene[field] = value;
        scene
    };
    let file = written(
        &world,
        &[
            row("held", "continue", &asked("Execute plan.md")),
            row("stopped", "allow", &asked("ここで止めてください")),
            row("planned", "allow", &with("permission_mode", json!("plan"))),
            row("asked", "allow", &with("asked_by_tool", json!(true))),
            row("failed", "allow", &with("api_error", json!(true))),
            row("interrupted", "allow", &with("interrupted", json!(true))),
            row(
                "woken",
                "allow",
                &with("background", json!([{"kind": "shell", "wakes": true, "what": "cargo bench"}])),
            ),
            row("still", "continue", &with("background", json!([{"kind": "shell", "wakes": false}]))),
        ],
    );
    let output = eval(&world, &[&file, "--by", "kind", "--json"]);
    let score: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(score["misses"], json!([]), "{score:#}");
    assert_eq!(score["groups"]["held"]["should_continue"], json!({"held": 1, "released": 0}));
    for (scene, complaint) in [
        (json!({"planz": []}), "unknown field `planz`"),
        (json!({"prompts": [{"text": "go on", "class": "order"}]}), "unknown variant `order`"),
        (json!({"plans": [{"path": "a.md", "relation": "near"}]}), "unknown variant `near`"),
    ] {
        let output = eval(&world, &[&written(&world, &[row("a", "allow", &scene)])]);
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains("corpus.jsonl:1") && said.contains(complaint), "{said}");
    }
}
