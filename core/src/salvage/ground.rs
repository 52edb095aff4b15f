//! Where the records of a store are, as far as that can be told: leaves that something names, gaps where what should name or be
//! a leaf is damaged, and leaves found by themselves that belong into these gaps.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::damages::Damages;
use super::log::{LogLeaf, follow};
use super::position::ends;
use crate::error::{Error, PageKind, Result};
use crate::pager::{Bitmap, Map, Mark, PageId, PageRef, Survey};
use crate::records::{Body, Leaf, LeafRef, Records, RecordsRoot, walk};
use crate::revision::{Position, Revision};
use crate::storage::Storage;
use crate::store::{Remembered, RootState};

/// A leaf to take records from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// None of its records that count is before this position.
    pub(super) first: Position,
    pub(super) place: PageRef,
    pub(super) counts: Counts,
}

/// Which records of a leaf count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// All.
    All,
    /// Those before a position.
    Before(Position),
    /// Those in a gap.
    InGaps,
}

/// Positions of which not everything is known.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    pub(super) within: Range<Position>,
    /// How many records were there, the engine's own included, where the branch above says so.
    pub(super) records: Option<u64>,
}

/// What a storage holds.
pub(super) struct Ground<'a, S> {
    pub(super) survey: Survey<&'a S>,
    pub(super) map: Map,
    pub(super) damages: Damages,
    /// Leaves, by the positions they begin at.
    pub(super) sources: Vec<Source>,
    /// In order, and apart from each other.
    pub(super) gaps: Vec<Gap>,
    /// Stretches of the log that are missing.
    pub(super) missing: Vec<Range<Position>>,
    /// Whether the storage is shorter than it was, so that nothing tells how far the log went.
    pub(super) is_cut: bool,
    /// Pages whose use is known.
    pub(super) accounted: Bitmap,
    /// Overflow pages of records met so far.
    overflow: Bitmap,
    /// Leaves taken although nothing says that they are in use.
    pub(super) unconfirmed: u64,
    pub(super) revision: u64,
    /// What the store remembers besides its records.
    pub(super) remembered: Remembered,
    /// Why what the checkpoint remembered of that is missing.
    pub(super) forgotten: Option<String>,
}

impl<'a, S: Storage> Ground<'a, S> {
    /// Looks at everything but the records themselves. Costs reading the branches and leaves, and all pages if there is a gap.
    ///
    /// # Errors
    /// [`Error::NotAStore`], [`Error::NewerFormat`], [`Error::Storage`] if the storage does not tell its length.
    pub(super) fn new(storage: &'a S) -> Result<Self> {
        let mut damages = Damages::default();
        let survey = Survey::new(storage, &mut |error| damages.add(error))?;
        let map = survey.map(&mut |error| damages.add(error));
        let mut ground = Self {
            survey,
            map,
            damages,
            sources: Vec::new(),
            gaps: Vec::new(),
            missing: Vec::new(),
            is_cut: false,
            accounted: Bitmap::default(),
            overflow: Bitmap::default(),
            unconfirmed: 0,
            revision: Revision::FIRST.get(),
            remembered: Remembered::default(),
            forgotten: None,
        };
        let root = ground.root();
        let open = ground.open_leaf(&root);
        let goes_on = ground.log(&root);
        ground.tree(&root, open, goes_on);
        if !ground.gaps.is_empty() {
            ground.search();
        }
        ground.sources.sort_by_key(|source| source.first);
        ground.account();
        Ok(ground)
    }

    /// What the checkpoint says of the layers above the pager; if that makes no sense, that everything is to be searched for.
    fn root(&mut self) -> RootState {
        let bytes = self.survey.root();
        let decoded = if bytes.is_empty() { Ok(RootState::new()) } else { RootState::decode(bytes) };
        let root = decoded.unwrap_or_else(|error| {
            self.damages.add(error);
            let everything = Position::new(0, 0)..Position::new(u64::MAX, 0);
            self.gaps.push(Gap { within: everything, records: None });
            RootState::new()
        });
        let possible = 1..=Revision::LAST.get();
        if possible.contains(&root.revision) {
            self.revision = root.revision;
        }
        self.remember(&root);
        root
    }

