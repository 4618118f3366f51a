//! Hooks that stand in the settings and do nothing: a variable that a layer of settings gives them, a line of which one field
//! was changed. Both are found and named, a hook that was called in vain is recorded, and nothing is said without cause.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use rstest::rstest;
use serde_json::{Value, json};
use stopgate_tests::claude_driver::{ClaudeSession, real_claude};
use stopgate_tests::codex_driver::{CodexSession, real_codex};
use stopgate_tests::mock_anthropic::Turn;
use stopgate_tests::person::{Person, finding_ids, read_settings, text};
use stopgate_tests::place::Place;
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{assert_silent, session_start, stop};

const SESSION: &str = "s1";

/// A person with stopgate in the user's settings, and a checkout.
fn installed() -> (Person, PathBuf) {
    let person = Person::new();
    person.write_settings("{}\n");
    person.install(&[]);
    let project = person.world.planned_checkout().top;
    std::fs::create_dir_all(project.join(".claude")).unwrap();
    (person, project)
}

/// What `installer doctor` says in `dir`.
fn doctor(person: &Person, dir: &std::path::Path) -> Value {
    let mut command = person.installed("installer");
    command.args(["doctor", "--no-fire", "--json"]).env("STOPGATE_NO_AUTOSTART", "1").current_dir(dir);
    serde_json::from_slice(&finish(command, Stdin::from("")).stdout).unwrap()
}

/// What `stopgate status` says in `dir`: for programs, and for people.
fn status(person: &Person, dir: &std::path::Path) -> (Value, String) {
    let json = person.world.stopgate_in(dir, &["status", "--json"]);
    (serde_json::from_slice(&json.stdout).unwrap(), text(&person.world.stopgate_in(dir, &["status"]).stdout))
}

/// Runs an installed hook as Claude Code does, with further variables.
fn call(person: &Person, hook: &str, payload: &Value, variables: &[(&str, &str)]) {
    let mut command = person.installed(hook);
    command.arg("claude").env("CLAUDE_CODE_SESSION_ID", SESSION).env("STOPGATE_NO_AUTOSTART", "1");
    command.envs(variables.iter().copied()).current_dir(person.world.root());
    assert_silent(&finish(command, Stdin::from(&*payload.to_string())));
}

#[rstest]
#[case::users("home/.claude/settings.json", "env", "STOPGATE_KILL", json!("1"), Some("hooks-silenced"))]
#[case::projects("project/.claude/settings.json", "env", "STOPGATE_JUDGE", json!("1"), Some("hooks-silenced"))]
#[case::own_of_the_project("project/.claude/settings.local.json", "env", "STOPGATE_HOME", json!("/elsewhere"), Some("hooks-silenced"))]
#[case::no_home("project/.claude/settings.local.json", "env", "STOPGATE_HOME", json!("here"), Some("hooks-silenced"))]
#[case::a_number("project/.claude/settings.local.json", "env", "STOPGATE_KILL", json!(1), Some("hooks-silenced"))]
#[case::remembered("home/.claude.json", "env", "STOPGATE_KILL", json!(true), Some("hooks-silenced"))]
#[case::another("project/.claude/settings.local.json", "env", "STOPGATE_DEADLINE_MS", json!("50"), Some("hooks-variable"))]
#[case::no_start("project/.claude/settings.local.json", "env", "STOPGATE_NO_AUTOSTART", json!("1"), Some("hooks-variable"))]
#[case::off("project/.claude/settings.local.json", "env", "STOPGATE_KILL", json!("0"), None)]
#[case::this_home("project/.claude/settings.local.json", "env", "STOPGATE_HOME", json!("HOME"), None)]
#[case::a_stranger("project/.claude/settings.local.json", "env", "PATH", json!("/bin"), None)]
#[case::no_environment("project/.claude/settings.local.json", "other", "STOPGATE_KILL", json!("1"), None)]
#[case::not_read("home/.claude/settings.local.json", "env", "STOPGATE_KILL", json!("1"), None)]
fn a_variable_that_settings_give_to_hooks_is_named_with_its_file_and_its_key(
    #[case] file: &str,
    #[case] member: &str,
    #[case] name: &str,
    #[case] value: Value,
    #[case] id: Option<&str>,
) {
    let (person, project) = installed();
    let path = match file.strip_prefix("project/") {
        Some(name) => project.join(name),
        None => person.world.root().join(file),
    };
    let mut settings = if path.exists() { read_settings(&path) } else { json!({}) };
    settings[member] = json!({ name: value });
    if value == "HOME" {
        settings[member][name] = json!(person.world.home.root());
    }
    std::fs::write(&path, settings.to_string()).unwrap();
    let (report, (json, shown)) = (doctor(&person, &project), status(&person, &project));
    let Some(id) = id else {
        assert_eq!((finding_ids(&report), &json["hooks_environment"]), (vec![], &json!([])), "{report:#}");
        assert!(!shown.contains(name), "{shown}");
        return;
    };
    assert_eq!(finding_ids(&report), [id], "{report:#}");
    let found = &report["findings"][0];
    assert_eq!(found["subject"], path.to_str().unwrap());
    assert!(found["what"].as_str().unwrap().contains(name), "{found:#}");
    assert_eq!(found["fix"], format!("take env.{name} out of {}", path.display()));
    assert_eq!(report["exit_code"], i32::from(id == "hooks-silenced"));
    assert_eq!(json["hooks_environment"][0]["file"], path.to_str().unwrap());
    assert_eq!(json["hooks_environment"][0]["key"], format!("env.{name}"));
    assert!(shown.contains(&format!("(take env.{name} out of {})", path.display())), "{shown}");
}

