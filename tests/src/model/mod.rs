//! The store as obviously as it can be said: a map from keys to all that ever happened to them.
//!
//! Nothing is ever removed: compaction is a number, and what it keeps is computed from the whole history by the rule
//! itself. So the model still answers for every past revision after the store has forgotten it.

use std::collections::{BTreeMap, BTreeSet};

use palimpsest_kv::{Error, Keys, Revision};

use crate::action::{Deleting, Found, Putting, Step, Transaction};

mod hash;
mod history;
mod leases;
mod numbers;
mod past;
mod pins;
mod shape;
mod states;
mod times;
mod txn;

pub use history::{Before, Change, Told};
pub use leases::{Ends, Granted, Leases};
pub use numbers::{Numbers, Retention, Rule};
pub use past::{Differing, Past};
pub use pins::{PinMap, Pinned, Pins};
pub use states::States;
pub use times::{Belief, Sample, Times};
pub use txn::{limited, selected};

/// What an operation must answer: this, or any one of these errors.
pub type Expected<T> = Result<T, Vec<Error>>;

/// One change of one key: at a revision, the how manieth of its transaction, and what it left; `None` for a tombstone.
#[derive(Clone, Debug)]
pub struct Version {
    /// The revision.
    pub main: u64,
    /// The place within its transaction.
    pub sub: u64,
    /// What was left.
    pub record: Option<Record>,
    /// It was removed before the rules of retention changed for the so manieth time, so that no later rule brings it back.
    pub gone: Option<u64>,
}

/// A value with its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The value.
    pub value: Vec<u8>,
    /// The revision that created the key.
    pub create: u64,
    /// How often it was put since.
    pub version: u64,
    /// The number of its lease; 0 for none.
    pub lease: u64,
}

/// What the store is to refuse.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest key, in bytes.
    pub key_bytes: usize,
    /// The longest value, in bytes.
    pub value_bytes: usize,
    /// Operations in one branch, and compares.
    pub txn_ops: usize,
}

/// How much space a store uses, and how much it may.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Bytes in use: the model can't know, and is told.
    pub used: u64,
    /// Bytes that may be.
    pub quota: u64,
    /// Bytes of a page.
    pub page_bytes: usize,
}

impl Space {
    /// Whether a write that may need so many bytes finds them: an eighth of the quota, but at most 8 MiB, is not for writes.
    #[must_use]
    pub fn has_room(self, needed: u64) -> bool {
        self.used + needed + (self.quota / 8).min(8 << 20) < self.quota
    }

    /// Whether it would find them in a store without a key, which has eight pages in use at most.
    #[must_use]
    pub fn can_have_room(self, needed: u64) -> bool {
        Self { used: 8 * self.page_bytes as u64, ..self }.has_room(needed)
    }
}

/// What a read answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The entries.
    pub entries: Vec<Found>,
    /// Whether the limit left some out.
    pub more: bool,
    /// The number of keys, if that was asked for.
    pub count: Option<u64>,
    /// The current revision.
    pub revision: u64,
}

/// What one operation of a transaction answers; each with the current revision as it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// A put was made; what was there before, if that was asked for.
    Put(u64, Option<Found>),
    /// So many keys were deleted; what was there before, if that was asked for.
    Deleted(u64, u64, Vec<Found>),
    /// What was read.
    Read(Answer),
    /// What a transaction within the transaction answers.
    Txn(Committed),
}

/// What a transaction answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Which branch ran.
    pub succeeded: bool,
    /// The revision afterwards.
    pub revision: u64,
    /// The answers of the branch.
    pub outcomes: Vec<StepOutcome>,
}

/// Which revisions can be read.
#[derive(Clone, Debug)]
pub struct Horizon {
    /// The newest.
    pub newest: u64,
    /// The oldest but for those that are pinned, if there was a compaction.
    pub compacted: Option<u64>,
    /// Those that are pinned.
    pub pinned: BTreeSet<u64>,
    /// What else is kept.
    pub retention: Retention,
}

