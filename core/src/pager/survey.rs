//! Looking at a storage that may be damaged: as much of the meta slots, the map of used pages and the log as can be read. Nothing
//! is written, and damage ends nothing but the part that it is in.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::bitmap::Bitmap;
use super::create::{find_meta, find_readable};
use super::freelist::{MAX_LEVEL, Node, bits_per_page, children, top_level};
use super::log::{Log, LogPage, Replayed};
use super::meta::{META_BYTES, META_PAGES, Meta};
use super::page::{HEADER_BYTES, Header, Page, PageId, PageRef, check_kind, is_sealed, u64_at};
use super::pages::Pages;
use super::replay::read_commit;
use crate::error::{Error, PageKind, Result};
use crate::storage::Storage;

/// A storage whose identity is known, and what its newest meta slot says.
pub(crate) struct Survey<S> {
    pages: Pages<S>,
    meta: Meta,
}

/// What the map of used pages says of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The checkpoint reaches it.
    Used,
    /// It does not.
    Free,
    /// The part of the map that would tell is damaged.
    Unknown,
}

/// The map of used pages, as far as it can be read.
///
/// Invariant: a page is used or free only if its group was read.
#[derive(Debug, Default)]
pub(crate) struct Map {
    used: Bitmap,
    /// Groups of pages whose part of the map was read.
    read: Bitmap,
    group_bits: u32,
    /// Pages that the map itself stands on.
    own: Vec<PageId>,
    /// Used pages that the storage has lost by being cut off.
    cut_off: u64,
    is_whole: bool,
}

impl Map {
    /// Whether all of it could be read.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// What the map says of a page.
    pub(crate) fn mark(&self, page: PageId) -> Mark {
        match self.read.contains(page.get() / self.group_bits.max(1)) {
            true if self.used.contains(page.get()) => Mark::Used,
            true => Mark::Free,
            false => Mark::Unknown,
        }
    }

    /// How many used pages the storage has lost by being cut off.
    pub(crate) fn cut_off(&self) -> u64 {
        self.cut_off
    }

    /// The pages that are known to be used.
    pub(crate) fn used(&self) -> impl Iterator<Item = PageId> + '_ {
        self.used.iter().map(PageId::new)
    }

    /// The pages of the map that could be read.
    pub(crate) fn own_pages(&self) -> impl Iterator<Item = PageId> + '_ {
        self.own.iter().copied()
    }
}

/// A failure to read a page, told as damage of that page: a medium can refuse one sector and give all others.
pub(crate) fn in_page(page: u32, kind: PageKind) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::Storage { reason, .. } => Error::corrupt(page, kind, format!("it can't be read: {reason}")),
        other => other,
    }
}

impl<S: Storage> Survey<S> {
    /// Finds the newest meta slot that verifies. Damage of the other one goes to `damage`.
    ///
    /// # Errors
    /// [`Error::NotAStore`] if there is none, [`Error::NewerFormat`], [`Error::Storage`].
    pub(crate) fn new(storage: S, damage: &mut impl FnMut(Error)) -> Result<Self> {
        let found = match find_meta(&storage) {
            // The second slot may be readable where the first is not, or the other way around.
            Err(error @ Error::Storage { .. }) => find_readable(&storage, error)?,
            Err(Error::Corrupt { what, .. }) => {
                let reason = format!("neither of its meta slots can be used: {what}");
                return Err(Error::NotAStore { reason });
            }
            other => other?,
        };
        let found = found.ok_or_else(|| Error::NotAStore { reason: "it is empty".into() })?;
        let survey = Self { pages: Pages::new(storage, found.identity, 0)?, meta: found.meta };
        survey.check_slot(1 - found.slot, damage)?;
        let there = survey.pages.len();
        if survey.is_cut() {
            let what = format!("the storage was {} pages long and has {there} now", survey.meta.pages);
            damage(Error::corrupt(found.slot, PageKind::Meta, what));
        }
        Ok(survey)
    }

    /// The slot that is not relied on must verify as well, if it was ever written.
    fn check_slot(&self, slot: u32, damage: &mut impl FnMut(Error)) -> Result<()> {
        let offset = u64::from(slot) * self.pages.page_bytes() as u64;
        let mut sector = vec![0; META_BYTES];
        if offset + META_BYTES as u64 > self.pages.storage_bytes()? {
            return Ok(());
        }
        let read = self.pages.read_raw(PageId::new(slot), &mut sector);
        let is_blank = read.is_ok() && self.meta.checkpoint == 0 && sector.iter().all(|byte| *byte == 0);
        match read.and_then(|()| Meta::decode(&sector, slot)) {
            Ok((_, identity)) if identity == self.pages.identity => {}
            Ok(_) => damage(Error::corrupt(slot, PageKind::Meta, "it is another store's")),
            Err(_) if is_blank => {}
            Err(Error::NotAStore { reason }) => damage(Error::corrupt(slot, PageKind::Meta, reason)),
            Err(error) => damage(in_page(slot, PageKind::Meta)(error)),
        }
        Ok(())
    }

    /// Whether the storage is shorter than it was when the checkpoint was made.
    pub(crate) fn is_cut(&self) -> bool {
        self.meta.checkpoint > 0 && self.pages.len() < self.meta.pages
    }

    pub(crate) fn pages(&self) -> &Pages<S> {
        &self.pages
    }

