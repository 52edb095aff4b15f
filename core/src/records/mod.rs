//! Records by position: closed leaves in a tree, and the newest ones at its right edge, which are the log.
//!
//! A record is appended to the open leaf in memory. A leaf that is full waits, closed, for the next commit. The commit writes what is
//! new since the one before it, the open leaf included; closed leaves then enter the tree, and the open leaf will be written again,
//! longer, to another place. This module knows nothing of keys' histories and nothing of when commits happen.

use alloc::sync::Arc;
use alloc::vec::Vec;

mod branch;
mod leaf;
mod moving;
mod overflow;
mod read;
mod record;
mod tree;
mod walk;

pub(crate) use branch::LeafRef;
pub(crate) use leaf::{Fit, Leaf, LeafBuilder, capacity, damaged};
pub(crate) use moving::{MovedChain, beyond, move_below};
pub(crate) use read::{Bytes, Located, Parts, Source, Stored, View, stored, with_contents, with_key};
pub(crate) use record::{Body, Chain, Record, SystemRecord};
pub(crate) use tree::Tree;
pub(crate) use walk::walk;

use branch::Branch;

use crate::error::{Error, PageKind, Result};
use crate::pager::{LogEntry, Page, PageId, PageRef, Pager, Pages, Progress, Replayed};
use crate::revision::Position;
use crate::storage::Storage;

/// The most bytes that a record takes in a leaf beyond its key, value and chain: varints of main, sub, age, version and
/// lease, two lengths, and the kind.
const RECORD_OVERHEAD_BYTES: usize = 10 + 5 + 10 + 10 + 10 + 4 + 4 + 1;

/// Where the bytes of a new record go; decided, and written if need be, before anything else changes.
#[derive(Debug)]
pub(crate) enum Room {
    /// Into the leaf.
    Inline,
    /// The value into overflow pages.
    LongValue(Chain),
    /// The key, and the value after it, into overflow pages.
    LongKey(Chain),
}

/// What a put says of its key besides the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PutNumbers {
    /// The record's main less that of the key's creation.
    pub(crate) age: u64,
    pub(crate) version: u64,
    /// The lease that the key is attached to, 0 for none.
    pub(crate) lease: u64,
}

impl<'a> Body<'a> {
    /// A put of a key and a value, in the room that was made for them.
    pub(crate) fn put((key, value): (&'a [u8], &'a [u8]), numbers: PutNumbers, room: Room) -> Self {
        let PutNumbers { age, version, lease } = numbers;
        match room {
            Room::Inline => Self::Put { key, age, version, lease, value },
            Room::LongValue(chain) => Self::LongValue { key, age, version, lease, chain },
            Room::LongKey(chain) => {
                let key_bytes = u32::try_from(key.len()).unwrap_or(u32::MAX);
                Self::LongKey { key_bytes, age, version, lease, chain }
            }
        }
    }
}

/// Whether a leaf in memory differs from its version in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// No version of it is in the log.
    Never,
    /// An earlier version is.
    Earlier(PageRef),
    /// It is there as it is.
    Same(PageRef),
}

impl Written {
    fn changed(self) -> Self {
        match self {
            Self::Same(place) => Self::Earlier(place),
            other => other,
        }
    }
}

/// A leaf that takes no more records and waits for the next commit.
#[derive(Clone, Debug)]
struct FullLeaf {
    first: Position,
    page: Page,
    written: Written,
}

/// All records.
///
/// Invariants:
/// - every record of the tree is before every one of `full`, and those are before the open leaf's;
/// - no record is after `last`;
/// - `full` leaves are not in the tree.
#[derive(Debug)]
pub(crate) struct Records {
    tree: Tree,
    full: Arc<Vec<FullLeaf>>,
    open: LeafBuilder,
    open_written: Written,
    last: Position,
}

/// What a checkpoint must remember to find the records again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct RecordsRoot {
    pub(crate) tree: Option<PageRef>,
    pub(crate) open: Option<PageRef>,
    pub(crate) last_main: u64,
    pub(crate) last_sub: u32,
}

/// The records as a checkpoint found them: nodes that must be written, children before their parents.
pub(crate) struct Frozen {
    tree: Tree,
    open: Option<PageRef>,
    last: Position,
    nodes: alloc::vec::IntoIter<Arc<Branch>>,
}

impl Records {
    /// No records. The first will come after `last`.
    pub(crate) fn new(page_bytes: usize, last: Position) -> Self {
        Self {
            tree: Tree::new(page_bytes),
            full: Arc::default(),
            open: LeafBuilder::new(page_bytes),
            open_written: Written::Never,
            last,
        }
    }

