//! Opening a store: the last checkpoint, then the log, then the index from the records.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::background::Background;
use super::refile::Refiling;
use super::remembered::Remembered;
use super::{Options, Store};
use crate::compaction::{Filing, Rules};
use crate::error::{Error, PageKind, Result};
use crate::index::{Index, IndexBuilder, Loaded};
use crate::lease::LeaseId;
use crate::pager::{Bitmap, MAX_ROOT_BYTES, NewStore, PageId, Pager, Replayed, Unproven};
use crate::records::{Body, Chain, Leaf, Record, Records, RecordsRoot, damaged, with_key};
use crate::revision::{Position, Revision};
use crate::sabotage::sabotaged;
use crate::storage::Storage;
use crate::watch::Watchers;

/// What a checkpoint remembers of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RootState {
    pub(crate) records: Option<RecordsRoot>,
    pub(crate) revision: u64,
    pub(crate) scheduled: Option<u64>,
    pub(crate) finished: Option<u64>,
    /// Where that is what a checkpoint remembers besides; `None` if it is nothing.
    pub(crate) kept: Option<Chain>,
}

/// What every root says. What follows it in the meta slot says where the rest is, if there is any.
#[derive(Serialize, Deserialize)]
struct RootStart {
    records: Option<RecordsRoot>,
    revision: u64,
    scheduled: Option<u64>,
    finished: Option<u64>,
}

impl RootState {
    /// The state of a store that nothing was written to.
    pub(crate) const fn new() -> Self {
        Self { records: None, revision: Revision::FIRST.get(), scheduled: None, finished: None, kept: None }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { records, revision, scheduled, finished, kept } = self;
        let (records, scheduled, finished) = (*records, *scheduled, *finished);
        let start = RootStart { records, revision: *revision, scheduled, finished };
        let bytes = postcard::to_allocvec(&start).and_then(|mut bytes| {
            if let Some(kept) = kept {
                bytes.extend(postcard::to_allocvec(kept)?);
            }
            Ok(bytes)
        });
        let Ok(bytes) = bytes else { unreachable!("a vector takes any number of bytes") };
        assert!(bytes.len() <= MAX_ROOT_BYTES, "the root state fits a meta slot");
        bytes
    }

    /// # Errors
    /// [`Error::Corrupt`] if these bytes are no root.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let corrupt = |what: String| Error::corrupt(0, PageKind::Meta, what);
        let unreadable = |error: postcard::Error| corrupt(format!("the root can't be read: {error}"));
        let (start, rest) = postcard::take_from_bytes::<RootStart>(bytes).map_err(unreadable)?;
        let kept = if rest.is_empty() { None } else { Some(postcard::from_bytes(rest).map_err(unreadable)?) };
        let RootStart { records, revision, scheduled, finished } = start;
        let root = Self { records, revision, scheduled, finished, kept };
        let possible = Revision::FIRST.get()..=Revision::LAST.get();
        let is_history = possible.contains(&root.revision)
            && root.scheduled <= Some(root.revision)
            && root.finished <= root.scheduled
            && root.records.is_none_or(|records| records.last_main <= root.revision);
        if is_history { Ok(root) } else { Err(corrupt(format!("{root:?} is no state of a store"))) }
    }
}

