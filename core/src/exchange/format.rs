//! What exports are made of. `EXPORT.md` is normative.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh64::xxh64;

use crate::limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use crate::revision::Position;
use crate::store::Change;

/// What an export begins with.
pub(super) const MAGIC: &[u8; 8] = b"palimpx\x01";
/// The version of exports that this build writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;
/// Bytes before the first section: the magic ones and the version.
pub(super) const START_BYTES: usize = 12;
/// Bytes of a section before its content: kind, flags, length.
pub(super) const HEAD_BYTES: usize = 8;
/// Bytes of a section after its content: its checksum.
pub(super) const FOOT_BYTES: usize = 8;
/// Bytes of content after which a section ends.
pub(super) const SECTION_BYTES: usize = 32 * 1024;
/// The longest content that a section can have, in bytes.
pub(super) const MAX_SECTION_BYTES: usize = 64 * 1024;
/// Said of a section that a reader may leave out if it does not know the kind.
pub(super) const FLAG_OPTIONAL: u16 = 1;
/// The longest record, in bytes: a key, a value, and numbers.
pub(super) const MAX_RECORD_BYTES: u32 = (MAX_KEY_BYTES + MAX_VALUE_BYTES + 64) as u32;

/// What sections hold, in the order in which they come.
pub(super) mod kind {
    /// What the store is besides its records. One section, the first.
    pub(in crate::exchange) const STATE: u16 = 1;
    /// Leases.
    pub(in crate::exchange) const LEASES: u16 = 2;
    /// Pins.
    pub(in crate::exchange) const PINS: u16 = 3;
    /// When revisions were written.
    pub(in crate::exchange) const TIMES: u16 = 4;
    /// Records.
    pub(in crate::exchange) const RECORDS: u16 = 0x100;
    /// How much there was. One section, the last.
    pub(in crate::exchange) const END: u16 = 0xFFFF;
}

/// The first section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) revision: u64,
    pub(super) compacted: Option<u64>,
}

/// The last section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) leases: u64,
    pub(super) records: u64,
    /// Bytes before this section.
    pub(super) bytes: u64,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Body<'a> {
    Put {
        #[serde(with = "serde_bytes", borrow)]
        key: &'a [u8],
        age: u64,
        version: u64,
        lease: u64,
        #[serde(with = "serde_bytes", borrow)]
        value: &'a [u8],
    },
    Tombstone {
        #[serde(with = "serde_bytes", borrow)]
        key: &'a [u8],
    },
}

/// A record, its revision relative to that of the record before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record<'a> {
    main: u64,
    sub: u32,
    #[serde(borrow)]
    body: Body<'a>,
}

/// Appends something in postcard.
pub(super) fn append<T: Serialize>(out: &mut Vec<u8>, item: &T) {
    let Ok(appended) = postcard::to_extend(item, core::mem::take(out)) else {
        unreachable!("a vector takes any number of bytes")
    };
    *out = appended;
}

/// Appends a record with its length. `before` is the revision of the record before it.
pub(super) fn append_record(out: &mut Vec<u8>, before: u64, position: Position, change: Change<'_>) {
    let body = match change {
        Change::Put { key, value, version, created, lease } => {
            Body::Put { key, age: position.main.saturating_sub(created), version, lease, value }
        }
        Change::Tombstone { key } => Body::Tombstone { key },
    };
    let record = Record { main: position.main.saturating_sub(before), sub: position.sub, body };
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    append(out, &record);
    let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = length.to_le_bytes();
    }
}

/// The first record of some bytes, and how many bytes it takes; nothing if they end within it.
///
/// # Errors
/// Says in words why there is no record.
pub(super) fn take_record(
    bytes: &[u8],
    before: u64,
) -> Result<Option<(Position, Change<'_>, usize)>, String> {
    let Some((length, rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let length = u32::from_le_bytes(*length);
    if length > MAX_RECORD_BYTES {
        return Err(format!("a record of {length} bytes"));
    }
    let Some(encoded) = rest.get(..length as usize) else { return Ok(None) };
    let (Record { main, sub, body }, behind) = postcard::take_from_bytes::<Record<'_>>(encoded)
        .map_err(|error| format!("a record can't be read: {error}"))?;
    if !behind.is_empty() {
        return Err(format!("{} bytes behind a record", behind.len()));
    }
    let main = before.checked_add(main).ok_or("a record's revision is too large")?;
    let change = match body {
        Body::Put { key, age, version, lease, value } => {
            let created = main.checked_sub(age).ok_or("a key is older than all revisions")?;
            Change::Put { key, value, version, created, lease }
        }
        Body::Tombstone { key } => Change::Tombstone { key },
    };
    Ok(Some((Position::new(main, sub), change, 4 + encoded.len())))
}

/// The start of an export.
pub(super) fn start() -> Vec<u8> {
    [MAGIC.as_slice(), &VERSION.to_le_bytes()].concat()
}

/// The checksum of some bytes that follow bytes with another checksum, which it is seeded with: so that the last one is that of all.
pub(super) fn chained(before: u64, bytes: &[u8]) -> u64 {
    xxh64(bytes, before)
}

/// Appends a section, and answers its checksum.
pub(super) fn append_section(out: &mut Vec<u8>, before: u64, kind: u16, content: &[u8]) -> u64 {
    let from = out.len();
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&0u16.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(content);
    let checksum = chained(before, out.get(from..).unwrap_or(&[]));
    out.extend_from_slice(&checksum.to_le_bytes());
    checksum
}

/// What a section says of itself before its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) length: usize,
}

impl Head {
    /// The head at the beginning of some bytes, nothing if they are too few.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [kind, more_kind, flags, more_flags, length @ ..] = bytes.first_chunk::<HEAD_BYTES>()?;
        Some(Self {
            kind: u16::from_le_bytes([*kind, *more_kind]),
            flags: u16::from_le_bytes([*flags, *more_flags]),
            length: usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX),
        })
    }
}
