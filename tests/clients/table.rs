//! Scenarios, what came of them, and the page that says so.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stopgate_core::env::{Env as _, ProcessEnv};

use crate::client::{ALL, Client};

/// Set to anything, it has the page and the results written instead of compared.
const UPDATE_VARIABLE: &str = "STOPGATE_UPDATE_DOCS";

/// One row of the table.
pub(crate) struct Scenario {
    /// Short name, in filters and in the results.
    pub(crate) id: &'static str,
    /// What is done, in a line.
    pub(crate) meaning: &'static str,
    /// Runs it from the installation to the end; panics if what is promised does not hold.
    pub(crate) run: fn(Client) -> Outcome,
}

/// What came of a scenario that did not fail. No ids, no times: the same in every run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// All of it holds. What was seen, beyond the meaning of the row.
    Works(Vec<String>),
    /// The client does something else than the row says, and that was seen.
    Differs(Vec<String>),
    /// The client has no such thing, and how that was seen.
    NotOffered(Vec<String>),
}

impl Outcome {
    pub(crate) fn works<const N: usize>(seen: [&str; N]) -> Self {
        Self::Works(seen.map(str::to_owned).to_vec())
    }

    pub(crate) fn differs<const N: usize>(seen: [&str; N]) -> Self {
        Self::Differs(seen.map(str::to_owned).to_vec())
    }

    pub(crate) fn not_offered(why: &str) -> Self {
        Self::NotOffered(vec![why.to_owned()])
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Works(_) => "works",
            Self::Differs(_) => "differs",
            Self::NotOffered(_) => "not offered",
        }
    }

    fn seen(&self) -> &[String] {
        match self {
            Self::Works(seen) | Self::Differs(seen) | Self::NotOffered(seen) => seen,
        }
    }
}

/// What came of all scenarios with one client, by id.
pub(crate) type Column = BTreeMap<String, Outcome>;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn results(client: Client) -> PathBuf {
    repository().join(format!("tests/clients/results/{}.json", client.id()))
}

fn page() -> PathBuf {
    repository().join("docs/compatibility.md")
}

/// Compares what was seen with the results on file and the page with those, or writes both anew; the complaints.
pub(crate) fn settle(scenarios: &[Scenario], seen: &BTreeMap<Client, Column>) -> Vec<String> {
    let update = ProcessEnv.os(UPDATE_VARIABLE).is_some();
    let remedy = format!("run the test with {UPDATE_VARIABLE}=1 and look at the difference");
    let mut complaints = Vec::new();
    let mut columns = BTreeMap::new();
    for client in ALL {
        let on_file = std::fs::read(results(client)).ok().map(|text| serde_json::from_slice::<Column>(&text).unwrap());
        let mut column = on_file.clone().unwrap_or_default();
        if let Some(fresh) = seen.get(&client) {
            column.extend(fresh.clone());
            for id in fresh.keys().filter(|id| !update && on_file.as_ref().and_then(|on| on.get(*id)) != fresh.get(*id))
            {
                let was = on_file.as_ref().and_then(|on| on.get(id));
                complaints.push(format!("{} {id}: {was:#?} on file, now {:#?}; {remedy}", client.id(), fresh[id]));
            }
        }
        column.retain(|id, _| scenarios.iter().any(|scenario| scenario.id == id));
        if update {
            std::fs::create_dir_all(results(client).parent().unwrap()).unwrap();
            std::fs::write(results(client), serde_json::to_string_pretty(&column).unwrap() + "\n").unwrap();
        }
        columns.insert(client, column);
    }
    let text = render(scenarios, &columns);
    if update {
        std::fs::write(page(), text).unwrap();
    } else if std::fs::read_to_string(page()).unwrap_or_default() != text {
        complaints.push(format!("{} is not what the results say; {remedy}", page().display()));
    }
    complaints
}

