//! Operations at random, such that they collide: few keys, few values, revisions near the ones that matter.

use palimpsest_kv_tests::rng::Rng;

use crate::bytes::Bytes;
use crate::driver::MAX_TXN_OPS;
use crate::operation::{
    Compare, DeleteRange, Keys, Operation, Put, Range, Relation, SortOrder, SortTarget, Step, Target, Txn,
    Watch, after_prefix,
};

/// Watchers at a time at most.
const MAX_WATCHERS: usize = 4;
/// Leases that are ever made.
const LEASES: u64 = 6;
/// A time that no test waits for, in seconds.
const LONG: u64 = 1_000_000;
/// The longest time that etcd grants, in seconds.
const LONGEST: u64 = 9_000_000_000;
/// How deep transactions lie in one another.
const DEPTH: u32 = 3;

/// What of a store's state the choice of operations depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The current revision.
    pub revision: u64,
    /// The revision compacted to, 0 if there was no compaction.
    pub compacted: u64,
    /// The watchers that have begun and not ended.
    pub watchers: Vec<u64>,
    /// The leases that have begun and not ended.
    pub leases: Vec<u64>,
}

/// A mood: which keys there are and what is done often. It changes now and then, so that each run sees many.
#[derive(Clone, Debug)]
pub struct Mood {
    keys: Vec<Bytes>,
    /// How often each kind of operation is chosen, in the order of [`Mood::next`].
    weights: [u64; 12],
    /// Operations in a transaction: up to so many.
    steps: u64,
    large: u64,
}

/// Keys that a careful transaction may still change: each at most once.
struct Left {
    keys: Vec<Bytes>,
    put: Vec<Bytes>,
    is_careful: bool,
}