#[test]
fn the_layer_of_the_directory_that_a_session_works_in_is_looked_into_from_anywhere() {
    let (person, project) = installed();
    let _authority = person.world.authority();
    call(&person, "session-start-recorder", &session_start(SESSION, &project, "startup"), &[]);
    let local = project.join(".claude/settings.local.json");
    std::fs::write(&local, r#"{"env": {"STOPGATE_KILL": "1"}}"#).unwrap();
    let (report, (json, _)) = (doctor(&person, person.world.root()), status(&person, person.world.root()));
    assert_eq!(finding_ids(&report), ["hooks-silenced"], "{report:#}");
    assert_eq!(json["hooks_environment"][0]["file"], local.to_str().unwrap());
}

#[test]
fn what_the_administrator_gives_to_hooks_is_named() {
    let place = Place::new("{}\n");
    let managed = place.out("etc/claude-code");
    std::fs::create_dir_all(managed.join("managed-settings.d")).unwrap();
    std::fs::write(managed.join("managed-settings.d/9.json"), r#"{"env": {"STOPGATE_KILL": "1"}}"#).unwrap();
    let script = "for name in passwd group nsswitch.conf ld.so.cache localtime; do cp -L /etc/$name etc/ 2>/dev/null; done\n\
         mount --bind etc /etc || exit 77\n\
         $bin/installer init --yes --no-live-check >/dev/null || exit 3\n\
         $home/bin/installer doctor --no-fire --json >found\n\
         $home/bin/stopgate status --json >status";
    let Some(output) = place.run(script) else { return };
    let report = place.report("found");
    assert_eq!(finding_ids(&report), ["hooks-silenced"], "{report:#} {output:?}");
    let file = "/etc/claude-code/managed-settings.d/9.json";
    assert_eq!(report["findings"][0]["subject"], file);
    assert_eq!(place.report("status")["hooks_environment"][0]["file"], file);
}

#[test]
fn codex_s_own_file_of_variables_is_named_and_what_reaches_only_its_tools_is_not() {
    let person = Person::new();
    let dir = person.dir().join(".codex");
    std::fs::create_dir_all(&dir).unwrap();
    person.install(&["--harness", "codex"]);
    std::fs::write(dir.join("config.toml"), "[shell_environment_policy]\nset = { STOPGATE_KILL = \"1\" }\n").unwrap();
    let given = || status(&person, person.world.root()).0["hooks_environment"].clone();
    assert_eq!(given(), json!([]));
    std::fs::write(dir.join(".env"), "A=1\nexport STOPGATE_KILL='1'\n").unwrap();
    assert_eq!(given()[0]["file"], dir.join(".env").to_str().unwrap());
    let report = doctor(&person, person.world.root());
    assert!(finding_ids(&report).contains(&"hooks-silenced"), "{report:#}");
}

#[rstest]
#[case::not_waited_for("SessionStart", "async", json!(true), "entry-changed", "`async` is true")]
#[case::waking("Stop", "asyncRewake", json!(true), "entry-changed", "`asyncRewake` is true")]
#[case::now_and_then("Stop", "if", json!("Bash(nothing *)"), "entry-changed", "`if` is \"Bash(nothing *)\"")]
#[case::asked("Stop", "type", json!("prompt"), "entry-changed", "`type` is \"prompt\", not \"command\"")]
#[case::once("SessionEnd", "once", json!(true), "entry-changed", "`once` is true")]
#[case::closed("PermissionRequest", "onFailure", json!("block"), "entry-changed", "`onFailure` is \"block\"")]
#[case::another_shell("Stop", "shell", json!("powershell"), "entry-changed", "`shell` is \"powershell\"")]
#[case::short("Stop", "timeout", json!(0.01), "entry-stale", "`timeout` is 0.01, not 10")]
#[case::another_harness("Stop", "args", json!(["codex"]), "entry-stale", "`args` is [\"codex\"], not [\"claude\"]")]
#[case::not_off("Stop", "async", json!(false), "", "")]
#[case::decoration("Stop", "statusMessage", json!("thinking"), "", "")]
#[case::of_the_future("Stop", "of the future", json!(1), "entry-field", "`of the future` is 1")]
fn every_field_of_a_line_that_changes_what_happens_is_named_and_set_right(
    #[case] event: &str,
    #[case] field: &str,
    #[case] value: Value,
    #[case] id: &str,
    #[case] what: &str,
) {
    let (person, project) = installed();
    let before = std::fs::read_to_string(person.settings()).unwrap();
    let mut settings = read_settings(&person.settings());
    settings["hooks"][event][0]["hooks"][0][field] = value;
    std::fs::write(person.settings(), settings.to_string()).unwrap();
    let report = doctor(&person, &project);
    if id.is_empty() {
        assert_eq!(finding_ids(&report), Vec::<&str>::new(), "{report:#}");
        assert_eq!(status(&person, &project).0["hooks_lost"], json!([]));
        return;
    }
    assert_eq!(finding_ids(&report), [id], "{report:#}");
    let found = &report["findings"][0];
    assert_eq!(found["subject"], person.settings().to_str().unwrap());
    let said = found["what"].as_str().unwrap();
    assert!(said.contains(what) && said.contains(event), "{said}");
    let is_problem = id != "entry-field";
    assert_eq!(report["exit_code"], i32::from(is_problem), "{report:#}");
    let (json, shown) = status(&person, &project);
    assert_eq!(json["hooks_lost"][0]["how"] == "changed", is_problem, "{json:#}");
    assert_eq!(shown.contains(what), is_problem, "{shown}");

    person.run(&["doctor", "--no-fire", "--fix"]);
    if is_problem {
        let wanted: Value = serde_json::from_str(&before).unwrap();
        assert_eq!(read_settings(&person.settings()), wanted);
    } else {
        assert_eq!(read_settings(&person.settings()), settings, "what nobody knows is the person's");
    }
    assert_eq!(doctor(&person, &project)["exit_code"], 0);
}

#[rstest]
#[case::narrow("SessionStart", json!("clear"), true)]
#[case::everything("SessionStart", json!("*"), false)]
#[case::not_looked_at("Stop", json!("nothing"), false)]
fn a_matcher_counts_where_the_client_looks_at_it(#[case] event: &str, #[case] matcher: Value, #[case] is_found: bool) {
    let (person, project) = installed();
    let wanted = read_settings(&person.settings());
    let mut settings = wanted.clone();
    settings["hooks"][event][0]["matcher"] = matcher;
    std::fs::write(person.settings(), settings.to_string()).unwrap();
    let report = doctor(&person, &project);
    assert_eq!(finding_ids(&report), if is_found { vec!["entry-changed"] } else { vec![] }, "{report:#}");
    if is_found {
        assert!(report["findings"][0]["what"].as_str().unwrap().contains("`matcher` of its group is \"clear\""));
        person.run(&["doctor", "--no-fire", "--fix"]);
        assert_eq!(read_settings(&person.settings()), wanted);
    }
}

#[rstest]
#[case::own_of_the_project(
    ".claude/settings.local.json",
    r#"{"disableAllHooks": true}"#,
    Some("disableAllHooks: true")
)]
#[case::with_comments(".claude/settings.json", "// why\n{\"disableAllHooks\": true}", Some("disableAllHooks: true"))]
#[case::no(".claude/settings.local.json", r#"{"disableAllHooks": false}"#, None)]
#[case::no_flag(".claude/settings.local.json", r#"{"disableAllHooks": "true"}"#, None)]
#[case::an_administrator_s_word(".claude/settings.local.json", r#"{"allowManagedHooksOnly": true}"#, None)]
#[case::of_codex(".codex/config.toml", "[features]\nhooks = false\n", Some("[features] hooks = false"))]
fn what_switches_all_hooks_off_in_any_layer_is_shown(
    #[case] file: &str,
    #[case] content: &str,
    #[case] setting: Option<&str>,
) {
    let (person, project) = installed();
    std::fs::create_dir_all(person.dir().join(".codex")).unwrap();
    person.install(&["--harness", "codex"]);
    std::fs::create_dir_all(project.join(".codex")).unwrap();
    std::fs::write(project.join(file), content).unwrap();
    let (json, shown) = status(&person, &project);
    let found = json["hooks_switched_off"].as_array().unwrap();
    assert_eq!(found.len(), setting.iter().len(), "{json:#}");
    if let Some(setting) = setting {
        let path = project.join(file).display().to_string();
        assert_eq!((found[0]["setting"].as_str(), found[0]["file"].as_str()), (Some(setting), Some(&*path)));
        assert!(
            shown.lines().any(|line| line.starts_with("hooks ") && line.contains(&path) && line.contains(setting)),
            "{shown}"
        );
    }
    // From elsewhere, only for a session that lives there.
    assert_eq!(status(&person, person.world.root()).0["hooks_switched_off"], json!([]));
    let _authority = person.world.authority();
    call(&person, "session-start-recorder", &session_start(SESSION, &project, "startup"), &[]);
    let of_claude = setting.filter(|_| file.starts_with(".claude"));
    assert_eq!(
        status(&person, person.world.root()).0["hooks_switched_off"].as_array().unwrap().len(),
        of_claude.iter().len()
    );
}

