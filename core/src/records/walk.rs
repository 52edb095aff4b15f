//! Walking the records tree of a store that may be damaged: the leaves that can be reached, and the gaps where they can't.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::branch::{LeafRef, decode};
use crate::error::{Error, PageKind, Result};
use crate::pager::{Bitmap, Header, PageId, PageRef, Survey};
use crate::revision::Position;
use crate::storage::Storage;

/// What a tree holds, as far as its branches can be read.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// The leaves, in order, each with the position that the next one begins at or that nothing is from.
    pub(crate) leaves: Vec<(LeafRef, Position)>,
    /// Where branches are damaged: positions whose leaves are not known, in order.
    pub(crate) gaps: Vec<Range<Position>>,
    /// The branches that were read.
    pub(crate) branches: Vec<PageId>,
}

/// A branch that has still to be read.
struct Open {
    place: PageRef,
    /// `None` for the root, which says itself.
    level: Option<u8>,
    within: Range<Position>,
}

/// Walks the tree below a root, whose records are all within some positions. What is wrong with a branch goes to `damage`.
///
/// Costs reading every branch once.
pub(crate) fn walk<S: Storage>(
    survey: &Survey<S>,
    root: PageRef,
    within: Range<Position>,
    damage: &mut impl FnMut(Error),
) -> Walked {
    let mut walked = Walked::default();
    let mut seen = Bitmap::default();
    let mut open = vec![Open { place: root, level: None, within }];
    while let Some(next) = open.pop() {
        match read(survey, &next, &mut seen) {
            Ok((level, entries)) => {
                walked.branches.push(PageId::new(next.place.page));
                take(&mut walked, &mut open, (level, next.within), entries);
            }
            Err(error) => {
                damage(error);
                walked.gaps.push(next.within);
            }
        }
    }
    walked
}

/// Reads a branch; each is read once, since branches that name each other in a tangle would keep this busy for ever.
fn read<S: Storage>(survey: &Survey<S>, open: &Open, seen: &mut Bitmap) -> Result<(u8, Vec<LeafRef>)> {
    let number = open.place.page;
    let corrupt = |what: &str| Error::corrupt(number, PageKind::Branch, what);
    let page = survey.load(open.place, PageKind::Branch)?;
    let level = Header::of(&page).level();
    if open.level.is_some_and(|expected| expected != level) {
        return Err(corrupt(&format!("its level is {level} instead of {:?}", open.level.unwrap_or(0))));
    }
    let entries = decode(&page, number)?;
    if !entries.iter().all(|entry| open.within.contains(&entry.first)) {
        return Err(corrupt("a child lies outside of what the branch above says"));
    }
    if !seen.insert(number) {
        return Err(corrupt("it is named twice"));
    }
    Ok((level, entries))
}

/// Notes a branch's leaves, or its branches in an order in which the first is the next to be read.
fn take(
    walked: &mut Walked,
    open: &mut Vec<Open>,
    (level, within): (u8, Range<Position>),
    entries: Vec<LeafRef>,
) {
    let ends = entries.iter().skip(1).map(|entry| entry.first).chain([within.end]);
    let children: Vec<(LeafRef, Position)> = entries.iter().copied().zip(ends).collect();
    match level.checked_sub(1) {
        None => walked.leaves.extend(children),
        Some(below) => open.extend(children.into_iter().rev().map(|(child, end)| Open {
            place: child.place,
            level: Some(below),
            within: child.first..end,
        })),
    }
}
