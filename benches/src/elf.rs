//! As much of the ELF format as tells whether a program needs a dynamic linker.

/// How a program is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linkage {
    /// It names an interpreter, which loads its libraries at every start.
    Dynamic,
    /// It is complete in itself.
    Static,
}

/// Magic, 64-bit class, little-endian data.
const IDENTITY: &[u8] = b"\x7fELF\x02\x01";
/// Type of the program header that names the interpreter.
const PT_INTERP: u32 = 3;

/// How the program in `bytes` is linked; `None` when it is no 64-bit little-endian ELF file.
pub(crate) fn linkage(bytes: &[u8]) -> Option<Linkage> {
    if !bytes.starts_with(IDENTITY) {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(field(bytes, 0x20)?)).ok()?;
    let entry_size = usize::from(u16::from_le_bytes(field(bytes, 0x36)?));
    let entries = usize::from(u16::from_le_bytes(field(bytes, 0x38)?));
    for index in 0..entries {
        let entry = table.checked_add(index.checked_mul(entry_size)?)?;
        if u32::from_le_bytes(field(bytes, entry)?) == PT_INTERP {
            return Some(Linkage::Dynamic);
        }
    }
    Some(Linkage::Static)
}

/// The `N` bytes at `offset`.
fn field<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file of nothing but a header and program headers of these types.
    fn program(types: &[u32]) -> Vec<u8> {
        let mut bytes = IDENTITY.to_vec();
        bytes.resize(64, 0);
        bytes[0x20] = 64;
        bytes[0x36] = 56;
        bytes[0x38] = u8::try_from(types.len()).unwrap();
        for kind in types {
            bytes.extend(kind.to_le_bytes());
            bytes.resize(bytes.len() + 52, 0);
        }
        bytes
    }

    #[test]
    fn an_interpreter_makes_a_program_dynamic() {
        assert_eq!(linkage(&program(&[6, 3, 1, 2])), Some(Linkage::Dynamic));
        assert_eq!(linkage(&program(&[1, 2])), Some(Linkage::Static), "static-pie has PT_DYNAMIC, but no interpreter");
        assert_eq!(linkage(&program(&[])), Some(Linkage::Static));
    }

    #[test]
    fn other_files_and_truncated_ones_are_not_judged() {
        let whole = program(&[1, 3]);
        for bad in [&b""[..], b"#!/bin/sh\n", &whole[..40], &whole[..64], &whole[..100]] {
            assert_eq!(linkage(bad), None, "{} bytes", bad.len());
        }
    }

    #[test]
    fn this_very_test_is_an_elf_program() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(linkage(&bytes).is_some());
    }
}
