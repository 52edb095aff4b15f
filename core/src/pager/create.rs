//! Opening: finds the newest meta slot, or creates a store where there is none.
//!
//! Creation writes a meta slot that names an empty state, and then the other. What a crash in the middle of the first leaves, a short
//! medium that begins with zeros, is created anew; anything else without a good slot is an error and stays as it is. A store that is to be
//! filled with what another one held has no good slot until its first checkpoint, and says so in the place of one: what is left of it if it is
//! cut short may be filled once more.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::arena::{FoundSlot, MIN_GROWTH, Pager, Proof, Purpose};
use super::freelist::{self, Freelist};
use super::log::Log;
use super::meta::{
    Identity, LogStart, META_BYTES, META_PAGES, Meta, is_torn_unfinished, is_unfinished, unfinished,
};
use super::page::PageId;
use super::pages::Pages;
use super::space::Space;
use crate::error::{Error, Result};
use crate::limits::{MAX_PAGE_BYTES, MIN_PAGE_BYTES};
use crate::sabotage::sabotaged;
use crate::storage::Storage;

/// What a store is made with if there is none yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewStore {
    pub(crate) store_id: u64,
    pub(crate) page_bytes: usize,
}

impl NewStore {
    fn pages<S: Storage>(self, storage: S, cache_bytes: usize) -> Result<Pages<S>> {
        let identity = Identity { store_id: self.store_id, page_bytes: self.page_bytes };
        Pages::new(storage, identity, cache_bytes)
    }
}

/// A meta slot that verified.
pub(super) struct Found {
    pub(super) meta: Meta,
    pub(super) identity: Identity,
    pub(super) slot: u32,
    sector: Vec<u8>,
    proof: Proof,
}

impl<S: Storage> Pager<S> {
    /// Opens the storage. Answers with what the last checkpoint kept for the layers above, `None` for a new store.
    ///
    /// The log after the checkpoint is not followed yet: [`Pager::next_commit`].
    ///
    /// # Errors
    /// [`Error::NotAStore`], [`Error::NewerFormat`], [`Error::Corrupt`], or [`Error::Storage`].
    pub(crate) fn open(storage: S, new: NewStore, cache_bytes: usize) -> Result<(Self, Option<Vec<u8>>)> {
        match find_meta(&storage)? {
            Some(found) => {
                let pages = Pages::new(storage, found.identity, cache_bytes)?;
                let (mut pager, root) = Self::open_found(pages, found.meta, found.slot)?;
                let Found { slot, sector, proof, .. } = found;
                pager.found_slot = Some(FoundSlot { slot, sector, proof });
                Ok((pager, (!root.is_empty()).then_some(root)))
            }
            None => {
                begin_creation(&storage)?;
                Ok((Self::create(new.pages(storage, cache_bytes)?)?, None))
            }
        }
    }

    /// Begins a store that is none before its first checkpoint: until then there is nothing that could be opened, whatever is written and
    /// wherever it ends. `None` if the storage holds something else than what is left of another one that was begun so.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails.
    pub(crate) fn create_concealed(storage: S, new: NewStore, cache_bytes: usize) -> Result<Option<Self>> {
        if !make_vacant(&storage)? {
            return Ok(None);
        }
        begin_creation(&storage)?;
        if sabotaged!(FilledInTheOpen) {
            return Self::create(new.pages(storage, cache_bytes)?).map(Some);
        }
        storage.write(0, &unfinished())?;
        storage.sync()?;
        storage.set_len(u64::from(META_PAGES) * new.page_bytes as u64)?;
        // Slot 1 is written first in the end: if that tears, slot 0 still says what this is.
        Ok(Some(Self::open_found(new.pages(storage, cache_bytes)?, empty(new.store_id), 0)?.0))
    }

    /// Leaves the storage as it is before a store is created on it.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails.
    #[cfg(feature = "exchange")]
    pub(crate) fn vacate(self) -> Result<()> {
        let Some(storage) = self.into_storage() else { return Ok(()) };
        storage.set_len(0)?;
        begin_creation(&storage)
    }

