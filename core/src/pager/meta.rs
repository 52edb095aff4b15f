//! The two meta slots: which checkpoint is the newest, and where everything starts.
//!
//! The layout is described in `FORMAT.md`, section "Meta page", and only there. A meta page's content is one sector of 512
//! bytes, so that a medium that writes sectors whole can't tear it.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::page::{PageRef, put_at, u32_at, u64_at};
use crate::checksum::checksum;
use crate::error::{Error, PageKind, Result};
use crate::limits::{FORMAT_VERSION, MAX_PAGE_BYTES, MIN_PAGE_BYTES};
use crate::sabotage::sabotaged;

/// Bytes of a meta page that mean something.
pub(super) const META_BYTES: usize = MIN_PAGE_BYTES;
/// Pages kept for meta slots at the start of the storage.
pub(crate) const META_PAGES: u32 = 2;

/// More checkpoints or commits than this no store lives to see.
const MAX_COUNT: u64 = 1 << 60;

const MAGIC: &[u8; 8] = b"palimps\x01";
const VERSION: usize = 8;
const PAGE_BYTES: usize = 12;
const STORE_ID: usize = 16;
const BODY: usize = 24;
const CHECKSUM: usize = META_BYTES - 8;

/// Where the log goes on after a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogStart {
    /// The page that the log's next page will be written to.
    pub(crate) next: u32,
    /// The checksum of the log's last page.
    pub(crate) previous: u64,
    /// The number of the last commit.
    pub(crate) commit: u64,
}

/// What a meta slot says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    /// The number of the checkpoint; the slot with the greater number counts.
    pub(super) checkpoint: u64,
    /// The storage's length in pages.
    pub(super) pages: u32,
    /// The root of the map of used pages, and its level.
    pub(super) freelist: Option<(PageRef, u8)>,
    pub(super) log: LogStart,
    /// What the layers above want to find again. At most [`MAX_ROOT_BYTES`].
    pub(super) root: Vec<u8>,
}

/// Bytes that the layers above may keep in a meta slot.
pub(crate) const MAX_ROOT_BYTES: usize = 320;

/// What tells one store's pages from another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) store_id: u64,
    pub(crate) page_bytes: usize,
}

/// What stands in slot 0 while a store is filled with what another one held.
const UNFINISHED: &[u8] = b"an unfinished import or salvage of a palimpsest";

/// The first sector of a store that is being filled.
pub(super) fn unfinished() -> Vec<u8> {
    let mut sector = vec![0; META_BYTES];
    put_at(&mut sector, 0, UNFINISHED);
    sector
}

/// Whether a sector may be what a crash left of writing [`unfinished`] over zeros.
pub(super) fn is_torn_unfinished(sector: &[u8]) -> bool {
    unfinished().iter().zip(sector).all(|(whole, byte)| *byte == 0 || byte == whole)
}

/// Whether a sector says that what is behind it is not a store yet.
pub(super) fn is_unfinished(sector: &[u8]) -> bool {
    sector == unfinished()
}

impl Meta {
    /// The sector to write to `slot` (0 or 1).
    pub(super) fn encode(&self, identity: Identity, slot: u32) -> Vec<u8> {
        let mut sector = vec![0; META_BYTES];
        put_at(&mut sector, 0, MAGIC);
        put_at(&mut sector, VERSION, &FORMAT_VERSION.to_le_bytes());
        let page_bytes = u32::try_from(identity.page_bytes).unwrap_or(0);
        put_at(&mut sector, PAGE_BYTES, &page_bytes.to_le_bytes());
        put_at(&mut sector, STORE_ID, &identity.store_id.to_le_bytes());
        let body = sector.get_mut(BODY..CHECKSUM).unwrap_or(&mut []);
        let written = postcard::to_slice(self, body).is_ok();
        assert!(written, "a meta body of {} root bytes fits its sector", self.root.len());
        let sum = checksum(identity.store_id, slot, sector.get(..CHECKSUM).unwrap_or(&[]));
        put_at(&mut sector, CHECKSUM, &sum.to_le_bytes());
        sector
    }

    /// Reads a sector found at `slot`.
    ///
    /// # Errors
    /// [`Error::NotAStore`] without the format's first bytes, [`Error::NewerFormat`], or [`Error::Corrupt`].
    pub(super) fn decode(sector: &[u8], slot: u32) -> Result<(Self, Identity)> {
        if sector.get(..MAGIC.len()) != Some(MAGIC) {
            let reason = if is_unfinished(sector) {
                "it is what is left of an import or a salvage that was cut short, which can be done again"
            } else if sector.iter().all(|byte| *byte == 0) {
                "it begins with zeros: it never was one, or both of its meta pages are lost"
            } else {
                "it does not begin with the format's first bytes"
            };
            return Err(Error::NotAStore { reason: reason.into() });
        }
        let store_id = u64_at(sector, STORE_ID);
        let sum = checksum(store_id, slot, sector.get(..CHECKSUM).unwrap_or(&[]));
        let said = u64_at(sector, CHECKSUM);
        let is_zero_accepted = said == 0 && sabotaged!(ZeroChecksumAccepted);
        if sum != said && !is_zero_accepted && !sabotaged!(MetaChecksumUnchecked) {
            return Err(Error::corrupt(slot, PageKind::Meta, "the checksum does not match"));
        }
        let found = u32_at(sector, VERSION);
        if found > FORMAT_VERSION {
            return Err(Error::NewerFormat { found, supported: FORMAT_VERSION });
        }
        let page_bytes = u32_at(sector, PAGE_BYTES) as usize;
        if !page_bytes.is_power_of_two() || !(MIN_PAGE_BYTES..=MAX_PAGE_BYTES).contains(&page_bytes) {
            return Err(Error::corrupt(slot, PageKind::Meta, format!("a page size of {page_bytes} bytes")));
        }
        let meta: Self =
            postcard::from_bytes(sector.get(BODY..CHECKSUM).unwrap_or(&[])).map_err(|error| {
                Error::corrupt(slot, PageKind::Meta, format!("the body can't be read: {error}"))
            })?;
        if meta.checkpoint > MAX_COUNT || meta.log.commit > MAX_COUNT {
            let counts = (meta.checkpoint, meta.log.commit);
            return Err(Error::corrupt(slot, PageKind::Meta, format!("checkpoint and commit {counts:?}")));
        }
        Ok((meta, Identity { store_id, page_bytes }))
    }
}
