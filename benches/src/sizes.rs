//! How large the binaries are, and how they are linked, beside what the table of hooks promises.

use anyhow::Context as _;
use serde_json::{Value, json};
use stopgate_core::hook::{MAX_STATIC_BYTES, SQLITE_BYTES};

use crate::binaries::{Binaries, Program};
use crate::elf::{self, Linkage};
use crate::table::word;

const KIB: u64 = 1024;

/// One binary's line.
#[derive(Debug, Clone)]
pub(crate) struct Size {
    program: Program,
    bytes: u64,
    linkage: Option<Linkage>,
}

impl Size {
    /// The sizes of all programs.
    pub(crate) fn of_all(binaries: &Binaries) -> anyhow::Result<Vec<Self>> {
        Program::built()
            .map(|program| {
                let path = binaries.path(program)?;
                let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                Ok(Self { program, bytes: bytes.len().try_into()?, linkage: elf::linkage(&bytes) })
            })
            .collect()
    }

    /// How large the binary may be.
    fn most(&self) -> Option<u64> {
        let Program::Hook(hook) = self.program else { return None };
        Some(match self.linkage? {
            Linkage::Dynamic => hook.most_bytes(),
            Linkage::Static if hook.row().sqlite => MAX_STATIC_BYTES + SQLITE_BYTES,
            Linkage::Static => MAX_STATIC_BYTES,
        })
    }

    fn kept(&self) -> Option<bool> {
        Some(self.bytes <= self.most()?)
    }

    const fn linked(&self) -> &'static str {
        match self.linkage {
            Some(Linkage::Dynamic) => "dynamic",
            Some(Linkage::Static) => "static",
            None => "unknown",
        }
    }

    /// What the table shows.
    pub(crate) fn cells(&self) -> [String; 5] {
        [
            self.program.name().to_owned(),
            self.bytes.div_ceil(KIB).to_string(),
            self.linked().to_owned(),
            self.most().map_or_else(|| "-".to_owned(), |most| format!("<= {}", most / KIB)),
            word(self.kept()).to_owned(),
        ]
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "binary": self.program.name(),
            "bytes": self.bytes,
            "linked": self.linked(),
            "most_bytes": self.most(),
            "kept": self.kept(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::hook::Hook;

    #[test]
    fn sizes_are_held_against_the_promise_for_their_linkage() {
        let size = |program, kib: u64, linkage| {
            let size = Size { program, bytes: kib * KIB, linkage: Some(linkage) };
            word(size.kept())
        };
        assert_eq!(size(Program::Hook(Hook::StopGateRouter), 250, Linkage::Dynamic), "PASS");
        assert_eq!(size(Program::Hook(Hook::StopGateRouter), 251, Linkage::Dynamic), "short");
        assert_eq!(size(Program::Hook(Hook::StopGateRouter), 1_331, Linkage::Static), "PASS");
        assert_eq!(size(Program::Hook(Hook::SessionStartRecorder), 1_376, Linkage::Dynamic), "PASS");
        assert_eq!(size(Program::Hook(Hook::SessionStartRecorder), 1_377, Linkage::Dynamic), "short");
        assert_eq!(size(Program::Hook(Hook::WriteFence), 450, Linkage::Dynamic), "PASS");
        assert_eq!(size(Program::Hook(Hook::WriteFence), 451, Linkage::Dynamic), "short");
        assert_eq!(size(Program::Stopgate, 99_999, Linkage::Dynamic), "");
    }
}