    fn open_found(pages: Pages<S>, meta: Meta, slot: u32) -> Result<(Self, Vec<u8>)> {
        let length = pages.len();
        let bits = freelist::bits_per_page(pages.page_bytes());
        let is_new = meta.checkpoint == 0 && meta.pages <= META_PAGES;
        if !is_new {
            pages.check_length(meta.pages, slot)?;
        }
        let mut pager = Self {
            pages: Arc::new(pages),
            space: Space::new(meta.pages, bits),
            log: Log::new(meta.log),
            freelist: Freelist::default(),
            checkpoint: meta.checkpoint,
            trusted_slot: slot,
            durable_pages: meta.pages,
            unsynced: 0,
            unsynced_pages: 0,
            bound: None,
            purpose: Purpose::Work,
            found_slot: None,
        };
        pager.load_freelist(meta.freelist)?;
        pager.space.forget_changes();
        pager.space.grow(length);
        if meta.checkpoint == 0 && length <= META_PAGES || sabotaged!(GrownWhenOpened) {
            pager.grow()?;
        }
        Ok((pager, meta.root))
    }

    fn create(pages: Pages<S>) -> Result<Self> {
        let meta = empty(pages.store_id());
        // Slot 1 first: as long as the storage begins with zeros, what is torn there is known for an unfinished creation.
        pages.write_raw(PageId::new(1), &meta.encode(pages.identity, 1))?;
        pages.sync()?;
        // Then the room for the first commits, so that slot 0, and they, say that a shorter storage was cut off.
        let meta = Meta { pages: META_PAGES + MIN_GROWTH, ..meta };
        pages.set_len(meta.pages)?;
        pages.sync()?;
        pages.write_raw(PageId::new(0), &meta.encode(pages.identity, 0))?;
        Ok(Self::open_found(pages, meta, 1)?.0)
    }
}

/// What a slot says of a store without anything.
fn empty(store_id: u64) -> Meta {
    let log = LogStart { next: META_PAGES, previous: store_id, commit: 0 };
    Meta { checkpoint: 0, pages: META_PAGES, freelist: None, log, root: Vec::new() }
}

/// Whether a storage holds nothing, or what a crash left of a creation; after removing what is left of a store that was only being filled.
fn make_vacant<S: Storage>(storage: &S) -> Result<bool> {
    match find_meta(storage) {
        Ok(found) => Ok(found.is_none()),
        Err(Error::NotAStore { .. }) if is_concealed(storage)? => {
            storage.set_len(0)?;
            Ok(true)
        }
        Err(error @ Error::Storage { .. }) => Err(error),
        Err(_) => Ok(false),
    }
}

/// Makes room for the first sector, durably, so that a shorter store is never the trace of a crash.
fn begin_creation<S: Storage>(storage: &S) -> Result<()> {
    let sector = META_BYTES as u64;
    if storage.len()? < sector {
        storage.set_len(sector)?;
        storage.sync()?;
    }
    Ok(())
}

/// The slot with the newest checkpoint, `None` if the storage holds no store yet.
pub(super) fn find_meta<S: Storage>(storage: &S) -> Result<Option<Found>> {
    let len = storage.len()?;
    if len < META_BYTES as u64 {
        let mut start = vec![0; usize::try_from(len).unwrap_or(0)];
        storage.read(0, &mut start)?;
        if start.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        return Err(Error::NotAStore {
            reason: format!("it has {len} bytes, fewer than the smallest store"),
        });
    }
    let mut sector = vec![0; META_BYTES];
    storage.read(0, &mut sector)?;
    let first = Meta::decode(&sector, 0);
    if let Err(error @ Error::NewerFormat { .. }) = first {
        return Err(error);
    }
    let first_error = match first {
        Ok((meta, identity)) => {
            let second = read_second(storage, len, identity.page_bytes)?;
            let first = Found { meta, identity, slot: 0, sector, proof: Proof::None };
            return Ok(Some(newer(first, second)));
        }
        Err(error) => error,
    };
    if let Some(second) = find_second(storage, len)? {
        return Ok(Some(second));
    }
    let is_unfinished = is_unfinished_creation(storage, len)? && !sabotaged!(CreationRefused);
    if is_unfinished { Ok(None) } else { Err(first_error) }
}

