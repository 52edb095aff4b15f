//! The inner nodes of the records tree: which leaf holds which positions, in memory and on pages.
//!
//! All inner nodes are in memory, less than a hundredth of the leaves' size; leaves are loaded when they are read. Nodes are
//! shared between the newest state, snapshots and an unfinished checkpoint, and copied when one that is shared must change.
//!
//! The layout of a branch page is described in `FORMAT.md`, section "Branch page".

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::leaf::Leaf;
use crate::error::{Error, PageKind, Result};
use crate::pager::{
    HEADER_BYTES, Header, Page, PageId, PageRef, blank, page_mut, put_at, set_count, set_level, u16_at,
    u32_at, u64_at,
};
use crate::revision::Position;
use crate::sync::Once;

/// Bytes of one entry of a branch page.
const ENTRY_BYTES: usize = 28;

/// Children that a branch page has room for.
pub(super) fn fan_out(page_bytes: usize) -> usize {
    (page_bytes - HEADER_BYTES) / ENTRY_BYTES
}

/// A leaf in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeafRef {
    /// The position of its first record.
    pub(crate) first: Position,
    pub(crate) place: PageRef,
    /// Bytes of records and directory in it.
    pub(crate) used: u16,
    /// Records in it, the engine's own included.
    pub(crate) count: u16,
}

impl LeafRef {
    /// Whether a leaf begins where this says, and holds as much.
    pub(crate) fn describes(&self, leaf: Leaf<'_>) -> bool {
        leaf.record(0).is_ok_and(|record| record.position == self.first)
            && (leaf.len(), leaf.used()) == (usize::from(self.count), usize::from(self.used))
    }
}

/// An inner node below another. Invariant: `first` is where its first leaf begins.
#[derive(Clone, Debug)]
pub(super) struct BranchRef {
    pub(super) first: Position,
    pub(super) node: Arc<Branch>,
}

/// What a node lists.
#[derive(Clone, Debug)]
pub(super) enum Children {
    Leaves(Vec<LeafRef>),
    Branches(Vec<BranchRef>),
}

/// An inner node.
///
/// Invariants:
/// - its children's `first` positions grow, and there is at least one child (but for an empty tree's root);
/// - children that are branches are all one level lower;
/// - once `page` is set the node does not change; a node that must change is given up or copied, and its page freed.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) level: u8,
    pub(super) children: Children,
    /// Where a checkpoint has put the node, or is about to.
    page: Once<PageId>,
    /// Set when the node was written there.
    checksum: Once<u64>,
}

impl Clone for Branch {
    /// A copy to be changed: it has no page yet.
    fn clone(&self) -> Self {
        Self::new(self.level, self.children.clone())
    }
}

impl Branch {
    pub(super) fn new(level: u8, children: Children) -> Self {
        Self { level, children, page: Once::new(), checksum: Once::new() }
    }

    pub(super) fn len(&self) -> usize {
        match &self.children {
            Children::Leaves(leaves) => leaves.len(),
            Children::Branches(branches) => branches.len(),
        }
    }

    /// Bytes of a page that the node fills.
    pub(super) fn bytes(&self) -> u32 {
        u32::try_from(HEADER_BYTES + self.len() * ENTRY_BYTES).unwrap_or(u32::MAX)
    }

    pub(super) fn first(&self) -> Option<Position> {
        match &self.children {
            Children::Leaves(leaves) => leaves.first().map(|leaf| leaf.first),
            Children::Branches(branches) => branches.first().map(|branch| branch.first),
        }
    }

    /// The node's page, if a checkpoint gave it one.
    pub(super) fn page(&self) -> Option<PageId> {
        self.page.get().copied()
    }

    /// The node's page with its checksum, once it is written.
    pub(super) fn place(&self) -> Option<PageRef> {
        Some(PageRef { page: self.page()?.get(), checksum: *self.checksum.get()? })
    }

    pub(super) fn set_page(&self, page: PageId) {
        assert!(self.page.set(page).is_ok(), "a node is given a page once");
    }

    pub(super) fn set_checksum(&self, checksum: u64) {
        assert!(self.checksum.set(checksum).is_ok(), "a node is written once");
    }

    /// The node to change, copied first if it is shared. Its page, if it had one, is no longer its own: it goes to `freed`.
    pub(super) fn edit<'a>(node: &'a mut Arc<Self>, freed: &mut Vec<PageId>) -> &'a mut Self {
        freed.extend(node.page());
        let node = Arc::make_mut(node);
        node.page = Once::new();
        node.checksum = Once::new();
        node
    }

    /// The node as a page. All children must have been written.
    pub(super) fn encode(&self, page_bytes: usize) -> Page {
        let mut page = blank(page_bytes, PageKind::Branch);
        let bytes = page_mut(&mut page);
        set_count(bytes, self.len());
        set_level(bytes, self.level);
        let mut at = HEADER_BYTES;
        let mut entry = |first: Position, place: PageRef, sizes: (u16, u16)| {
            put_at(bytes, at, &first.main.to_le_bytes());
            put_at(bytes, at + 8, &first.sub.to_le_bytes());
            put_at(bytes, at + 12, &place.page.to_le_bytes());
            put_at(bytes, at + 16, &place.checksum.to_le_bytes());
            put_at(bytes, at + 24, &sizes.0.to_le_bytes());
            put_at(bytes, at + 26, &sizes.1.to_le_bytes());
            at += ENTRY_BYTES;
        };
        match &self.children {
            Children::Leaves(leaves) => {
                leaves.iter().for_each(|leaf| entry(leaf.first, leaf.place, (leaf.used, leaf.count)));
            }
            Children::Branches(branches) => {
                for branch in branches {
                    let place = branch.node.place();
                    assert!(place.is_some(), "children are written before their parents");
                    if let Some(place) = place {
                        entry(branch.first, place, (0, 0));
                    }
                }
            }
        }
        page
    }

    /// A node that stands on a page already.
    pub(super) fn on_page(level: u8, children: Children, place: PageRef) -> Self {
        let node = Self::new(level, children);
        node.set_page(PageId::new(place.page));
        node.set_checksum(place.checksum);
        node
    }
}

/// The entries of a branch page, as references to what is below.
///
/// # Errors
/// [`Error::Corrupt`] if the page's entries can't be.
pub(super) fn decode(page: &Page, number: u32) -> Result<Vec<LeafRef>> {
    let corrupt = |what: &str| Error::corrupt(number, PageKind::Branch, what);
    let count = Header::of(page).count();
    if count == 0 || count > fan_out(page.len()) {
        return Err(corrupt(&format!("it has {count} children")));
    }
    let entry = |at: usize| {
        let at = HEADER_BYTES + at * ENTRY_BYTES;
        LeafRef {
            first: Position::new(u64_at(page, at), u32_at(page, at + 8)),
            place: PageRef { page: u32_at(page, at + 12), checksum: u64_at(page, at + 16) },
            used: u16_at(page, at + 24),
            count: u16_at(page, at + 26),
        }
    };
    let entries: Vec<LeafRef> = (0..count).map(entry).collect();
    if !entries.is_sorted_by(|a, b| a.first < b.first) {
        return Err(corrupt("its children are out of order"));
    }
    Ok(entries)
}