    /// What the last checkpoint kept for the layers above; nothing before the first.
    pub(crate) fn root(&self) -> &[u8] {
        &self.meta.root
    }

    /// The storage's length in whole pages.
    pub(crate) fn len(&self) -> u32 {
        self.pages.len()
    }

    /// A page as its parent names it, whatever fails told as damage of it.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub(crate) fn load(&self, place: PageRef, kind: PageKind) -> Result<Page> {
        self.pages.load(place, kind).map_err(in_page(place.page, kind))
    }

    /// A page that verifies for its place by itself, whoever may name it, if it is a branch or a leaf.
    pub(crate) fn lone(&self, page: PageId) -> Option<(PageKind, PageRef, Page)> {
        let bytes = self.pages.load_unverified(page).ok()??;
        let kinds = [PageKind::Branch, PageKind::Leaf];
        let kind = kinds.into_iter().find(|kind| check_kind(&bytes, page, *kind).is_ok())?;
        let place = PageRef { page: page.get(), checksum: Header::of(&bytes).checksum() };
        is_sealed(&bytes, self.pages.store_id(), page).then_some((kind, place, bytes))
    }

    /// The pages that the pager itself uses beside the map: the meta slots and the place of the log's next page.
    pub(crate) fn own_pages(&self) -> impl Iterator<Item = PageId> + use<S> {
        (0..META_PAGES).chain([self.meta.log.next]).map(PageId::new)
    }

    /// A page that verifies for its place by itself, if it may be one of the log after a commit.
    pub(crate) fn log_page_after(&self, commit: u64, page: PageId) -> Option<(LogPage, Page)> {
        let (kind, _, bytes) = self.lone(page)?;
        let header = LogPage::of(page, &bytes);
        (kind == PageKind::Leaf && header.commit > commit).then_some((header, bytes))
    }

    /// Where the log begins.
    pub(crate) fn log(&self) -> Log {
        Log::new(self.meta.log)
    }

    /// The commit after a point of the log, if it is there whole.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails to read what it holds.
    pub(crate) fn next_commit(&self, log: &Log) -> Result<Option<Vec<Replayed>>> {
        read_commit(&self.pages, log)
    }

    /// Reads the map of used pages, as far as that is possible. What is wrong with it goes to `damage`.
    pub(crate) fn map(&self, damage: &mut impl FnMut(Error)) -> Map {
        let page_bytes = self.pages.page_bytes();
        let group_bits = bits_per_page(page_bytes);
        let mut map = Map { group_bits, ..Map::default() };
        let Some((place, level)) = self.meta.freelist else {
            // Before the first checkpoint nothing is used but the log.
            (0..self.len().div_ceil(group_bits)).for_each(|group| _ = map.read.insert(group));
            map.is_whole = true;
            return map;
        };
        if level > MAX_LEVEL || level != top_level(self.meta.pages, page_bytes) {
            damage(Error::corrupt(place.page, PageKind::Freelist, format!("a map of level {level}")));
            return map;
        }
        let mut seen = BTreeSet::new();
        let mut open: Vec<(Node, PageRef)> = vec![((level, 0), place)];
        while let Some((node, place)) = open.pop() {
            let taken = self.map_page(node, place, &mut seen).and_then(|page| {
                if node.0 == 0 {
                    return self.take_bits(&mut map, (node.1, place), &page);
                }
                open.extend(children(node, &page));
                Ok(())
            });
            taken.unwrap_or_else(&mut *damage);
        }
        let groups = self.meta.pages.div_ceil(group_bits);
        map.is_whole = map.read.iter().count() == groups as usize;
        map.own = seen.into_iter().map(PageId::new).collect();
        map
    }

    /// A page of the map. Each is looked at once: pages that name each other in a tangle would keep this busy for ever.
    fn map_page(&self, node: Node, place: PageRef, seen: &mut BTreeSet<u32>) -> Result<Page> {
        let corrupt = |what: &str| Error::corrupt(place.page, PageKind::Freelist, what);
        let page = self.load(place, PageKind::Freelist)?;
        if Header::of(&page).level() != node.0 {
            return Err(corrupt("the level does not match"));
        }
        if !seen.insert(place.page) {
            return Err(corrupt("it is named twice"));
        }
        Ok(page)
    }

    /// Notes what a bitmap page says.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if some of that can't be.
    fn take_bits(&self, map: &mut Map, (group, place): (u32, PageRef), page: &Page) -> Result<()> {
        let corrupt = |what: &str| Error::corrupt(place.page, PageKind::Freelist, what);
        let most = self.meta.pages.max(META_PAGES);
        if u64::from(group) * u64::from(map.group_bits) >= u64::from(most) {
            return Err(corrupt("it tells of pages that there are not"));
        }
        map.read.insert(group);
        let mut beyond = None;
        for word in 0..map.group_bits / 64 {
            let bits = u64_at(page, HEADER_BYTES + word as usize * 8);
            for bit in (0..64).filter(|bit| bits & (1 << bit) != 0) {
                let used = u64::from(group) * u64::from(map.group_bits) + u64::from(word * 64 + bit);
                match u32::try_from(used).ok().filter(|used| *used < most) {
                    Some(used) if used < self.len() => _ = map.used.insert(used),
                    Some(_) => map.cut_off += 1,
                    None => beyond = Some(used),
                }
            }
        }
        match beyond {
            Some(used) => Err(corrupt(&format!("page {used} is used, and there are {most}"))),
            None => Ok(()),
        }
    }
}
