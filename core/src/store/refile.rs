//! Filing all dead records anew, from the index.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::compaction::{Dead, Filing, Rules, Stay};
use crate::index::{Change, Index, Step};
use crate::pager::Progress;

/// When each of a key's steps dies by a rule that keeps so many versions, `None` for those that have not: a put at the put that makes it one too
/// many of its generation, or at the generation's tombstone; a tombstone one revision after its own.
pub(super) fn deaths(steps: &[(u64, Change)], versions: usize) -> Vec<Option<u64>> {
    let mut deaths = Vec::with_capacity(steps.len());
    let mut end = 0;
    for (place, (main, change)) in steps.iter().enumerate() {
        if *change == Change::Tombstone {
            deaths.push(Some(main + 1));
            continue;
        }
        if end <= place {
            let puts = steps.iter().skip(place).take_while(|(_, change)| *change == Change::Put).count();
            end = place + puts;
        }
        let newer = place.saturating_add(versions);
        let by = if newer < end { steps.get(newer) } else { steps.get(end) };
        deaths.push(by.map(|(main, _)| *main));
    }
    deaths
}

/// Keys that are looked at in one go.
const KEYS_AT_ONCE: usize = 64;

/// All dead records of a store on the way to be filed anew, by rules that are to take the place of those that there are: as compactions that have
/// looked at all of them would have; those of rules that keep something for a while wait for that. Costs some 100 ns a record.
///
/// It goes from key to key. Meanwhile no compaction may run; what dies of a key that it has passed is filed here as well, and it is told which
/// pins go.
///
/// Invariant: `filing` has every dead record of the keys up to `last`, and none of another.
#[derive(Debug)]
pub(super) struct Refiling {
    filing: Filing,
    /// How far compaction has got: what died later waits for it.
    reached: u64,
    pins: Arc<[u64]>,
    last: Option<Vec<u8>>,
}

impl Refiling {
    pub(super) fn begin(rules: Rules, (reached, pins): (u64, &Arc<[u64]>)) -> Self {
        let mut filing = Filing::new(Arc::new(rules));
        filing.begin_job(pins);
        Self { filing, reached, pins: Arc::clone(pins), last: None }
    }

    /// All of it at once.
    pub(super) fn all(index: &Index, rules: Rules, horizon: (u64, &Arc<[u64]>)) -> Filing {
        let mut refiling = Self::begin(rules, horizon);
        while refiling.next_keys(index) == Progress::More {}
        refiling.finish()
    }

    /// Files what is dead of the next few keys. Answers whether there are others.
    pub(super) fn next_keys(&mut self, index: &Index) -> Progress {
        let last = self.last.take();
        let mut left = KEYS_AT_ONCE;
        let mut entries = index.entries_after(last.as_deref());
        while left > 0
            && let Some((key, steps)) = entries.next()
        {
            self.file(key, &steps);
            left -= 1;
            if left == 0 {
                self.last = Some(key.to_vec());
            }
        }
        if left == 0 { Progress::More } else { Progress::Done }
    }

    fn file(&mut self, key: &[u8], steps: &[Step]) {
        let filing = &mut self.filing;
        let rules = Arc::clone(filing.rules());
        let rule = rules.of(key);
        let versions = rules.versions(rule);
        let is_timed = rules.time(rule).is_some();
        let plain: Vec<(u64, Change)> = steps.iter().map(|step| (step.position.main, step.change)).collect();
        for (place, (step, death)) in steps.iter().zip(deaths(&plain, versions)).enumerate() {
            let Some(death) = death else { continue };
            let Step { position, change } = *step;
            let next = steps.get(place + 1).map(|step| step.position.main);
            let replaced = if change == Change::Tombstone { death } else { next.unwrap_or(death) };
            let is_waiting = death > self.reached || is_timed;
            if is_waiting {
                filing.push(position, death, rule);
            } else if !filing.push_if_pinned(Dead { position, death: replaced }, &self.pins) {
                let stay = match versions {
                    1 => Stay::of(position.main, next, (self.reached, &self.pins)),
                    _ => Some(Stay::Newest),
                };
                match stay.filter(|_| place > 0 && change == Change::Tombstone) {
                    Some(stay) => filing.push_tombstone(position, stay),
                    None => filing.push(position, death, rule),
                }
            }
        }
    }

    /// What is filed, if that is what there is of this key, too.
    pub(super) fn filing_of(&mut self, key: &[u8]) -> Option<&mut Filing> {
        let is_passed = self.last.as_deref().is_some_and(|last| key <= last);
        is_passed.then_some(&mut self.filing)
    }

    /// Notes that a revision is no longer pinned.
    pub(super) fn release(&mut self, pin: u64) {
        self.filing.release(pin);
    }

    /// All that is filed, when there are no others.
    pub(super) fn finish(mut self) -> Filing {
        self.filing.end_job();
        self.filing
    }

    /// Verifies the invariants that need no look at the store.
    ///
    /// # Errors
    /// The first violation found, in words.
    pub(super) fn check(&self, pins: &[u64]) -> Result<(), String> {
        self.filing.check(pins)
    }
}
