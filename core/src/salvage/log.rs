//! The log of a store that may be damaged: its whole commits, and what can be told of those after a damaged page.
//!
//! Where the log breaks off, later pages may be what a crash has undone, and must not come back. But each page of the log tells which
//! commits were durable when it was written. A page that says so of the first commit that is missing belongs to the history that
//! was never undone; and so does every page that its chain of checksums leads to.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Range;

use super::position::ends;
use crate::error::Error;
use crate::error::PageKind;
use crate::pager::{Log, LogEntry, LogPage, Map, Mark, Page, PageId, Survey, in_page};
use crate::records::{Leaf, Records};
use crate::revision::Position;
use crate::storage::Storage;

/// A leaf in the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogLeaf {
    pub(super) header: LogPage,
    pub(super) first: Position,
    pub(super) last: Position,
}

/// What the log holds.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// The leaves, without versions that a longer one replaces.
    pub(super) leaves: Vec<LogLeaf>,
    /// Whether the log begins with a longer version of the leaf that was open at the checkpoint.
    pub(super) goes_on: bool,
    /// Positions of which something is missing.
    pub(super) missing: Vec<Range<Position>>,
}

impl Followed {
    /// Adds the next page of the log.
    fn add(&mut self, leaf: LogLeaf) {
        if self.leaves.is_empty() {
            self.goes_on = leaf.header.entry == LogEntry::Rewrite;
        }
        let is_longer =
            |earlier: &mut LogLeaf| leaf.header.entry == LogEntry::Rewrite && earlier.first == leaf.first;
        self.leaves.pop_if(is_longer);
        self.leaves.push(leaf);
    }
}

/// Follows the log from a checkpoint on whose last record is at `last`. Damage goes to `damage`.
pub(super) fn follow<S: Storage>(
    survey: &Survey<S>,
    (map, last): (&Map, Position),
    damage: &mut impl FnMut(Error),
) -> Followed {
    let (mut chain, end) = whole_commits(survey, damage);
    let candidates = later_pages(survey, map, &end);
    let lost = end.commit().saturating_add(1);
    let rest = if candidates.iter().any(|leaf| leaf.header.vouches_for(lost)) {
        trusted(candidates, &end)
    } else {
        Vec::new()
    };
    let durable = chain.iter().chain(&rest).filter_map(|leaf| leaf.header.durable).max().unwrap_or(0);
    cut(survey, &mut chain, (durable, Some(last)));
    let mut followed = Followed::default();
    chain.iter().for_each(|leaf| followed.add(*leaf));
    if !rest.is_empty() {
        let known = chain.iter().map(|leaf| leaf.last).max().max(Some(last));
        take_rest(survey, (&end, durable, known), rest, &mut followed).into_iter().for_each(damage);
    }
    followed
}

/// The log as opening follows it, overflow pages not looked at, and where it ends.
fn whole_commits<S: Storage>(survey: &Survey<S>, damage: &mut impl FnMut(Error)) -> (Vec<LogLeaf>, Log) {
    let mut chain = Vec::new();
    let mut log = survey.log();
    loop {
        match survey.next_commit(&log) {
            Ok(Some(commit)) => {
                chain.extend(commit.iter().filter_map(|replayed| {
                    leaf_of(LogPage::of(PageId::new(replayed.place.page), &replayed.page), &replayed.page)
                }));
                log = log.after(&commit);
            }
            Ok(None) => break,
            Err(error) => {
                damage(in_page(log.next().get(), PageKind::Leaf)(error));
                break;
            }
        }
    }
    (chain, log)
}

fn leaf_of(header: LogPage, page: &Page) -> Option<LogLeaf> {
    ends(page).map(|(first, last)| LogLeaf { header, first, last })
}

/// All pages that may be of the log after its end, wherever they are.
fn later_pages<S: Storage>(survey: &Survey<S>, map: &Map, end: &Log) -> Vec<LogLeaf> {
    let start = survey.log().next();
    let pages = (0..survey.len()).map(PageId::new);
    pages
        .filter(|page| map.mark(*page) != Mark::Used || *page == start)
        .filter_map(|page| survey.log_page_after(end.commit(), page))
        .filter_map(|(header, page)| leaf_of(header, &page))
        .collect()
}

