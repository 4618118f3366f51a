//! What comes of a stop, by what was asked for, what is on record, and what the message says: each in the languages of users.

use super::*;
use crate::circumstances::EndedBy;
use crate::facts::{TaskItem, TaskStatus};
use rstest::rstest;
use stopgate_core::stop_request::asks_to_stop;

const EXECUTE: &str = "Execute docs/plan.md.";
const EXCUSE: &str = "Steps 1 and 2 are in and committed. I'm running low on context, so this is a good place to stop; let's \
                      continue with step 3 in a fresh session.";
const GO_ON: &str = "The exporter is still untouched. Shall I get going on it?";

/// A stop in the middle of a job: what a test says of it is otherwise.
#[derive(Debug, Clone)]
struct Scene {
    prompts: Vec<&'static str>,
    message: String,
    plan: Plan,
    tasks: Vec<TaskItem>,
    circumstances: Circumstances,
    turn_end: TurnEnd,
    commits: usize,
}

impl Scene {
    /// `message` after `prompt`, while a plan is being executed: one box was ticked in two commits, three are open.
    fn new(prompt: &'static str, message: &str) -> Self {
        Self {
            prompts: vec![prompt],
            message: message.to_owned(),
            plan: moved(),
            tasks: Vec::new(),
            circumstances: Circumstances::plain(1),
            turn_end: TurnEnd::default(),
            commits: 2,
        }
    }

    fn after(mut self, earlier: &'static str) -> Self {
        self.prompts.insert(0, earlier);
        self
    }

    fn with_plan(self, plan: Plan) -> Self {
        Self { plan, commits: 0, ..self }
    }

    fn trace(&self) -> Trace {
        let Self { message, plan, tasks, circumstances, turn_end, .. } = self.clone();
        let stops = self.prompts.last().is_some_and(|prompt| asks_to_stop(prompt));
        let asked = Asked::of(self.prompts.iter().copied());
        let inputs = Inputs {
            circumstances,
            reading: Reading::of(&message, turn_end.failed_call.as_deref()),
            message,
            turn: PersonTurn { person_asked_to_stop: stops, asked, ..PersonTurn::default() },
            limits: Ceilings::default(),
            has_judge: false,
            turn_end,
            rule_modes: RuleModes::default(),
        };
        let facts = Facts {
            plans: vec![plan],
            session_commits: commits(self.commits),
            tasks,
            person_asked_to_stop: stops,
            ..Facts::default()
        };
        run(&inputs, &mut Answers { facts: Some(facts), ..Answers::default() })
    }

    #[track_caller]
    fn is_held(&self) -> Trace {
        let trace = self.trace();
        assert_eq!(trace.decision(), Decision::Continue, "{}", self.told(&trace));
        trace
    }

    #[track_caller]
    fn is_let_go(&self) -> Trace {
        let trace = self.trace();
        assert_eq!(trace.decision(), Decision::Allow, "{}", self.told(&trace));
        trace
    }

    fn told(&self, trace: &Trace) -> String {
        let signals = trace.signals.as_ref().map(Signals::names);
        let reading = Reading::of(&self.message, None).map(|reading| reading.milli_log_odds);
        let asked = Asked::of(self.prompts.iter().copied());
        format!(
            "{:?} {asked:?}\n{}\n{signals:?} {reading:?} {:?} {:?}",
            self.prompts, self.message, trace.why, trace.release
        )
    }
}

fn commits(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("{number:040x}")).collect()
}

fn untouched() -> Plan {
    let steps = ["2. Write the parser", "3. Write the exporter", "4. EU billing"];
    Plan {
        path: "docs/plan.md".into(),
        next_step: steps[0].into(),
        open_steps: steps.len(),
        predates_session: true,
        introduced_by: Some("f".repeat(40)),
        done_steps: Some(1),
        open_step_texts: steps.map(str::to_owned).into(),
        ..Plan::default()
    }
}

fn moved() -> Plan {
    Plan { session_commits: commits(1), ticked_by_session: 1, touched_by_session: true, ..untouched() }
}

#[rstest]
#[case("Which steps are open? Just the status, change nothing.", "Remaining: step 3 and 4.")]
#[case("Welche Schritte sind noch offen? Nur den Stand, nichts ändern.", "Offen sind noch Schritt 3 und 4.")]
#[case("Où en est-on ? Dis-moi juste ce qui reste, ne change rien.", "Il reste les étapes 3 et 4.")]
#[case("¿Qué pasos quedan? Solo el estado, no cambies nada.", "Quedan los pasos 3 y 4.")]
#[case("どのステップが残っていますか？状況だけ教えて、何も変更しないで。", "残りはステップ3と4です。")]
fn a_status_that_was_asked_for_is_an_answer(#[case] prompt: &'static str, #[case] message: &str) {
    Scene::new(prompt, message).is_let_go();
    Scene::new(prompt, message).after(EXECUTE).is_let_go();
    assert_eq!(Scene::new(prompt, message).trace().why, Some(Grounds::NotAskedFor));
}