/// The second slot, wherever it may be.
fn find_second<S: Storage>(storage: &S, len: u64) -> Result<Option<Found>> {
    let mut page_bytes = MIN_PAGE_BYTES;
    while page_bytes <= MAX_PAGE_BYTES {
        if let Some(second) = read_second(storage, len, page_bytes)? {
            return Ok(Some(second));
        }
        page_bytes *= 2;
    }
    Ok(None)
}

/// The one meta slot that can be read, where the other can't.
///
/// # Errors
/// The failure itself if there is none.
pub(super) fn find_readable<S: Storage>(storage: &S, failure: Error) -> Result<Option<Found>> {
    let mut sector = vec![0; META_BYTES];
    let first = storage.read(0, &mut sector).and_then(|()| Meta::decode(&sector, 0));
    if let Ok((meta, identity)) = first {
        return Ok(Some(Found { meta, identity, slot: 0, sector, proof: Proof::None }));
    }
    find_second(storage, storage.len()?)?.map_or(Err(failure), |found| Ok(Some(found)))
}

/// Whether a storage without a good slot says that it was only being filled.
fn is_concealed<S: Storage>(storage: &S) -> Result<bool> {
    let mut sector = vec![0; META_BYTES];
    if storage.len()? < META_BYTES as u64 {
        return Ok(false);
    }
    storage.read(0, &mut sector)?;
    Ok(is_unfinished(&sector))
}

/// Whether the storage may be what a crash left of creating a store: nothing but zeros, and perhaps a torn sector where the second
/// meta slot is, which is written first; or, of a store that is to be filled, nothing but a torn first sector.
fn is_unfinished_creation<S: Storage>(storage: &S, len: u64) -> Result<bool> {
    if len == META_BYTES as u64 {
        let mut sector = vec![0; META_BYTES];
        storage.read(0, &mut sector)?;
        return Ok(is_torn_unfinished(&sector));
    }
    let before_slot = len.saturating_sub(META_BYTES as u64);
    let is_a_page = before_slot.is_power_of_two()
        && (MIN_PAGE_BYTES as u64..=MAX_PAGE_BYTES as u64).contains(&before_slot);
    if before_slot != 0 && !is_a_page {
        return Ok(false);
    }
    let mut start = vec![0; usize::try_from(before_slot.max(META_BYTES as u64)).unwrap_or(META_BYTES)];
    storage.read(0, &mut start)?;
    Ok(start.iter().all(|byte| *byte == 0))
}

fn newer(first: Found, second: Option<Found>) -> Found {
    match second {
        Some(second)
            if second.identity == first.identity && second.meta.checkpoint > first.meta.checkpoint =>
        {
            second
        }
        Some(second)
            if second.identity == first.identity && second.meta.checkpoint == first.meta.checkpoint =>
        {
            Found { proof: Proof::BothSlots, ..first }
        }
        _ => first,
    }
}

/// The second slot, if it verifies and is meant for this page size.
fn read_second<S: Storage>(storage: &S, len: u64, page_bytes: usize) -> Result<Option<Found>> {
    let offset = page_bytes as u64;
    if offset + META_BYTES as u64 > len {
        return Ok(None);
    }
    let mut sector = vec![0; META_BYTES];
    storage.read(offset, &mut sector)?;
    match Meta::decode(&sector, 1) {
        Ok((meta, identity)) if identity.page_bytes == page_bytes => {
            Ok(Some(Found { meta, identity, slot: 1, sector, proof: Proof::None }))
        }
        Err(error @ Error::NewerFormat { .. }) => Err(error),
        Ok(_) | Err(_) => Ok(None),
    }
}
