//! One record: what a put, a delete or the engine itself wrote at one position, and how it is encoded in a leaf.
//!
//! The encoding is postcard's; `FORMAT.md`, section "Record", describes it. Positions are stored relative to the leaf's base.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::pager::PageRef;
use crate::revision::Position;

/// A run of neighbouring overflow pages, with the checksum of all their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) start: PageRef,
    pub(crate) pages: u32,
}

/// Bytes kept in overflow pages: a list of extents, and how often that list was itself too long for a leaf and put into
/// overflow pages in turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chain {
    pub(crate) depth: u8,
    /// Bytes at the lowest depth, where the list itself is in overflow pages; else the content's length.
    pub(crate) len: u32,
    pub(crate) extents: Vec<Extent>,
}

/// What is stored after a record's position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Body<'a> {
    /// A value.
    Put {
        #[serde(with = "serde_bytes", borrow)]
        key: &'a [u8],
        /// The record's main less that of the key's creation.
        age: u64,
        version: u64,
        /// The lease that the key is attached to, 0 for none.
        lease: u64,
        #[serde(with = "serde_bytes", borrow)]
        value: &'a [u8],
    },
    /// The key was deleted.
    Tombstone {
        #[serde(with = "serde_bytes", borrow)]
        key: &'a [u8],
    },
    /// A value too long for a leaf.
    LongValue {
        #[serde(with = "serde_bytes", borrow)]
        key: &'a [u8],
        age: u64,
        version: u64,
        lease: u64,
        chain: Chain,
    },
    /// A key too long for a leaf, followed by its value.
    LongKey { key_bytes: u32, age: u64, version: u64, lease: u64, chain: Chain },
    /// A key too long for a leaf was deleted.
    LongTombstone { chain: Chain },
    /// Something durable that is no user's record.
    System(#[serde(borrow)] SystemRecord<'a>),
}

/// What the engine writes into the log for itself. It takes a position but no revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SystemRecord<'a> {
    /// A compaction to this revision was asked for.
    CompactionScheduled(u64),
    /// A lease was granted.
    LeaseGranted { id: u64, seconds: u64 },
    /// A lease was revoked, or has ended. The tombstones of its keys are before this record, in the same commit.
    LeaseRevoked { id: u64 },
    /// A lease has its whole time before it again.
    LeaseRenewed { id: u64 },
    /// Nothing: the log goes on at another place.
    Moved,
    /// A name pins a revision, and no other any more; until a moment in milliseconds since the beginning of 1970, if it ends.
    Pinned { name: &'a str, revision: u64, expires: Option<u64> },
    /// A name pins nothing any more.
    Unpinned { name: &'a str },
    /// When the calendar said so many milliseconds since 1970, the newest revision was this record's main less `behind`.
    TimeSampled { millis: u64, behind: u64 },
}

impl Chain {
    /// The page that it begins on, or that it says it does.
    pub(crate) fn first_page(&self) -> u32 {
        self.extents.first().map_or(0, |extent| extent.start.page)
    }
}

impl Body<'_> {
    /// The overflow pages that the record uses.
    pub(crate) fn chain(&self) -> Option<&Chain> {
        match self {
            Self::LongValue { chain, .. } | Self::LongKey { chain, .. } | Self::LongTombstone { chain } => {
                Some(chain)
            }
            Self::Put { .. } | Self::Tombstone { .. } | Self::System(_) => None,
        }
    }

    /// The key's version and the main of its creation, for a record that holds a value and stands at `main`.
    pub(crate) fn generation(&self, main: u64) -> Option<(u64, u64)> {
        match self {
            Self::Put { age, version, .. }
            | Self::LongValue { age, version, .. }
            | Self::LongKey { age, version, .. } => Some((*version, main.saturating_sub(*age))),
            Self::Tombstone { .. } | Self::LongTombstone { .. } | Self::System(_) => None,
        }
    }
}

impl<'a> Body<'a> {
    /// The same with its content in other overflow pages.
    pub(crate) fn on_chain(self, chain: Chain) -> Self {
        match self {
            Self::LongValue { key, age, version, lease, .. } => {
                Self::LongValue { key, age, version, lease, chain }
            }
            Self::LongKey { key_bytes, age, version, lease, .. } => {
                Self::LongKey { key_bytes, age, version, lease, chain }
            }
            Self::LongTombstone { .. } => Self::LongTombstone { chain },
            inline @ (Self::Put { .. } | Self::Tombstone { .. } | Self::System(_)) => inline,
        }
    }
}