    /// Takes up what the checkpoint remembers besides the records.
    fn remember(&mut self, root: &RootState) {
        self.remembered.scheduled = root.scheduled;
        match Remembered::load(self.survey.pages(), root) {
            Ok(remembered) => self.remembered = remembered,
            Err(error) => {
                self.forgotten = Some(format!("{error}"));
                self.damages.add(error);
            }
        }
        let pages =
            root.kept.as_ref().and_then(|chain| Records::pages_apart(self.survey.pages(), chain).ok());
        pages.into_iter().flatten().for_each(|page| self.note(page.get()));
    }

    /// Takes up what a leaf of the log has of the engine's own, after a position.
    fn remember_leaf(&mut self, place: PageRef, after: Position) {
        let Ok(page) = self.survey.load(place, PageKind::Leaf) else { return };
        for record in Leaf::of(&page).records().flatten().filter(|record| record.position > after) {
            let Body::System(system) = record.body else { continue };
            if let Err(what) = self.remembered.take(system, record.position.main) {
                self.damages.add(damaged_record(place.page)(what.into()));
            }
        }
    }

    /// The leaf that was open at the checkpoint.
    fn open_leaf(&mut self, root: &RootState) -> Option<Source> {
        let place = root.records?.open?;
        self.note(place.page);
        let loaded = self.survey.load(place, PageKind::Leaf).and_then(|page| {
            ends(&page).ok_or_else(|| Error::corrupt(place.page, PageKind::Leaf, "it holds no record"))
        });
        match loaded {
            Ok((first, _)) => Some(Source { first, place, counts: Counts::All }),
            Err(error) => {
                self.damages.add(error);
                None
            }
        }
    }

    /// The leaves of the log. Answers where the leaf begins that goes on filling the checkpoint's open one, if there is one.
    fn log(&mut self, root: &RootState) -> Option<Position> {
        let damages = &mut self.damages;
        let last = root.records.map_or(Position::new(Revision::FIRST.get(), 0), |records| {
            Position::new(records.last_main, records.last_sub)
        });
        let followed = follow(&self.survey, (&self.map, last), &mut |error| damages.add(error));
        self.is_cut = self.survey.is_cut();
        self.missing = followed.missing;
        let goes_on = followed.leaves.first().filter(|_| followed.goes_on).map(|leaf| leaf.first);
        let mut known = last;
        for LogLeaf { header, first, last } in followed.leaves {
            self.remember_leaf(header.place, known);
            known = known.max(last);
            self.revision = self.revision.max(last.main.min(Revision::LAST.get()));
            self.note(header.place.page);
            self.sources.push(Source { first, place: header.place, counts: Counts::All });
        }
        goes_on
    }

    /// The leaves of the checkpoint, and the gaps between them.
    fn tree(&mut self, root: &RootState, open: Option<Source>, rewritten: Option<Position>) {
        let Some(RecordsRoot { tree, open: open_place, last_main, last_sub }) = root.records else { return };
        let end = Position::new(last_main, last_sub).next();
        self.sources.extend(open);
        // A longer version of the open leaf in the log has all that it had.
        let rewritten = rewritten.filter(|first| *first < end);
        let lost_open = open_place.is_some() && open.is_none() && rewritten.is_none();
        let tree_end = open.map(|open| open.first).or(rewritten).unwrap_or(end);
        let mut tail = Position::new(0, 0);
        if let Some(place) = tree {
            let damages = &mut self.damages;
            let walked =
                walk(&self.survey, place, Position::new(0, 0)..tree_end, &mut |error| damages.add(error));
            walked.branches.iter().for_each(|page| self.note(page.get()));
            self.gaps.extend(walked.gaps.into_iter().map(|within| Gap { within, records: None }));
            for (leaf, end) in walked.leaves {
                tail = self.leaf(&leaf, end);
            }
        }
        if lost_open && tail < end {
            self.gaps.push(Gap { within: tail..end, records: None });
        }
        self.join_gaps();
    }

