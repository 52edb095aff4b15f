//! What every page of the storage is used for, so that a store can be seen.

use alloc::vec;
use alloc::vec::Vec;

use super::Store;
use crate::error::PageKind;
use crate::pager::{HEADER_BYTES, META_PAGES, PageId};
use crate::storage::Storage;

/// What a page is used for. See [`Store::pages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageUse {
    /// Nothing: the next write may use it.
    Free,
    /// The newest state has let go of it; a checkpoint or a snapshot may still reach it.
    Pending,
    /// The newest state reaches it.
    Used {
        /// What is on it.
        kind: PageKind,
        /// Bytes of it that are filled.
        bytes: u32,
    },
}

impl<S: Storage> Store<S> {
    /// What each page of the storage is used for, by its number: [`Status::file_bytes`](crate::Status::file_bytes) less what no whole
    /// page fills, at [`Status::page_bytes`](crate::Status::page_bytes) each.
    ///
    /// Overflow pages are told as filled, also the last of a value. The place where the log goes on is told as a leaf without bytes. Costs
    /// a walk of the inner nodes, which are in memory, and 12 bytes a page: no page is read.
    ///
    /// ```
    /// # use palimpsest_kv::{Options, PageKind, PageUse, Store, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// store.put("key", "value")?;
    /// let pages = store.pages();
    /// assert!(matches!(pages[0], PageUse::Used { kind: PageKind::Meta, .. }));
    /// assert_eq!(pages.iter().filter(|page| **page == PageUse::Free).count() as u64, store.status()?.free_pages);
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    #[must_use]
    pub fn pages(&self) -> Vec<PageUse> {
        let pager = &self.pager;
        let narrow = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let whole = narrow(pager.page_bytes());
        let mut map = vec![PageUse::Free; pager.file_pages() as usize];
        let mut set = |page: PageId, found: PageUse| {
            if let Some(place) = map.get_mut(page.get() as usize) {
                *place = found;
            }
        };
        let used = |kind, bytes| PageUse::Used { kind, bytes };
        // What nothing below names is what long keys and values, and lists, are on.
        pager.used_pages().for_each(|page| set(page, used(PageKind::Overflow, whole)));
        pager.pending().for_each(|page| set(page, PageUse::Pending));
        pager.own_pages().for_each(|page| set(page, used(PageKind::Freelist, whole)));
        (0..META_PAGES).for_each(|page| set(PageId::new(page), used(PageKind::Meta, whole)));
        set(pager.log_next(), used(PageKind::Leaf, 0));
        let tree = self.records.tree();
        tree.branch_pages().into_iter().for_each(|(page, bytes)| set(page, used(PageKind::Branch, bytes)));
        let leaf = |bytes: usize| used(PageKind::Leaf, narrow(HEADER_BYTES + bytes));
        tree.leaves().for_each(|found| set(PageId::new(found.place.page), leaf(usize::from(found.used))));
        self.records.full_pages().for_each(|page| set(page, used(PageKind::Leaf, whole)));
        self.records.open_page().into_iter().for_each(|page| set(page, leaf(self.records.open_bytes())));
        map
    }
}