#[rstest]
#[case::in_a_line(|path: &str| json!({"type": "command", "command": format!("true || {path} claude"), "timeout": 10}))]
#[case::in_arguments(|path: &str| json!({"type": "command", "command": "/usr/bin/env", "args": ["STOPGATE_KILL=1", path, "claude"], "timeout": 10}))]
fn a_line_with_something_around_ours_is_named(#[case] wrapped: fn(&str) -> Value) {
    let (person, project) = installed();
    let mut settings = read_settings(&person.settings());
    let router = person.world.home.bin().join("stop-gate-router");
    settings["hooks"]["Stop"][0]["hooks"][0] = wrapped(router.to_str().unwrap());
    std::fs::write(person.settings(), settings.to_string()).unwrap();
    let report = doctor(&person, &project);
    let mut ids = finding_ids(&report);
    ids.sort_unstable();
    assert_eq!(ids, ["entry-missing", "entry-wrapped"], "{report:#}");
    assert_eq!(status(&person, &project).0["hooks_lost"][0]["events"], json!(["Stop"]));
}

#[test]
fn what_no_harness_waits_for_is_not_delivered() {
    let (person, project) = installed();
    person.world.set_mode("shadow");
    let _authority = person.world.authority();
    call(&person, "stop-gate-router", &stop(SESSION, &project, "Done."), &[]);
    let delivered = |person: &Person| status(person, &project).0["hooks"]["stop-gate-router"]["delivered"].clone();
    assert!(delivered(&person).is_string());
    let mut settings = read_settings(&person.settings());
    settings["hooks"]["Stop"][0]["hooks"][0]["async"] = json!(true);
    std::fs::write(person.settings(), settings.to_string()).unwrap();
    assert_eq!(delivered(&person), Value::Null);
    let shown = status(&person, &project).1;
    assert!(shown.lines().any(|line| line.starts_with("stop-gate-router") && line.contains("not heard")), "{shown}");
    assert!(shown.lines().any(|line| line.starts_with("session-start") && !line.contains("not heard")), "{shown}");
}

