//! What there was when an agent stopped, as somebody who labels messages writes it down: `stopgate gate eval` and the
//! trainer of the models read it.

use crate::asked::{Asked, PromptClass};
use crate::circumstances::{Circumstances, EndedBy};
use crate::facts::{Facts, Plan, TaskItem, TaskStatus};
use crate::turn::{PersonTurn, headless_lets_go};
use crate::turn_end::{ContextUsage, TurnEnd};
use serde::Deserialize;
use stopgate_config::HeadlessHold;
use stopgate_core::stop_request::asks_to_stop;

/// A scene; what is left out was not there.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scene {
    prompts: Vec<ScenePrompt>,
    plans: Vec<ScenePlan>,
    todos: Todos,
    commits: u32,
    dirty: u32,
    failed_call: Option<String>,
    denied_call: Option<String>,
    background: Vec<Background>,
    usage: Option<ContextUsage>,
    permission_mode: Option<String>,
    headless: bool,
    asked_by_tool: bool,
    api_error: bool,
    interrupted: bool,
}

/// One of the person's last prompts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenePrompt {
    text: String,
    class: PromptClass,
}

/// A file with steps.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenePlan {
    path: String,
    #[serde(default)]
    done: usize,
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
    done: usize,
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

impl Scene {
    /// The person's last prompts, and what their labels say that they ask for.
    pub fn prompts(&self) -> impl Iterator<Item = (&str, PromptClass)> {
        self.prompts.iter().map(|prompt| (prompt.text.as_str(), prompt.class))
    }

    /// What the authority would have found.
    pub fn facts(&self) -> Facts {
        let ids: Vec<String> = (1..=self.commits).map(|number| format!("{number:040x}")).collect();
        let plan = |plan: &ScenePlan| Plan {
            path: plan.path.clone(),
            next_step: if plan.next_step.is_empty() { "the next step".to_owned() } else { plan.next_step.clone() },
            open_steps: plan.open,
            predates_session: true,
            introduced_by: Some(format!("{:040x}", u128::MAX)),
            session_commits: if plan.relation == Relation::Moved { ids.clone() } else { Vec::new() },
            touched_by_session: matches!(plan.relation, Relation::Touched | Relation::Moved),
            named_by_prompt: plan.relation == Relation::Named,
            ticked_by_session: if plan.relation == Relation::Moved { plan.done } else { 0 },
            done_steps: Some(plan.done),
            open_step_texts: vec![plan.next_step.clone()],
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
    pub fn circumstances(&self) -> Circumstances {
        let ended_by = if self.permission_mode.as_deref() == Some("plan") {
            Some(EndedBy::PlanMode)
        } else if self.api_error {
            Some(EndedBy::ApiError)
        } else {
            self.asked_by_tool.then_some(EndedBy::Question)
        };
        Circumstances {
            pending_tasks: self.background.iter().filter(|task| task.wakes).count(),
            ended_by,
            ..Circumstances::plain(1)
        }
    }

    /// What the person did.
    pub fn turn(&self) -> PersonTurn {
        let asked = Asked {
            class: self.prompts.last().map(|prompt| prompt.class),
            has_job: self.prompts.iter().any(|prompt| prompt.class == PromptClass::Execute),
            ..Asked::default()
        };
        PersonTurn {
            person_asked_to_stop: self.asked_to_stop(),
            person_interrupted: self.interrupted,
            headless: self.headless && headless_lets_go(HeadlessHold::Execute, &asked),
            asked,
            ..PersonTurn::default()
        }
    }

    /// What the person asked for by the words of the prompts, if there are any.
    pub fn asked_by_words(&self) -> Option<Asked> {
        let prompts = self.prompts.iter().map(|prompt| prompt.text.as_str());
        (!self.prompts.is_empty()).then(|| Asked::of(prompts))
    }

    /// What is on record of how the turn ended.
    pub fn turn_end(&self) -> TurnEnd {
        TurnEnd {
            failed_call: self.failed_call.clone(),
            denied_call: self.denied_call.clone(),
            usage: self.usage,
            tasks_moved: self.todos.done > 0,
            headless: self.headless,
        }
    }

    fn asked_to_stop(&self) -> bool {
        self.prompts.last().is_some_and(|prompt| asks_to_stop(&prompt.text))
    }
}
