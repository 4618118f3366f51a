//! What ends a turn besides what the agent says: the client's mode, a tool, the person's word, what runs in the background.

use serde_json::json;
use stopgate_core::session::Harness;
use stopgate_tests::build::Site;
use stopgate_tests::checkout::Checkout;
use stopgate_tests::field::{Field, PLAN};
use stopgate_tests::transcript::{self, EXECUTE};
use stopgate_tests::world::World;

use super::{EXCUSE, Wrong};
use Harness::{Claude, Codex};

#[test]
fn what_else_ended_the_turn_lets_go_in_both_clients() {
    let world = World::enforcing();
    let _authority = world.authority();
    let mut wrong = Wrong::default();
    let executing = |harness: Harness, id: &str| {
        let field = Field::planned(&world, harness, id, PLAN);
        field.says(EXECUTE);
        field.ticks("2. Import job");
        field
    };
    let messages =
        [EXCUSE, "Mein Kontext ist fast voll, weiter in einer neuen Sitzung.", "上下文快满了，剩下的在新会话中继续。"];
    for (number, message) in messages.into_iter().enumerate() {
        for (mode, is_held) in [("plan", false), ("bypassPermissions", true), ("auto", true), ("dontAsk", true)] {
            let field = executing(Claude, &format!("{mode}-{number}"));
            let mut payload = field.stop(message);
            payload["permission_mode"] = json!(mode);
            wrong.unless(field.routes(&payload).is_some() == is_held, || format!("{mode}: {message}"));
        }
        for (mode, is_held) in [("plan", false), ("default", true)] {
            let field = executing(Codex, &format!("codex-{mode}-{number}"));
            let mode = json!({"mode": mode, "settings": {"model": "gpt-5.5"}});
            field.row(json!({"type": "turn_context",
                "payload": {"cwd": field.checkout.top, "model": "gpt-5.5", "collaboration_mode": mode}}));
            wrong.turn(&field, "in its mode", message, is_held);
        }
    }
    let declined = json!("Error: The user doesn't want to proceed with this tool use.");
    let questions = json!({"questions": [{"question": "CSV or JSON?", "header": "Format", "options": []}]});
    let plan = json!({"plan": "1. Export"});
    for (id, tool, input, told, is_held) in [
        ("asks", "AskUserQuestion", &questions, &declined, false),
        ("answered", "AskUserQuestion", &questions, &json!({"answers": {"CSV or JSON?": "CSV"}}), true),
        ("shows", "ExitPlanMode", &plan, &declined, false),
    ] {
        let field = executing(Claude, id);
        field.calls(tool, input, told.as_str().unwrap_or("answered"), told);
        wrong.turn(&field, tool, EXCUSE, is_held);
    }
    for (id, output, is_held) in [("codex-asks", "cancelled", false), ("codex-answered", "{\"answers\":{}}", true)] {
        let field = executing(Codex, id);
        field.calls_function("request_user_input", &questions, output);
        wrong.turn(&field, id, EXCUSE, is_held);
    }
    for (id, error, is_held) in [("api-error", true, false), ("no-api-error", false, true)] {
        let field = executing(Claude, id);
        let payload = field.stop(EXCUSE);
        field.row(json!({"type": "assistant", "isApiErrorMessage": error, "message": {"role": "assistant",
            "model": "<synthetic>", "content": [{"type": "text", "text": "API Error: 529 overloaded"}]}}));
        wrong.unless(field.routes(&payload).is_some() == is_held, || id.to_owned());
    }
    for harness in Harness::ALL {
        let field = executing(harness, &format!("esc-{harness}"));
        transcript::interrupted(harness, &field.transcript());
        wrong.turn(&field, "Esc", EXCUSE, false);
        field.says("go on");
        wrong.turn(&field, "go on", EXCUSE, true);
    }
}

