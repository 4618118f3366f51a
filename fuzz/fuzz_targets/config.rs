//! `config.toml`, the operator's and a checkout's: read, or refused with file and line; a checkout only tightens.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use stopgate_config::{
    Config, Faults, Project, ShownValue, effective, load_for_checkout, missing_keys, parse, values, with_missing_keys,
};

fuzz_target!(|bytes: &[u8]| {
    thread_local!(static DIRECTORY: tempfile::TempDir = checkout());
    let text = String::from_utf8_lossy(bytes);
    let file = Path::new("/h/config.toml");
    let read = parse(file, &text);
    assert_eq!(parse(file, &text), read, "loading twice is not the same");
    match &read {
        Ok(config) => {
            let written = effective(config);
            assert_eq!(
                parse(file, &written).as_ref(),
                Ok(config),
                "what is in force cannot be written down\n{written}"
            );
            if let Some(filled) = with_missing_keys(&text) {
                assert_eq!(parse(file, &filled).as_ref(), Ok(config), "adding what is missing changed it\n{filled}");
                assert_eq!(with_missing_keys(&filled), None);
            }
        }
        Err(faults) => check(faults, file, &text),
    }
    DIRECTORY.with(|directory| {
        let file = directory.path().join(".stopgate/config.toml");
        std::fs::write(&file, bytes).unwrap();
        match load_for_checkout(&Config::default(), directory.path()) {
            Ok(config) => only_tighter(&config),
            Err(faults) => check(&faults, &file, &text),
        }
    });
});

fn checkout() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join(".stopgate")).unwrap();
    directory
}

fn check(faults: &Faults, file: &Path, text: &str) {
    assert!(!faults.0.is_empty());
    for fault in &faults.0 {
        assert_eq!(fault.file, file);
        assert!(fault.line <= text.lines().count() + 1, "{fault}");
        assert!(!fault.problem.is_empty());
        let shown = fault.to_string();
        assert!(shown.starts_with(&file.display().to_string()), "{shown}");
    }
}

fn only_tighter(config: &Config) {
    let before = values(&Config::default());
    for ((key, (name, was)), (_, is)) in missing_keys("").iter().zip(before).zip(values(config)) {
        let allowed = match (key.project, &was, &is) {
            _ if was == is => true,
            (Project::Lower, ShownValue::Count(was), ShownValue::Count(is)) => is < was,
            (Project::Only(word), _, ShownValue::Text(is)) => is == word,
            (Project::Only(word), _, ShownValue::Flag(is)) => is.to_string() == word,
            (Project::Extend, ShownValue::List(was), ShownValue::List(is)) => is.starts_with(was),
            _ => false,
        };
        assert!(allowed, "{name} went from {was:?} to {is:?} by a checkout's word");
    }
}
