//! The types that a key can have.

use std::ops::RangeInclusive;

use stopgate_core::switch::Mode;
use toml_edit::Value;

/// How a checkout's own file may change a key. Whoever wrote the checkout is not the operator: it can take away, never
/// add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Project {
    /// Not at all.
    Never,
    /// To a smaller number, or to a mode that holds less.
    Lower,
    /// To this word or truth value only.
    Only(&'static str),
    /// By adding to the list.
    Extend,
}

/// A type that a key can have.
pub(crate) trait Setting: Sized + Clone + PartialEq {
    /// The limits of a key, if its type has any.
    type Limits: Clone;

    /// What is expected, for an error: `a whole number from 0 to 10`.
    fn expected(limits: &Self::Limits) -> String;

    /// The value, if it is of this type and within its limits.
    fn read(value: &Value, limits: &Self::Limits) -> Option<Self>;

    /// The value as it is written.
    fn write(&self) -> Value;

    /// The value that holds in a checkout that asks for `wanted`; `None` if it may not.
    fn tightened(&self, wanted: &Self, project: Project) -> Option<Self>;
}

impl Setting for bool {
    type Limits = ();

    fn expected((): &()) -> String {
        "true or false".to_owned()
    }

    fn read(value: &Value, (): &()) -> Option<Self> {
        value.as_bool()
    }

    fn write(&self) -> Value {
        Value::from(*self)
    }

    fn tightened(&self, wanted: &Self, project: Project) -> Option<Self> {
        let allowed = wanted == self || project == Project::Only(if *wanted { "true" } else { "false" });
        allowed.then_some(*wanted)
    }
}

impl Setting for u32 {
    type Limits = RangeInclusive<u32>;

    fn expected(limits: &Self::Limits) -> String {
        format!("a whole number from {} to {}", limits.start(), limits.end())
    }

    fn read(value: &Value, limits: &Self::Limits) -> Option<Self> {
        u32::try_from(value.as_integer()?).ok().filter(|number| limits.contains(number))
    }

    fn write(&self) -> Value {
        Value::from(i64::from(*self))
    }

    fn tightened(&self, wanted: &Self, project: Project) -> Option<Self> {
        (wanted == self || (project == Project::Lower && wanted < self)).then_some(*wanted)
    }
}

impl Setting for Mode {
    type Limits = ();

    fn expected((): &()) -> String {
        "one of \"off\", \"shadow\", \"enforce\"".to_owned()
    }

    fn read(value: &Value, (): &()) -> Option<Self> {
        value.as_str()?.parse().ok()
    }

    fn write(&self) -> Value {
        Value::from(self.name())
    }

    fn tightened(&self, wanted: &Self, project: Project) -> Option<Self> {
        (wanted == self || (project == Project::Lower && wanted < self)).then_some(*wanted)
    }
}

impl Setting for f64 {
    type Limits = RangeInclusive<f64>;

    fn expected(limits: &Self::Limits) -> String {
        format!("a number from {} to {}", limits.start(), limits.end())
    }

    #[expect(clippy::cast_precision_loss, reason = "within the limits there is none")]
    fn read(value: &Value, limits: &Self::Limits) -> Option<Self> {
        let number = value.as_float().or_else(|| value.as_integer().map(|number| number as f64))?;
        limits.contains(&number).then_some(number)
    }

    fn write(&self) -> Value {
        Value::from(*self)
    }

    #[expect(clippy::float_cmp, reason = "the same or not")]
    fn tightened(&self, wanted: &Self, _: Project) -> Option<Self> {
        (wanted == self).then_some(*wanted)
    }
}

impl Setting for String {
    type Limits = ();

    fn expected((): &()) -> String {
        "a text in quotes".to_owned()
    }

    fn read(value: &Value, (): &()) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }

    fn write(&self) -> Value {
        Value::from(self.as_str())
    }

    fn tightened(&self, wanted: &Self, project: Project) -> Option<Self> {
        let may = wanted == self || matches!(project, Project::Only(word) if word == wanted);
        may.then(|| wanted.clone())
    }
}

impl Setting for Vec<String> {
    type Limits = ();

    fn expected((): &()) -> String {
        "a list of texts, [\"one\", \"two\"]".to_owned()
    }

    fn read(value: &Value, (): &()) -> Option<Self> {
        value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
    }

    fn write(&self) -> Value {
        Value::Array(self.iter().map(String::as_str).collect())
    }

    fn tightened(&self, wanted: &Self, project: Project) -> Option<Self> {
        if project != Project::Extend {
            return (wanted == self).then(|| wanted.clone());
        }
        let mut all = self.clone();
        all.extend(wanted.iter().filter(|text| !self.contains(text)).cloned());
        Some(all)
    }
}

/// A type of which the values are a few words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// The word in the file.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl Setting for $name {
            type Limits = ();

            fn expected((): &()) -> String {
                format!("one of {}", [$(concat!("\"", $word, "\"")),+].join(", "))
            }

            fn read(value: &Value, (): &()) -> Option<Self> {
                match value.as_str()? { $($word => Some(Self::$variant),)+ _ => None }
            }

            fn write(&self) -> Value {
                Value::from(self.name())
            }

            fn tightened(&self, wanted: &Self, project: Project) -> Option<Self> {
                (wanted == self || project == Project::Only(wanted.name())).then_some(*wanted)
            }
        }
    };
}

words! {
    /// Who judges what the rules cannot decide.
    JudgeKind {
        /// Nobody.
        None = "none",
        /// A program that reads the prompt from its standard input.
        Command = "command",
        /// A model behind HTTP.
        Http = "http",
    }
}

words! {
    /// Which stops of sessions that are not interactive may be held.
    HeadlessHold {
        /// Those of a session whose last prompt asked for a job.
        Execute = "execute",
        /// None.
        Never = "never",
        /// Those that are held in others, too.
        Always = "always",
    }
}

words! {
    /// How a model behind HTTP is spoken to.
    JudgeWire {
        /// The Messages format: `x-api-key`, content blocks.
        Messages = "messages",
        /// The Chat Completions format: bearer token, choices.
        ChatCompletions = "chat-completions",
    }
}

words! {
    /// What becomes of a write to a file that another session was seen to write.
    ObservedWrites {
        /// The agent is told, and goes on.
        Note = "note",
        /// It is refused.
        Deny = "deny",
    }
}
