//! Opening a store: the last checkpoint, then the log, then the index from the records.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::background::Background;
use super::{Options, Store};
use crate::compaction::DeadList;
use crate::error::{Error, PageKind, Result};
use crate::index::{Index, IndexBuilder, Loaded};
use crate::pager::{MAX_ROOT_BYTES, NewStore, PageId, Pager, Replayed, Unproven};
use crate::records::{Body, Leaf, Record, Records, RecordsRoot, SystemRecord, damaged, with_key};
use crate::revision::{Position, Revision};
use crate::sabotage::sabotaged;
use crate::storage::Storage;

/// What a checkpoint remembers of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RootState {
    pub(crate) records: Option<RecordsRoot>,
    pub(crate) revision: u64,
    pub(crate) scheduled: Option<u64>,
    pub(crate) finished: Option<u64>,
}

impl RootState {
    /// The state of a store that nothing was written to.
    pub(crate) const fn new() -> Self {
        Self { records: None, revision: Revision::FIRST.get(), scheduled: None, finished: None }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let Ok(bytes) = postcard::to_allocvec(self) else {
            unreachable!("a vector takes any number of bytes")
        };
        assert!(bytes.len() <= MAX_ROOT_BYTES, "the root state fits a meta slot");
        bytes
    }

    /// # Errors
    /// [`Error::Corrupt`] if these bytes are no root.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        postcard::from_bytes(bytes).map_err(|error| {
            Error::corrupt(0, PageKind::Meta, alloc::format!("the root can't be read: {error}"))
        })
    }
}

/// The state while the log is followed.
struct Opening<S> {
    pager: Pager<S>,
    records: Records,
    revision: u64,
    scheduled: Option<u64>,
    finished: Option<u64>,
}

impl<S: Storage> Store<S> {
    /// Opens the store on a storage, or creates one there if it is empty. An unfinished compaction goes on.
    ///
    /// Costs reading all records: about half a microsecond for each.
    ///
    /// # Errors
    /// [`Error::InvalidOption`]; [`Error::NotAStore`], [`Error::NewerFormat`] or [`Error::Corrupt`], with the
    /// storage unchanged; [`Error::Storage`].
    pub fn open(storage: S, options: Options) -> Result<Self> {
        options.validate()?;
        let store_id = options.store_id.unwrap_or_else(random_id);
        let new = NewStore { store_id, page_bytes: options.page_bytes };
        let (pager, root) = Pager::open(storage, new, options.cache_bytes)?;
        let mut opening = Opening::from_checkpoint(pager, root.as_deref())?;
        opening.follow_log()?;
        opening.finish(options)
    }
}

/// A number that no other store has, as far as the platform has randomness to give.
pub(super) fn random_id() -> u64 {
    #[cfg(feature = "std")]
    {
        use core::hash::{BuildHasher, Hasher};
        std::collections::hash_map::RandomState::new().build_hasher().finish()
    }
    #[cfg(not(feature = "std"))]
    {
        0x7061_6C69_6D70_7365
    }
}

impl<S: Storage> Opening<S> {
    fn from_checkpoint(mut pager: Pager<S>, root: Option<&[u8]>) -> Result<Self> {
        let root = match root {
            Some(bytes) => RootState::decode(bytes)?,
            None => RootState::new(),
        };
        let records = match &root.records {
            Some(records) => Records::load(pager.pages(), records)?,
            None => Records::new(pager.page_bytes(), Position::new(Revision::FIRST.get(), 0)),
        };
        // The freelist has claimed them already; a store that was never checkpointed has none.
        records.open_page().into_iter().for_each(|page| {
            pager.claim(page);
        });
        let RootState { revision, scheduled, finished, .. } = root;
        Ok(Self { pager, records, revision, scheduled, finished })
    }

    /// Takes up the commits after the checkpoint, as far as they are whole.
    fn follow_log(&mut self) -> Result<()> {
        let mut unproven = Unproven::default();
        while let Some(commit) = self.pager.next_commit()? {
            let overflow = match self.overflow_of(&commit) {
                Ok(overflow) => overflow,
                Err(Error::Corrupt { kind: PageKind::Overflow, .. })
                    if sabotaged!(LostCommitIgnored) || !self.pager.was_durable(&commit)? =>
                {
                    break;
                }
                Err(error) => return Err(error),
            };
            self.pager.accept(&commit, overflow, &mut unproven)?;
            for replayed in &commit {
                self.take_system_records(replayed)?;
            }
            self.records.replay(&mut self.pager, commit)?;
            self.revision = self.revision.max(self.records.last().main);
            if sabotaged!(LogFollowedOnce) {
                break;
            }
        }
        if !sabotaged!(LostCommitIgnored) && !sabotaged!(LogFollowedOnce) {
            self.pager.check_end_of_log()?;
        }
        self.pager.end_of_log(unproven)
    }

