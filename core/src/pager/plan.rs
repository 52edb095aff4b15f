//! Writing the map of used pages with a checkpoint, and reading it when a store is opened.
//!
//! Describing which pages are used takes and frees pages itself: places are given out until that changes nothing more, which takes
//! two or three rounds, and only then is anything encoded.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use super::arena::Pager;
use super::freelist::{
    ENTRY_BYTES, Freelist, MAX_LEVEL, Node, Plan, bits_per_page, children, fan_out, top_level,
};
use super::page::{
    HEADER_BYTES, Header, Page, PageId, PageRef, blank, page_mut, put_at, seal, set_level, u64_at,
};
use crate::error::{Error, PageKind, Result};
use crate::storage::Storage;

impl<S: Storage> Pager<S> {
    /// Gives every changed page of the map a new place, and encodes it. The pages must be written before the meta slot is.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage has no room.
    pub(super) fn plan_freelist(&mut self) -> Result<Plan> {
        let mut map = self.freelist.clone();
        let mut changed: BTreeSet<Node> = BTreeSet::new();
        let mut placed: BTreeMap<Node, PageId> = BTreeMap::new();
        loop {
            let top = top_level(self.space.pages(), self.pages.page_bytes());
            while let Some(group) = self.space.take_changed() {
                let mut node = (0, group);
                changed.insert(node);
                while node.0 < top {
                    node = (node.0 + 1, node.1 / fan_out(self.pages.page_bytes()));
                    changed.insert(node);
                }
            }
            let Some(node) = changed.iter().find(|node| !placed.contains_key(*node)).copied() else { break };
            if let Some(old) = map.places.remove(&node) {
                self.free(PageId::new(old.page));
            }
            placed.insert(node, self.allocate()?);
        }
        let mut writes = Vec::new();
        for (node, place) in placed {
            let mut page = self.encode_map_page(node, &map);
            let checksum = seal(&mut page, self.pages.store_id(), place);
            map.places.insert(node, PageRef { page: place.get(), checksum });
            writes.push((place, page));
        }
        let top = top_level(self.space.pages(), self.pages.page_bytes());
        let root = map.places.get(&(top, 0)).map(|place| (*place, top));
        Ok(Plan { writes, root, map })
    }

    /// A page of the map, those below it having their places already.
    fn encode_map_page(&self, (level, at): Node, map: &Freelist) -> Page {
        let page_bytes = self.pages.page_bytes();
        let mut page = blank(page_bytes, PageKind::Freelist);
        let bytes = page_mut(&mut page);
        set_level(bytes, level);
        if level == 0 {
            let words = bits_per_page(page_bytes) as usize / 64;
            for word in 0..words {
                let bits = self.space.used_word(at as usize * words + word);
                put_at(bytes, HEADER_BYTES + word * 8, &bits.to_le_bytes());
            }
            return page;
        }
        let first = at * fan_out(page_bytes);
        for (&(_, child), place) in
            map.places.range((level - 1, first)..(level - 1, first + fan_out(page_bytes)))
        {
            let offset = HEADER_BYTES + (child - first) as usize * ENTRY_BYTES;
            put_at(bytes, offset, &place.page.to_le_bytes());
            put_at(bytes, offset + 4, &place.checksum.to_le_bytes());
        }
        page
    }

    /// Reads the map from the storage and claims every page that it says is used.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if a page of the map is damaged or says what can't be.
    pub(super) fn load_freelist(&mut self, root: Option<(PageRef, u8)>) -> Result<()> {
        let Some((place, level)) = root else { return Ok(()) };
        if level > MAX_LEVEL || level != top_level(self.space.pages(), self.pages.page_bytes()) {
            return Err(Error::corrupt(place.page, PageKind::Freelist, format!("a map of level {level}")));
        }
        let mut open = alloc::vec![((level, 0), place)];
        while let Some((node, place)) = open.pop() {
            let page = self.pages.load(place, PageKind::Freelist)?;
            if Header::of(&page).level() != node.0 {
                return Err(Error::corrupt(place.page, PageKind::Freelist, "the level does not match"));
            }
            self.freelist.places.insert(node, place);
            if node.0 == 0 {
                self.claim_bits(node.1, place, &page)?;
            } else {
                open.extend(children(node, &page));
            }
        }
        Ok(())
    }

    fn claim_bits(&mut self, at: u32, place: PageRef, page: &Page) -> Result<()> {
        let words = bits_per_page(page.len()) as usize / 64;
        for word in 0..words {
            let bits = u64_at(page, HEADER_BYTES + word * 8);
            let first = at as usize * bits_per_page(page.len()) as usize + word * 64;
            for bit in (0..64).filter(|bit| bits & (1 << bit) != 0) {
                let used = u32::try_from(first + bit).unwrap_or(u32::MAX);
                if used >= self.space.pages() {
                    let what = format!("page {used} is used, and there are {}", self.space.pages());
                    return Err(Error::corrupt(place.page, PageKind::Freelist, what));
                }
                self.space.claim(PageId::new(used));
            }
        }
        Ok(())
    }
}
