//! A build's `state.json` in the checkout: any JSON is understood by the hook as by everybody else, or by neither.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use stopgate_build_guard::guard::BuildGuard;
use stopgate_build_guard::reason;
use stopgate_build_guard::state::BuildState;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else { return };
    let guard = BuildGuard::of(&value);
    if let Ok(state) = serde_json::from_value::<BuildState>(value.clone()) {
        let guard = guard.as_ref().expect("the hook does not understand what everybody else does");
        assert_eq!((guard.phase, guard.size), (state.phase, state.size));
        assert_eq!((guard.reminders_used, &guard.owner), (state.reminders_used, &state.owner));
        let again = serde_json::to_value(&state).unwrap();
        assert_eq!(serde_json::from_value::<BuildState>(again).unwrap(), state);
    }
    let Some(guard) = guard else { return };
    let reason = reason::render(&value, &guard, reason::PROGRAM);
    assert!(reason.len() < 16 * 1024, "a reason of {} bytes", reason.len());
    assert!(!reason.chars().any(|symbol| symbol.is_control() && symbol != '\n'), "{reason:?}");
    let before = value.clone();
    guard.write_into(&mut value);
    assert_eq!(BuildGuard::of(&value).as_ref(), Some(&guard), "what the hook writes it does not read");
    for (name, field) in before.as_object().unwrap() {
        if !["reminders_used", "reminders_in_turn", "owner"].contains(&name.as_str()) {
            assert_eq!(value.get(name), Some(field), "{name} changed");
        }
    }
});
