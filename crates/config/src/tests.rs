use std::path::Path;

use proptest::prelude::*;
use stopgate_core::paths::Home;
use stopgate_core::switch::Mode;

use super::*;

fn faults(text: &str) -> Vec<String> {
    match parse(Path::new("config.toml"), text) {
        Ok(config) => panic!("no fault: {config:?}"),
        Err(faults) => faults.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_reference_is_a_configuration_and_says_the_defaults() {
    assert_eq!(parse(Path::new("c"), &reference()), Ok(Config::default()));
    assert_eq!(parse(Path::new("c"), ""), Ok(Config::default()));
    let mut config = Config::default();
    config.gate.continues_per_day = 3;
    config.gate.exclude_plans = vec!["docs/\"old\"".into()];
    config.judge.pass_env = vec!["A".into()];
    assert_eq!(parse(Path::new("c"), &effective(&config)), Ok(config));
}

#[test]
fn the_documentation_is_the_reference() {
    assert_eq!(
        include_str!("../../../docs/config.toml"),
        reference(),
        "run `stopgate config reference > docs/config.toml`"
    );
}

#[test]
fn the_page_is_made_of_the_keys() {
    assert_eq!(
        include_str!("../../../docs/configuration.md"),
        page(),
        "run `stopgate config reference --markdown > docs/configuration.md`"
    );
}

#[test]
fn the_page_has_every_variable_of_ours() {
    let constants = include_str!("../../core/src/env.rs").lines().filter_map(|line| line.strip_prefix("pub const "));
    let ours: Vec<_> =
        constants.filter_map(|line| line.split(':').next()).filter(|name| name.starts_with("STOP")).collect();
    assert!(ours.len() > 5, "{ours:?}");
    for name in ours {
        // A release does not know those that are for tests; `.ci/run` looks for their names in its programs.
        let is_for_tests =
            ["STOPGATE_CLOCK", "STOPGATE_PRESSURE", "STOPGATE_PATIENCE", "STOPGATE_TOP", "STOPGATE_VERSION"]
                .contains(&name);
        assert_ne!(page().contains(&format!("`{name}`")), is_for_tests, "{name}");
    }
}

#[test]
fn faults_name_line_key_and_expected_type() {
    assert_eq!(
        faults("[gate]\ncontinues_per_promt = 2\nnotes = \"yes\"\n\n[judge]\nkind = \"magic\"\n"),
        [
            "config.toml:2: gate.continues_per_promt: unknown key; did you mean gate.continues_per_prompt?",
            "config.toml:3: gate.notes: expected true or false, found a string",
            "config.toml:6: judge.kind: expected one of \"none\", \"command\", \"http\", found a string",
        ]
    );
    assert_eq!(
        faults("[gate]\ncontinues_per_day = -1"),
        ["config.toml:2: gate.continues_per_day: expected a whole number from 0 to 200, found -1"]
    );
    assert_eq!(faults("[gates]\nx = 1\n"), ["config.toml:1: gates: unknown table; `stopgate config` lists all"]);
    assert_eq!(faults("gate = 1\n"), ["config.toml:1: gate: expected a table, [name], found a value"]);
    assert_eq!(
        faults("[gate.continues_per_day]\nx = 1\n"),
        ["config.toml:1: gate.continues_per_day: expected a value, found a table"]
    );
    assert!(faults("[gate\n")[0].starts_with("config.toml:1: not TOML: "));
    assert!(faults("[gate]\n\nnotes = true\nnotes = true\n")[0].starts_with("config.toml:4: not TOML: "));
}

#[test]
fn a_rule_is_set_by_either_of_its_names_once() {
    for name in ["U3", "U3_RECENT_COMMIT_PROVES_INCREMENTAL", "\"U3\""] {
        let text = format!("[gate.rules]\n{name} = \"shadow\"\n");
        let rules = parse(Path::new("c"), &text).unwrap().rules;
        assert_eq!(rules.mode("U3_RECENT_COMMIT_PROVES_INCREMENTAL"), Some(Mode::Shadow), "{name}");
        assert_eq!(rules, RulesConfig { u3: Mode::Shadow, ..RulesConfig::default() });
        assert!(!missing_keys(&text).iter().any(|key| key.name == "U3"), "{name}");
    }
    assert_eq!(parse(Path::new("c"), "gate.rules.U1 = \"off\"\n").unwrap().rules.u1, Mode::Off);
    for name in ["U9", "u3", "U_LEGIT_ERROR", "\"\"", "U3_RECENT"] {
        let said = faults(&format!("[gate.rules]\n{name} = \"shadow\"\n")).concat();
        assert!(said.starts_with("config.toml:2: gate.rules.") && said.contains("write one of U1, U2, U3"), "{said}");
    }
    assert_eq!(
        faults("[gate.rules]\nU3 = \"shadow\"\n\nU3_RECENT_COMMIT_PROVES_INCREMENTAL = \"enforce\"\n"),
        [
            "config.toml:4: gate.rules.U3_RECENT_COMMIT_PROVES_INCREMENTAL: said twice, as U3 and by its whole name: leave one"
        ]
    );
    assert_eq!(
        faults("[gate.rules]\nU3 = \"Shadow\"\nU1 = true\n"),
        [
            "config.toml:2: gate.rules.U3: expected one of \"off\", \"shadow\", \"enforce\", found a string",
            "config.toml:3: gate.rules.U1: expected one of \"off\", \"shadow\", \"enforce\", found true",
        ]
    );
    assert_eq!(RulesConfig::default().mode("U_LEGIT_ERROR"), None);
}

#[test]
fn a_secret_that_stands_in_the_wrong_place_is_not_repeated() {
    let text = "[judge]\nkind = \"sk-ant-secret\"\ntimeout_ms = \"sk-ant-secret\"\n";
    assert!(faults(text).iter().all(|fault| !fault.contains("sk-ant")));
}

#[test]
fn a_judge_needs_what_its_kind_needs() {
    assert_eq!(
        faults("[gate]\n[judge]\nkind = \"command\"\n"),
        ["config.toml:2: judge.command: missing, but kind = \"command\" needs it"]
    );
    assert!(faults("[judge]\nkind = \"http\"\nurl = \"ftp://x\"\nmodel = \"m\"\n")[0].contains("judge.url: expected"));
    let good = "[judge]\nkind = \"http\"\nurl = \"http://127.0.0.1:1/v1/messages\"\nmodel = \"m\"\n";
    assert_eq!(parse(Path::new("c"), good).unwrap().judge.kind, JudgeKind::Http);
}

#[test]
fn a_checkout_only_takes_away() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(".stopgate")).unwrap();
    let with = |text: &str| {
        std::fs::write(project_file(dir.path()), text).unwrap();
        let mut own = Config::default();
        own.rules.u2 = Mode::Shadow;
        load_for_checkout(&own, dir.path())
    };
    let rules = with("[gate.rules]\nU1 = \"shadow\"\nU2 = \"off\"\nU3 = \"enforce\"\n").unwrap().rules;
    assert_eq!((rules.u1, rules.u2, rules.u3), (Mode::Shadow, Mode::Off, Mode::Enforce));
    let config = with("[gate]\ncontinues_per_day = 1\nnotes = false\nexclude_plans = [\"old\"]\n").unwrap();
    assert_eq!((config.gate.continues_per_day, config.gate.notes), (1, false));
    assert_eq!(config.gate.exclude_plans, ["old"]);
    for (more, why) in [
        ("[gate]\ncontinues_per_day = 11", "may only lower it, and 10 holds already"),
        ("[gate]\nretention_days = 1", "may not set it"),
        ("[gate.rules]\nU1 = \"enforce\"\nU2 = \"enforce\"", "may only lower it, and \"shadow\" holds already"),
        ("[judge]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", \"evil\"]", "may only set it to none"),
        ("[reaper]\nenabled = true", "may not set it"),
    ] {
        let faults = with(more).unwrap_err();
        assert!(faults.to_string().contains(why), "{faults}");
    }
    std::fs::remove_file(project_file(dir.path())).unwrap();
    assert_eq!(load_for_checkout(&Config::default(), dir.path()), Ok(Config::default()));
}

