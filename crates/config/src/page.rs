//! The keys as a page for people: `docs/configuration.md`.

use std::collections::BTreeSet;

use stopgate_core::hook::{self, Hook, TABLE, Wire};
use stopgate_core::session::Harness;

use crate::keys::{ConfigKey, Section};
use crate::setting::Project;
use crate::tables::Config;

const HEAD: &str = "# Configuration

<!-- Made by `stopgate config reference --markdown`; a test compares. Change crates/config/src/tables.rs instead. -->

`~/.stopgate/config.toml` (or `$STOPGATE_HOME/config.toml`) is yours. Every key may be missing; its default holds then.
[config.toml](config.toml) is a file with all of them to start from (`stopgate config reference` prints it).

* `stopgate config` prints what is in force here, `stopgate config check` what is wrong with a file.
* A file with a fault is refused as a whole, with line and key; the last configuration without one stays in force.
* A change counts from the next stop on; nothing has to be restarted.
* An update adds keys that are missing, at their default, and changes nothing else.
* A checkout may hold `.stopgate/config.toml`. Whoever wrote the checkout is not you, so that file can only take away:
  the last column says what it may do. Where that is \"no\", the whole file is refused.

Mode, kill switch and the reaper's switch are no keys: `stopgate mode`, `stopgate kill` and `stopgate reaper` set them.
";

const TAIL: &str = "
## Environment

| variable | what |
| --- | --- |
| `STOPGATE_HOME` | the home; by default that of the program that runs, if it lies in a home's `bin/`, else `~/.stopgate` |
| `STOPGATE_KILL` | `1` in an agent's environment: its hooks allow everything at once |
| `STOPGATE_NO_AUTOSTART` | `1` keeps hooks and commands from starting the authority |
| `STOPGATE_DEADLINE_MS` | how long a hook may take in all, what it writes included, {deadlines}; it is registered with {registered}, and whatever stands here takes no more than four fifths of the shortest of them |
| `STOPGATE_JUDGE` | set by the authority for a judge that is a program: its own hooks allow, and record nothing |
| {directories} | where the harness keeps its settings; the installer and the doctor look there |
| `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` | no colour with any value of the first but an empty one, or with `CLICOLOR=0`; colour even where there is no terminal with `CLICOLOR_FORCE=1` |
";

/// The page: one table for each section, with every key, what it may be, its default, its meaning, and what a checkout's
/// file may do to it; then the variables of the environment.
pub fn page() -> String {
    let mut out = String::from(HEAD);
    let mut section = "";
    for key in Config::keys().map(|key| (key.describe)()) {
        if section != key.section.name {
            section = key.section.name;
            out.push_str(&heading(key.section));
        }
        out.push_str(&row(&key));
    }
    let directories: Vec<_> =
        Harness::ALL.iter().map(|harness| format!("`{}`", harness.spec().directory_variable)).collect();
    out + &TAIL
        .replace("{directories}", &directories.join(", "))
        .replace("{deadlines}", &deadlines())
        .replace("{registered}", &registered())
}

/// What a hook may take, in milliseconds.
fn deadlines() -> String {
    let (least, most) = hook::DEADLINES;
    let usual: BTreeSet<_> = Hook::ALL.iter().map(|hook| hook.row().deadline.as_millis()).collect();
    let usual: Vec<_> = usual.iter().map(u128::to_string).collect();
    format!("from {} to {}, {} by default", least.as_millis(), most.as_millis(), usual.join(" or "))
}

/// What hooks are registered with: the usual time, then where it is another.
fn registered() -> String {
    let seconds = |wire: Wire| wire.timeout.as_seconds();
    let most = TABLE.iter().map(|(_, wire)| seconds(*wire)).max().unwrap_or_default();
    let others = TABLE.iter().filter(|(_, wire)| seconds(*wire) != most);
    let others = others.map(|(_, wire)| format!("; on {} with {} s", wire.event.name(), seconds(*wire)));
    format!("{most} s{}", others.collect::<String>())
}

fn heading(section: Section) -> String {
    let doc = wrapped(section.doc);
    let name = section.name;
    format!(
        "\n## `[{name}]`\n\n{doc}\n\n| key | what it may be | default | meaning | a checkout |\n| --- | --- | --- | --- | --- |\n"
    )
}

fn row(key: &ConfigKey) -> String {
    let project = match key.project {
        Project::Never => "no".to_owned(),
        Project::Lower => "may lower it".to_owned(),
        Project::Only(word) => format!("may set it to `{word}`"),
        Project::Extend => "may add to it".to_owned(),
    };
    let cells = [
        format!("`{}`", key.name),
        key.expected.replace("a list of texts, [\"one\", \"two\"]", "a list of texts, `[\"one\", \"two\"]`"),
        format!("`{}`", key.default),
        words(key.doc),
        project,
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Longest line of a text.
const WIDTH: usize = 120;

fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => line.extend([" ", word]),
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}
