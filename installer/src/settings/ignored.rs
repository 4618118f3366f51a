//! What makes Claude Code ignore a settings file as a whole, without a word: then none of its hooks runs.
//!
//! Tried with the real client, in `claude -p`: 2.1.329 is strict about the settings in [`KNOWN`] and about the two
//! events that give permission, and drops a bad hook of other events alone; 2.1.197 is strict about those, too.

use std::fmt;

use jsonc_parser::cst::{CstContainerNode, CstLeafNode, CstNode};

use super::document::{Document, Position, counted_props, last_prop, offset};

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
    Text,
    Number,
    Flag,
    Null,
}

impl Kind {
    fn of(node: &CstNode) -> Option<Self> {
        Some(match node {
            CstNode::Container(CstContainerNode::Object(_)) => Self::Object,
            CstNode::Container(CstContainerNode::Array(_)) => Self::Array,
            CstNode::Leaf(CstLeafNode::StringLit(_)) => Self::Text,
            CstNode::Leaf(CstLeafNode::NumberLit(_)) => Self::Number,
            CstNode::Leaf(CstLeafNode::BooleanLit(_)) => Self::Flag,
            CstNode::Leaf(CstLeafNode::NullKeyword(_)) => Self::Null,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::Text => "a string",
            Self::Number => "a number",
            Self::Flag => "true or false",
            Self::Null => "null",
        }
    }
}

/// Settings whose type was seen to matter, `null` included. What is not here may be anything.
const KNOWN: [(&str, Kind); 49] = [
    ("$schema", Kind::Text),
    ("advisorModel", Kind::Text),
    ("agent", Kind::Text),
    ("allowManagedHooksOnly", Kind::Flag),
    ("allowedHttpHookUrls", Kind::Array),
    ("alwaysThinkingEnabled", Kind::Flag),
    ("apiKeyHelper", Kind::Text),
    ("attribution", Kind::Object),
    ("autoCompactEnabled", Kind::Flag),
    ("autoMemoryDirectory", Kind::Text),
    ("autoMemoryEnabled", Kind::Flag),
    ("autoMode", Kind::Object),
    ("availableModels", Kind::Array),
    ("awsAuthRefresh", Kind::Text),
    ("awsCredentialExport", Kind::Text),
    ("claudeMdExcludes", Kind::Array),
    ("cleanupPeriodDays", Kind::Number),
    ("companyAnnouncements", Kind::Array),
    ("disableAllHooks", Kind::Flag),
    ("enableAllProjectMcpServers", Kind::Flag),
    ("enabledPlugins", Kind::Object),
    ("env", Kind::Object),
    ("fastMode", Kind::Flag),
    ("fileSuggestion", Kind::Object),
    ("gcpAuthRefresh", Kind::Text),
    ("httpHookAllowedEnvVars", Kind::Array),
    ("includeCoAuthoredBy", Kind::Flag),
    ("includeGitInstructions", Kind::Flag),
    ("language", Kind::Text),
    ("minimumVersion", Kind::Text),
    ("model", Kind::Text),
    ("modelOverrides", Kind::Object),
    ("otelHeadersHelper", Kind::Text),
    ("outputStyle", Kind::Text),
    ("permissions", Kind::Object),
    ("permissions/additionalDirectories", Kind::Array),
    ("permissions/allow", Kind::Array),
    ("permissions/ask", Kind::Array),
    ("permissions/defaultMode", Kind::Text),
    ("permissions/deny", Kind::Array),
    ("plansDirectory", Kind::Text),
    ("respectGitignore", Kind::Flag),
    ("sandbox", Kind::Object),
    ("sandbox/enabled", Kind::Flag),
    ("spinnerTipsEnabled", Kind::Flag),
    ("statusLine", Kind::Object),
    ("statusLine/command", Kind::Text),
    ("verbose", Kind::Flag),
    ("worktree", Kind::Object),
];
/// Events whose hooks decide what an agent may do.
const PERMITTING: [&str; 2] = ["PreToolUse", "PermissionRequest"];

/// A place because of which the whole file is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// JSON pointer.
    pointer: String,
    at: Position,
    problem: String,
    by_all: bool,
}

