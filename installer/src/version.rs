//! Which version a home was brought to.

use anyhow::{Context as _, Result};
use stopgate_core::VERSION;
use stopgate_core::fsx;
use stopgate_core::hook;
use stopgate_core::paths::Home;

use crate::ledger::Ledger;
use crate::manifest::{MANIFEST, Manifest};

/// The way back to an older version, for whoever is refused a downgrade.
pub(crate) fn way_back(home: &Home) -> String {
    format!(
        "to go back, run the newer version's `installer uninstall --all`, put {} back from {} if its schema is newer, \
         then run the older version's `installer init`",
        home.database().display(),
        home.backups().display()
    )
}

/// Notes that everything in `home` is of this version now.
pub(crate) fn mark(home: &Home, ledger: &mut Ledger) -> Result<()> {
    ledger.version = Some(VERSION.to_owned());
    ledger.wiring = hook::WIRING;
    ledger.save(home)?;
    Manifest::of(&home.bin())?.save(&home.root().join(MANIFEST), 0o600)?;
    let file = home.version_file();
    let text = format!("{VERSION}\n");
    if std::fs::read(&file).is_ok_and(|bytes| bytes == text.as_bytes()) {
        return Ok(());
    }
    fsx::write_atomic(&file, text.as_bytes(), 0o600).with_context(|| format!("cannot write {}", file.display()))
}
