//! What a compaction would free.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Store;
use super::reader::Reader;
use crate::compaction::Dead;
use crate::error::Result;
use crate::pager::Page;
use crate::pin::pin_between;
use crate::records::{Body, Record, Records, with_key};
use crate::revision::{Position, Revision};
use crate::scheduler::{Budget, Clock, Deadline, Time};
use crate::storage::Storage;

/// What some records take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// How many there are.
    pub records: u64,
    /// Bytes that they take in leaves, and of all pages that they have to themselves.
    pub bytes: u64,
}

impl Freed {
    fn add(&mut self, bytes: u64) {
        self.records += 1;
        self.bytes += bytes;
    }
}

/// What a compaction would free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DryRunReport {
    /// The revision compacted to.
    pub revision: Revision,
    /// All of it.
    pub freed: Freed,
    /// The same by the prefixes of the keys, in their order; an empty one for keys without a delimiter.
    pub prefixes: Vec<(Vec<u8>, Freed)>,
}

/// A compaction that is tried out and changes nothing. It holds nothing of the store, and is worked on in steps.
///
/// What earlier compactions were asked to free is not counted, whether or not they have done so; nor is what is pinned, or what a watcher holds,
/// as it was when this began.
#[derive(Clone, Debug)]
pub struct DryRun {
    revision: u64,
    delimiter: Vec<u8>,
    depth: usize,
    horizon: Horizon,
    /// What is looked at next.
    stage: Stage,
    waiting: VecDeque<Dead>,
    /// Tombstones that are counted and that background work may file elsewhere meanwhile, where they would be found again.
    counted: BTreeSet<Position>,
    total: Freed,
    prefixes: BTreeMap<Vec<u8>, Freed>,
}

/// What a compaction goes by, as it was when a dry run began.
#[derive(Clone, Debug)]
struct Horizon {
    compacted: Option<u64>,
    /// The lists of the dead are those of then.
    generation: u64,
    pins: Arc<[u64]>,
    /// What has died by this revision is removed: what the compaction is to, or as far as watchers let it.
    reached: u64,
}

/// What a dry run looks at: in this order, which is the one in which background work moves what has died by the compacted revision, so that
/// nothing escapes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The dead that wait for a compaction, in one of their lists and from a position on.
    Waiting((usize, Position)),
    /// The tombstones that stayed because of older records, and what background work has in hand.
    Tombstones,
    Done,
}

