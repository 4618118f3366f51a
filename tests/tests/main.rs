//! All of stopgate through its real programs, one module a subject. One target, so that one program is linked; the
//! others have their reasons: `faults` and `clients` are tables, `soak` is done alone, `release` has an archive.

#![allow(clippy::unwrap_used, reason = "tests")]

mod architecture;
mod authority;
mod authority_faults;
mod breaker;
mod build_cli;
mod build_crash;
mod build_guard;
mod build_owner;
mod build_person;
mod build_worktree;
mod claude_client;
mod claude_hooks_lost;
mod claude_reaper;
mod claude_sessions;
mod claude_stopgate;
mod codex_installer;
mod command_lines;
mod coordination_faults;
mod coordination_fence;
mod coordination_fence_clients;
mod coordination_fence_hook;
mod coordination_leases;
mod coordination_rooms;
mod coordination_wiring;
mod documentation;
mod fail_open;
mod fixtures;
mod gate;
mod gate_ceilings;
mod gate_corpus;
mod gate_field;
mod gate_git;
mod gate_judge;
mod gate_learn;
mod gate_legitimate;
mod gate_person;
mod gate_plans;
mod gate_prompts;
mod gate_retention;
mod gate_rules;
mod gate_trust;
mod gate_turn_end;
mod gate_turns;
mod hooks_lost;
mod hooks_silenced;
mod hostile_checkout;
mod hostile_home;
mod http_abuse;
mod installer;
mod installer_access;
mod installer_accounts;
mod installer_disturbed;
mod installer_doctor;
mod installer_killed;
mod installer_live_check;
mod installer_managed;
mod installer_migrate;
mod installer_other_words;
mod installer_places;
mod installer_restore;
mod installer_uninstall;
mod installer_upgrade;
mod judge_guard;
mod namespaces;
mod outputs;
mod processes;
mod reaper;
mod registry;
mod sessions;
mod stalled;
mod switches;
mod top;
mod trial;
mod who_may;

/// A file that is no module of this target would never be compiled.
#[test]
fn every_file_here_is_a_module() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let modules: Vec<_> = include_str!("main.rs").lines().filter_map(|line| line.strip_prefix("mod ")).collect();
    for entry in std::fs::read_dir(here).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            continue;
        }
        let name = entry.file_name().into_string().unwrap();
        let module = format!("{};", name.trim_end_matches(".rs"));
        assert!(name == "main.rs" || modules.contains(&&*module), "{name} is not in main.rs");
    }
}