    /// The position that no record is after.
    pub(crate) fn last(&self) -> Position {
        self.last
    }

    /// Closed leaves that wait for a commit.
    pub(crate) fn unwritten_leaves(&self) -> usize {
        self.full.len()
    }

    /// Whether anything is not in the log yet.
    pub(crate) fn has_uncommitted(&self) -> bool {
        let is_new = matches!(self.open_written, Written::Never) && self.open.leaf().len() > 0;
        !self.full.is_empty() || is_new || matches!(self.open_written, Written::Earlier(_))
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(crate) fn tree_mut(&mut self) -> &mut Tree {
        &mut self.tree
    }

    /// Decides where a record's bytes go, and writes what does not fit into a leaf to overflow pages.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails or has no room; nothing has changed then.
    pub(crate) fn make_room<S: Storage>(pager: &mut Pager<S>, key: &[u8], value: &[u8]) -> Result<Room> {
        let most = leaf::max_inline(pager.page_bytes()) - RECORD_OVERHEAD_BYTES;
        if key.len() + value.len() <= most {
            return Ok(Room::Inline);
        }
        if key.len() <= most / 4 {
            return Ok(Room::LongValue(overflow::store(pager, &[value])?));
        }
        Ok(Room::LongKey(overflow::store(pager, &[key, value])?))
    }

    /// Writes bytes that are no record's to overflow pages, on a chain short enough for a meta slot.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails or has no room; nothing has changed then.
    pub(crate) fn store_apart<S: Storage>(pager: &mut Pager<S>, bytes: &[u8]) -> Result<Chain> {
        overflow::store_within(pager, &[bytes], 2)
    }

    /// What [`Records::store_apart`] wrote.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if a page is damaged, [`Error::Storage`] if it can't be read.
    pub(crate) fn load_apart<S: Storage>(pages: &Pages<S>, chain: &Chain) -> Result<Arc<[u8]>> {
        overflow::load(pages, chain)
    }

    /// The pages of what [`Records::store_apart`] wrote.
    ///
    /// # Errors
    /// Those of reading a list of pages.
    pub(crate) fn pages_apart<S: Storage>(pages: &Pages<S>, chain: &Chain) -> Result<Vec<PageId>> {
        overflow::all_pages(pages, chain)
    }

    /// Writes a leaf to a place of its own; `None` if it holds nothing.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails or has no room; nothing has changed then.
    pub(crate) fn write_leaf<S: Storage>(pager: &mut Pager<S>, leaf: LeafBuilder) -> Result<Option<LeafRef>> {
        let Some(first) = leaf.first() else { return Ok(None) };
        let narrow = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let (used, count) = (narrow(leaf.leaf().used()), narrow(leaf.leaf().len()));
        let mut page: Page = leaf.into_page();
        let place = pager.allocate()?;
        match pager.write(place, &mut page) {
            Ok(place) => Ok(Some(LeafRef { first, place, used, count })),
            Err(error) => {
                pager.give_back(place);
                Err(error)
            }
        }
    }

    /// Whether the open leaf's version in the log, or the place where the log goes on, is at a page or after it.
    pub(crate) fn log_is_beyond<S: Storage>(&self, pager: &Pager<S>, limit: u32) -> bool {
        pager.log_is_beyond(limit) || self.open_page().is_some_and(|page| page.get() >= limit)
    }

    /// Gives back what [`Records::make_room`] wrote.
    ///
    /// # Errors
    /// Those of reading a list of pages.
    pub(crate) fn give_back<S: Storage>(pager: &mut Pager<S>, room: &Room) -> Result<()> {
        if let Room::LongValue(chain) | Room::LongKey(chain) = room {
            for page in overflow::all_pages(pager.pages(), chain)? {
                pager.give_back(page);
            }
        }
        Ok(())
    }

    /// Frees the overflow pages of a record that is removed.
    ///
    /// # Errors
    /// Those of reading a list of pages.
    pub(crate) fn overflow_pages<S: Storage>(pages: &Pages<S>, body: &Body<'_>) -> Result<Vec<PageId>> {
        body.chain().map_or(Ok(Vec::new()), |chain| overflow::all_pages(pages, chain))
    }

    /// The same, with all of their content verified.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if a page is damaged, [`Error::Storage`] if it can't be read.
    pub(crate) fn verified_overflow<S: Storage>(pages: &Pages<S>, body: &Body<'_>) -> Result<Vec<PageId>> {
        if let Some(chain) = body.chain() {
            overflow::load(pages, chain)?;
        }
        Self::overflow_pages(pages, body)
    }

    /// Adds a record after all others.
    pub(crate) fn append(&mut self, record: &Record<'_>) {
        assert!(record.position > self.last, "record {} is not after {}", record.position, self.last);
        if self.open.append(record) == Fit::Full {
            self.close_open();
            let fit = self.open.append(record);
            assert!(fit == Fit::Fits, "a record that was given room fits into an empty leaf");
        }
        self.open_written = self.open_written.changed();
        self.last = record.position;
    }

    /// Moves the open leaf to the full ones.
    fn close_open(&mut self) {
        let next = self.open.begin_next();
        let full = core::mem::replace(&mut self.open, next);
        let written = core::mem::replace(&mut self.open_written, Written::Never);
        if let Some(first) = full.first() {
            Arc::make_mut(&mut self.full).push(FullLeaf { first, page: full.into_page(), written });
        }
    }

    /// Writes everything that is not yet in the log, as one commit and without a sync.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails or has no room; what was not written can be written later.
    pub(crate) fn commit<S: Storage>(&mut self, pager: &mut Pager<S>) -> Result<()> {
        let mut pages: Vec<(LogEntry, Page)> = Vec::new();
        let mut add = |page: &Page, written: Written| match written {
            Written::Never => pages.push((LogEntry::Leaf, Arc::clone(page))),
            Written::Earlier(_) => pages.push((LogEntry::Rewrite, Arc::clone(page))),
            Written::Same(_) => {}
        };
        self.full.iter().for_each(|leaf| add(&leaf.page, leaf.written));
        if self.open.leaf().len() > 0 {
            add(self.open.page(), self.open_written);
        }
        if pages.is_empty() {
            return Ok(());
        }
        let places = pager.append_commit(&mut pages)?;
        let mut done = pages.into_iter().zip(places);
        for leaf in core::mem::take(&mut self.full).iter() {
            let (page, place) = match leaf.written {
                Written::Same(place) => (Arc::clone(&leaf.page), place),
                Written::Never | Written::Earlier(_) => {
                    let Some(((_, page), place)) = done.next() else {
                        unreachable!("every page was given a place")
                    };
                    (page, place)
                }
            };
            if let Written::Earlier(old) = leaf.written {
                pager.free(PageId::new(old.page));
            }
            self.add_to_tree(pager, &page, place);
        }
        if let Some(((_, page), place)) = done.next() {
            if let Written::Earlier(old) = self.open_written {
                pager.free(PageId::new(old.page));
            }
            self.open.set_page(page);
            self.open_written = Written::Same(place);
        }
        Ok(())
    }

    /// Enters a closed leaf into the tree, or frees it if it holds nothing but the engine's own records.
    fn add_to_tree<S: Storage>(&mut self, pager: &mut Pager<S>, page: &Page, place: PageRef) {
        let leaf = Leaf::of(page);
        let mut positions = leaf.records().filter_map(|record| {
            let record = record.ok()?;
            (!matches!(record.body, Body::System(_))).then_some(record.position)
        });
        let Some(_first_of_user) = positions.next() else {
            pager.free(PageId::new(place.page));
            return;
        };
        let Some(first) = leaf.records().next().and_then(|record| record.ok()).map(|record| record.position)
        else {
            return;
        };
        let narrow = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let (used, count) = (narrow(leaf.used()), narrow(leaf.len()));
        let mut freed = Vec::new();
        self.tree.insert(LeafRef { first, place, used, count }, &mut freed);
        freed.into_iter().for_each(|page| pager.free(page));
        pager.remember(PageId::new(place.page), page);
    }

    /// Closes the open leaf and enters it into the tree, so that compaction can rewrite it. Everything must be committed.
    pub(crate) fn retire_open<S: Storage>(&mut self, pager: &mut Pager<S>) {
        let Written::Same(place) = self.open_written else { return };
        assert!(self.full.is_empty(), "closed leaves are committed before the open one is retired");
        let page = Arc::clone(self.open.page());
        self.add_to_tree(pager, &page, place);
        self.open = LeafBuilder::new(page.len());
        self.open_written = Written::Never;
    }

    /// The first position that is not in the tree, if there is one.
    pub(crate) fn first_outside_tree(&self) -> Option<Position> {
        self.full.first().map(|leaf| leaf.first).or_else(|| self.open.first())
    }

    /// The page of the open leaf's version in the log.
    pub(crate) fn open_page(&self) -> Option<PageId> {
        match self.open_written {
            Written::Never => None,
            Written::Earlier(place) | Written::Same(place) => Some(PageId::new(place.page)),
        }
    }

    /// Bytes of records and directory in the open leaf.
    pub(crate) fn open_bytes(&self) -> usize {
        self.open.leaf().used()
    }

    /// Pages of full leaves' earlier versions in the log.
    pub(crate) fn full_pages(&self) -> impl Iterator<Item = PageId> + '_ {
        self.full.iter().filter_map(|leaf| match leaf.written {
            Written::Never => None,
            Written::Earlier(place) | Written::Same(place) => Some(PageId::new(place.page)),
        })
    }

