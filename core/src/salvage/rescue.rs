//! Getting what can be read of a damaged store into a new one.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::damages::{Damage, Damages, Listed};
use super::ground::{Gap, Ground};
use super::lost::Lost;
use super::merge::in_order;
use super::numbers::Numbers;
use crate::error::{Error, PageKind, Result};
use crate::lease::LeaseId;
use crate::pager::in_page;
use crate::records::{Body, Chain, Record, with_contents};
use crate::revision::{Position, Revision};
use crate::storage::Storage;
use crate::store::{Change, Options, Rebuild};

/// What [`salvage`] found and saved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// Pages of the damaged storage.
    pub pages: u64,
    /// How many of those that something reaches are damaged.
    pub damaged_pages: u64,
    /// The first of these, at most [`MAX_LISTED`](crate::limits::MAX_LISTED).
    pub damage: Vec<Damage>,
    /// Damaged pages that `damage` does not list.
    pub more_damage: u64,
    /// Records, versions and tombstones, in the new store.
    pub records_saved: u64,
    /// Records that are known to be lost. What a damaged branch led to is not counted, since nothing says how much that was.
    pub records_lost: u64,
    /// What is known to be missing, at most [`MAX_LISTED`](crate::limits::MAX_LISTED) entries.
    pub lost: Vec<Lost>,
    /// Losses that `lost` does not list.
    pub more_lost: u64,
    /// Records whose version or create revision had to be made anew because what was read was no history of their key.
    pub renumbered: u64,
    /// Leaves that were taken although the map that would tell whether they are in use is damaged: what a compaction had
    /// removed may be back.
    pub unconfirmed_leaves: u64,
    /// Keys that exist in the new store.
    pub keys: u64,
    /// The new store's newest revision: that of the damaged one, as far as it is known.
    pub revision: Revision,
    /// The oldest revision that can be read.
    pub compacted: Option<Revision>,
    /// Leases in the new store, each with the time that it had left when that was last written down.
    pub leases: u64,
    /// Pins in the new store.
    pub pins: u64,
}

impl Salvaged {
    /// Whether nothing is known to be missing. Damage may have been found all the same, where it did no harm.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.lost.is_empty() && self.unconfirmed_leaves == 0 && self.renumbered == 0
    }
}

/// Reads everything that can still be read of a damaged store and writes it to a new one, at its revisions. `from` is only read.
///
/// The new store has the page size of the old one, an identity of its own, and all records that could be read; nothing is made up
/// for those that could not, so that an older value of a key may stand where the newest is lost: [`Salvaged::lost`] tells. It is
/// compacted as the old one was, and what the compaction had not removed yet is removed by [`Store::run`](crate::Store::run). It has the
/// old one's leases, pins and times of revisions, as far as they can be read; a version that names a lease which is not there any more
/// names none. If this fails, what is in `into` is no store.
///
/// Costs reading everything, some of it twice, and memory for the keys.
///
/// ```
/// use palimpsest_kv::{Options, Store, salvage, storage::MemoryStorage};
/// let mut store = Store::open(MemoryStorage::new(), Options::default())?;
/// store.put("a", "1")?;
/// let damaged = store.close()?.unwrap();
///
/// let new = MemoryStorage::new();
/// let saved = salvage(&damaged, &new, Options::default())?;
/// assert_eq!((saved.keys, saved.is_complete()), (1, true));
/// assert_eq!(Store::open(new, Options::default())?.get("a")?.unwrap().value(), b"1");
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
///
/// # Errors
/// [`Error::NotAStore`] if neither meta slot verifies, [`Error::NewerFormat`]; [`Error::InvalidOption`] if `into` holds something, other than
/// what is left of a salvage or an import that was cut short, or an option is invalid, with `into` unchanged; [`Error::Storage`] if either
/// storage fails as a whole; single pages of `from` that can't be read are damage.
pub fn salvage<S: Storage, T: Storage>(from: &S, into: T, options: Options) -> Result<Salvaged> {
    let mut ground = Ground::new(from)?;
    let options = Options { page_bytes: ground.survey.pages().page_bytes(), ..options };
    let mut rescue = Rescue {
        rebuild: Rebuild::begin(into, &options)?,
        numbers: Numbers::default(),
        lost: Listed::default(),
        records_lost: 0,
        in_gaps: ground.gaps.iter().map(|_| 0).collect(),
    };
    in_order(&mut ground, |ground, record, page| rescue.record(ground, record, page))?;
    rescue.count_gaps(&ground);
    rescue.finish(ground, options)
}

/// A new store that is being filled.
struct Rescue<T> {
    rebuild: Rebuild<T>,
    numbers: Numbers,
    lost: Listed<Lost>,
    records_lost: u64,
    /// How many records were found in each of the gaps.
    in_gaps: Vec<u64>,
}