impl Flaw {
    /// Whether every version that was tried ignores the file.
    pub(crate) const fn by_all(&self) -> bool {
        self.by_all
    }

    /// Who ignores the file.
    pub(crate) const fn by(&self) -> &'static str {
        if self.by_all { "Claude Code ignores" } else { "some versions of Claude Code ignore" }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.at;
        write!(out, "line {line}, column {column}: {} {}", self.pointer, self.problem)
    }
}

/// Every flaw of `document`, in the file's order as far as hooks are concerned.
pub(crate) fn flaws(document: &Document) -> Vec<Flaw> {
    let mut found = Finder { document, flaws: Vec::new(), by_all: true };
    let Ok(root) = document.object() else { return Vec::new() };
    for (path, kind) in KNOWN {
        let mut node = Some(CstNode::from(root.clone()));
        for name in path.split('/') {
            node = node.as_ref().and_then(CstNode::as_object).and_then(|object| last_prop(&object, name)?.value());
        }
        if let Some(node) = node {
            found.must_be(&node, &format!("/{path}"), kind);
        }
    }
    let Ok(Some(hooks)) = document.hooks() else { return found.flaws };
    for (event, name, counts) in counted_props(&hooks) {
        found.by_all = PERMITTING.contains(&name.as_str());
        if let Some(groups) = event.value().filter(|_| counts) {
            found.event(&groups, &format!("/hooks/{}", escaped(&name)));
        }
    }
    found.flaws
}

/// `name` as a part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

struct Finder<'a> {
    document: &'a Document,
    flaws: Vec<Flaw>,
    by_all: bool,
}

impl Finder<'_> {
    fn add(&mut self, node: &CstNode, pointer: &str, problem: String) {
        let at = self.document.position(offset(node));
        self.flaws.push(Flaw { pointer: pointer.to_owned(), at, problem, by_all: self.by_all });
    }

    fn must_be(&mut self, node: &CstNode, pointer: &str, kind: Kind) -> bool {
        let is = Kind::of(node) == Some(kind);
        if !is {
            self.add(node, pointer, format!("is not {}", kind.name()));
        }
        is
    }

    /// The member `name` of `node`, which has to be there if `required`, and to be of `kind`.
    fn member(&mut self, node: &CstNode, pointer: &str, name: &str, kind: Kind, required: bool) -> Option<CstNode> {
        let value = node.as_object().and_then(|object| last_prop(&object, name)?.value());
        match value {
            Some(value) => self.must_be(&value, &format!("{pointer}/{name}"), kind).then_some(value),
            None if required => {
                self.add(node, pointer, format!("has no `{name}`"));
                None
            }
            None => None,
        }
    }

    fn event(&mut self, groups: &CstNode, pointer: &str) {
        // An event without groups, `null` included, harms nobody else; only permission is refused to what is unclear.
        if Kind::of(groups) == Some(Kind::Null) || (!self.by_all && Kind::of(groups) != Some(Kind::Array)) {
            return;
        }
        if !self.must_be(groups, pointer, Kind::Array) {
            return;
        }
        for (index, group) in elements(groups).enumerate() {
            let pointer = format!("{pointer}/{index}");
            if !self.must_be(&group, &pointer, Kind::Object) {
                continue;
            }
            self.member(&group, &pointer, "matcher", Kind::Text, false);
            let Some(hooks) = self.member(&group, &pointer, "hooks", Kind::Array, true) else { continue };
            for (index, hook) in elements(&hooks).enumerate() {
                self.hook(&hook, &format!("{pointer}/hooks/{index}"));
            }
        }
    }

    fn hook(&mut self, hook: &CstNode, pointer: &str) {
        if !self.must_be(hook, pointer, Kind::Object) {
            return;
        }
        self.member(hook, pointer, "timeout", Kind::Number, false);
        let Some(kind) = self.member(hook, pointer, "type", Kind::Text, true) else { return };
        // Types that we do not know may be those of a newer version.
        let is_command =
            kind.as_string_lit().and_then(|text| text.decoded_value().ok()).is_some_and(|t| t == "command");
        if is_command {
            self.member(hook, pointer, "command", Kind::Text, true);
        }
    }
}