impl Mood {
    /// The mood of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let rng = &mut Rng::new(seed);
        let count = rng.one_of(&[4, 8, 8, 16, 16, 60, 200]);
        let keys = (0..count).map(|number| key(rng, number)).collect();
        // In the order of `next`: put, delete, range, txn, compact, grant, revoke, other lease questions, hash, watch, watched, status.
        let usual = [150, 40, 120, 300, 4, 12, 5, 10, 14, 9, 10, 1];
        let weights = usual.map(|weight| weight * rng.one_of(&[1, 2, 2, 3]) / 2 + 1);
        Self { keys, weights, steps: rng.one_of(&[3, 6, 9, 10]), large: rng.one_of(&[40, 200, 1_000_000]) }
    }

    /// A mood with few keys and no long values, for sequences that people may read.
    #[must_use]
    pub fn small(seed: u64) -> Self {
        let mut mood = Self::new(seed);
        mood.keys.truncate(8);
        mood.large = 1_000_000;
        mood
    }

    /// One operation, or a watcher's end that must come before it.
    #[must_use]
    pub fn next(&self, rng: &mut Rng, view: &View) -> Operation {
        let mut place = rng.below(self.weights.iter().sum());
        let kind = self.weights.iter().position(|weight| {
            let is_here = place < *weight;
            place = place.saturating_sub(*weight);
            is_here
        });
        match kind {
            Some(0) => Step::Put(self.put(rng, view, None)).into(),
            Some(1) => Step::DeleteRange(self.delete(rng)).into(),
            Some(3) => Step::Txn(self.txn(rng, view)).into(),
            Some(4) => compact(rng, view),
            Some(5) => grant(rng),
            Some(6) => Operation::Revoke { id: lease(rng, view) },
            Some(7) => match rng.below(4) {
                0 => Operation::KeepAlive { id: lease(rng, view) },
                1 => Operation::Leases,
                _ => Operation::TimeToLive { id: lease(rng, view) },
            },
            Some(8) => Operation::HashKv { revision: revision(rng, view) },
            Some(9) if view.watchers.len() < MAX_WATCHERS => self.watch(rng, view),
            Some(9 | 10) if !view.watchers.is_empty() => {
                Operation::Watched { id: rng.one_of(&view.watchers) }
            }
            Some(11) => Operation::Status,
            _ => Step::Range(self.range(rng, view)).into(),
        }
    }

    fn key(&self, rng: &mut Rng) -> Bytes {
        if rng.once_in(400) { Bytes::default() } else { rng.one_of(&self.keys) }
    }

    fn value(&self, rng: &mut Rng) -> Bytes {
        match rng.below(self.large) {
            0 => Bytes(vec![b'x'; 900 + rng.index(3000)]),
            _ => Bytes::from(rng.one_of(&["", "0", "1", "1", "2", "3", "30", "a longer value"])),
        }
    }

    fn keys(&self, rng: &mut Rng) -> Keys {
        match rng.below(20) {
            0 => Keys::all(),
            1 => Keys::at_least(rng.one_of(&self.keys)),
            2..5 => {
                let key = rng.one_of(&self.keys);
                let length = 1 + rng.index(key.0.len());
                Keys::prefix(key.0.get(..length).unwrap_or_default())
            }
            5..11 => {
                let (one, other) = (rng.one_of(&self.keys), rng.one_of(&self.keys));
                // Now and then the wrong way round, which is an interval without keys.
                let is_wrong = rng.once_in(12);
                let (start, end) = if (one <= other) == is_wrong { (other, one) } else { (one, other) };
                Keys::interval(start, end)
            }
            _ => Keys::one(self.key(rng)),
        }
    }

    fn wide_keys(&self, rng: &mut Rng) -> Keys {
        if rng.once_in(3) { Keys::all() } else { self.keys(rng) }
    }

    fn put(&self, rng: &mut Rng, view: &View, key: Option<Bytes>) -> Put {
        // Within a transaction, what is refused makes all of it fail.
        let bold = if key.is_some() { 4 } else { 1 };
        let key = key.unwrap_or_else(|| self.key(rng));
        let mut put = Put { key, value: self.value(rng), prev_kv: rng.once_in(3), ..Put::default() };
        if rng.once_in(10 * bold) {
            (put.ignore_value, put.value) = (true, Bytes::default());
        }
        match rng.below(10 * bold) {
            0 => put.ignore_lease = true,
            1 => put.lease = lease(rng, view),
            place if place % 5 == 4 => put.lease = rng.one_of(&[&[0], view.leases.as_slice()].concat()),
            _ => {}
        }
        put
    }

    fn delete(&self, rng: &mut Rng) -> DeleteRange {
        // Mostly little, so that something is left; now and then everything.
        let keys = match rng.below(60) {
            0 => Keys::all(),
            1..15 => self.keys(rng),
            _ => Keys::one(self.key(rng)),
        };
        DeleteRange { keys, prev_kv: rng.once_in(3) }
    }

    fn range(&self, rng: &mut Rng, view: &View) -> Range {
        let mut range =
            Range { keys: self.wide_keys(rng), revision: revision(rng, view), ..Range::default() };
        range.limit = rng.one_of(&[0, 0, 1, 2, 3, 7, 1000]);
        if rng.once_in(2) {
            let targets = [
                SortTarget::Key,
                SortTarget::Version,
                SortTarget::Create,
                SortTarget::Mod,
                SortTarget::Value,
            ];
            range.sort_target = rng.one_of(&targets);
            // Another target without an order is not for the engine: etcd then sorts only what the limit has left.
            range.sort_order = rng.one_of(&[SortOrder::Ascend, SortOrder::Descend]);
        }
        range.keys_only = rng.once_in(6);
        range.count_only = rng.once_in(8);
        let bounds = [
            &mut range.min_mod_revision,
            &mut range.max_mod_revision,
            &mut range.min_create_revision,
            &mut range.max_create_revision,
        ];
        for bound in bounds {
            if rng.once_in(8) {
                *bound = near(rng, view);
            }
        }
        range
    }

    fn txn(&self, rng: &mut Rng, view: &View) -> Txn {
        let mut left = Left { keys: self.keys.clone(), put: Vec::new(), is_careful: !rng.once_in(12) };
        self.nested(rng, view, (&mut left, DEPTH))
    }

    fn nested(&self, rng: &mut Rng, view: &View, (left, depth): (&mut Left, u32)) -> Txn {
        let compares = rng.one_of(&[0, 1, 1, 2, 3]);
        let compare = (0..compares).map(|_| self.compare(rng, view)).collect();
        let mut branch = |rng: &mut Rng| -> Vec<Step> {
            let usual = if depth == DEPTH { self.steps } else { 2 };
            let most = if rng.once_in(150) { MAX_TXN_OPS as u64 + 2 } else { usual };
            let steps = if rng.once_in(12) { 0 } else { 1 + rng.below(most) };
            (0..steps).map(|_| self.step(rng, view, (left, depth))).collect()
        };
        Txn { compare, success: branch(rng), failure: branch(rng) }
    }

    fn step(&self, rng: &mut Rng, view: &View, (left, depth): (&mut Left, u32)) -> Step {
        match rng.below(12) {
            0..5 => match left.take(rng) {
                Some(key) => Step::Put(self.put(rng, view, Some(key))),
                None => Step::Range(self.careful_range(rng, view)),
            },
            5..7 => {
                let delete = self.delete(rng);
                if left.allows(&delete.keys) {
                    Step::DeleteRange(delete)
                } else {
                    Step::Range(self.careful_range(rng, view))
                }
            }
            7 if depth > 1 => Step::Txn(self.nested(rng, view, (left, depth - 1))),
            _ => Step::Range(self.careful_range(rng, view)),
        }
    }

    /// A range that rarely makes its whole transaction fail.
    fn careful_range(&self, rng: &mut Rng, view: &View) -> Range {
        let mut range = self.range(rng, view);
        if rng.once_in(40) {
            return range;
        }
        if range.revision > view.revision || range.revision < view.compacted {
            range.revision = 0;
        }
        if range.keys.key.is_empty() {
            range.keys = Keys::all();
        }
        range
    }

    fn compare(&self, rng: &mut Rng, view: &View) -> Compare {
        let keys = if rng.once_in(2) { Keys::one(rng.one_of(&self.keys)) } else { self.keys(rng) };
        let target = match rng.below(10) {
            0..3 => Target::Version(rng.below(4)),
            3..5 => Target::Create(near(rng, view)),
            5..7 => Target::Mod(near(rng, view)),
            7..9 => Target::Value(self.value(rng)),
            _ => Target::Lease(rng.below(LEASES + 1)),
        };
        let relations = [Relation::Equal, Relation::NotEqual, Relation::Less, Relation::Greater];
        Compare { keys, target, result: rng.one_of(&relations) }
    }

    fn watch(&self, rng: &mut Rng, view: &View) -> Operation {
        let id = (1..).find(|id| !view.watchers.contains(id)).unwrap_or(1);
        let start_revision = match rng.below(8) {
            0 | 1 => 0,
            2 | 4 => view.compacted.saturating_sub(rng.below(2)),
            3 => view.revision + rng.below(5),
            _ => between(rng, view),
        };
        let keys = match rng.below(3) {
            0 => Keys::one(rng.one_of(&self.keys)),
            1 => Keys::all(),
            _ => self.keys(rng),
        };
        if keys.key.is_empty() {
            return Operation::Status;
        }
        let filter = rng.below(6);
        Operation::Watch(Watch {
            id,
            keys,
            start_revision,
            prev_kv: rng.once_in(2),
            no_put: filter == 0,
            no_delete: filter == 1,
        })
    }
}