impl<T: Storage> Rescue<T> {
    /// Takes the next record into the new store.
    fn record<S: Storage>(
        &mut self,
        ground: &mut Ground<'_, S>,
        record: &Record<'_>,
        page: u32,
    ) -> Result<()> {
        if let Some(count) = ground.gap_at(record.position).and_then(|gap| self.in_gaps.get_mut(gap)) {
            *count += 1;
        }
        if matches!(record.body, Body::System(_)) {
            return Ok(());
        }
        let is_possible = record.position > self.rebuild.last()
            && record.position.main > Revision::FIRST.get()
            && record.position.main <= Revision::LAST.get();
        if !is_possible {
            let what = format!("a record of revision {} there can't be", record.position.main);
            ground.damages.add(Error::corrupt(page, PageKind::Leaf, what.clone()));
            self.lose(None, record.position, what);
            return Ok(());
        }
        let place = record.body.chain().map_or(page, Chain::first_page);
        let taken = ground.claim_overflow(&record.body).and_then(|()| {
            let pages = ground.survey.pages();
            let lease = LeaseId::new(record.body.lease()).filter(|id| ground.remembered.leases.has(*id));
            let lease = lease.map_or(0, LeaseId::get);
            with_contents(pages, &record.body, |key, value| self.take((record, lease), key, value))
        });
        match taken.map_err(in_page(place, PageKind::Overflow)) {
            Ok(done) => done,
            Err(error) => {
                let key = match record.body {
                    Body::Put { key, .. } | Body::Tombstone { key } | Body::LongValue { key, .. } => {
                        Some(key)
                    }
                    Body::LongKey { .. } | Body::LongTombstone { .. } | Body::System(_) => None,
                };
                self.lose(key.map(<[u8]>::to_vec), record.position, format!("{error}"));
                ground.damages.add(error);
                Ok(())
            }
        }
    }

    /// Takes a record whose contents could be read, with a lease that there is.
    fn take(&mut self, (record, lease): (&Record<'_>, u64), key: &[u8], value: &[u8]) -> Result<()> {
        let position = record.position;
        if key.is_empty() {
            self.lose(None, position, "its key is empty".into());
            return Ok(());
        }
        let change = match record.body.generation(position.main) {
            Some(own) => {
                let (version, created) = self.numbers.put(key, position, own);
                Change::Put { key, value, version, created, lease }
            }
            None => {
                self.numbers.delete(key, position);
                Change::Tombstone { key }
            }
        };
        self.rebuild.append(position, change)
    }

    fn lose(&mut self, key: Option<Vec<u8>>, position: Position, what: String) {
        self.records_lost += 1;
        self.lost.push(Lost::Record { key, revision: Revision::new(position.main), what });
    }

    /// Tells which gaps were not filled.
    fn count_gaps<S: Storage>(&mut self, ground: &Ground<'_, S>) {
        let unaccounted = ground.unaccounted() > 0 || !ground.map_is_whole();
        if let Some(what) = &ground.forgotten {
            self.lost.push(Lost::Remembered { what: what.clone() });
        }
        if ground.is_cut {
            let what = "the storage was cut off, and nothing tells what was written behind these".into();
            let from = Revision::new(ground.revision.saturating_add(1).min(Revision::LAST.get()));
            self.lost.push(Lost::Revisions { from, to: Revision::LAST, what });
        }
        for missing in &ground.missing {
            let what = "pages of the log that held them are damaged";
            self.lost.push(Lost::between(missing, what.into()));
        }
        for (gap, found) in ground.gaps.iter().zip(&self.in_gaps) {
            let missing = gap.records.map(|records| records.saturating_sub(*found));
            self.records_lost += missing.unwrap_or(0);
            if missing.map_or(unaccounted, |missing| missing > 0) {
                self.lost.push(Lost::between(&gap.within, describe(gap, *found)));
            }
        }
    }

    /// Makes the new store durable and tells of it.
    fn finish<S: Storage>(self, ground: Ground<'_, S>, options: Options) -> Result<Salvaged> {
        let revision = ground.revision.max(self.rebuild.last().main);
        let store = self.rebuild.finish(ground.remembered.ending(revision), options)?;
        let status = store.status()?;
        let Damages { listed, pages: damaged_pages, .. } = ground.damages;
        Ok(Salvaged {
            pages: ground.survey.len().into(),
            damaged_pages,
            damage: listed.list,
            more_damage: listed.more,
            records_saved: status.records,
            records_lost: self.records_lost,
            lost: self.lost.list,
            more_lost: self.lost.more,
            renumbered: self.numbers.renumbered,
            unconfirmed_leaves: ground.unconfirmed,
            keys: status.live_keys,
            revision: status.revision,
            compacted: status.compacted,
            leases: store.leases().len() as u64,
            pins: status.pins,
        })
    }
}

/// Why the records of a gap are missing.
fn describe(gap: &Gap, found: u64) -> String {
    match gap.records {
        Some(records) => format!("their page is damaged: {found} of {records} records were found elsewhere"),
        None => format!("pages that led to them are damaged: {found} records were found all the same"),
    }
}
