use super::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use stopgate_core::session::{Harness, SessionKey};

fn row(id: &str, state: SessionState) -> SessionRow {
    let json = serde_json::json!({
        "harness": "claude", "session_id": id, "name": "amber", "state": state, "liveness": "alive", "pending_tasks": 0,
        "last_events": {}, "resume_command": format!("claude --resume {id}"), "memory_bytes": 300 << 20,
        "started_at_ms": 0, "last_event_at_ms": 60_000, "checkout": "/w/parser", "waits_for": "a prompt",
    });
    serde_json::from_value(json).unwrap()
}

fn screen(model: &mut Model, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model)).unwrap();
    let buffer = terminal.backend().buffer();
    let text: Vec<&str> = buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect();
    text.chunks(usize::from(width)).map(|line| line.concat().trim_end().to_owned()).collect()
}

fn model() -> Model {
    let mut model = Model::new(false);
    model.now_ms = 7_200_000;
    model.sessions = vec![row("one", SessionState::Working), row("two", SessionState::Idle)];
    model.select(1);
    model
}

#[test]
fn it_says_everything_at_80x24_without_colour() {
    let lines = screen(&mut model(), 80, 24);
    let text = lines.join("\n");
    assert!(text.contains("2 sessions: 1 working, 0 waiting, 1 idle"), "{text}");
    let selected = lines.iter().find(|line| line.starts_with("> ")).unwrap();
    for word in ["idle", "amber", "2 h", "1 h", "parser", "claude", "300 MiB", "a prompt"] {
        assert!(selected.contains(word), "{word}: {selected}");
    }
    assert!(lines.last().unwrap().starts_with("q quit"), "{text}");
    assert!(text.contains("no stop has reached the gate yet"));
}

#[test]
fn there_is_more_where_there_is_room_and_nothing_breaks_where_there_is_none() {
    assert!(screen(&mut model(), 160, 50).join("\n").contains("LAST EVENT"));
    for (width, height) in [(1, 1), (10, 3), (40, 8)] {
        screen(&mut model(), width, height);
    }
    screen(&mut Model::new(true), 80, 24);
}

#[test]
fn an_end_is_asked_for_twice() {
    let mut model = model();
    let key = SessionKey::new(Harness::Claude, "two").unwrap();
    model.prompt = TopPrompt::End(key.clone());
    assert!(screen(&mut model, 80, 24).last().unwrap().starts_with("End claude:two?"));
    model.prompt = TopPrompt::ReallyEnd(key);
    assert!(screen(&mut model, 80, 24).last().unwrap().starts_with("Really? It is idle"));
}

#[test]
fn what_was_done_without_a_terminal_stands_there_until_it_is_seen() {
    let mut model = model();
    assert!(!screen(&mut model, 80, 24).join("\n").contains("UNSEEN"));
    let act = serde_json::json!({"id": 7, "at_ms": 3_600_000, "action": "mode off", "detail": "enforce",
        "chain": [{"pid": 9, "start_ticks": 1, "name": "stopgate"}, {"pid": 1, "start_ticks": 0, "name": "init"}]});
    model.unattended = vec![serde_json::from_value(act).unwrap()];
    let lines = screen(&mut model, 80, 24);
    assert_eq!(lines[3], "UNSEEN     `mode off`, no terminal, 1 h ago, stopgate (9) < init (1)");
    assert!(lines.last().unwrap().ends_with("s seen"), "{lines:?}");
}

#[test]
fn what_the_fence_made_of_a_session_stands_there_at_every_width() {
    let mut model = model();
    model.fence = Some("enforce, OPEN: the authority does not answer".to_owned());
    model.sessions[0].fence = Some(SessionFence { denials: 3, ..SessionFence::default() });
    model.sessions[1].fence = Some(SessionFence { is_unfenced: true, ..SessionFence::default() });
    for width in [40, 60, 80, 109, 110, 160, 200] {
        let text = screen(&mut model, width, 24).join("\n");
        assert!(text.contains("fence      enforce, OPEN"), "{width}: {text}");
        assert!(width < 80 || text.contains("3 denied") && text.contains("unfenced"), "{width}: {text}");
    }
    assert!(screen(&mut model, 200, 24).join("\n").contains("FENCE"));
}