impl Horizon {
    /// The number of a revision that can be read: `None` and 0 are the newest one.
    ///
    /// # Errors
    /// What reading it must answer if it can't.
    pub fn readable(&self, revision: Option<u64>) -> Expected<u64> {
        let requested = Revision::new(revision.unwrap_or(0));
        match (requested.get(), self.compacted) {
            (0, _) => Ok(self.newest),
            (number, _) if number > self.newest => {
                Err(vec![Error::FutureRevision { requested, current: Revision::new(self.newest) }])
            }
            (number, Some(compacted)) if number < compacted && !self.pinned.contains(&number) => {
                Err(vec![Error::Compacted { requested, compacted: Revision::new(compacted) }])
            }
            (number, _) => Ok(number),
        }
    }
}

/// The whole history of a store.
#[derive(Clone, Debug)]
pub struct Model {
    histories: BTreeMap<Vec<u8>, Vec<Version>>,
    /// The same in the order in which it happened.
    changes: Vec<Change>,
    revision: u64,
    compacted: Option<u64>,
    limits: Limits,
    /// `None` where no bound is set.
    space: Option<Space>,
    leases: Leases,
    times: Times,
    pins: Pins,
    retention: Retention,
}

/// What a compaction to `compacted` keeps: everything newer, and the newest version not newer, unless that is a tombstone older than
/// `compacted`. These are always the last ones.
fn kept(history: &[Version], compacted: Option<u64>) -> &[Version] {
    let Some(compacted) = compacted else { return history };
    let newer = history.iter().take_while(|version| version.main <= compacted).count();
    let (older, newer_only) = history.split_at(newer);
    match older.last() {
        Some(last) if last.record.is_some() || last.main == compacted => {
            history.split_at(newer.saturating_sub(1)).1
        }
        _ => newer_only,
    }
}

fn found(key: &[u8], version: &Version) -> Option<Found> {
    let Record { value, create, version: count, lease } = version.record.clone()?;
    Some(Found { key: key.to_vec(), value, create, modified: version.main, version: count, lease })
}

