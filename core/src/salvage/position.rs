//! Where records stand.

use crate::pager::Page;
use crate::records::Leaf;
use crate::revision::Position;

/// The first and the last position of a leaf's records, those left out that can't be read.
pub(super) fn ends(page: &Page) -> Option<(Position, Position)> {
    let leaf = Leaf::of(page);
    let position = |at: usize| leaf.record(at).ok().map(|record| record.position);
    let first = (0..leaf.len()).find_map(position)?;
    let last = (0..leaf.len()).rev().find_map(position)?;
    Some((first, last))
}