#[rstest]
#[case("only do step 1", "Step 1 is in. Steps 2, 3 and 4 are still open.")]
#[case("commit step 1 only, leave the rest for Monday", "Step 1 is committed. Next up: the parser.")]
#[case("Mach nur Schritt 1.", "Schritt 1 ist drin. Schritte 2 bis 4 sind noch offen.")]
#[case("Haz solo el paso 1.", "El paso 1 está hecho. Quedan los pasos 2, 3 y 4.")]
#[case("只做第1步。", "第1步完成了。还剩第2、3、4步。")]
fn a_part_that_was_asked_for_is_all_of_it(#[case] prompt: &'static str, #[case] message: &str) {
    Scene::new(prompt, message).is_let_go();
    Scene::new(EXECUTE, "Steps 3 and 4 are still open; I'll pick them up next time.").is_held();
}

#[rstest]
#[case("only do step 2")]
#[case("Mach nur Schritt 2.")]
#[case("Haz solo el paso 2.")]
#[case("只做第2步。")]
fn an_excuse_within_the_bounds_of_a_part_is_one(#[case] prompt: &'static str) {
    let excuse = "I'm running low on context. Let's do the parser in a fresh session.";
    Scene::new(prompt, excuse).is_held();
    let done = Plan { open_step_texts: vec!["3. Write the exporter".into()], open_steps: 1, ..moved() };
    Scene { plan: done, ..Scene::new(prompt, excuse) }.is_let_go();
}

#[rstest]
#[case(
    "Write a handoff note for the next session into NOTES.md",
    "NOTES.md holds the handoff: steps 3 and 4 are open, and the next session can start with the exporter."
)]
#[case(
    "Schreib eine Übergabe für die nächste Sitzung in NOTES.md, sonst nichts.",
    "NOTES.md ist geschrieben: offen sind Schritt 3 und 4, damit fängt die nächste Sitzung an."
)]
#[case(
    "Rédige une note de passation pour la prochaine session dans NOTES.md, rien d'autre.",
    "NOTES.md est écrit : il reste les étapes 3 et 4 pour la prochaine session."
)]
#[case(
    "次のセッション用の引き継ぎメモだけを NOTES.md に書いて。",
    "NOTES.md に引き継ぎメモを書きました。残りはステップ3と4です。"
)]
fn a_handoff_that_was_asked_for_is_no_excuse(#[case] prompt: &'static str, #[case] message: &str) {
    Scene::new(prompt, message).is_let_go();
}

#[rstest]
#[case(EXCUSE)]
#[case(GO_ON)]
#[case("Mein Kontext ist fast voll. Machen wir in einer neuen Sitzung weiter.")]
#[case("上下文快满了，我们在新会话中继续吧。")]
fn what_else_ended_the_turn_or_goes_on_lets_go(#[case] message: &str) {
    let scene = Scene::new(EXECUTE, message);
    scene.is_held();
    for by in [EndedBy::PlanMode, EndedBy::Question, EndedBy::ApiError] {
        let ended = Circumstances { ended_by: Some(by), ..scene.circumstances.clone() };
        Scene { circumstances: ended, ..scene.clone() }.is_let_go();
    }
    // Something that wakes the session.
    let woken = Circumstances { pending_tasks: 1, ..scene.circumstances.clone() };
    assert_eq!(Scene { circumstances: woken, ..scene }.is_let_go().release, Some(Release::BackgroundTasks));
}

#[rstest]
#[case("Hör auf, das reicht für heute.")]
#[case("Arrête-toi là.")]
#[case("Para aquí.")]
#[case("Pode parar por aqui.")]
#[case("停下来。")]
#[case("ここで止めて。")]
#[case("Остановись.")]
#[case("Fermati qui.")]
#[case("Stop er maar mee.")]
#[case("그만해.")]
#[case("hold on")]
#[case("stop stop stop")]
#[case("that's all for now")]
#[case("I'll take it from here")]
#[case("please stop after this step")]
fn who_asks_for_an_end_gets_one(#[case] prompt: &'static str) {
    for message in [EXCUSE, GO_ON, "Steps 3 and 4 are still open."] {
        Scene::new(prompt, message).after(EXECUTE).is_let_go();
    }
}