/// The state while the log is followed.
struct Opening<S> {
    pager: Pager<S>,
    records: Records,
    revision: u64,
    finished: Option<u64>,
    remembered: Remembered,
    /// Where that is what the checkpoint remembers besides the records.
    system: Option<Chain>,
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
        let rules = Rules::new(&options.retention, &opening.remembered.times);
        opening.remembered.memory = rules.longest();
        // Before the log is followed, since that lets go of pages; and again when it has been, with what it has added.
        opening.check_pages()?;
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
        let remembered = Remembered::load(pager.pages(), &root)?;
        let RootState { revision, finished, kept: system, .. } = root;
        Ok(Self { pager, records, revision, finished, remembered, system })
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
        if !sabotaged!(LostCommitIgnored) {
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
            let Body::System(system) = record.body else { continue };
            // A page that is a longer version of another repeats its records.
            if record.position > self.records.last() {
                self.remembered
                    .take(system, record.position.main)
                    .map_err(|what| Error::corrupt(replayed.place.page, PageKind::Leaf, what))?;
            }
        }
        Ok(())
    }

    /// Everything that the records' trees reach must be marked as used, and be reached once: what the freelist says is believed from
    /// now on, and a page that it gave out by mistake would be overwritten. Answers the pages that are reached.
    fn check_pages(&self) -> Result<Reached> {
        let tree = self.records.tree();
        let mut reached = Reached::default();
        for (page, _bytes) in tree.branch_pages() {
            reached.add(&self.pager, page, PageKind::Branch)?;
        }
        for leaf in tree.leaves() {
            reached.add(&self.pager, PageId::new(leaf.place.page), PageKind::Leaf)?;
        }
        if let Some(page) = self.records.open_page() {
            reached.add(&self.pager, page, PageKind::Leaf)?;
        }
        if let Some(chain) = &self.system {
            for page in Records::pages_apart(self.pager.pages(), chain)? {
                reached.add(&self.pager, page, PageKind::Overflow)?;
            }
        }
        Ok(reached)
    }

    /// What was remembered besides the records must be of revisions that there are.
    fn check_lists(&self, revision: u64) -> Result<()> {
        let corrupt = |what: String| Err(Error::corrupt(0, PageKind::Meta, what));
        if self.remembered.scheduled > Some(revision) {
            return corrupt(format!(
                "a compaction to {:?} was scheduled at revision {revision}",
                self.remembered.scheduled
            ));
        }
        if self.remembered.times.last().is_some_and(|last| last.revision > revision) {
            return corrupt("a time is of a revision that is not there".into());
        }
        if let Some(pinned) = self.remembered.pins.revisions().last().filter(|pinned| **pinned > revision) {
            return corrupt(format!("revision {pinned} is pinned at revision {revision}"));
        }
        Ok(())
    }

    fn attach(&mut self, attached: &BTreeMap<Vec<u8>, u64>) -> Result<()> {
        for (key, lease) in attached {
            let id = LeaseId::new(*lease).filter(|id| self.remembered.leases.has(*id));
            let what = || format!("a key has the lease {lease}, which does not exist");
            let id = id.ok_or_else(|| Error::corrupt(0, PageKind::Meta, what()))?;
            self.remembered.leases.attach(key, Some(id));
        }
        Ok(())
    }

    fn finish(mut self, options: Options) -> Result<Store<S>> {
        let mut reached = self.check_pages()?;
        for page in self.pager.own_pages() {
            reached.add(&self.pager, page, PageKind::Freelist)?;
        }
        let loaded = load_index(&self.pager, &self.records, reached)?;
        let revision = self.revision.max(loaded.newest);
        if self.records.last().sub == u32::MAX {
            return Err(Error::corrupt(0, PageKind::Meta, "no record can be after the last one"));
        }
        self.check_lists(revision)?;
        self.attach(&loaded.attached)?;
        let rules = Rules::new(&options.retention, &self.remembered.times);
        let filing = if self.remembered.pins.len() > 0 || !rules.is_empty() {
            let horizon = (self.remembered.scheduled.unwrap_or(0), self.remembered.pins.revisions());
            Refiling::all(&loaded.index, rules, horizon)
        } else {
            loaded.filing
        };
        let unfinished = self.remembered.scheduled.filter(|scheduled| self.finished < Some(*scheduled));
        let mut store = Store {
            pager: self.pager,
            records: self.records,
            index: loaded.index,
            filing,
            revision,
            durable_revision: revision,
            compacted: self.remembered.scheduled,
            finished: self.finished,
            record_count: loaded.records,
            queue: VecDeque::from_iter(unfinished),
            background: Background::new(&options),
            leases: self.remembered.leases,
            times: self.remembered.times,
            pins: self.remembered.pins,
            write_kept_anew: false,
            system: self.system,
            has_unsynced_system: false,
            watchers: Watchers::default(),
            refused_bytes: None,
            options,
            failed: None,
        };
        store.bound_growth();
        Ok(store)
    }
}

/// The pages that something reaches.
#[derive(Default)]
struct Reached(Bitmap);

impl Reached {
    /// # Errors
    /// [`Error::Corrupt`] if the page is reached twice, or the freelist says that it is free.
    fn add<S: Storage>(&mut self, pager: &Pager<S>, page: PageId, kind: PageKind) -> Result<()> {
        if !pager.is_used(page) && !sabotaged!(FreelistTrusted) {
            return Err(Error::corrupt(
                page.get(),
                kind,
                "it is in use, and the freelist says that it is free",
            ));
        }
        if !self.0.insert(page.get()) {
            return Err(Error::corrupt(page.get(), kind, "it is reached twice"));
        }
        Ok(())
    }
}

/// What the records say.
#[derive(Default)]
struct LoadedIndex {
    index: Index,
    filing: Filing,
    newest: u64,
    records: u64,
    /// The keys whose newest records name a lease, with its number.
    attached: BTreeMap<Vec<u8>, u64>,
}

fn load_index<S: Storage>(pager: &Pager<S>, records: &Records, mut reached: Reached) -> Result<LoadedIndex> {
    let mut builder = IndexBuilder::default();
    let mut loaded = LoadedIndex::default();
    records.source().for_each(pager.pages(), |record, page| {
        if matches!(record.body, Body::System(_)) {
            return Ok(());
        }
        if record.position > records.last() {
            return Err(Error::corrupt(page, PageKind::Leaf, "a record is after the last one"));
        }
        loaded.newest = record.position.main;
        loaded.records += 1;
        for page in Records::overflow_pages(pager.pages(), &record.body)? {
            reached.add(pager, page, PageKind::Overflow)?;
        }
        let attached = &mut loaded.attached;
        let pushed = with_key(pager.pages(), &record.body, |key| {
            note_lease(attached, key, record.body.lease());
            push(&mut builder, key, record)
        })?;
        let replaced = pushed.map_err(|what| Error::corrupt(page, PageKind::Leaf, what))?;
        if let Some(replaced) = replaced {
            loaded.filing.push(replaced, record.position.main, None);
        }
        if record.body.generation(record.position.main).is_none() {
            loaded.filing.push(record.position, record.position.main + 1, None);
        }
        Ok(())
    })?;
    loaded.index = builder.finish();
    Ok(loaded)
}

fn note_lease(attached: &mut BTreeMap<Vec<u8>, u64>, key: &[u8], lease: u64) {
    if lease != 0 {
        attached.insert(key.to_vec(), lease);
    } else if !attached.is_empty() {
        attached.remove(key);
    }
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
