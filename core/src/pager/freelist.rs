//! The durable map of used pages: a tree of bitmap pages of which a checkpoint writes only what changed.
//!
//! Level 0 are bitmaps, a bit a page, set for used; the pages of a level above list those below with their checksums. The map
//! is written copy-on-write like everything else, and so takes and frees pages while it is being described: places are
//! given out until that changes nothing more, which takes two or three rounds, and only then is anything encoded.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use super::Pager;
use super::page::{
    HEADER_BYTES, Header, Page, PageId, PageRef, blank, page_mut, put_at, seal, set_level, u32_at, u64_at,
};
use crate::error::{Error, PageKind, Result};
use crate::storage::Storage;

/// Bytes of one entry of a list page: page number (0, which is a meta page, for none) and checksum.
const ENTRY_BYTES: usize = 12;
/// Levels that 2^32 pages can need with the smallest page; a higher one is damage.
const MAX_LEVEL: u8 = 8;

/// A page of the map: its level, and its number within the level.
type Node = (u8, u32);

/// Where each page of the map stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Freelist {
    places: BTreeMap<Node, PageRef>,
}

impl Freelist {
    /// Every page that the map stands on.
    pub(super) fn pages(&self) -> impl Iterator<Item = PageId> + '_ {
        self.places.values().map(|place| PageId::new(place.page))
    }
}

/// The map as a checkpoint will make it durable: what must be written, and what the meta slot must say.
pub(super) struct Plan {
    pub(super) writes: Vec<(PageId, Page)>,
    pub(super) root: Option<(PageRef, u8)>,
    pub(super) map: Freelist,
}

/// Bits that a bitmap page holds: a multiple of 64.
pub(super) fn bits_per_page(page_bytes: usize) -> u32 {
    u32::try_from((page_bytes - HEADER_BYTES) / 8 * 64).unwrap_or(0)
}

fn fan_out(page_bytes: usize) -> u32 {
    u32::try_from((page_bytes - HEADER_BYTES) / ENTRY_BYTES).unwrap_or(1)
}

/// The level of the one page that tells of all `pages`.
fn top_level(pages: u32, page_bytes: usize) -> u8 {
    let mut nodes = pages.div_ceil(bits_per_page(page_bytes));
    let mut level = 0;
    while nodes > 1 {
        nodes = nodes.div_ceil(fan_out(page_bytes));
        level += 1;
    }
    level
}

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

/// The pages that a list page names.
fn children((level, at): Node, page: &Page) -> Vec<(Node, PageRef)> {
    let fan_out = fan_out(page.len());
    let entry = |child: u32| {
        let offset = HEADER_BYTES + child as usize * ENTRY_BYTES;
        let place = PageRef { page: u32_at(page, offset), checksum: u64_at(page, offset + 4) };
        (place.page != 0).then_some(((level - 1, at.saturating_mul(fan_out).saturating_add(child)), place))
    };
    (0..fan_out).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_level_grows_with_the_number_of_pages() {
        let bits = bits_per_page(512);
        let lists = fan_out(512);
        for (pages, level) in [(1, 0), (bits, 0), (bits + 1, 1), (bits * lists, 1), (bits * lists + 1, 2)] {
            assert_eq!(top_level(pages, 512), level, "{pages} pages");
        }
        assert!(top_level(u32::MAX, 512) <= MAX_LEVEL);
    }
}
