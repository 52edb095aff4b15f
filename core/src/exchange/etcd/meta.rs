//! bbolt's two meta pages, of which the newer good one counts.
//!
//! Behind the page's header: magic u32, version u32, page bytes u32, flags u32, root page u64, sequence u64, freelist u64, pages u64, transaction u64,
//! and FNV-1a-64 of these bytes.

use core::hash::Hasher;

use fnv::FnvHasher;

use super::page::{PAGE_HEADER_BYTES, u32_at, u64_at};
use crate::error::{Error, Result};
use crate::storage::ReadAt;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
/// Bytes that the checksum is of.
const COVERED_BYTES: usize = 56;
const META_BYTES: usize = PAGE_HEADER_BYTES + COVERED_BYTES + 8;
const LEAST_PAGE_BYTES: u32 = 512;
const MOST_PAGE_BYTES: u32 = 64 * 1024;

/// What counts of a meta page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) page_bytes: u32,
    /// The page that the tree of all buckets begins on.
    pub(super) root: u64,
    /// No page has this number or a greater one.
    pub(super) pages: u64,
    transaction: u64,
}

impl Meta {
    /// # Errors
    /// [`Error::InvalidSource`] if neither of the two is good, [`Error::Storage`].
    pub(super) fn find<R: ReadAt>(source: &R, length: u64) -> Result<Self> {
        let first = Self::read(source, 0, length)?;
        let second = match first {
            Some(first) => Self::read(source, first.page_bytes.into(), length)?,
            None => {
                let mut found = None;
                let mut page_bytes = LEAST_PAGE_BYTES;
                while page_bytes <= MOST_PAGE_BYTES && found.is_none() {
                    found = Self::read(source, page_bytes.into(), length)?;
                    page_bytes *= 2;
                }
                found
            }
        };
        let newer = [first, second].into_iter().flatten().max_by_key(|meta| meta.transaction);
        newer.ok_or_else(|| {
            Error::invalid_source(0, "it is no file of etcd: neither of its meta pages is good")
        })
    }

    /// The meta page at an offset, if it is good.
    fn read<R: ReadAt>(source: &R, offset: u64, length: u64) -> Result<Option<Self>> {
        let mut bytes = [0; META_BYTES];
        if offset + META_BYTES as u64 > length {
            return Ok(None);
        }
        source.read_at(offset, &mut bytes)?;
        Ok(Self::decode(&bytes, offset))
    }

    fn decode(bytes: &[u8], offset: u64) -> Option<Self> {
        let meta = bytes.get(PAGE_HEADER_BYTES..)?;
        let (covered, said) = meta.split_last_chunk::<8>()?;
        let mut hasher = FnvHasher::default();
        hasher.write(covered);
        let page_bytes = u32_at(meta, 8)?;
        let is_good = u32_at(meta, 0)? == MAGIC
            && u32_at(meta, 4)? == VERSION
            && hasher.finish() == u64::from_le_bytes(*said)
            && page_bytes.is_power_of_two()
            && (LEAST_PAGE_BYTES..=MOST_PAGE_BYTES).contains(&page_bytes)
            && (offset == 0 || offset == u64::from(page_bytes));
        let (root, pages, transaction) = (u64_at(meta, 16)?, u64_at(meta, 40)?, u64_at(meta, 48)?);
        is_good.then_some(Self { page_bytes, root, pages, transaction })
    }
}