impl Model {
    /// A store that nothing was written to.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            histories: BTreeMap::new(),
            changes: Vec::new(),
            revision: 1,
            compacted: None,
            limits,
            space: None,
            leases: Leases::default(),
            times: Times::default(),
            pins: Pins::default(),
            retention: Retention::default(),
        }
    }

    /// The current revision.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The revision compacted to.
    #[must_use]
    pub fn compacted(&self) -> Option<u64> {
        self.compacted
    }

    /// Every key that ever was.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.histories.keys().map(Vec::as_slice)
    }

    /// The number of a revision that can be read: `None` and 0 are the current one.
    ///
    /// # Errors
    /// What reading it must answer if it can't.
    pub fn readable(&self, revision: Option<u64>) -> Expected<u64> {
        self.horizon().readable(revision)
    }

    /// Which revisions can be read now.
    #[must_use]
    pub fn horizon(&self) -> Horizon {
        let Rule { compacted, pinned, retention } = self.rule(self.compacted);
        Horizon { newest: self.revision, compacted, pinned, retention }
    }

    /// What was there at a revision, compacted or not.
    #[must_use]
    pub fn at(&self, keys: &Keys, revision: u64) -> Vec<Found> {
        let visible = |(key, history): (&Vec<u8>, &Vec<Version>)| {
            found(key, history.iter().rfind(|version| version.main <= revision)?)
        };
        if let Some(key) = keys.single() {
            return self.histories.get_key_value(key).and_then(visible).into_iter().collect();
        }
        self.histories.iter().filter(|(key, _)| keys.contains(key)).filter_map(visible).collect()
    }

    /// Tells how much space the store uses at this moment; `None` if it may use any.
    pub fn note_space(&mut self, space: Option<Space>) {
        self.space = space;
    }

    /// The leases.
    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The leases, to note what became of them.
    pub fn leases_mut(&mut self) -> &mut Leases {
        &mut self.leases
    }

    /// When revisions were seen.
    #[must_use]
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// When revisions were seen, to note what is seen now.
    pub fn times_mut(&mut self) -> &mut Times {
        &mut self.times
    }

    /// The pins.
    #[must_use]
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// The pins, to note what became of them.
    pub fn pins_mut(&mut self) -> &mut Pins {
        &mut self.pins
    }

    /// All that has happened to leases and pins is durable.
    pub fn settled(&mut self) {
        self.leases.settled();
        self.pins.settled();
    }

    /// Forgets what no crash from now on can bring back.
    pub fn begin(&mut self) {
        self.leases.begin();
        self.pins.begin();
    }

    /// Puts; answers the revision and what was there before, if that is to be told.
    ///
    /// # Errors
    /// What the store must refuse it with.
    pub fn put(&mut self, putting: &Putting) -> Expected<(u64, Option<Found>)> {
        match self.commit_one(Step::Put(putting.clone()))? {
            StepOutcome::Put(revision, previous) => Ok((revision, previous)),
            other => unreachable!("a put answers {other:?}"),
        }
    }

    /// Deletes; answers the revision afterwards, the number of keys, and what was there before, if that is to be told.
    ///
    /// # Errors
    /// What the store must refuse it with.
    pub fn delete(&mut self, deleting: &Deleting) -> Expected<(u64, u64, Vec<Found>)> {
        match self.commit_one(Step::Delete(deleting.clone()))? {
            StepOutcome::Deleted(revision, count, previous) => Ok((revision, count, previous)),
            other => unreachable!("a delete answers {other:?}"),
        }
    }

    fn commit_one(&mut self, step: Step) -> Expected<StepOutcome> {
        let mut done = self.commit(&Transaction { then: vec![step], ..Transaction::default() })?;
        Ok(done.outcomes.remove(0))
    }

    /// Deletes all keys of a lease and the lease; answers the revision afterwards and the number of keys.
    ///
    /// # Errors
    /// What the store must refuse it with.
    pub fn revoke(&mut self, id: u64) -> Expected<(u64, u64)> {
        self.leases.get(id)?;
        let keys = self.attached(id);
        let (before, mut sub) = (self.revision, 0);
        keys.iter().for_each(|key| self.change(key, &mut sub, None));
        self.revision += u64::from(sub > 0);
        self.leases.remove(id, (before, self.revision));
        Ok((self.revision, sub))
    }

    /// The keys that are attached to a lease.
    #[must_use]
    pub fn attached(&self, id: u64) -> Vec<Vec<u8>> {
        let is_attached = |history: &[Version]| {
            history
                .last()
                .and_then(|version| version.record.as_ref())
                .is_some_and(|record| record.lease == id)
        };
        self.histories
            .iter()
            .filter(|(_, history)| is_attached(history))
            .map(|(key, _)| key.clone())
            .collect()
    }

    fn change(&mut self, key: &[u8], sub: &mut u64, record: Option<Record>) {
        let main = self.revision + 1;
        self.changes.push(Change { main, sub: *sub, key: key.to_vec() });
        self.histories.entry(key.to_vec()).or_default().push(Version { main, sub: *sub, record, gone: None });
        *sub += 1;
    }

    /// Compacts.
    ///
    /// # Errors
    /// What the store must refuse it with.
    pub fn compact(&mut self, revision: u64) -> Expected<u64> {
        let requested = Revision::new(revision);
        if let Some(compacted) = self.compacted.filter(|compacted| revision <= *compacted) {
            return Err(vec![Error::Compacted { requested, compacted: Revision::new(compacted) }]);
        }
        if revision > self.revision {
            return Err(vec![Error::FutureRevision { requested, current: Revision::new(self.revision) }]);
        }
        self.compacted = Some(revision);
        Ok(revision)
    }

    /// Takes back a compaction of which a loss of power left nothing.
    pub fn undo_compaction(&mut self, compacted: Option<u64>) {
        self.compacted = compacted;
    }

    /// Forgets what came after `revision`, as a loss of power may.
    pub fn roll_back_to(&mut self, revision: u64) {
        self.revision = revision;
        self.changes.retain(|change| change.main <= revision);
        self.histories.values_mut().for_each(|history| history.retain(|version| version.main <= revision));
        self.histories.retain(|_, history| !history.is_empty());
    }
}