#[test]
fn the_last_good_configuration_stays_in_force_over_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    let set = |text: &str| std::fs::write(user_file(&home), text).unwrap();
    let mut held = LastGood::load(&home);
    assert_eq!((&held.config, &held.faults), (&Config::default(), &None));
    assert!(!held.refresh(&home), "nothing has changed");

    set("[gate]\ncontinues_per_day = 7\n");
    assert!(held.refresh(&home));
    assert_eq!(held.config.gate.continues_per_day, 7);

    set("[gate]\ncontinues_per_day = seven\n");
    assert!(held.refresh(&home));
    assert_eq!(held.config.gate.continues_per_day, 7);
    assert!(held.faults.is_some());
    let restarted = LastGood::load(&home);
    assert_eq!(restarted.config.gate.continues_per_day, 7);
    assert!(restarted.faults.is_some());

    std::fs::remove_file(user_file(&home)).unwrap();
    assert!(held.refresh(&home));
    assert_eq!((&held.config, &held.faults), (&Config::default(), &None));
}

#[test]
fn missing_keys_are_added_and_nothing_else_is_touched() {
    let text = "# mine\n[gate]   # the gate\ncontinues_per_day   =  7 # less\n\n[reaper]\nenabled=true\n";
    let added = with_missing_keys(text).unwrap();
    for line in text.lines() {
        assert!(added.lines().any(|kept| kept == line), "{line}\n{added}");
    }
    let config = parse(Path::new("c"), &added).unwrap();
    assert_eq!(config, parse(Path::new("c"), text).unwrap());
    assert!(missing_keys(&added).is_empty());
    assert_eq!(with_missing_keys(&added), None, "once is enough");
    assert_eq!(with_missing_keys("[gate]\nwrong = 1\n"), None, "a file with a fault is left alone");
    let fresh = with_missing_keys("").unwrap();
    assert_eq!(parse(Path::new("c"), &fresh), Ok(Config::default()));
    assert!(fresh.contains("# How often the gate may send an agent back"), "{fresh}");
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = parse(Path::new("c"), &text);
        let _ = with_missing_keys(&text);
    }

    #[test]
    fn no_toml_panics(key in "[a-z_.\"]{1,20}", value in "[\\[\\]{}0-9a-z\"=,. ]{1,20}", table in "(gate|judge|gate.promotion|x)") {
        let _ = parse(Path::new("c"), &format!("[{table}]\n{key} = {value}\n"));
    }
}
