//! What there was when an agent stopped, as somebody who labels messages writes it down.

use serde::Deserialize;
use stopgate_core::stop_request::asks_to_stop;
use stopgate_core::switch::Mode;
use stopgate_gate::circumstances::{Circumstances, EndedBy};
use stopgate_gate::facts::{Facts, Plan, TaskItem, TaskStatus};
use stopgate_gate::turn::PersonTurn;

/// A scene; what is left out was not there.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Scene {
    prompts: Vec<ScenePrompt>,
    plans: Vec<ScenePlan>,
    todos: Todos,
    commits: u32,
    dirty: u32,
    #[serde(rename = "failed_call")]
    _failed_call: Option<String>,
    #[serde(rename = "denied_call")]
    _denied_call: Option<String>,
    background: Vec<Background>,
    #[serde(rename = "usage")]
    _usage: Option<Usage>,
    permission_mode: Option<String>,
    #[serde(rename = "headless")]
    _headless: bool,
    asked_by_tool: bool,
    api_error: bool,
    interrupted: bool,
}

/// One of the person's last prompts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenePrompt {
    text: String,
    #[serde(rename = "class")]
    _class: PromptClass,
}

/// What a prompt asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PromptClass {
    /// The plan or the job, or to go on.
    Execute,
    /// A part, with its bounds.
    Narrow,
    /// To explain, review, tell how far it is, or plan.
    Question,
    /// To stop or pause.
    Stop,
    /// Nothing.
    Other,
}

/// A file with steps.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenePlan {
    path: String,
    #[serde(default, rename = "done")]
    _done: usize,
    #[serde(default)]
    open: usize,
    #[serde(default)]
    next_step: String,
    relation: Relation,
}

/// What a plan has to do with the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Relation {
    /// The session wrote in it.
    Touched,
    /// A prompt named it.
    Named,
    /// Commits of the session ticked its boxes.
    Moved,
    /// Nothing.
    Untouched,
}

/// The harness's own task list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Todos {
    #[serde(rename = "done")]
    _done: usize,
    open: usize,
}

/// What runs beside the session.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Background {
    #[serde(rename = "kind")]
    _kind: String,
    wakes: bool,
    #[serde(default, rename = "what")]
    _what: String,
}

/// How full the context window was, in tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Usage {
    #[serde(rename = "used")]
    _used: u64,
    #[serde(rename = "window")]
    _window: u64,
}

impl Scene {
    /// What the authority would have found.
    pub(super) fn facts(&self) -> Facts {
        let ids: Vec<String> = (1..=self.commits).map(|number| format!("{number:040x}")).collect();
        let plan = |plan: &ScenePlan| Plan {
            path: plan.path.clone(),
            next_step: if plan.next_step.is_empty() { "the next step".to_owned() } else { plan.next_step.clone() },
            open_steps: plan.open,
            predates_session: true,
            introduced_by: Some(format!("{:040x}", u128::MAX)),
            session_commits: if plan.relation == Relation::Moved { ids.clone() } else { Vec::new() },
            touched_by_session: matches!(plan.relation, Relation::Touched | Relation::Moved),
        };
        let task = |number: usize| TaskItem { text: format!("task {number}"), status: TaskStatus::Pending };
        Facts {
            plans: self.plans.iter().filter(|plan| plan.open > 0).map(plan).collect(),
            tasks: (1..=self.todos.open).map(task).collect(),
            dirty_files: self.dirty,
            last_prompt: self.prompts.last().map(|prompt| prompt.text.clone()),
            person_asked_to_stop: self.asked_to_stop(),
            session_commits: ids,
            ..Facts::default()
        }
    }

    /// What is known before the message is read.
    pub(super) fn circumstances(&self) -> Circumstances {
        let ended_by = if self.permission_mode.as_deref() == Some("plan") {
            Some(EndedBy::PlanMode)
        } else if self.api_error {
            Some(EndedBy::ApiError)
        } else {
            self.asked_by_tool.then_some(EndedBy::Question)
        };
        Circumstances {
            killed: false,
            mode: Mode::Enforce,
            subagent: false,
            stop_hook_active: false,
            pending_tasks: self.background.iter().filter(|task| task.wakes).count(),
            ended_by,
            session_start_ms: Some(1),
        }
    }

    /// What the person did.
    pub(super) fn turn(&self) -> PersonTurn {
        PersonTurn {
            person_asked_to_stop: self.asked_to_stop(),
            person_interrupted: self.interrupted,
            ..PersonTurn::default()
        }
    }

    fn asked_to_stop(&self) -> bool {
        self.prompts.last().is_some_and(|prompt| asks_to_stop(&prompt.text))
    }
}