impl Left {
    /// A key to change that nothing else in the transaction changes; any key if nobody cares.
    fn take(&mut self, rng: &mut Rng) -> Option<Bytes> {
        let place = rng.index(self.keys.len());
        if !self.is_careful {
            return self.keys.get(place).cloned();
        }
        let key = (!self.keys.is_empty()).then(|| self.keys.swap_remove(place))?;
        self.put.push(key.clone());
        Some(key)
    }

    /// Whether these keys can be deleted; then they are used up.
    ///
    /// An interval that has no end, or no keys, is only for the careful: when etcd looks for keys that are put and deleted,
    /// it takes the end for a key, so that it overlooks all but the first of them, and sees one where there is none.
    fn allows(&mut self, keys: &Keys) -> bool {
        if !self.is_careful {
            return keys.range_end.as_ref().is_none_or(|end| *end > keys.key);
        }
        if keys.key.is_empty() || self.put.iter().any(|key| keys.contains(key)) {
            return false;
        }
        let before = self.keys.len();
        self.keys.retain(|key| !keys.contains(key));
        before > self.keys.len()
    }
}

/// The key of a number: some begin alike, some have bytes that are no text.
fn key(rng: &mut Rng, number: u64) -> Bytes {
    let prefix: &[u8] = rng.one_of(&[b"a".as_slice(), b"a/", b"ab", b"b", b"b/\xff", b"\xff"]);
    let mut key = prefix.to_vec();
    key.extend(number.to_string().bytes());
    match rng.below(12) {
        0 => key.push(0),
        1 => key.push(0xff),
        2 => key.extend([b'-'; 60]),
        3 => key = after_prefix(&key),
        _ => {}
    }
    Bytes(key)
}

