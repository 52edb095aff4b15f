//! One number for a store's history, the same that etcd computes for the same history.

use alloc::vec::Vec;

use crc::{CRC_32_ISCSI, Crc, Digest};

use super::Store;
use super::reader::Reader;
use crate::error::Result;
use crate::keys::KeyBounds;
use crate::records::{Body, Record, with_contents};
use crate::revision::{Position, Revision};
use crate::sabotage::sabotaged;
use crate::storage::Storage;

/// CRC-32C, as etcd takes it (`server/storage/mvcc/hash.go`).
static CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The name of the bucket that etcd keeps its records in.
const BUCKET: &[u8] = b"key";

/// What [`Store::hash_kv`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKv {
    /// The hash.
    pub hash: u32,
    /// The revision that the store is compacted to; `None` before the first compaction.
    pub compacted: Option<Revision>,
    /// The revision up to which history was hashed.
    pub revision: Revision,
}

/// Which records at or before the compacted revision count.
enum Kept {
    /// Those that are visible at the hashed revision, ascending.
    Visible(Vec<Position>),
    /// No key exists at the hashed revision: etcd then leaves nothing out, so that those count that compaction has kept.
    Survivors(Vec<Position>),
}

impl Kept {
    fn has(&self, position: Position) -> bool {
        let (Self::Visible(positions) | Self::Survivors(positions)) = self;
        positions.binary_search(&position).is_ok()
    }
}

impl<S: Storage> Store<S> {
    /// Hashes the history up to a revision, 0 for the newest, as etcd's `HashKV` does: stores and etcds with the same history, compacted
    /// to the same revision, give the same number, whether or not the work of compactions has finished. Costs reading all
    /// records, and memory for a position a key. What pins hold does not count, and a revision that is compacted has no hash though it is
    /// pinned.
    ///
    /// ```
    /// # use palimpsest_kv::{Options, Store, storage::MemoryStorage};
    /// let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// store.put("a", "1")?;
    /// assert_eq!(store.hash_kv(0)?.hash, 2_587_454_935, "as an etcd with this one put says");
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Compacted`](crate::Error::Compacted), [`Error::FutureRevision`](crate::Error::FutureRevision),
    /// [`Error::Corrupt`](crate::Error::Corrupt) or [`Error::Storage`](crate::Error::Storage) if a record can't be read.
    pub fn hash_kv(&self, revision: impl Into<Revision>) -> Result<HashKv> {
        // An etcd knows no pins.
        let revision = Reader { pinned: &[], ..self.reader() }.check(Some(revision.into()))?;
        let compacted = self.compacted.unwrap_or(0);
        let kept = self.kept(revision, compacted);
        let mut digest = CASTAGNOLI.digest();
        digest.update(BUCKET);
        let mut encoded = Vec::new();
        self.records.source().for_each(self.pager.pages(), |record, _page| {
            let Position { main, .. } = record.position;
            let is_tombstone = record.body.generation(main).is_none();
            let counts = !matches!(record.body, Body::System(_))
                && main <= revision
                && (main > compacted || sabotaged!(DeadHashed) || kept.has(record.position))
                && !(is_tombstone && main == compacted);
            if counts { self.hash_record(record, &mut digest, &mut encoded) } else { Ok(()) }
        })?;
        let (hash, compacted) = (digest.finalize(), self.compacted());
        Ok(HashKv { hash, compacted, revision: Revision::new(revision) })
    }

    fn kept(&self, revision: u64, compacted: u64) -> Kept {
        let visible = self.visible(revision);
        if visible.is_empty() { Kept::Survivors(self.visible(compacted)) } else { Kept::Visible(visible) }
    }

    /// Where the records stand that a read at this revision sees, ascending.
    fn visible(&self, revision: u64) -> Vec<Position> {
        let all: KeyBounds<'_> = (core::ops::Bound::Unbounded, core::ops::Bound::Unbounded);
        let mut positions: Vec<Position> =
            self.index.range(all, revision).map(|(_, position)| position).collect();
        positions.sort_unstable();
        positions
    }

    fn hash_record(
        &self,
        record: &Record<'_>,
        digest: &mut Digest<'_, u32>,
        encoded: &mut Vec<u8>,
    ) -> Result<()> {
        let Position { main, sub } = record.position;
        let numbers = record.body.generation(main);
        digest.update(&main.to_be_bytes());
        digest.update(b"_");
        digest.update(&u64::from(sub).to_be_bytes());
        if numbers.is_none() {
            digest.update(b"t");
        }
        with_contents(self.pager.pages(), &record.body, |key, value| {
            encoded.clear();
            bytes_field(encoded, 1, key);
            if let Some((version, created)) = numbers {
                number_field(encoded, 2, created);
                number_field(encoded, 3, main);
                number_field(encoded, 4, version);
                bytes_field(encoded, 5, value);
                number_field(encoded, 6, record.body.lease());
            }
        })?;
        digest.update(encoded);
        Ok(())
    }
}

/// A field of etcd's protobuf message `KeyValue`, left out if it is empty (`api/mvccpb/kv.proto`).
fn bytes_field(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.push(field << 3 | 2);
        varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

/// A number in the same message, left out if it is zero.
fn number_field(out: &mut Vec<u8>, field: u8, number: u64) {
    if number != 0 {
        out.push(field << 3);
        varint(out, number);
    }
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}