    /// Freezes the records for a checkpoint: gives every changed node a place. Everything must be committed.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage has no room.
    pub(crate) fn freeze<S: Storage>(&mut self, pager: &mut Pager<S>) -> Result<Frozen> {
        assert!(!self.has_uncommitted(), "a checkpoint begins with everything committed");
        let nodes = self.tree.without_page();
        for node in &nodes {
            node.set_page(pager.allocate()?);
        }
        let open = match self.open_written {
            Written::Same(place) => Some(place),
            Written::Never | Written::Earlier(_) => None,
        };
        Ok(Frozen { tree: self.tree.clone(), open, last: self.last, nodes: nodes.into_iter() })
    }

    /// Reads the records that a checkpoint names.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if a page is damaged.
    pub(crate) fn load<S: Storage>(pages: &Pages<S>, root: &RecordsRoot) -> Result<Self> {
        let mut records = Self::new(pages.page_bytes(), Position::new(root.last_main, root.last_sub));
        records.tree = Tree::load(pages, root.tree)?;
        if let Some(place) = root.open {
            let page = pages.load(place, PageKind::Leaf)?;
            records.open = LeafBuilder::resume(page, place.page)?;
            records.open_written = Written::Same(place);
        }
        let outside = records.open.first();
        if let Some(last) = records.tree.leaves().last()
            && outside.is_some_and(|first| first <= last.first)
        {
            return Err(Error::corrupt(
                last.place.page,
                PageKind::Branch,
                "a leaf of the tree is after the open leaf",
            ));
        }
        Ok(records)
    }