#[rstest]
#[case::killed("STOPGATE_KILL", "1", false)]
#[case::as_a_judge("STOPGATE_JUDGE", "1", false)]
#[case::elsewhere("STOPGATE_HOME", "ELSEWHERE", true)]
#[case::nowhere("STOPGATE_HOME", "rel", false)]
fn a_hook_that_a_variable_silences_is_seen_until_its_session_is_heard_again(
    #[case] name: &str,
    #[case] value: &str,
    #[case] works_there: bool,
) {
    let (person, project) = installed();
    let _authority = person.world.authority();
    call(&person, "session-start-recorder", &session_start(SESSION, &project, "startup"), &[]);
    let other = person.world.root().join("elsewhere");
    std::fs::create_dir(&other).unwrap();
    let value = value.replace("ELSEWHERE", other.to_str().unwrap());
    let (json, _) = status(&person, &project);
    assert_eq!((&json["unheard_sessions"], &json["hooks"]["stop-gate-router"]["silenced"]), (&json!([]), &Value::Null));

    for _ in 0..2 {
        call(&person, "stop-gate-router", &stop(SESSION, &project, "Done."), &[(name, &value)]);
    }
    let (json, shown) = status(&person, &project);
    assert_eq!(json["unheard_sessions"][0]["session_id"], SESSION, "{json:#}");
    assert_eq!(json["unheard_sessions"][0]["hooks_silenced"]["by"], format!("{name}={value}"));
    assert!(json["hooks"]["stop-gate-router"]["silenced"].is_string());
    assert_eq!(json["hooks"]["stop-gate-router"]["fired"], Value::Null, "it did not work for this home");
    assert!(shown.contains("(claude:s1) is not guarded: its hooks run with"), "{shown}");
    assert_eq!(other.join("run/beats/stop-gate-router.fired").exists(), works_there);
    let log = person.world.hook_log();
    assert_eq!(log.matches("silenced by its environment").count(), 1, "said once: {log}");
    let report = doctor(&person, &project);
    let mut ids = finding_ids(&report);
    ids.sort_unstable();
    assert_eq!(ids, ["hook-silenced", "session-silenced"], "{report:#}");
    let sessions = text(&person.world.stopgate(&["sessions"]).stdout);
    assert!(sessions.contains("hooks silenced"), "{sessions}");

    let prompt =
        json!({"session_id": SESSION, "cwd": project, "hook_event_name": "UserPromptSubmit", "prompt": "go on"});
    call(&person, "session-start-recorder", &prompt, &[]);
    assert_eq!(status(&person, &project).0["unheard_sessions"], json!([]));
}