fn elements(array: &CstNode) -> impl Iterator<Item = CstNode> {
    array.as_array().map(|array| array.elements()).unwrap_or_default().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        let document = Document::parse(text.as_bytes()).unwrap();
        flaws(&document).iter().map(|flaw| format!("{} {flaw}", flaw.by_all)).collect()
    }

    #[test]
    fn what_the_client_takes_is_no_flaw() {
        for text in [
            "",
            "{}",
            "{\"hooks\": {}}",
            "// mine\n{\"model\": \"opus\",}",
            "{\"model\": 5, \"model\": \"opus\"}",
            "{\"zzz\": 5, \"env\": {\"A\": 5}, \"permissions\": {\"allow\": [5], \"foo\": 5}, \"verbose\": true}",
            "{\"hooks\": {\"Foo\": \"x\", \"Stop\": {}, \"PreToolUse\": null}}",
            "{\"hooks\": {\"PreToolUse\": 5, \"PreToolUse\": []}}",
            "{\"hooks\": {\"PreToolUse\": [{\"matcher\": \"\", \"hooks\": [], \"x\": 1}]}}",
            "{\"hooks\": {\"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"a\", \"timeout\": 1.5}]}]}}",
            "{\"hooks\": {\"Stop\": [{\"hooks\": [{\"type\": \"of the future\"}]}]}}",
        ] {
            assert_eq!(of(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn settings_of_the_wrong_type_are_named() {
        for (text, flaw) in [
            ("{\"permissions\": \"x\"}", "true line 1, column 17: /permissions is not an object"),
            (
                "{\n \"permissions\": {\n \"allow\": \"x\"}}",
                "true line 3, column 11: /permissions/allow is not an array",
            ),
            ("{\"model\": null}", "true line 1, column 11: /model is not a string"),
            ("{\"verbose\": \"x\"}", "true line 1, column 13: /verbose is not true or false"),
            ("{\"cleanupPeriodDays\": \"x\"}", "true line 1, column 23: /cleanupPeriodDays is not a number"),
        ] {
            assert_eq!(of(text), [flaw], "{text}");
        }
    }

    #[test]
    fn hooks_of_the_wrong_shape_are_named_and_who_is_strict_about_them() {
        let hooks = |event: &str, value: &str| of(&format!("{{\"hooks\":\n{{\"{event}\": {value}}}}}"));
        for (event, value, flaw) in [
            ("Stop", "[{\"hooks\": \"x\"}]", "false line 2, column 21: /hooks/Stop/0/hooks is not an array"),
            ("Stop", "[\n\"x\"]", "false line 3, column 1: /hooks/Stop/0 is not an object"),
            (
                "Stop",
                "[{\"matcher\": 5, \"hooks\": []}]",
                "false line 2, column 23: /hooks/Stop/0/matcher is not a string",
            ),
            ("Stop", "[{}]", "false line 2, column 11: /hooks/Stop/0 has no `hooks`"),
            ("A/b", "[5]", "false line 2, column 10: /hooks/A~1b/0 is not an object"),
            ("PreToolUse", "{}", "true line 2, column 16: /hooks/PreToolUse is not an array"),
            ("PermissionRequest", "[5]", "true line 2, column 24: /hooks/PermissionRequest/0 is not an object"),
        ] {
            assert_eq!(hooks(event, value), [flaw], "{event} {value}");
        }
        for (hook, flaw) in [
            ("5", ": /hooks/PreToolUse/0/hooks/0 is not an object"),
            ("{}", ": /hooks/PreToolUse/0/hooks/0 has no `type`"),
            ("{\"type\": \"command\"}", ": /hooks/PreToolUse/0/hooks/0 has no `command`"),
            ("{\"type\": \"command\", \"command\": 5}", ": /hooks/PreToolUse/0/hooks/0/command is not a string"),
            ("{\"type\": \"x\", \"timeout\": \"5\"}", ": /hooks/PreToolUse/0/hooks/0/timeout is not a number"),
        ] {
            let found = hooks("PreToolUse", &format!("[{{\"hooks\": [{hook}]}}]"));
            assert!(found.len() == 1 && found[0].ends_with(flaw), "{hook}: {found:?}");
        }
    }
}
