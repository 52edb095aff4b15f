//! etcd's hash of a history, by its rule and from the whole history.

use std::sync::LazyLock;

use super::{Model, Record, Version, kept};

/// What CRC-32C makes of each byte.
static TABLE: LazyLock<[u32; 256]> = LazyLock::new(|| {
    let bit = |entry: u32, _| if entry & 1 == 1 { (entry >> 1) ^ 0x82F6_3B78 } else { entry >> 1 };
    std::array::from_fn(|byte| (0..8).fold(u32::try_from(byte).unwrap_or(0), bit))
});

fn update(hash: u32, bytes: &[u8]) -> u32 {
    let table = &*TABLE;
    bytes.iter().fold(hash, |hash, byte| {
        let place = usize::from(hash.to_le_bytes()[0] ^ byte);
        table.get(place).copied().unwrap_or(0) ^ (hash >> 8)
    })
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7F {
        out.push(0x80 | number.to_le_bytes()[0]);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// The record as etcd stores it: the key in its bucket, and the message.
fn encoded(key: &[u8], version: &Version) -> Vec<u8> {
    let mut out = [&version.main.to_be_bytes()[..], b"_", &version.sub.to_be_bytes()].concat();
    if version.record.is_none() {
        out.push(b't');
    }
    let value = version.record.as_ref().map_or(&[][..], |record| record.value.as_slice());
    let numbers = version.record.as_ref().map_or([0; 4], |record| {
        let Record { create, version: count, lease, .. } = record;
        [*create, version.main, *count, *lease]
    });
    let [create, modified, count, lease] = numbers;
    let bytes = |out: &mut Vec<u8>, tag: u8, bytes: &[u8]| {
        if !bytes.is_empty() {
            out.push(tag);
            varint(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
    };
    let number = |out: &mut Vec<u8>, tag: u8, number: u64| {
        if number > 0 {
            out.push(tag);
            varint(out, number);
        }
    };
    bytes(&mut out, 0x0A, key);
    number(&mut out, 0x10, create);
    number(&mut out, 0x18, modified);
    number(&mut out, 0x20, count);
    bytes(&mut out, 0x2A, value);
    number(&mut out, 0x30, lease);
    out
}

impl Model {
    /// The hash at a revision that can be read.
    #[must_use]
    pub fn hash(&self, revision: u64) -> u32 {
        self.hash_of(revision, self.compacted)
    }

    /// The same where the compaction is another than the newest one.
    #[must_use]
    pub fn hash_of(&self, revision: u64, compacted: Option<u64>) -> u32 {
        let horizon = compacted.unwrap_or(0);
        let until = |history: &[Version]| history.partition_point(|version| version.main <= revision);
        let is_visible = |history: &[Version]| {
            let place = until(history).checked_sub(1)?;
            history.get(place).filter(|version| version.record.is_some()).map(|_| place)
        };
        let nobody_lives = !self.histories.values().any(|history| is_visible(history).is_some());
        let mut counted = Vec::new();
        for (key, history) in &self.histories {
            let first_kept = history.len() - kept(history, compacted).len();
            for (place, version) in history.iter().enumerate().take(until(history)) {
                let is_kept =
                    if nobody_lives { place >= first_kept } else { is_visible(history) == Some(place) };
                let is_gone = version.record.is_none() && version.main == horizon;
                if (version.main > horizon || is_kept) && !is_gone {
                    counted.push((version.main, version.sub, key, version));
                }
            }
        }
        counted.sort_unstable_by_key(|(main, sub, ..)| (*main, *sub));
        let start = update(u32::MAX, b"key");
        !counted.iter().fold(start, |hash, (_, _, key, version)| update(hash, &encoded(key, version)))
    }
}