#[test]
fn a_hook_of_another_session_of_a_judge_or_under_the_kill_file_is_no_silenced_one() {
    let (person, project) = installed();
    let _authority = person.world.authority();
    call(&person, "session-start-recorder", &session_start(SESSION, &project, "startup"), &[]);
    let silenced = |person: &Person| {
        let (json, _) = status(person, &project);
        (json["unheard_sessions"].clone(), json["hooks"]["stop-gate-router"]["silenced"].clone())
    };
    // The judge runs in the home.
    let judges = person.world.home.run().join("judge");
    std::fs::create_dir_all(&judges).unwrap();
    let mut judge = person.installed("stop-gate-router");
    judge.arg("claude").env("STOPGATE_JUDGE", "1").env("CLAUDE_CODE_SESSION_ID", SESSION).current_dir(&judges);
    assert_silent(&finish(judge, Stdin::from(&*stop(SESSION, &project, "Done.").to_string())));
    // This home by another path, and a variable that is off.
    let link = person.world.root().join("link");
    std::os::unix::fs::symlink(person.world.home.root(), &link).unwrap();
    for (name, value) in [("STOPGATE_HOME", link.to_str().unwrap()), ("STOPGATE_KILL", "0"), ("STOPGATE_HOME", "")] {
        call(&person, "stop-gate-router", &stop(SESSION, &project, "Done."), &[(name, value)]);
    }
    person.world.stopgate(&["kill", "on"]);
    call(&person, "stop-gate-router", &stop(SESSION, &project, "Done."), &[]);
    assert_eq!(silenced(&person), (json!([]), Value::Null));
    // A session of another id, silenced by whoever started it, is not this one.
    let other = [("STOPGATE_KILL", "1"), ("CLAUDE_CODE_SESSION_ID", "s2")];
    call(&person, "stop-gate-router", &stop("s2", &project, "Done."), &other);
    let (unheard, beat) = silenced(&person);
    assert_eq!(unheard, json!([]));
    assert!(beat.is_string());
}

const CLAUDE: &str = env!("CARGO_BIN_EXE_drive-claude");

