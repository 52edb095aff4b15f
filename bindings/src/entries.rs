//! Entries as they cross: many in one block of bytes, so that a scan costs one crossing a batch.
//!
//! Each entry, all numbers little-endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | create revision, as a float |
//! | 8 | mod revision, as a float |
//! | 8 | version, as a float |
//! | 4 | length of the key |
//! | 4 | length of the value |
//! | | the key, the value |

use palimpsest_kv::Entry;

/// Appends one entry to a block.
pub(crate) fn pack(block: &mut Vec<u8>, entry: &Entry) {
    let numbers = [entry.create_revision().get(), entry.mod_revision().get(), entry.version()];
    for number in numbers {
        block.extend_from_slice(&(number as f64).to_le_bytes());
    }
    // Lengths are below 2^31: `limits` bounds keys and values at compile time.
    block.extend_from_slice(&(entry.key().len() as u32).to_le_bytes());
    block.extend_from_slice(&(entry.value().len() as u32).to_le_bytes());
    block.extend_from_slice(entry.key());
    block.extend_from_slice(entry.value());
}

/// A block of several entries.
pub(crate) fn packed<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<u8> {
    let mut block = Vec::new();
    for entry in entries {
        pack(&mut block, entry);
    }
    block
}