/// Words that ask for an end, and beside them words of the same language that only sound like it.
const ENDS: [(&[&str], &str); 13] = [
    (
        &[
            "hold on",
            "stop stop stop",
            "that's all for now",
            "I'll take it from here",
            "please stop after this step",
            "ok enough for today",
            "let me take over",
            "wrap it up here",
            "that'll do for now, thanks",
            "wait, hold off on that",
        ],
        "stop asking and execute the plan",
    ),
    (
        &[
            "Halt mal an",
            "Schluss für heute",
            "Lass gut sein für heute",
            "Mach hier bitte Pause",
            "Ab hier übernehme ich",
            "Nach diesem Schritt bitte aufhören",
        ],
        "Hör nicht auf, bevor alles fertig ist.",
    ),
    (
        &["On s'arrête là pour aujourd'hui", "Je prends la suite", "Ça suffit", "Fais une pause"],
        "N'arrête pas avant la fin.",
    ),
    (
        &["Lo dejamos aquí", "Ya basta por hoy", "A partir de aquí sigo yo", "Haz una pausa", "Espera un momento"],
        "No pares hasta terminar.",
    ),
    (&["Chega por hoje", "Vamos parar por aqui", "Eu assumo daqui", "Espera aí"], "Não pare até terminar."),
    (&["Per oggi basta", "Ci penso io da qui", "Ferma tutto"], "Non fermarti finché non hai finito."),
    (&["Genoeg voor vandaag", "Ik neem het over", "Laten we hier stoppen"], "Stop niet voordat alles klaar is."),
    (&["今日はここまで", "一旦止めてください", "あとは自分でやります"], "最後まで止まらないで。"),
    (&["先停一下", "今天就到这里", "剩下的我来"], "不要停，直到做完。"),
    (&["Хватит на сегодня", "Дальше я сам", "Остановись после этого шага"], "Не останавливайся, пока не закончишь."),
    (&["오늘은 여기까지", "나머지는 내가 할게", "잠깐만"], "끝날 때까지 멈추지 마."),
    (&["Na dziś wystarczy", "Zatrzymaj się", "Dalej zrobię sam"], "Nie przerywaj, dopóki nie skończysz."),
    (&["Bugünlük bu kadar", "Gerisini ben hallederim", "Burada dur"], "Bitene kadar durma."),
];

#[test]
fn who_asks_for_an_end_gets_one_and_who_asks_for_none_does_not() {
    let world = World::enforcing();
    let _authority = world.authority();
    let mut wrong = Wrong::default();
    for (number, (ends, goes_on)) in ENDS.into_iter().enumerate() {
        let field = Field::planned(&world, Harness::ALL[number % 2], &format!("end-{number}"), PLAN);
        field.says(EXECUTE);
        field.ticks("2. Import job");
        for end in ends {
            field.says("go on");
            field.says(end);
            wrong.turn(&field, end, EXCUSE, false);
        }
        field.says("go on");
        field.says(goes_on);
        wrong.turn(&field, goes_on, EXCUSE, true);
    }
}

#[test]
fn the_build_guard_hears_the_same_ends() {
    let site = Site::new();
    let mut wrong = Wrong::default();
    for (number, harness) in Harness::ALL.into_iter().enumerate() {
        let id = site.executing(harness.name(), "large");
        site.edit(&id, |state| state["owner"]["harness"] = json!(harness.name()));
        let checkout = Checkout { top: site.top().to_path_buf() };
        let field = Field::begun(&site.world, harness, harness.name(), checkout);
        let mut is_held = |said: &str, is_held: bool| {
            field.says(said);
            let told = field.hook("build-stop-hook", &field.stop("Steps are open."));
            wrong.unless(told.contains("\"block\"") == is_held, || format!("{harness}: {said:?}, has to be {is_held}"));
        };
        for (ends, goes_on) in ENDS.into_iter().skip(number).step_by(2) {
            for end in ends {
                is_held(end, false);
            }
            is_held(goes_on, true);
        }
    }
}

#[test]
fn only_what_wakes_the_session_is_waited_for() {
    let world = World::enforcing();
    let _authority = world.authority();
    let mut wrong = Wrong::default();
    let shell = |status: &str, command: &str| json!({"background_tasks": [{"id": "b1", "type": "shell", "status": status, "description": "x", "command": command}]});
    let cron = |schedule: &str| json!({"session_crons": [{"id": "c1", "schedule": schedule, "recurring": true, "prompt": "look again"}]});
    let now = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC);
    // Three days from now, whatever day it is, at this hour.
    let weekly = format!("{} {} * * {}", now.minute(), now.hour(), (now.weekday().to_sunday_zero_offset() + 3) % 7);
    let cases = [
        ("tests", shell("running", "cargo test --workspace 2>&1 | tee test.log"), false),
        ("deploy", shell("running", "gh run watch 1234 --exit-status"), false),
        ("training", shell("running", "python3 train.py --epochs 3"), false),
        ("finished", shell("completed", "cargo test"), true),
        ("failed", shell("failed", "cargo test"), true),
        ("killed", shell("killed", "cargo test"), true),
        ("dev-server", shell("running", "npm run dev"), true),
        ("vite", shell("running", "cd app && npx vite --host 0.0.0.0 --port 5173"), true),
        ("rails", shell("running", "bin/rails server -p 3000"), true),
        ("http-server", shell("running", "python3 -m http.server 8000 > /tmp/log 2>&1"), true),
        ("watcher", shell("running", "tail -F logs/app.log"), true),
        ("minutes", cron("*/5 * * * *"), false),
        ("weekly", cron(&weekly), true),
        ("nothing", json!({}), true),
    ];
    for (id, more, is_held) in cases {
        let field = Field::planned(&world, Claude, id, PLAN);
        field.says(EXECUTE);
        field.ticks("2. Import job");
        let mut payload = field.stop(EXCUSE);
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        wrong.unless(field.routes(&payload).is_some() == is_held, || format!("{id} has to be held: {is_held}"));
    }
}
