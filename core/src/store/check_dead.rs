//! The part of the whole-store check that is about the index and the dead.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Store;
use super::check::Histories;
use super::refile::deaths;
use crate::compaction::{Place, Stay};
use crate::index::Change;
use crate::revision::Position;
use crate::storage::Storage;

/// A dead record and what its key's other records say of it.
#[derive(Clone, Copy, Debug)]
struct Died {
    /// When it died. What compaction has removed of its key may have made that seem later, but never later than was compacted.
    death: u64,
    change: Change,
    has_older: bool,
    /// The revision of its key's next record.
    next: Option<u64>,
    /// A rule keeps some versions of its key.
    counts_versions: bool,
}

/// All records that have died.
type Dead = BTreeMap<Position, Died>;

impl<S: Storage> Store<S> {
    /// The index names records that are there, and leaves out none but those that a compaction is removing.
    pub(super) fn check_index(&self, histories: &Histories) -> Result<(), String> {
        let removing = self.to_be_removed();
        let mut indexed = self.index.iter_entries().peekable();
        for (key, stored) in histories {
            let (_, steps) = indexed.next_if(|(name, _)| name == key).unwrap_or_default();
            let mut steps = steps.iter().map(|step| (step.position, step.change)).peekable();
            let missing = |record: &&(Position, Change)| steps.next_if(|step| step == *record).is_none();
            let left_out: Vec<Position> =
                stored.iter().filter(missing).map(|(position, _)| *position).collect();
            let kept = left_out.iter().find(|position| !removing.contains_key(position));
            if steps.next().is_some() || kept.is_some() {
                let key = String::from_utf8_lossy(key);
                return Err(format!("the index leaves out {left_out:?} of {key:?}, stored are {stored:?}"));
            }
        }
        match indexed.next() {
            Some((key, _)) => Err(format!("{:?} is in the index only", String::from_utf8_lossy(key))),
            None => Ok(()),
        }
    }

    /// Records that the running compaction is to remove, or the next look at the dead, and their deaths as they are filed.
    fn to_be_removed(&self) -> BTreeMap<Position, Option<u64>> {
        let compacted = self.compacted.unwrap_or(0);
        let due = self.filing.iter().filter_map(|(position, place)| match place {
            Place::Waiting(death) | Place::Released(death) if death <= compacted => {
                Some((position, Some(death)))
            }
            Place::Waiting(_) | Place::Released(_) | Place::Pinned { .. } | Place::Stays(_) => None,
        });
        due.chain(self.waiting_dead().into_iter().map(|position| (position, None))).collect()
    }

    /// What is filed and the running compaction's batch are exactly the stored records that have died, and each is where it must be.
    pub(super) fn check_dead(&self, histories: &Histories) -> Result<(), String> {
        let rules = self.filing.rules();
        let versions = |key: &[u8]| rules.versions(rules.of(key));
        let mut died: Dead = histories.iter().flat_map(|(key, steps)| died(steps, versions(key))).collect();
        for position in self.waiting_dead() {
            died.remove(&position)
                .ok_or_else(|| format!("record {position} is to be removed and has not died"))?;
        }
        for (position, place) in self.filing.iter() {
            let found = died.remove(&position);
            let found = found.ok_or_else(|| format!("record {position} is filed as dead, and is not"))?;
            if !self.is_filed_well((position, place), found) {
                return Err(format!("record {position}, {found:?}, is filed at {place:?}"));
            }
        }
        match died.first_key_value() {
            Some((position, _)) => Err(format!("record {position} has died and is not filed")),
            None => Ok(()),
        }
    }

    fn is_filed_well(&self, (position, place): (Position, Place), found: Died) -> bool {
        let compacted = self.compacted.unwrap_or(0);
        let is_pinned = |pin: u64| self.filing.is_pin(pin, self.pins.revisions());
        // A tombstone may be filed with the revision of what follows it.
        let is_death = |death: u64| {
            death == found.death
                || Some(death) == found.next
                || (death < found.death && found.death <= compacted)
        };
        match place {
            Place::Waiting(death) => is_death(death),
            Place::Released(death) => is_death(death) && death <= compacted,
            Place::Pinned { pin, death } => is_death(death) && death <= compacted && is_pinned(pin),
            Place::Stays(_) if found.change == Change::Put || !found.has_older => false,
            Place::Stays(Stay::Newest) => found.counts_versions || found.next.is_none(),
            Place::Stays(Stay::Until(next)) => Some(next) <= found.next,
            // The index may have forgotten the next one already, which is to be removed and which no pin sees.
            Place::Stays(Stay::Pinned { pin, next }) => {
                let is_seen = pin >= position.main && found.next.is_some_and(|found| pin < found.min(next));
                is_seen && next <= compacted && is_pinned(pin)
            }
        }
    }
}

/// When each of a key's records died, those that live left out, and those that a rule keeps for their number.
fn died(steps: &[(Position, Change)], versions: usize) -> Vec<(Position, Died)> {
    let plain: Vec<(u64, Change)> = steps.iter().map(|(position, change)| (position.main, *change)).collect();
    let deaths = deaths(&plain, versions);
    let died = |(place, ((position, change), death)): (usize, (&(Position, Change), Option<u64>))| {
        let next = steps.get(place + 1).map(|(next, _)| next.main);
        let counts_versions = versions > 1;
        Some((
            *position,
            Died { death: death?, change: *change, has_older: place > 0, next, counts_versions },
        ))
    };
    steps.iter().zip(deaths).enumerate().filter_map(died).collect()
}
