use super::*;
use crate::settings::locate::Location;
use stopgate_core::env::MapEnv;
use stopgate_core::paths::Home;

/// A plan for a home and a settings file in `dir`, with every program beside the installer.
fn plan(dir: &Path, settings: &str) -> InitPlan {
    let (source, config) = (dir.join("target"), dir.join("config"));
    std::fs::create_dir_all(&source).unwrap();
    std::fs::create_dir_all(&config).unwrap();
    for name in crate::programs::names() {
        std::fs::write(source.join(name), name).unwrap();
    }
    let path = config.join("settings.json");
    std::fs::write(&path, settings).unwrap();
    let location = Location { harness: Harness::Claude, scope: Scope::User, path, project: None };
    InitPlan::make(&MapEnv::default(), &Home::at(dir.join("home")), &source, location, Sets::AsKnown).unwrap()
}

/// `text` with the directory's name masked.
fn masked(text: &str, dir: &Path) -> String {
    text.replace(dir.to_str().unwrap(), "[DIR]")
}

#[test]
fn the_preview_of_a_repair() {
    let dir = tempfile::tempdir().unwrap();
    let first = plan(dir.path(), "{\n  \"model\": \"opus\"\n}\n");
    let installed = String::from_utf8(first.settings.after.unwrap()).unwrap();
    let stale = installed.replace("\"timeout\": 3", "\"timeout\": 5000");
    let plan = plan(dir.path(), &stale);
    insta::assert_snapshot!(masked(&plan.preview(), dir.path()), @r#"
      create  [DIR]/home
      edit    [DIR]/config/settings.json
      new     [DIR]/home/bin/stop-gate-router
      new     [DIR]/home/bin/build-stop-hook
      new     [DIR]/home/bin/session-start-recorder
      new     [DIR]/home/bin/write-fence
      new     [DIR]/home/bin/stopgate
      new     [DIR]/home/bin/installer

    --- [DIR]/config/settings.json
    +++ [DIR]/config/settings.json
    @@ -116,7 +116,7 @@
                 "args": [
                   "claude"
                 ],
    -            "timeout": 5000
    +            "timeout": 3
               }
             ]
           }
    "#);
    assert!(!dir.path().join("home").exists(), "a plan writes nothing");
}

#[test]
fn the_preview_of_a_first_install() {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(dir.path(), "{\"model\": \"opus\"}\n");
    insta::assert_snapshot!(masked(&plan.preview(), dir.path()), @r#"
      create  [DIR]/home
      edit    [DIR]/config/settings.json
      new     [DIR]/home/bin/stop-gate-router
      new     [DIR]/home/bin/build-stop-hook
      new     [DIR]/home/bin/session-start-recorder
      new     [DIR]/home/bin/write-fence
      new     [DIR]/home/bin/stopgate
      new     [DIR]/home/bin/installer

    --- [DIR]/config/settings.json
    +++ [DIR]/config/settings.json
    @@ -1 +1 @@
    -{"model": "opus"}
    +{"model": "opus", "hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "[DIR]/home/bin/session-start-recorder", "args": ["claude"], "timeout": 10}]}], "UserPromptSubmit": [{"hooks": [{"type": "command", "command": "[DIR]/home/bin/session-start-recorder", "args": ["claude"], "timeout": 10}]}], "PermissionRequest": [{"hooks": [{"type": "command", "command": "[DIR]/home/bin/session-start-recorder", "args": ["claude"], "timeout": 10}]}], "Stop": [{"hooks": [{"type": "command", "command": "[DIR]/home/bin/stop-gate-router", "args": ["claude"], "timeout": 10}, {"type": "command", "command": "[DIR]/home/bin/build-stop-hook", "args": ["claude"], "timeout": 10}]}], "PreCompact": [{"hooks": [{"type": "command", "command": "[DIR]/home/bin/session-start-recorder", "args": ["claude"], "timeout": 10}]}], "PostCompact": [{"hooks": [{"type": "command", "command": "[DIR]/home/bin/session-start-recorder", "args": ["claude"], "timeout": 10}]}], "ConfigChange": [{"hooks": [{"type": "command", "command": "[DIR]/home/bin/session-start-recorder", "args": ["claude"], "timeout": 10}]}], "SessionEnd": [{"hooks": [{"type": "command", "command": "[DIR]/home/bin/session-start-recorder", "args": ["claude"], "timeout": 3}]}]}}
    "#);
    assert!(!plan.is_noop());
}
