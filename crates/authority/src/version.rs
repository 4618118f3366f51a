//! The version that this authority goes by.

use stopgate_core::{VERSION, env};

/// The program's version, and in tests what [`env::STOPGATE_VERSION`] makes of it.
pub(crate) fn own() -> String {
    let made_up = env::made_up(env::STOPGATE_VERSION).and_then(|version| version.into_os_string().into_string().ok());
    made_up.unwrap_or_else(|| VERSION.to_owned())
}