impl Body<'_> {
    /// The lease that the key is attached to, 0 for none.
    pub(crate) fn lease(&self) -> u64 {
        match self {
            Self::Put { lease, .. } | Self::LongValue { lease, .. } | Self::LongKey { lease, .. } => *lease,
            Self::Tombstone { .. } | Self::LongTombstone { .. } | Self::System(_) => 0,
        }
    }
}

/// A record as it stands in a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) position: Position,
    pub(crate) body: Body<'a>,
}

/// The encoded form: position relative to the leaf's base, then the body.
#[derive(Deserialize)]
struct Stored<'a> {
    main: u64,
    sub: u32,
    #[serde(borrow)]
    body: Body<'a>,
}

/// The same, for writing.
#[derive(Serialize)]
struct StoredRef<'a, 'b> {
    main: u64,
    sub: u32,
    body: &'b Body<'a>,
}

/// The position only, for searching.
#[derive(Deserialize)]
struct StoredPosition {
    main: u64,
    sub: u32,
}

impl<'a> Record<'a> {
    /// Writes the encoding to the start of `buffer` and answers with its length, `None` if it does not fit.
    pub(crate) fn encode(&self, base: u64, buffer: &mut [u8]) -> Option<usize> {
        let stored = StoredRef {
            main: self.position.main.saturating_sub(base),
            sub: self.position.sub,
            body: &self.body,
        };
        postcard::to_slice(&stored, buffer).ok().map(|written| written.len())
    }

    /// # Errors
    /// Says in words why the bytes are no record.
    pub(crate) fn decode(base: u64, bytes: &'a [u8]) -> Result<Self, String> {
        let stored: Stored<'a> =
            postcard::from_bytes(bytes).map_err(|error| format!("a record can't be read: {error}"))?;
        let main = base.checked_add(stored.main).ok_or("a record's revision is too large")?;
        Ok(Self { position: Position::new(main, stored.sub), body: stored.body })
    }

    /// The position alone: cheaper than [`Record::decode`].
    pub(crate) fn decode_position(base: u64, bytes: &[u8]) -> Option<Position> {
        let (stored, _rest) = postcard::take_from_bytes::<StoredPosition>(bytes).ok()?;
        Some(Position::new(base.checked_add(stored.main)?, stored.sub))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: Body<'_>) {
        let record = Record { position: Position::new(1_000_007, 3), body };
        let mut buffer = [0; 200];
        let len = record.encode(1_000_000, &mut buffer).unwrap();
        assert_eq!(Record::decode(1_000_000, &buffer[..len]), Ok(record.clone()));
        assert_eq!(Record::decode_position(1_000_000, &buffer[..len]), Some(record.position));
        assert_eq!(record.encode(1_000_000, &mut buffer[..len - 1]), None);
    }

    #[test]
    fn every_kind_of_record_comes_back() {
        let extents = alloc::vec![Extent { start: PageRef { page: 7, checksum: u64::MAX }, pages: 3 }];
        let chain = Chain { depth: 1, len: 12_000, extents };
        check(Body::Put { key: b"key", age: 7, version: 300, lease: u64::MAX, value: b"" });
        check(Body::Tombstone { key: b"key" });
        check(Body::LongValue { key: b"key", age: 0, version: 1, lease: 5, chain: chain.clone() });
        check(Body::LongKey { key_bytes: 9000, age: 0, version: 1, lease: 0, chain: chain.clone() });
        check(Body::LongTombstone { chain });
        check(Body::System(SystemRecord::CompactionScheduled(12)));
        check(Body::System(SystemRecord::LeaseGranted { id: u64::MAX, seconds: 60 }));
        check(Body::System(SystemRecord::LeaseRevoked { id: 7 }));
        check(Body::System(SystemRecord::LeaseRenewed { id: 7 }));
        check(Body::System(SystemRecord::Moved));
        check(Body::System(SystemRecord::Pinned { name: "monday", revision: 7, expires: None }));
        check(Body::System(SystemRecord::Pinned { name: "m", revision: 7, expires: Some(1 << 40) }));
        check(Body::System(SystemRecord::Unpinned { name: "monday" }));
        check(Body::System(SystemRecord::TimeSampled { millis: u64::MAX, behind: 3 }));
    }

    #[test]
    fn a_small_record_costs_eight_bytes_over_its_key_and_value() {
        let body = Body::Put { key: &[1; 33], age: 100, version: 5, lease: 0, value: &[2; 100] };
        let len = Record { position: Position::new(10, 0), body }.encode(0, &mut [0; 200]);
        assert_eq!(len, Some(33 + 100 + 8));
    }
}
