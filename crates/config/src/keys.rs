//! The table of keys, as data.

use crate::setting::Project;

/// A table of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// Its name, `gate` or `gate.promotion`.
    pub name: &'static str,
    /// What it is about.
    pub doc: &'static str,
}

/// What is to be known of a key, whatever its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigKey {
    /// The table it stands in.
    pub section: Section,
    /// Its name in that table.
    pub name: &'static str,
    /// Another name that is as good.
    pub other_name: Option<&'static str>,
    /// What it means.
    pub doc: &'static str,
    /// What it may be: `a whole number from 0 to 10`.
    pub expected: String,
    /// Its default as it is written in the file.
    pub default: String,
    /// How a checkout's own file may change it.
    pub project: Project,
}

impl ConfigKey {
    /// `gate.continues_per_day`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.section.name, self.name)
    }
}

/// Makes a table's struct, its defaults, and its keys (`KeyOf`, which is where the tables are) from one description. A key has
/// the name of its field, or two of its own: `as "U1" or "U1_WHOLE_ID"`.
macro_rules! table {
    (
        $(#[doc = $about:literal])+
        $struct:ident at $section:literal ($path:ident) {
            $(
                $(#[doc = $doc:literal])+
                $field:ident $(as $name:literal or $other:literal)?: $type:ty = $default:expr, $limits:expr, $project:expr;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $struct {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl Default for $struct {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }

        impl $struct {
            const SECTION: $crate::keys::Section =
                $crate::keys::Section { name: $section, doc: concat!($($about),+) };

            /// The keys of the table.
            pub(crate) const KEYS: &'static [KeyOf] = &[$(KeyOf {
                section: $section,
                name: $crate::keys::first!($($name,)? stringify!($field)),
                other_name: $crate::keys::first!($(Some($other),)? None),
                describe: || $crate::keys::ConfigKey {
                    section: Self::SECTION,
                    name: $crate::keys::first!($($name,)? stringify!($field)),
                    other_name: $crate::keys::first!($(Some($other),)? None),
                    doc: concat!($($doc),+),
                    expected: <$type as $crate::setting::Setting>::expected(&$limits),
                    default: $crate::setting::Setting::write(&Self::default().$field).to_string(),
                    project: $project,
                },
                set: |config, value| {
                    config.$path.$field = $crate::keys::read::<$type>(value, &$limits)?;
                    Ok(())
                },
                tighten: |config, value| {
                    let wanted = $crate::keys::read::<$type>(value, &$limits)?;
                    let held = &mut config.$path.$field;
                    *held = $crate::keys::tightened(held, &wanted, $project)?;
                    Ok(())
                },
                show: |config| $crate::setting::Setting::write(&config.$path.$field),
            }),+];
        }
    };
}
pub(crate) use table;

/// The first of several.
macro_rules! first {
    ($first:expr $(, $rest:expr)*) => {
        $first
    };
}
pub(crate) use first;

pub(crate) fn read<T: crate::setting::Setting>(value: &toml_edit::Value, limits: &T::Limits) -> Result<T, String> {
    T::read(value, limits).ok_or_else(|| format!("expected {}, found {}", T::expected(limits), found(value)))
}

/// The value in a few words; a text that stands where none may is not repeated, it could be a secret.
fn found(value: &toml_edit::Value) -> String {
    match value {
        toml_edit::Value::Integer(number) => number.value().to_string(),
        toml_edit::Value::Float(number) => number.value().to_string(),
        toml_edit::Value::Boolean(truth) => truth.value().to_string(),
        other => format!("a {}", other.type_name()),
    }
}

pub(crate) fn tightened<T: crate::setting::Setting>(held: &T, wanted: &T, project: Project) -> Result<T, String> {
    held.tightened(wanted, project).ok_or_else(|| match project {
        Project::Never => "a checkout's file may not set it: set it in the operator's config.toml".to_owned(),
        Project::Lower => format!("a checkout's file may only lower it, and {} holds already", held.write()),
        Project::Only(word) => format!("a checkout's file may only set it to {word}"),
        Project::Extend => "a checkout's file may only add to it".to_owned(),
    })
}