    /// The overflow pages that a commit's new records use.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if one of them is not there whole: the commit was not durable then, or is damaged.
    fn overflow_of(&self, commit: &[Replayed]) -> Result<Vec<PageId>> {
        let mut found = Vec::new();
        for Replayed { page, place, .. } in commit {
            for record in Leaf::of(page).records() {
                let record = record.map_err(damaged(place.page))?;
                if record.position <= self.records.last() {
                    continue;
                }
                found.extend(Records::verified_overflow(self.pager.pages(), &record.body)?);
            }
        }
        Ok(found)
    }

    fn take_system_records(&mut self, replayed: &Replayed) -> Result<()> {
        for record in Leaf::of(&replayed.page).records() {
            let record = record.map_err(damaged(replayed.place.page))?;
            if let Body::System(SystemRecord::CompactionScheduled(revision)) = record.body
                && !sabotaged!(ScheduledForgotten)
            {
                self.scheduled = self.scheduled.max(Some(revision));
            }
        }
        Ok(())
    }

    /// Everything that is reachable must be marked as used, and be reached once: what the freelist says is believed from now
    /// on, and a page that it gave out by mistake would be overwritten.
    fn check_pages(&self) -> Result<()> {
        let tree = self.records.tree();
        let mut pages: Vec<PageId> = tree.branch_pages();
        pages.extend(tree.leaves().map(|leaf| PageId::new(leaf.place.page)));
        pages.extend(self.records.open_page());
        pages.sort_unstable();
        let twice = pages.array_windows().find(|[one, other]| one == other).map(|[page, _]| *page);
        let free = || pages.iter().copied().find(|page| !self.pager.is_used(*page));
        match twice.or_else(free) {
            Some(page) if !sabotaged!(FreelistTrusted) => {
                let what = "it is reached twice, or by a tree and not by the freelist";
                Err(Error::corrupt(page.get(), PageKind::Freelist, what))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn finish(self, options: Options) -> Result<Store<S>> {
        self.check_pages()?;
        let loaded = load_index(&self.pager, &self.records)?;
        let revision = self.revision.max(loaded.newest).max(self.scheduled.unwrap_or(0));
        let unfinished = self.scheduled.filter(|scheduled| self.finished < Some(*scheduled));
        Ok(Store {
            options,
            pager: self.pager,
            records: self.records,
            index: loaded.index,
            dead: loaded.dead,
            revision,
            durable_revision: revision,
            compacted: self.scheduled,
            finished: self.finished,
            record_count: loaded.records,
            queue: VecDeque::from_iter(unfinished),
            background: Background::default(),
            failed: None,
        })
    }
}

/// What the records say.
struct LoadedIndex {
    index: Index,
    dead: DeadList,
    newest: u64,
    records: u64,
}

fn load_index<S: Storage>(pager: &Pager<S>, records: &Records) -> Result<LoadedIndex> {
    let mut builder = IndexBuilder::default();
    let mut loaded =
        LoadedIndex { index: Index::default(), dead: DeadList::default(), newest: 0, records: 0 };
    records.source().for_each(pager.pages(), |record, page| {
        if matches!(record.body, Body::System(_)) {
            return Ok(());
        }
        loaded.newest = record.position.main;
        loaded.records += 1;
        for page in Records::overflow_pages(pager.pages(), &record.body)? {
            if !pager.is_used(page) && !sabotaged!(FreelistTrusted) {
                let what = "a record uses it, and the freelist says it is free";
                return Err(Error::corrupt(page.get(), PageKind::Overflow, what));
            }
        }
        let pushed = with_key(pager.pages(), &record.body, |key| push(&mut builder, key, record))?;
        let replaced = pushed.map_err(|what| Error::corrupt(page, PageKind::Leaf, what))?;
        if let Some(replaced) = replaced {
            loaded.dead.push(replaced, record.position.main);
        }
        if record.body.generation(record.position.main).is_none() {
            loaded.dead.push(record.position, record.position.main + 1);
        }
        Ok(())
    })?;
    loaded.index = builder.finish();
    Ok(loaded)
}

fn push(
    builder: &mut IndexBuilder,
    key: &[u8],
    record: &Record<'_>,
) -> core::result::Result<Option<Position>, &'static str> {
    let kind = match record.body.generation(record.position.main) {
        Some((version, created)) => Loaded::Put { version, created },
        None => Loaded::Tombstone,
    };
    builder.push(key, record.position, kind)
}
