//! Exporting and importing.
#![expect(clippy::indexing_slicing, reason = "a test that looks at wrong places is to panic")]

use palimpsest_kv::storage::{MemoryStorage, Storage};
use palimpsest_kv::{Import, Options, Result, Store};

use crate::rng::Rng;

/// All bytes of an export.
///
/// # Errors
/// Those of the export.
pub fn exported<S: Storage>(store: &Store<S>) -> Result<Vec<u8>> {
    store.export().try_fold(Vec::new(), |mut bytes, chunk| {
        bytes.extend(chunk?);
        Ok(bytes)
    })
}

/// Imports some bytes, all at once.
///
/// # Errors
/// Those of the import.
pub fn imported<S: Storage>(bytes: &[u8], into: S, options: Options) -> Result<Store<S>> {
    let mut import = Import::begin(into, options)?;
    import.feed(bytes)?;
    import.finish()
}

/// Imports some bytes in pieces of random lengths.
///
/// # Errors
/// Those of the import.
pub fn imported_in_pieces(bytes: &[u8], options: Options, rng: &mut Rng) -> Result<Store<MemoryStorage>> {
    let most = rng.one_of(&[1, 20, 5_000, 200_000]);
    let mut import = Import::begin(MemoryStorage::new(), options)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (now, later) = rest.split_at((1 + rng.index(most)).min(rest.len()));
        import.feed(now)?;
        rest = later;
    }
    import.finish()
}

/// Where the parts of an export begin: its first section, the others, and its end.
#[must_use]
pub fn sections(bytes: &[u8]) -> Vec<usize> {
    let mut starts = vec![START_BYTES];
    while let Some(at) = starts.last().copied().filter(|at| at + HEAD_BYTES <= bytes.len()) {
        let length = bytes[at + 4..].first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
        let end = at + HEAD_BYTES + length as usize + FOOT_BYTES;
        if end > bytes.len() {
            break;
        }
        starts.push(end);
    }
    starts
}

const START_BYTES: usize = 12;
const HEAD_BYTES: usize = 8;
const FOOT_BYTES: usize = 8;

/// Gives every section of some bytes the checksum that it should have, as far as there are sections.
pub fn seal(bytes: &mut [u8]) {
    let Some(start) = bytes.get(..START_BYTES) else { return };
    let mut chain = xxhash_rust::xxh64::xxh64(start, 0);
    for window in sections(bytes).windows(2) {
        let (from, foot) = (window[0], window[1] - FOOT_BYTES);
        chain = xxhash_rust::xxh64::xxh64(&bytes[from..foot], chain);
        bytes[foot..window[1]].copy_from_slice(&chain.to_le_bytes());
    }
}