/// Those of the pages that are of the history in which the first missing commit was durable, in their order.
fn trusted(candidates: Vec<LogLeaf>, end: &Log) -> Vec<LogLeaf> {
    let lost = end.commit().saturating_add(1);
    let mut by_previous: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut by_checksum: BTreeMap<u64, usize> = BTreeMap::new();
    let mut open = Vec::new();
    for (at, LogLeaf { header, .. }) in candidates.iter().enumerate() {
        by_previous.entry(header.previous).or_default().push(at);
        by_checksum.insert(header.place.checksum, at);
        let follows = header.previous == end.previous() && header.place.page == end.next().get();
        if follows || header.vouches_for(lost) {
            open.push(at);
        }
    }
    let mut taken = BTreeSet::new();
    while let Some(at) = open.pop() {
        let Some(LogLeaf { header, .. }) = candidates.get(at).filter(|_| taken.insert(at)) else { continue };
        open.extend(by_checksum.get(&header.previous));
        open.extend(by_previous.get(&header.place.checksum).into_iter().flatten());
    }
    let mut leaves: Vec<LogLeaf> = taken.into_iter().filter_map(|at| candidates.get(at).copied()).collect();
    leaves.sort_by_key(|leaf| (leaf.header.commit, leaf.first, leaf.last));
    leaves
}

/// Cuts the log off before the first commit that may be what a crash has torn: its overflow pages are not there whole, and no page
/// says that it was durable. Records up to `before` are not the log's.
fn cut<S: Storage>(
    survey: &Survey<S>,
    leaves: &mut Vec<LogLeaf>,
    (durable, before): (u64, Option<Position>),
) {
    let is_durable = |leaf: &&LogLeaf| leaf.header.commit <= durable;
    // A longer version of a leaf holds older records as well.
    let known = leaves.iter().filter(is_durable).map(|leaf| leaf.last).max().max(before);
    let torn = leaves
        .iter()
        .filter(|leaf| !is_durable(leaf))
        .find(|leaf| !has_overflow(survey, leaf, known))
        .map(|leaf| leaf.header.commit);
    leaves.retain(|leaf| torn.is_none_or(|torn| leaf.header.commit < torn));
}

/// Whether the overflow pages of the records of a page of the log, those after a position, are there whole.
fn has_overflow<S: Storage>(survey: &Survey<S>, leaf: &LogLeaf, known: Option<Position>) -> bool {
    let Ok(page) = survey.load(leaf.header.place, PageKind::Leaf) else { return false };
    Leaf::of(&page).records().all(|record| {
        record.is_ok_and(|record| {
            Some(record.position) <= known || Records::verified_overflow(survey.pages(), &record.body).is_ok()
        })
    })
}

/// Takes up what came after a damaged page. Answers the damaged pages.
fn take_rest<S: Storage>(
    survey: &Survey<S>,
    (end, durable, mut known): (&Log, u64, Option<Position>),
    mut rest: Vec<LogLeaf>,
    followed: &mut Followed,
) -> Vec<Error> {
    // The newest commit may be one that was being written.
    let ended: BTreeSet<u64> =
        rest.iter().filter(|leaf| leaf.header.is_end).map(|leaf| leaf.header.commit).collect();
    rest.retain(|leaf| leaf.header.commit <= durable || ended.contains(&leaf.header.commit));
    cut(survey, &mut rest, (durable, known));
    let mut named: BTreeSet<u32> = rest.iter().rev().skip(1).map(|leaf| leaf.header.next.get()).collect();
    named.insert(end.next().get());
    let mut checksums: BTreeSet<u64> = BTreeSet::from([end.previous()]);
    for leaf in rest {
        named.remove(&leaf.header.place.page);
        let follows = checksums.contains(&leaf.header.previous);
        checksums.insert(leaf.header.place.checksum);
        // A transaction is never in two commits, so that what comes right after the last revision leaves nothing out.
        let is_far = known.is_none_or(|known| leaf.first.main > known.main.saturating_add(1));
        if !follows && is_far {
            let from = known.map_or(Position::new(0, 0), Position::next);
            followed.missing.push(from..leaf.first);
        }
        known = known.max(Some(leaf.last));
        followed.add(leaf);
    }
    let what = "it is a page of the log that was durable, and can't be read";
    named.into_iter().map(|page| Error::corrupt(page, PageKind::Leaf, what)).collect()
}
