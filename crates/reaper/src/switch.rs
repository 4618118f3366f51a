//! The operator's switch: a tiny file, which overrides what is configured.

use std::io;

use serde::{Deserialize, Serialize};

use stopgate_config::ReaperConfig;
use stopgate_core::fsx;
use stopgate_core::paths::Home;

/// Longest switch file that is believed.
const MAX_BYTES: u64 = 64;

/// What the operator chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReaperSwitch {
    /// It does not look.
    Off,
    /// It looks, and says what it would do.
    DryRun,
    /// It ends sessions.
    Live,
}

impl ReaperSwitch {
    const ALL: [Self; 3] = [Self::Off, Self::DryRun, Self::Live];

    /// The word in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::DryRun => "dry-run",
            Self::Live => "live",
        }
    }
}

/// Reads the switch; `None` if nobody chose. A file that is not understood means off: nobody is ended in doubt.
pub fn read(home: &Home) -> Option<ReaperSwitch> {
    match fsx::read_regular(&home.reaper_file(), MAX_BYTES) {
        Ok(bytes) => {
            let word = std::str::from_utf8(&bytes).unwrap_or_default().trim();
            Some(ReaperSwitch::ALL.into_iter().find(|switch| switch.name() == word).unwrap_or(ReaperSwitch::Off))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(_) => Some(ReaperSwitch::Off),
    }
}

/// Writes the switch.
pub fn write(home: &Home, switch: ReaperSwitch) -> io::Result<()> {
    let path = home.reaper_file();
    if let Some(dir) = path.parent() {
        fsx::ensure_private_dir(dir)?;
    }
    fsx::write_atomic(&path, format!("{}\n", switch.name()).as_bytes(), 0o600)
}

/// `config` as the switch leaves it.
pub fn applied(config: ReaperConfig, switch: Option<ReaperSwitch>) -> ReaperConfig {
    match switch {
        None => config,
        Some(ReaperSwitch::Off) => ReaperConfig { enabled: false, ..config },
        Some(ReaperSwitch::DryRun) => ReaperConfig { enabled: true, dry_run: true, ..config },
        Some(ReaperSwitch::Live) => ReaperConfig { enabled: true, dry_run: false, ..config },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_overrides_what_is_configured_and_doubt_means_off() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let now = || {
            let config = applied(ReaperConfig::default(), read(&home));
            (config.enabled, config.dry_run)
        };
        assert_eq!((read(&home), now()), (None, (false, true)));
        write(&home, ReaperSwitch::Live).unwrap();
        assert_eq!(now(), (true, false));
        write(&home, ReaperSwitch::DryRun).unwrap();
        assert_eq!(now(), (true, true));
        std::fs::write(home.reaper_file(), "lvie\n").unwrap();
        assert_eq!((read(&home), now()), (Some(ReaperSwitch::Off), (false, true)));
        let live = ReaperConfig { enabled: true, dry_run: false, ..ReaperConfig::default() };
        assert!(!applied(live, Some(ReaperSwitch::Off)).enabled);
    }
}
