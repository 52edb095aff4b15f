//! The store as obviously as it can be said: a map from keys to all that ever happened to them.
//!
//! Nothing is ever removed: compaction is a number, and what it keeps is computed from the whole history by the rule
//! itself. So the model still answers for every past revision after the store has forgotten it.

use std::collections::BTreeMap;

use palimpsest_kv::{Error, Keys, Revision};

use crate::action::{Condition, Found, Relation, Step, Target, Transaction};

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

/// What one operation of a transaction answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// A put was made.
    Put,
    /// So many keys were deleted.
    Deleted(u64),
    /// What was read, whether the limit left some out, and the current revision.
    Read(Vec<Found>, bool, u64),
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

/// What a store that has removed everything dead must count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Keys that exist now.
    pub live_keys: u64,
    /// Keys with any history.
    pub keys: u64,
    /// Versions and tombstones.
    pub records: u64,
    /// Those that some compaction, now or later, could remove: everything replaced, and every tombstone.
    pub dead: u64,
}

/// Between which revisions can be read.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// The newest.
    pub newest: u64,
    /// The oldest, if there was a compaction.
    pub compacted: Option<u64>,
}

impl Horizon {
    /// The number of a revision that can be read: `None` and 0 are the newest one.
    ///
    /// # Errors
    /// What reading it must answer if it can't.
    pub fn readable(self, revision: Option<u64>) -> Expected<u64> {
        let requested = Revision::new(revision.unwrap_or(0));
        match (requested.get(), self.compacted) {
            (0, _) => Ok(self.newest),
            (number, _) if number > self.newest => {
                Err(vec![Error::FutureRevision { requested, current: Revision::new(self.newest) }])
            }
            (number, Some(compacted)) if number < compacted => {
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
    revision: u64,
    compacted: Option<u64>,
    limits: Limits,
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
    let Record { value, create, version: count } = version.record.clone()?;
    Some(Found { key: key.to_vec(), value, create, modified: version.main, version: count })
}

fn holds(condition: &Condition, found: Option<&Found>) -> bool {
    let number = |of: fn(&Found) -> u64, other: &u64| found.map_or(0, of).cmp(other);
    let ordering = match (&condition.target, found) {
        (Target::Version(other), _) => number(|found| found.version, other),
        (Target::Create(other), _) => number(|found| found.create, other),
        (Target::Mod(other), _) => number(|found| found.modified, other),
        (Target::Value(other), Some(found)) => found.value.cmp(other),
        (Target::Value(_), None) => return false,
    };
    match condition.relation {
        Relation::Equal => ordering.is_eq(),
        Relation::NotEqual => ordering.is_ne(),
        Relation::Less => ordering.is_lt(),
        Relation::Greater => ordering.is_gt(),
    }
}

impl Model {
    /// A store that nothing was written to.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { histories: BTreeMap::new(), revision: 1, compacted: None, limits }
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

    /// Between which revisions can be read now.
    #[must_use]
    pub fn horizon(&self) -> Horizon {
        Horizon { newest: self.revision, compacted: self.compacted }
    }

    /// What was there at a revision, compacted or not.
    #[must_use]
    pub fn at(&self, keys: &Keys, revision: u64) -> Vec<Found> {
        let visible = |history: &[Version]| history.iter().rfind(|version| version.main <= revision).cloned();
        let histories = self.histories.iter().filter(|(key, _)| keys.contains(key));
        histories.filter_map(|(key, history)| found(key, &visible(history)?)).collect()
    }

    /// Puts.
    ///
    /// # Errors
    /// What the store must refuse it with.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Expected<u64> {
        let steps = vec![Step::Put(key.to_vec(), value.to_vec())];
        Ok(self.commit(&Transaction { then: steps, ..Transaction::default() })?.revision)
    }

    /// Deletes; answers the revision afterwards and the number of keys.
    ///
    /// # Errors
    /// What the store must refuse it with.
    pub fn delete(&mut self, keys: &Keys) -> Expected<(u64, u64)> {
        let steps = vec![Step::Delete(keys.clone())];
        let done = self.commit(&Transaction { then: steps, ..Transaction::default() })?;
        let count = done.outcomes.iter().map(|outcome| match outcome {
            StepOutcome::Deleted(count) => *count,
            StepOutcome::Put | StepOutcome::Read(..) => 0,
        });
        Ok((done.revision, count.sum()))
    }

    /// Commits a transaction.
    ///
    /// # Errors
    /// What the store must refuse it with.
    pub fn commit(&mut self, transaction: &Transaction) -> Expected<Committed> {
        let mut errors = self.complaints(&transaction.then);
        errors.extend(self.complaints(&transaction.otherwise));
        let conditions = &transaction.conditions;
        errors.extend(conditions.iter().filter_map(|condition| empty(&condition.keys)));
        errors.extend(self.too_many(conditions.len()));
        if !errors.is_empty() {
            return Err(errors);
        }
        let succeeded = conditions.iter().all(|condition| self.fulfils(condition));
        let branch = if succeeded { &transaction.then } else { &transaction.otherwise };
        for step in branch {
            if let Step::Read(_, revision, _) = step {
                errors.extend(self.readable(*revision).err().into_iter().flatten());
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut sub = 0;
        let outcomes = branch.iter().map(|step| self.execute(step, &mut sub)).collect();
        self.revision += u64::from(sub > 0);
        Ok(Committed { succeeded, revision: self.revision, outcomes })
    }

    fn fulfils(&self, condition: &Condition) -> bool {
        let there = self.at(&condition.keys, self.revision);
        if there.is_empty() {
            holds(condition, None)
        } else {
            there.iter().all(|found| holds(condition, Some(found)))
        }
    }

    fn too_many(&self, operations: usize) -> Option<Error> {
        let limit = self.limits.txn_ops;
        (operations > limit).then_some(Error::TooManyOperations { operations, limit })
    }

    /// Everything that is wrong with one branch, whatever is in the store.
    fn complaints(&self, steps: &[Step]) -> Vec<Error> {
        let mut errors: Vec<Error> = self.too_many(steps.len()).into_iter().collect();
        for (place, step) in steps.iter().enumerate() {
            match step {
                Step::Put(key, value) => {
                    errors.extend(self.bad_put(key, value));
                    let mut others = steps.iter().enumerate().filter(|(other, _)| *other != place);
                    if others.any(|(_, other)| changes(other, key)) {
                        errors.push(Error::DuplicateKey { key: key.clone() });
                    }
                }
                Step::Delete(keys) | Step::Read(keys, ..) => errors.extend(empty(keys)),
            }
        }
        errors
    }

    fn bad_put(&self, key: &[u8], value: &[u8]) -> Vec<Error> {
        let Limits { key_bytes, value_bytes, .. } = self.limits;
        let complaints = [
            (key.is_empty(), Error::EmptyKey),
            (key.len() > key_bytes, Error::KeyTooLarge { bytes: key.len(), limit: key_bytes }),
            (value.len() > value_bytes, Error::ValueTooLarge { bytes: value.len(), limit: value_bytes }),
        ];
        complaints.into_iter().filter_map(|(applies, error)| applies.then_some(error)).collect()
    }

    /// Does one step of the transaction that is about to take the next revision; `sub` counts its changes.
    fn execute(&mut self, step: &Step, sub: &mut u64) -> StepOutcome {
        let next = self.revision + 1;
        match step {
            Step::Put(key, value) => {
                let before = self.at(&Keys::one(key), next).pop();
                let create = before.as_ref().map_or(next, |found| found.create);
                let version = before.map_or(0, |found| found.version) + 1;
                self.change(key, sub, Some(Record { value: value.clone(), create, version }));
                StepOutcome::Put
            }
            Step::Delete(keys) => {
                let there = self.at(keys, next);
                there.iter().for_each(|found| self.change(&found.key, sub, None));
                StepOutcome::Deleted(there.len() as u64)
            }
            Step::Read(keys, revision, limit) => {
                // A read that names no revision sees what its own transaction has written so far.
                let revision = revision.filter(|revision| *revision != 0).unwrap_or(next);
                let (entries, more) = limited(self.at(keys, revision), *limit);
                StepOutcome::Read(entries, more, self.revision + u64::from(*sub > 0))
            }
        }
    }

    fn change(&mut self, key: &[u8], sub: &mut u64, record: Option<Record>) {
        let version = Version { main: self.revision + 1, sub: *sub, record };
        self.histories.entry(key.to_vec()).or_default().push(version);
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
        self.histories.values_mut().for_each(|history| history.retain(|version| version.main <= revision));
        self.histories.retain(|_, history| !history.is_empty());
    }

    /// What a store counts once it has removed what a compaction to `compacted` does not keep.
    #[must_use]
    pub fn numbers(&self, compacted: Option<u64>) -> Numbers {
        self.numbers_at(self.revision, compacted)
    }

    /// The same as of an earlier revision.
    #[must_use]
    pub fn numbers_at(&self, revision: u64, compacted: Option<u64>) -> Numbers {
        let mut numbers = Numbers::default();
        for history in self.histories.values() {
            let end = history.partition_point(|version| version.main <= revision);
            let kept = kept(history.get(..end).unwrap_or(history), compacted);
            let Some(last) = kept.last() else { continue };
            numbers.live_keys += u64::from(last.record.is_some());
            numbers.keys += 1;
            numbers.records += kept.len() as u64;
            numbers.dead += kept.len() as u64 - u64::from(last.record.is_some());
        }
        numbers
    }
}

fn empty(keys: &Keys) -> Option<Error> {
    keys.single().is_some_and(<[u8]>::is_empty).then_some(Error::EmptyKey)
}

/// Whether a step changes `key`, by what it says alone.
fn changes(step: &Step, key: &[u8]) -> bool {
    match step {
        Step::Put(other, _) => other == key,
        Step::Delete(keys) => keys.contains(key),
        Step::Read(..) => false,
    }
}

/// The first `limit` entries, and whether there are more.
#[must_use]
pub fn limited(mut entries: Vec<Found>, limit: Option<usize>) -> (Vec<Found>, bool) {
    let limit = limit.unwrap_or(usize::MAX);
    let more = entries.len() > limit;
    entries.truncate(limit);
    (entries, more)
}
