//! The durable map of used pages: a tree of bitmap pages of which a checkpoint writes only what changed.
//!
//! Level 0 are bitmaps, a bit a page, set for used; the pages of a level above list those below with their checksums. The map
//! is written copy-on-write like everything else.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::page::{HEADER_BYTES, Page, PageId, PageRef, u32_at, u64_at};

/// Bytes of one entry of a list page: page number (0, which is a meta page, for none) and checksum.
pub(super) const ENTRY_BYTES: usize = 12;
/// Levels that 2^32 pages can need with the smallest page; a higher one is damage.
pub(super) const MAX_LEVEL: u8 = 8;

/// A page of the map: its level, and its number within the level.
pub(super) type Node = (u8, u32);

/// Where each page of the map stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Freelist {
    pub(super) places: BTreeMap<Node, PageRef>,
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

pub(super) fn fan_out(page_bytes: usize) -> u32 {
    u32::try_from((page_bytes - HEADER_BYTES) / ENTRY_BYTES).unwrap_or(1)
}

/// The level of the one page that tells of all `pages`.
pub(super) fn top_level(pages: u32, page_bytes: usize) -> u8 {
    let mut nodes = pages.div_ceil(bits_per_page(page_bytes));
    let mut level = 0;
    while nodes > 1 {
        nodes = nodes.div_ceil(fan_out(page_bytes));
        level += 1;
    }
    level
}

/// The pages that a list page names.
pub(super) fn children((level, at): Node, page: &Page) -> Vec<(Node, PageRef)> {
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