#[test]
fn a_real_session_that_is_silenced_by_its_project_s_settings_is_shown() {
    if real_claude().is_none() {
        return;
    }
    let (person, project) = installed();
    let authority = person.world.authority();
    let local = project.join(".claude/settings.local.json");
    // In the midst of the session, by a script that no permission looks into.
    let script = "cp changed.json .claude/settings.local.json\n\
        for _ in $(seq 300); do\n\
            \"$HOME/.stopgate/bin/stopgate\" sessions --json > sessions.json\n\
            grep -q ConfigChange sessions.json && break\n\
            sleep 0.1\n\
        done\n\
        \"$HOME/.stopgate/bin/stopgate\" status --json > status.json\n";
    std::fs::write(project.join("work.sh"), script).unwrap();
    std::fs::write(project.join("changed.json"), r#"{"env": {"STOPGATE_KILL": "1"}}"#).unwrap();
    let session = || ClaudeSession::new(&project).home(person.dir());
    let later = "\"$HOME/.stopgate/bin/stopgate\" status --json > later.json\n";
    std::fs::write(project.join("later.sh"), later).unwrap();
    let parser = [Turn::bash("sh ./work.sh"), Turn::text("The parser is in.")];
    let turns = parser.into_iter().chain([Turn::bash("sh ./later.sh"), Turn::text("And its tests.")]);
    let first = session().turns(turns).prompt("go on").prompt("and the tests").run(CLAUDE).unwrap();
    assert_eq!((first.exit_code, first.timed_out), (Some(0), false), "{first:#?}");
    let seen: Value = serde_json::from_slice(&std::fs::read(project.join("status.json")).unwrap()).unwrap();
    let unheard = &seen["unheard_sessions"][0];
    assert_eq!(unheard["hooks_lost"]["how"], "environment", "{seen:#}");
    assert_eq!(unheard["hooks_lost"]["by"], json!(["STOPGATE_KILL=1"]));
    assert_eq!(seen["hooks_environment"][0]["file"], local.to_str().unwrap(), "{seen:#}");

    // Its stop was called in vain, which the hook itself has noted.
    let row = authority.sessions().remove(0);
    assert_eq!(row.last_event.as_deref(), Some("ConfigChange"), "{row:#?}");
    let later: Value = serde_json::from_slice(&std::fs::read(project.join("later.json")).unwrap()).unwrap();
    assert!(later["hooks"]["stop-gate-router"]["silenced"].is_string(), "{later:#}");
    assert_eq!(later["unheard_sessions"][0]["hooks_silenced"]["by"], "STOPGATE_KILL=1", "{later:#}");
}

#[test]
fn a_real_codex_whose_own_file_silences_hooks_leaves_a_trace_and_its_tools_variables_do_not() {
    let Some(codex) = real_codex() else { return };
    let person = Person::new();
    let dir = person.dir().join(".codex");
    std::fs::create_dir_all(&dir).unwrap();
    let project = person.world.planned_checkout().top;
    let mut init = person.installer(&["init", "--harness", "codex", "--trust", "--yes", "--no-live-check"]);
    let clients = person.world.root().join("clients");
    std::fs::create_dir(&clients).unwrap();
    std::os::unix::fs::symlink(&codex, clients.join("codex")).unwrap();
    init.env("STOPGATE_NO_AUTOSTART", "1").env("PATH", format!("{}:/usr/bin:/bin", clients.display()));
    let output = finish(init, Stdin::from(""));
    assert!(output.status.success(), "{output:?}");
    let run = || {
        let (project, home) = (project.clone(), person.dir());
        let env = vec![("STOPGATE_NO_AUTOSTART".to_owned(), "1".to_owned())];
        let (prompt, turns) = ("go".to_owned(), vec![Turn::text("Done.")]);
        CodexSession { codex: codex.clone(), project, home, prompt, turns, env }.run(env!("CARGO_BIN_EXE_drive-codex"))
    };
    let beat = |kind: &str| status(&person, &project).0["hooks"]["stop-gate-router"][kind].clone();
    let config = std::fs::read_to_string(dir.join("config.toml")).unwrap();
    let tools = format!("{config}\n[shell_environment_policy]\nset = {{ STOPGATE_KILL = \"1\" }}\n");
    std::fs::write(dir.join("config.toml"), tools).unwrap();
    let summary = run();
    assert_eq!(summary.exit_code, Some(0), "{}", summary.stderr);
    assert!(beat("fired").is_string() && beat("silenced").is_null(), "{}", summary.stderr);

    std::fs::write(dir.join(".env"), "STOPGATE_KILL=1\n").unwrap();
    let fired = beat("fired");
    let summary = run();
    assert_eq!((summary.exit_code, beat("fired")), (Some(0), fired), "{}", summary.stderr);
    assert!(beat("silenced").is_string(), "{}", summary.stderr);
}