    /// One leaf of the tree. Answers the position after its last record.
    fn leaf(&mut self, leaf: &LeafRef, end: Position) -> Position {
        self.note(leaf.place.page);
        let loaded = self.survey.load(leaf.place, PageKind::Leaf);
        match loaded {
            Ok(page) => {
                let found = ends(&page);
                let mut source = Source { first: leaf.first, place: leaf.place, counts: Counts::Before(end) };
                if !leaf.describes(Leaf::of(&page)) {
                    // The leaf verifies, so that it is the branch which is wrong.
                    let what = "it is not what the branch above says";
                    self.damages.add(Error::corrupt(leaf.place.page, PageKind::Leaf, what));
                    source.first = found.map_or(leaf.first, |(first, _)| first);
                    source.counts = Counts::All;
                }
                self.sources.push(source);
                found.map_or(leaf.first, |(_, last)| last.next())
            }
            Err(error) => {
                self.damages.add(error);
                self.gaps.push(Gap { within: leaf.first..end, records: Some(leaf.count.into()) });
                end
            }
        }
    }

    /// Puts the gaps in order, and joins those that overlap.
    fn join_gaps(&mut self) {
        self.gaps.sort_by_key(|gap| gap.within.start);
        let mut joined: Vec<Gap> = Vec::new();
        for gap in self.gaps.drain(..) {
            match joined.last_mut().filter(|last| gap.within.start < last.within.end) {
                Some(last) => {
                    last.within.end = last.within.end.max(gap.within.end);
                    last.records = None;
                }
                None => joined.push(gap),
            }
        }
        self.gaps = joined;
    }

    /// Looks among all pages for leaves that belong into the gaps.
    fn search(&mut self) {
        for number in 0..self.survey.len() {
            let page = PageId::new(number);
            let mark = self.map.mark(page);
            if mark == Mark::Free || self.accounted.contains(number) {
                continue;
            }
            let Some((kind, place, bytes)) = self.survey.lone(page) else { continue };
            if kind == PageKind::Branch && mark == Mark::Used {
                self.accounted.insert(number);
            }
            let Some((first, last)) = ends(&bytes).filter(|_| kind == PageKind::Leaf) else { continue };
            let from = self.gaps.partition_point(|gap| gap.within.end <= first);
            if self.gaps.get(from).is_some_and(|gap| gap.within.start <= last) {
                self.sources.push(Source { first, place, counts: Counts::InGaps });
                if mark == Mark::Used {
                    self.accounted.insert(number);
                } else {
                    self.unconfirmed += 1;
                }
            }
        }
    }

    /// The gap that a position is in, by its number.
    pub(super) fn gap_at(&self, position: Position) -> Option<usize> {
        let at = self.gaps.partition_point(|gap| gap.within.end <= position);
        self.gaps.get(at).filter(|gap| gap.within.start <= position).map(|_| at)
    }

    /// Notes what the pager itself uses.
    fn account(&mut self) {
        let own: Vec<PageId> = self.map.own_pages().chain(self.survey.own_pages()).collect();
        own.into_iter().for_each(|page| self.note(page.get()));
    }

    /// Used pages of which it is not known what they hold. Without one of them nothing can be missing from a gap.
    pub(super) fn unaccounted(&self) -> u64 {
        let unknown = self.map.used().filter(|page| !self.accounted.contains(page.get())).count();
        unknown as u64 + self.map.cut_off()
    }

    /// Notes that the use of a page is known. Damage may name pages that there are not.
    fn note(&mut self, page: u32) {
        if page < self.survey.len() {
            self.accounted.insert(page);
        }
    }

    /// Whether every part of the map of used pages could be read.
    pub(super) fn map_is_whole(&self) -> bool {
        self.map.is_whole()
    }

    /// Takes note of the overflow pages of a record. No page belongs to two records.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the pages can't be told, or one of them belongs to another record.
    pub(super) fn claim_overflow(&mut self, body: &Body<'_>) -> Result<()> {
        let pages = Records::overflow_pages(self.survey.pages(), body)?;
        if let Some(page) = pages.iter().find(|page| self.overflow.contains(page.get())) {
            return Err(Error::corrupt(page.get(), PageKind::Overflow, "two records use it"));
        }
        for page in pages {
            self.overflow.insert(page.get());
            self.accounted.insert(page.get());
        }
        Ok(())
    }
}

/// A damaged record of a leaf, in words.
pub(super) fn damaged_record(page: u32) -> impl Fn(String) -> Error {
    move |what| Error::corrupt(page, PageKind::Leaf, format!("{what}; its other records can be read"))
}