#[rstest]
#[case("fix the typo in README", "Fixed and committed. I'll leave the lint warnings for a follow-up PR.")]
#[case("Behebe den Tippfehler in der README.", "Behoben. Die Lint-Warnungen lasse ich für einen späteren PR.")]
#[case("corrige la faute de frappe dans le README", "Corrigé. Je laisse les avertissements du linter pour plus tard.")]
#[case("修正 README 里的错别字", "已修正并提交。lint 警告留到以后再处理。")]
#[case(EXECUTE, EXCUSE)]
#[case(EXECUTE, GO_ON)]
fn a_plan_that_nobody_touched_holds_nobody(#[case] prompt: &'static str, #[case] message: &str) {
    for commits in [0, 1, 9] {
        let trace = Scene { commits, plan: untouched(), ..Scene::new(prompt, message) }.is_let_go();
        assert_eq!(trace.evidence, None);
    }
}

#[rstest]
#[case(EXCUSE)]
#[case("Der Rest kommt in einer neuen Sitzung, mein Kontext ist fast voll.")]
#[case("Je m'arrête ici, mon contexte est presque plein ; continuons dans une nouvelle session.")]
#[case("Me queda poco contexto, así que sigamos en una nueva sesión.")]
fn a_task_list_holds_by_what_is_open_in_it(#[case] message: &str) {
    let task = |status| TaskItem { text: "exporter".into(), status };
    let scene = |tasks, tasks_moved| Scene {
        tasks,
        turn_end: TurnEnd { tasks_moved, ..TurnEnd::default() },
        ..Scene::new(EXECUTE, message).with_plan(untouched())
    };
    let open = vec![task(TaskStatus::Completed), task(TaskStatus::Pending)];
    assert_eq!(scene(open.clone(), true).is_held().rule, Some(RuleId::TaskListPending));
    scene(vec![task(TaskStatus::Completed); 2], true).is_let_go();
    scene(vec![], true).is_let_go();
    // Nobody knows what was asked for: only a list that was worked on.
    let unknown = |tasks_moved| Scene { prompts: vec![], ..scene(open.clone(), tasks_moved) };
    unknown(true).is_held();
    unknown(false).is_let_go();
}

const EXCUSES: [&str; 4] = [
    "I'm running low on context, so let's continue with the exporter in a fresh session.",
    "Mein Kontext ist fast voll, den Rest machen wir in einer neuen Sitzung.",
    "Mon contexte est presque plein ; continuons dans une nouvelle session.",
    "上下文快用完了，剩下的在新会话中继续。",
];

const STRAY: [&str; 12] = [
    "The warnings fell from 90 to 31.",
    "The form refuses empty names.",
    "The login test is in as well.",
    "Please confirm shows up twice in the dialog; that is gone now.",
    "Die Warnungen sind von 90 auf 31 gefallen.",
    "Das Formular lehnt leere Namen ab.",
    "Der Test des Logins ist auch drin.",
    "Les avertissements sont passés de 90 à 31.",
    "Le formulaire refuse les noms vides.",
    "El formulario rechaza nombres vacíos.",
    "表单会拒绝空名称。",
    "登录测试也加上了。",
];

#[test]
fn no_stray_word_vetoes_an_excuse_in_the_middle_of_a_job() {
    for excuse in EXCUSES {
        for stray in STRAY {
            for message in [
                format!("{stray}\n\n{excuse}"),
                format!("{stray} {excuse}"),
                format!("{excuse} {stray}"),
                format!("{excuse}\n\n{stray}"),
            ] {
                Scene::new(EXECUTE, &message).is_held();
                Scene::new(EXECUTE, &message).with_plan(Plan { named_by_prompt: true, ..untouched() }).is_held();
                // A question or thanks in between end no job.
                Scene::new("How many tests are there?", &message).after(EXECUTE).is_held();
            }
        }
    }
}

#[rstest]
#[case(GO_ON)]
#[case("Steps 3 and 4 are next. Want me to continue?")]
#[case("Schritt 2 ist drin. Soll ich mit Schritt 3 weitermachen?")]
#[case("L'étape 2 est faite. Je continue avec l'étape 3 ?")]
#[case("Лексер закоммичен, экспортёр ещё не начат. Мне продолжать?")]
fn a_question_whether_to_go_on_hands_the_job_back(#[case] message: &str) {
    assert_eq!(Scene::new(EXECUTE, message).is_held().why, Some(Grounds::Executing));
    Scene::new("What is in step 2?", message).after(EXECUTE).is_let_go();
    Scene { prompts: vec![], ..Scene::new(EXECUTE, message) }.is_let_go();
}

#[rstest]
#[case("Should the cache be per user or global?")]
#[case("Soll der Cache pro Benutzer oder global sein?")]
#[case("Le cache doit-il être par utilisateur ou global ?")]
#[case("Step 3 drops the production table, and that cannot be undone. Shall I go ahead?")]
fn a_real_question_or_a_risk_is_a_reason_even_while_a_plan_is_executed(#[case] message: &str) {
    Scene::new(EXECUTE, message).is_let_go();
}

