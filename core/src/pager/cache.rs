//! Pages in memory, up to a bound in bytes.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use super::page::{Page, PageId};
use crate::sync::RwLock;

/// Pages read from the storage or on their way to it. Evicts by CLOCK: a page that was used since the hand last passed is
/// spared once (Corbató, "A Paging Experiment with the Multics System", 1968).
#[derive(Debug)]
pub(super) struct Cache {
    inner: RwLock<Inner>,
    limit: usize,
}

/// Invariants: `bytes` is the sum of the pages' lengths; a page stands at the slot of its number.
#[derive(Debug, Default)]
struct Inner {
    slots: Vec<Slot>,
    bytes: usize,
    hand: usize,
}

#[derive(Debug, Default)]
struct Slot {
    page: Option<Page>,
    used: AtomicBool,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Self {
        Self { inner: RwLock::new(Inner::default()), limit }
    }

    pub(super) fn get(&self, place: PageId) -> Option<Page> {
        let inner = self.inner.read();
        let slot = inner.slots.get(place.get() as usize)?;
        let page = slot.page.as_ref()?;
        // Most pages that are found are in use already; not writing spares their line from moving between cores.
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(page))
    }

    /// Looks for many pages at once. Answers with each one's checksum as it was asked for, beside the page. It does not
    /// count as use, so that a scan does not drive out what is read again and again.
    pub(super) fn get_many(
        &self,
        places: impl Iterator<Item = Option<(PageId, u64)>>,
    ) -> Vec<(Option<Page>, u64)> {
        let inner = self.inner.read();
        let page = |place: PageId| inner.slots.get(place.get() as usize)?.page.as_ref();
        places
            .map(|place| place.map_or((None, 0), |(place, sum)| (page(place).map(Arc::clone), sum)))
            .collect()
    }

    pub(super) fn insert(&self, place: PageId, page: Page) {
        let mut inner = self.inner.write();
        inner.remove(place);
        inner.make_room(page.len(), self.limit);
        if inner.bytes + page.len() > self.limit {
            return;
        }
        let at = place.get() as usize;
        if at >= inner.slots.len() {
            inner.slots.resize_with(at + 1, Slot::default);
        }
        inner.bytes += page.len();
        if let Some(slot) = inner.slots.get_mut(at) {
            *slot = Slot { page: Some(page), used: AtomicBool::new(false) };
        }
    }

    pub(super) fn remove(&self, place: PageId) {
        self.inner.write().remove(place);
    }

    pub(super) fn bytes(&self) -> usize {
        self.inner.read().bytes
    }
}

impl Inner {
    fn remove(&mut self, place: PageId) {
        if let Some(page) = self.slots.get_mut(place.get() as usize).and_then(|slot| slot.page.take()) {
            self.bytes -= page.len();
        }
    }

    /// Evicts until `bytes` more fit below `limit`, or nothing is left. Two rounds of the hand always suffice.
    fn make_room(&mut self, bytes: usize, limit: usize) {
        let mut looks = 2 * self.slots.len();
        while self.bytes + bytes > limit && looks > 0 {
            looks -= 1;
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            let Some(slot) = self.slots.get_mut(self.hand) else { return };
            if slot.used.swap(false, Ordering::Relaxed) {
                continue;
            }
            if let Some(page) = slot.page.take() {
                self.bytes -= page.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(byte: u8) -> Page {
        alloc::vec![byte; 100].into()
    }

    #[test]
    fn a_used_page_outlives_unused_ones_and_the_bound_holds() {
        let cache = Cache::new(1000);
        cache.insert(PageId::new(0), page(0));
        for number in 1..200u8 {
            cache.insert(PageId::new(number.into()), page(number));
            assert!(cache.bytes() <= 1000);
            assert_eq!(cache.get(PageId::new(0)).unwrap()[0], 0, "page 0 is used all the time");
        }
        cache.remove(PageId::new(0));
        assert!(cache.get(PageId::new(0)).is_none());
    }

    #[test]
    fn a_page_larger_than_the_bound_is_not_kept() {
        let cache = Cache::new(50);
        cache.insert(PageId::new(3), page(1));
        assert_eq!((cache.bytes(), cache.get(PageId::new(3))), (0, None));
    }
}