const HEAD: &str = "# Which clients it works with\n\n\
Each row is a scenario in `tests/clients/`: stopgate is installed with the real installer, the real client runs in a real\n\
terminal against a scripted model, and what counts is what the model received and what stopgate recorded. This page is\n\
made from the results by `STOPGATE_UPDATE_DOCS=1 cargo test -p stopgate-tests --test clients`; without the variable the\n\
same command fails when a client does something else than is written here.\n\n\
*works*: as the row says. *differs*: the client does something else, below. *not offered*: the client has no such thing.\n\n";

fn render(scenarios: &[Scenario], columns: &BTreeMap<Client, Column>) -> String {
    let mut text = HEAD.to_owned();
    let _ = writeln!(text, "| scenario | what happens | {} |", ALL.map(Client::title).join(" | "));
    let _ = writeln!(text, "| --- | --- |{}", " --- |".repeat(ALL.len()));
    for scenario in scenarios {
        let word = |client: Client| columns[&client].get(scenario.id).map_or("not run", Outcome::word);
        let _ = writeln!(text, "| {} | {} | {} |", scenario.id, scenario.meaning, ALL.map(word).join(" | "));
    }
    for client in ALL {
        let _ = writeln!(text, "\n## {}\n", client.title());
        let mut lines = String::new();
        for scenario in scenarios {
            let Some(outcome) = columns[&client].get(scenario.id) else { continue };
            if client == Client::OldClaude && Some(outcome) == columns[&Client::Claude].get(scenario.id) {
                continue;
            }
            let what = if matches!(outcome, Outcome::Works(_)) { "" } else { outcome.word() };
            for (number, seen) in outcome.seen().iter().enumerate() {
                let mark = if number == 0 && !what.is_empty() { format!(" ({what})") } else { String::new() };
                let _ = writeln!(lines, "* {}{mark}: {seen}", scenario.id);
            }
        }
        text.push_str(&lines);
        if client == Client::OldClaude {
            let rest = if lines.is_empty() { "Everything" } else { "\nEverything else" };
            let _ = writeln!(text, "{rest} is as in the newer one.");
        }
    }
    text
}

/// What clients of these versions do otherwise than is on file, as a table.
pub(crate) fn differences(
    scenarios: &[Scenario],
    versions: &BTreeMap<Client, String>,
    seen: &BTreeMap<Client, Column>,
    failed: &[String],
) -> String {
    let shown = |outcome: &Outcome| {
        [outcome.word()].into_iter().chain(outcome.seen().iter().map(String::as_str)).collect::<Vec<_>>().join("; ")
    };
    let mut text = String::from("\n| client | scenario | on file | now |\n| --- | --- | --- | --- |\n");
    let mut rows = 0;
    for (client, version) in versions {
        let on_file = std::fs::read(results(*client)).ok();
        let on_file = on_file.map(|text| serde_json::from_slice::<Column>(&text).unwrap()).unwrap_or_default();
        for scenario in scenarios {
            let id = format!("{}/{}: ", client.id(), scenario.id);
            let now = seen.get(client).and_then(|column| column.get(scenario.id));
            let failure =
                failed.iter().find_map(|failure| failure.strip_prefix(&id)).and_then(|text| text.lines().next());
            let was = on_file.get(scenario.id);
            let Some(now_shown) = now.map(shown).or_else(|| failure.map(|failure| format!("FAILED {failure}"))) else {
                continue;
            };
            if now != was || now.is_none() {
                rows += 1;
                let was = was.map_or_else(|| "nothing".to_owned(), shown);
                let _ = writeln!(
                    text,
                    "| {} {version} | {} | {}: {was} | {now_shown} |",
                    client.id(),
                    scenario.id,
                    client.version()
                );
            }
        }
    }
    let versions: Vec<_> = versions.iter().map(|(client, version)| format!("{} {version}", client.id())).collect();
    match rows {
        0 => format!("\n{}: as on file", versions.join(", ")),
        _ => text,
    }
}