#[rstest]
#[case("thanks, looks good")]
#[case("Danke, sieht gut aus.")]
#[case("merci !")]
#[case("谢谢")]
fn only_an_excuse_holds_beside_talk_and_only_while_there_is_a_job(#[case] prompt: &'static str) {
    let scene = |message| Scene::new(prompt, message).after(EXECUTE);
    // Who approves has the job done, which is `Execute` by then.
    let class = Asked::of([EXECUTE, prompt]).class;
    if class == Some(PromptClass::Other) {
        scene("Steps 3 and 4 are still open.").is_let_go();
        scene(GO_ON).is_let_go();
    }
    scene(EXCUSE).is_held();
    Scene::new(prompt, EXCUSE).is_let_go();
}

#[test]
fn where_nobody_knows_what_was_asked_for_only_an_excuse_holds_and_only_with_work_of_the_session() {
    let unknown = |message: &str| Scene { prompts: vec![], ..Scene::new(EXECUTE, message) };
    let touched = Plan { touched_by_session: true, ..untouched() };
    let named = Plan { named_by_prompt: true, ..untouched() };
    for excuse in EXCUSES {
        unknown(excuse).is_held();
        unknown(excuse).with_plan(touched.clone()).is_held();
        unknown(excuse).with_plan(named.clone()).is_let_go();
        unknown(excuse).with_plan(untouched()).is_let_go();
    }
    for other in
        [GO_ON, "Steps 3 and 4 are still open.", "Next, I'll write the parser.", "I'll leave CRLF for a follow-up PR."]
    {
        assert_eq!(unknown(other).is_let_go().why, Some(Grounds::AskedUnknown));
    }
}

#[rstest]
#[case("git push was refused, so I can't go on until you allow it.")]
#[case("Der Push wurde abgelehnt; ohne Freigabe komme ich nicht weiter.")]
#[case("Le push a été refusé : j'ai besoin de ton accord.")]
#[case("Steps 1 and 2 are in. The push is still to be done.")]
fn a_call_that_was_refused_lets_go(#[case] message: &str) {
    let denied_call = Some("Bash: Permission to use Bash has been denied.".to_owned());
    let refused = TurnEnd { denied_call, ..TurnEnd::default() };
    Scene { turn_end: refused.clone(), ..Scene::new(EXECUTE, message) }.is_let_go();
    // Not of an agent that speaks of its context instead.
    Scene { turn_end: refused, ..Scene::new(EXECUTE, EXCUSES[0]) }.is_held();
}

#[rstest]
#[case("I cannot proceed: the database refuses the connection.")]
#[case("Der Zugriff auf die Datenbank ist fehlgeschlagen, damit geht es nicht.")]
#[case("Je suis bloqué : la base de données refuse la connexion.")]
#[case("No puedo continuar: la base de datos rechaza la conexión.")]
fn a_call_that_failed_lets_go_who_speaks_of_it(#[case] message: &str) {
    let failed_call = Some("Bash: connection refused".to_owned());
    let failed = TurnEnd { failed_call, ..TurnEnd::default() };
    let report = "\n\nStep 1 is in, with its tests.\n\nStep 2 is in, with its tests.\n\nSteps 3 and 4 are open.";
    for message in [message.to_owned(), format!("{message}{report}"), format!("{message}\n\n{}", EXCUSES[0])] {
        let trace = Scene { turn_end: failed.clone(), ..Scene::new(EXECUTE, &message) }.is_let_go();
        assert_eq!((trace.rule, trace.why), (Some(RuleId::LegitError), Some(Grounds::OnRecord)));
    }
    for silent in [EXCUSE, EXCUSES[1], EXCUSES[2]] {
        Scene { turn_end: failed.clone(), ..Scene::new(EXECUTE, silent) }.is_held();
    }
}

/// The client's own count answers that the context is full, and not what the agent feels.
#[rstest]
#[case(Some((194_000, 200_000)), false)]
#[case(Some((190_000, 200_000)), false)]
#[case(Some((189_000, 200_000)), true)]
#[case(Some((60_000, 200_000)), true)]
#[case(Some((5, 0)), true)]
#[case(None, true)]
fn a_context_window_that_is_full_on_record_is_a_reason(#[case] usage: Option<(u64, u64)>, #[case] is_held: bool) {
    let mut scene = Scene::new(EXECUTE, EXCUSE);
    scene.turn_end.usage = usage.map(|(used, window)| crate::turn_end::ContextUsage { used, window });
    if is_held {
        scene.is_held();
    } else {
        assert_eq!(scene.is_let_go().why, Some(Grounds::OnRecord));
        let mut silent = Scene::new(EXECUTE, GO_ON);
        silent.turn_end.usage = scene.turn_end.usage;
        silent.is_held();
    }
}
