//! Entries as they cross: many in one block of bytes, so that a scan costs one crossing a batch.
//!
//! Each entry, all numbers little-endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | create revision, as a float |
//! | 8 | mod revision, as a float |
//! | 8 | version, as a float |
//! | 8 | number of the lease, as a float; 0 if there is none |
//! | 4 | length of the key |
//! | 4 | length of the value |
//! | | the key, the value |
//!
//! An event of a watcher is an entry with two bytes before it and, where there is one, the previous entry after it:
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | what happened: 0 put, 1 delete |
//! | 1 | what was there before: 0 not asked for, 1 nothing, 2 the entry that follows, 3 something that is compacted |
//! | | the entry; the previous entry |

use palimpsest_kv::{Entry, Event, EventKind, LeaseId, Previous, Revision};

/// The number of a lease. What JavaScript's numbers can't hold exactly is infinity, which is no lease's number, and never another's.
pub(crate) fn lease_number(id: LeaseId) -> f64 {
    if id.get() > Revision::LAST.get() { f64::INFINITY } else { id.get() as f64 }
}

/// Appends one entry to a block.
pub(crate) fn pack(block: &mut Vec<u8>, entry: &Entry) {
    let numbers = [entry.create_revision().get(), entry.mod_revision().get(), entry.version()];
    for number in numbers {
        block.extend_from_slice(&(number as f64).to_le_bytes());
    }
    block.extend_from_slice(&entry.lease().map_or(0.0, lease_number).to_le_bytes());
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

/// A block of events.
pub(crate) fn packed_events(events: &[Event]) -> Vec<u8> {
    let mut block = Vec::new();
    for Event { kind, entry, previous } in events {
        block.push(match kind {
            EventKind::Put => 0,
            EventKind::Delete => 1,
        });
        block.push(match previous {
            Previous::NotAsked => 0,
            Previous::Nothing => 1,
            Previous::Entry(_) => 2,
            Previous::Compacted => 3,
        });
        pack(&mut block, entry);
        if let Previous::Entry(previous) = previous {
            pack(&mut block, previous);
        }
    }
    block
}