impl<S: Storage> Store<S> {
    /// Begins to find out what a compaction to a revision would free, without doing it. Costs what is found: one look at each record that
    /// would be removed, in steps as long as one likes.
    ///
    /// ```
    /// # use palimpsest_kv::{Options, Store, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// store.put("users/1", "old")?;
    /// store.put("users/1", "new")?;
    /// store.delete("users/1")?;
    /// store.put("jobs/7", "done")?;
    /// let report = store.dry_run(store.revision())?.by_prefix("/", 1).finish(&store)?;
    /// assert_eq!(report.freed.records, 3, "both values, and the delete that is older than the revision");
    /// assert_eq!(report.prefixes[0].0, b"users/");
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Store::compact`]: [`Error::Compacted`](crate::Error::Compacted), [`Error::FutureRevision`](crate::Error::FutureRevision).
    pub fn dry_run(&self, revision: impl Into<Revision>) -> Result<DryRun> {
        let revision = revision.into();
        self.check_compactable(revision)?;
        Ok(DryRun {
            revision: revision.get(),
            delimiter: Vec::new(),
            depth: 0,
            horizon: Horizon {
                compacted: self.compacted,
                generation: self.filing.generation(),
                pins: Arc::clone(self.pins.revisions()),
                reached: revision.get().min(self.watchers.held_revision()),
            },
            stage: Stage::Waiting((0, Position::new(0, 0))),
            waiting: VecDeque::new(),
            counted: BTreeSet::new(),
            total: Freed::default(),
            prefixes: BTreeMap::new(),
        })
    }
}

impl DryRun {
    /// Also counts by prefix: the key up to the `depth`th delimiter and with it, or up to the last if it has fewer. Takes memory for each
    /// prefix.
    #[must_use]
    pub fn by_prefix(self, delimiter: impl AsRef<[u8]>, depth: usize) -> Self {
        Self { delimiter: delimiter.as_ref().to_vec(), depth, ..self }
    }

    /// Works for at most the budget plus about one page's work. Answers with the report once it is done, with nothing before. The store may be
    /// written to in between, and work in the background; when it is compacted meanwhile, or its rules change, this begins anew.
    ///
    /// # Errors
    /// [`Error::Compacted`](crate::Error::Compacted) if the store has been compacted to the revision or later;
    /// [`Error::Corrupt`](crate::Error::Corrupt), [`Error::Storage`](crate::Error::Storage).
    pub fn step<S: Storage>(
        &mut self,
        store: &Store<S>,
        clock: &impl Clock,
        budget: Budget,
    ) -> Result<Option<DryRunReport>> {
        let deadline = Deadline::start(clock, budget);
        let Horizon { compacted, generation, .. } = self.horizon;
        if (compacted, generation) != (store.compacted, store.filing.generation()) {
            *self = store.dry_run(self.revision)?.by_prefix(&self.delimiter, self.depth);
        }
        loop {
            if let Some(dead) = self.waiting.pop_front() {
                if let Some((bytes, prefix)) = self.look_at(store, dead)?
                    && self.counts_first(store, dead)
                {
                    self.total.add(bytes);
                    prefix.into_iter().for_each(|prefix| self.prefixes.entry(prefix).or_default().add(bytes));
                }
            } else {
                match self.stage {
                    Stage::Waiting(start) => {
                        let found = store.filing.next_dead(start, self.deaths(store));
                        let next = found.as_ref().map(|(_, next)| *next);
                        self.stage = next.map_or(Stage::Tombstones, Stage::Waiting);
                        self.waiting.extend(found.into_iter().flat_map(|(dead, _)| dead));
                    }
                    Stage::Tombstones => {
                        self.waiting.extend(self.left_by_others(store));
                        self.stage = Stage::Done;
                    }
                    Stage::Done => return Ok(Some(self.report())),
                }
            }
            if deadline.has_passed() {
                return Ok(None);
            }
        }
    }

    /// Does all of it at once.
    ///
    /// # Errors
    /// As [`DryRun::step`].
    pub fn finish<S: Storage>(mut self, store: &Store<S>) -> Result<DryRunReport> {
        let still = || Time::from_micros(0);
        loop {
            if let Some(report) = self.step(store, &still, Budget::micros(1))? {
                return Ok(report);
            }
        }
    }

    fn report(&self) -> DryRunReport {
        let prefixes = self.prefixes.iter().map(|(prefix, freed)| (prefix.clone(), *freed));
        DryRunReport {
            revision: Revision::new(self.revision),
            freed: self.total,
            prefixes: prefixes.collect(),
        }
    }

    /// After which revision, and by which, what waits for a compaction has died if it is to be looked at.
    fn deaths<S: Storage>(&self, store: &Store<S>) -> (u64, u64) {
        // Where nothing is pinned and nothing was left for a pin, what died before goes before.
        let is_plain = self.horizon.pins.is_empty() && store.filing.is_plain();
        (self.horizon.compacted.filter(|_| is_plain).unwrap_or(0), self.horizon.reached)
    }

    /// What has died by the compacted revision and was already looked at, or is just now: of that, tombstones may be among what this compaction
    /// removes first, and puts are not.
    fn left_by_others<S: Storage>(&self, store: &Store<S>) -> Vec<Dead> {
        if self.horizon.pins.is_empty() {
            return Vec::new();
        }
        let is_of_tombstone = |dead: &Dead| dead.death == dead.position.main + 1;
        let unsettled = store.filing.unsettled().filter(is_of_tombstone);
        // They died by the compacted revision, which is all that matters.
        let of_job = |position: Position| Dead { position, death: position.main };
        let at_work = store.waiting_dead().into_iter().map(of_job);
        let ending = store.filing.tombstones_ending(self.horizon.reached).into_iter();
        ending.chain(unsettled).chain(at_work).collect()
    }

    /// Whether a record that would be removed is not counted yet.
    fn counts_first<S: Storage>(&mut self, store: &Store<S>, dead: Dead) -> bool {
        // Background work moves nothing else.
        dead.death > store.compacted.unwrap_or(0) || self.counted.insert(dead.position)
    }

    /// Whether the compaction would remove a dead record, and no earlier one is to.
    fn would_go<S: Storage>(
        &self,
        reader: &Reader<'_, S>,
        dead: Dead,
        (key, body): (&[u8], &Body<'_>),
    ) -> bool {
        let position = dead.position;
        let (rules, compacted) = (reader.rules, self.horizon.compacted.unwrap_or(0));
        let rule = rules.of(key);
        let died = dead.death <= rules.reach(rule, compacted);
        let next = || reader.index.neighbours(key, position).next.map(|step| step.position.main);
        let is_pinned = |end| pin_between(reader.pinned, position.main, end).is_some();
        if body.generation(position.main).is_some() {
            // Where versions are counted, it was replaced before it died.
            let counts_versions = rules.versions(rule) > 1 && !reader.pinned.is_empty();
            let replaced = if counts_versions { next() } else { None };
            return !died && !is_pinned(replaced.unwrap_or(dead.death));
        }
        if is_pinned(dead.death) {
            return false;
        }
        if !died && reader.pinned.is_empty() {
            return true;
        }
        let next = next();
        let stays = |compacted| reader.needs_tombstone((key, position), next, compacted);
        (!died || stays(compacted)) && !stays(self.horizon.reached)
    }

    /// How many bytes a dead record takes, and the prefix that it is counted by; nothing if it is not removed by this compaction. One that is
    /// gone by now was removed by another.
    fn look_at<S: Storage>(&self, store: &Store<S>, dead: Dead) -> Result<Option<(u64, Option<Vec<u8>>)>> {
        let (reader, position) = (Reader { pinned: &self.horizon.pins, ..store.reader() }, dead.position);
        let pages = store.pager.pages();
        let look = |_page: &Page, record: &Record<'_>| {
            if !with_key(pages, &record.body, |key| self.would_go(&reader, dead, (key, &record.body)))? {
                return Ok(None);
            }
            let mut buffer = alloc::vec![0; store.pager.page_bytes()];
            // Relative to itself, so that it takes the same wherever it stands.
            let bytes = record.encode(position.main, &mut buffer).unwrap_or(buffer.len());
            let apart = Records::overflow_pages(pages, &record.body)?.len() * store.pager.page_bytes();
            let prefix = match self.delimiter.as_slice() {
                [] => None,
                delimiter => {
                    Some(with_key(pages, &record.body, |key| prefix_of(key, delimiter, self.depth).to_vec())?)
                }
            };
            Ok(Some(((bytes + apart) as u64, prefix)))
        };
        Ok(store.records.source().visit(pages, position, look)?.flatten())
    }
}

/// The key up to the `depth`th delimiter and with it, or up to the last if it has fewer.
fn prefix_of<'a>(key: &'a [u8], delimiter: &[u8], depth: usize) -> &'a [u8] {
    let mut end = 0;
    for _ in 0..depth {
        let rest = key.get(end..).unwrap_or(&[]);
        match rest.windows(delimiter.len()).position(|window| window == delimiter) {
            Some(place) => end += place + delimiter.len(),
            None => break,
        }
    }
    key.get(..end).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::prefix_of;

    #[test]
    fn a_prefix_ends_with_a_delimiter() {
        let cases: [(&str, &str, usize, &str); 8] = [
            ("users/1/name", "/", 1, "users/"),
            ("users/1/name", "/", 2, "users/1/"),
            ("users/1/name", "/", 9, "users/1/"),
            ("users/1/name", "/", 0, ""),
            ("users", "/", 1, ""),
            ("/users", "/", 1, "/"),
            ("a::b:c::d", "::", 2, "a::b:c::"),
            ("aaaa", "aa", 1, "aa"),
        ];
        for (key, delimiter, depth, expected) in cases {
            let found = prefix_of(key.as_bytes(), delimiter.as_bytes(), depth);
            assert_eq!(found, expected.as_bytes(), "{key} by {depth} {delimiter}");
        }
    }
}