/// A lease: mostly one that there is.
fn lease(rng: &mut Rng, view: &View) -> u64 {
    if view.leases.is_empty() || rng.once_in(5) { 1 + rng.below(LEASES) } else { rng.one_of(&view.leases) }
}

fn grant(rng: &mut Rng) -> Operation {
    let ttl = match rng.below(20) {
        0 => LONGEST + 1 + rng.below(2),
        1 => LONGEST,
        _ => LONG + rng.below(1000),
    };
    Operation::Grant { id: 1 + rng.below(LEASES), ttl }
}

/// One of the revisions that can be read.
fn between(rng: &mut Rng, view: &View) -> u64 {
    let oldest = view.compacted.max(1);
    oldest + rng.below(view.revision + 1 - oldest.min(view.revision))
}

/// A revision near those that matter.
fn near(rng: &mut Rng, view: &View) -> u64 {
    match rng.below(4) {
        0 => (view.compacted + rng.below(4)).saturating_sub(1),
        1 => between(rng, view),
        _ => (view.revision + 2).saturating_sub(rng.below(12)),
    }
}

/// A revision to read: often now, mostly one that can be read, sometimes compacted or in the future.
fn revision(rng: &mut Rng, view: &View) -> u64 {
    match rng.below(24) {
        0..9 => 0,
        9 => view.revision + 1 + rng.below(2),
        10 => rng.one_of(&[1, 1 << 40, i64::MAX as u64]),
        11 => view.compacted.saturating_sub(1),
        12 | 13 => view.compacted,
        14 => view.revision,
        15..18 => near(rng, view),
        _ => between(rng, view),
    }
}

/// A compaction: mostly to a revision that can be, sometimes to one that is compacted already or in the future. Watchers end
/// before it, for how much of the past they get depends on how fast they are.
fn compact(rng: &mut Rng, view: &View) -> Operation {
    if let Some(id) = view.watchers.first() {
        return Operation::Watched { id: *id };
    }
    let revision = match rng.below(16) {
        0 => rng.below(view.compacted + 1),
        1 => view.revision + 1 + rng.below(2),
        2 => view.compacted,
        3..6 => view.revision,
        6..10 => view.revision.saturating_sub(rng.below(20)).max(view.compacted + 1),
        _ => between(rng, view),
    };
    Operation::Compact { revision }
}