    /// Takes up a commit that was found in the log. Its pages have been accepted by the pager.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it does not fit what is there.
    pub(crate) fn replay<S: Storage>(&mut self, pager: &mut Pager<S>, commit: Vec<Replayed>) -> Result<()> {
        for Replayed { entry, place, page } in commit {
            let builder = LeafBuilder::resume(page, place.page)?;
            let (first, last) = builder.first().zip(builder.last()).ok_or_else(|| {
                Error::corrupt(place.page, PageKind::Leaf, "a page of the log holds no record")
            })?;
            let fits = match (entry, self.open_written) {
                (LogEntry::Rewrite, Written::Same(old)) => {
                    pager.free(PageId::new(old.page));
                    self.open.first() == Some(first) && last > self.last
                }
                (LogEntry::Rewrite, Written::Never | Written::Earlier(_)) => false,
                (LogEntry::Leaf, _) => {
                    self.retire_open(pager);
                    first > self.last
                }
            };
            if !fits {
                return Err(Error::corrupt(
                    place.page,
                    PageKind::Leaf,
                    "its records are not after those before it",
                ));
            }
            self.open = builder;
            self.open_written = Written::Same(place);
            self.last = last;
        }
        Ok(())
    }
}

impl Frozen {
    /// Writes one node; answers with `false` when none is left.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails.
    pub(crate) fn write_node<S: Storage>(&mut self, pager: &mut Pager<S>) -> Result<Progress> {
        let Some(node) = self.nodes.next() else { return Ok(Progress::Done) };
        let Some(place) = node.page() else { unreachable!("a frozen node has a place") };
        let place = pager.write(place, &mut node.encode(pager.page_bytes()))?;
        node.set_checksum(place.checksum);
        Ok(Progress::More)
    }

    /// What the checkpoint must remember. All nodes must have been written.
    pub(crate) fn root(&self) -> RecordsRoot {
        let (last_main, last_sub) = (self.last.main, self.last.sub);
        RecordsRoot { tree: self.tree.place(), open: self.open, last_main, last_sub }
    }
}
