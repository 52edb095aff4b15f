//! The engine, asked directly; what it does in between (background work, closing and opening) must change no answer.

mod convert;
mod watch;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use palimpsest_kv::storage::MemoryStorage;
use palimpsest_kv::{self as kv, Budget, HashCheck, Keys, Next, Options, RangeResult, Store, import_etcd};
use palimpsest_kv_tests::copying::{exported, imported as imported_again};
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sim::SimClock;

use crate::answer::{Answer, Ranged};
use crate::bytes::Bytes;
use crate::driver::{Driver, MAX_TXN_OPS, Trouble};
use crate::operation::{Operation, Range, SortOrder, SortTarget, Step};
use watch::Watching;

/// Background work that asks for more calls than this has no end.
const MANY_RUNS: u32 = 100_000;
/// Background work comes at most so much later; only leases wait longer.
const SOON: Duration = Duration::from_secs(1000);

/// A store in memory.
#[derive(Debug)]
pub struct Engine {
    /// `None` only while it is being opened anew.
    store: Option<Store<MemoryStorage>>,
    options: Options,
    clock: SimClock,
    seed: u64,
    /// Decides what happens before an operation, and by which of several calls it is asked. It depends on the operation alone, so that
    /// leaving others out does not change it.
    rng: Rng,
    watchers: BTreeMap<u64, Watching>,
}

/// An answer, or the engine's refusal as one.
fn answered(result: kv::Result<Answer>) -> Result<Answer, Trouble> {
    result.or_else(|error| match error {
        // These are never an answer: something is broken.
        kv::Error::Corrupt { .. } | kv::Error::Storage { .. } | kv::Error::WritesRefused { .. } => {
            Err(Trouble::new(format!("the engine: {error}")))
        }
        error => Ok(Answer::failed(error.code())),
    })
}

impl Engine {
    /// An empty store. The seed decides what it does between operations.
    ///
    /// # Errors
    /// If it can't be opened.
    pub fn new(seed: u64) -> Result<Self, Trouble> {
        let mut rng = Rng::new(seed);
        let options = Options {
            page_bytes: rng.one_of(&[512, 1024, 4096]),
            compaction_batch_limit: rng.one_of(&[1, 10, 1000]),
            durability: rng.one_of(&[kv::Durability::Strict, kv::Durability::Relaxed]),
            max_txn_ops: MAX_TXN_OPS,
            ..Options::default()
        };
        let store = Store::open(MemoryStorage::new(), options.clone()).map_err(Trouble::when("opening"))?;
        let clock = SimClock::ticking(20);
        Ok(Self { store: Some(store), options, clock, seed, rng, watchers: BTreeMap::new() })
    }

    /// Goes on with what a snapshot of etcd holds, exported and imported once more. Nobody may be watching.
    ///
    /// # Errors
    /// If no store can be made of it.
    pub fn take_snapshot(&mut self, snapshot: &[u8]) -> Result<(), Trouble> {
        let options = || self.options.clone();
        let imported = import_etcd(snapshot, MemoryStorage::new(), options(), HashCheck::Required);
        let store = imported.map_err(Trouble::when("importing a snapshot"))?.store;
        store.check().map_err(Trouble::when("checking what a snapshot has become"))?;
        let bytes = exported(&store).map_err(Trouble::when("exporting"))?;
        let copy = imported_again(&bytes, MemoryStorage::new(), options());
        self.store = Some(copy.map_err(Trouble::when("importing an export"))?);
        self.clock = SimClock::ticking(20);
        Ok(())
    }

    fn store(&mut self) -> Result<&mut Store<MemoryStorage>, Trouble> {
        self.store.as_mut().ok_or_else(|| Trouble::new("the store could not be opened again"))
    }

    /// What a host's loop does now and then, and a restart.
    fn meanwhile(&mut self) -> Result<(), Trouble> {
        match self.rng.below(2_000) {
            0..120 => {
                let budget = Budget::micros(self.rng.one_of(&[20, 200, 2_000]));
                let Self { store: Some(store), clock, .. } = self else { return Ok(()) };
                let _when_again = store.run(clock, budget).map_err(Trouble::when("background work"))?;
            }
            120..126 => self.run_until_idle()?,
            126..129 => self.reopen()?,
            129..131 => {
                self.store()?.check().map_err(Trouble::when("checking the store"))?;
            }
            131..300 => self.poll_some()?,
            _ => {}
        }
        Ok(())
    }

    /// Lets all background work happen, but no lease end.
    fn run_until_idle(&mut self) -> Result<(), Trouble> {
        let Self { store: Some(store), clock, .. } = self else { return Ok(()) };
        for _ in 0..MANY_RUNS {
            match store.run(clock, Budget::millis(2)).map_err(Trouble::when("background work"))? {
                Next::Now => {}
                Next::At(time) if time <= clock.peek().after(SOON) => clock.advance_to(time),
                Next::At(_) | Next::Idle => return Ok(()),
            }
        }
        Err(Trouble::new("background work has no end"))
    }

    /// Closes the store and opens it again. Watchers do not live that long: while there are any, it stays open.
    fn reopen(&mut self) -> Result<(), Trouble> {
        if !self.watchers.is_empty() {
            return Ok(());
        }
        let Some(store) = self.store.take() else { return Ok(()) };
        let storage = store.close().map_err(Trouble::when("closing"))?;
        let storage = storage.ok_or_else(|| Trouble::new("the storage is still in use"))?;
        self.store =
            Some(Store::open(storage, self.options.clone()).map_err(Trouble::when("opening again"))?);
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<Answer, Trouble> {
        match step {
            Step::Put(put) => {
                let put = convert::put(put)?;
                answered(self.store()?.put_with(&put).map(|it| convert::written(&it)))
            }
            Step::DeleteRange(delete) => {
                let delete = convert::delete(delete);
                answered(self.store()?.delete_with(&delete).map(|it| convert::deleted(&it)))
            }
            Step::Range(range) => self.range(range),
            Step::Txn(txn) => {
                let txn = convert::transaction(txn)?;
                answered(self.store()?.commit(&txn).map(|it| Answer::Txn(convert::committed(&it))))
            }
        }
    }

    /// Reads by one of several calls that must all answer the same.
    fn range(&mut self, range: &Range) -> Result<Answer, Trouble> {
        let is_plain = !range.count_only
            && (range.sort_target, range.sort_order) == (SortTarget::Key, SortOrder::None)
            && range.min_mod_revision + range.max_mod_revision == 0
            && range.min_create_revision + range.max_create_revision == 0;
        let way = self.rng.below(3);
        let keys = convert::keys(&range.keys);
        if way == 0 && range.count_only {
            return self.counted(range, keys);
        }
        if way == 1 && is_plain {
            return self.collected(range, keys);
        }
        let read = convert::read(range);
        answered(self.store()?.read(&read).map(|it| Answer::Range(convert::ranged(&it))))
    }

    /// By the call that only counts.
    fn counted(&mut self, range: &Range, keys: Keys) -> Result<Answer, Trouble> {
        let store = self.store()?;
        let revision = store.revision().get();
        let count = store.range(keys).at(range.revision).count();
        let answer = |count| Answer::Range(Ranged { revision, count: Some(count), ..Ranged::default() });
        answered(count.map(answer))
    }

    /// By the call that does not count: it stops at the limit.
    fn collected(&mut self, range: &Range, keys: Keys) -> Result<Answer, Trouble> {
        let mut request = self.store()?.range(keys).at(range.revision);
        if range.limit > 0 {
            request = request.limit(usize::try_from(range.limit).unwrap_or(usize::MAX));
        }
        if range.keys_only {
            request = request.keys_only();
        }
        answered(request.collect().map(|it: RangeResult| Answer::Range(convert::ranged(&it))))
    }

    fn lease(&mut self, operation: &Operation) -> Result<Answer, Trouble> {
        let now = self.clock.peek();
        let store = self.store()?;
        let revision = store.revision().get();
        match operation {
            Operation::Grant { id, ttl } => {
                let granted = store.grant_lease_as(convert::lease_id(*id)?, Duration::from_secs(*ttl));
                answered(granted.map(|lease| Answer::Granted {
                    revision: lease.revision.get(),
                    id: lease.id.get(),
                    ttl: lease.ttl.as_secs(),
                }))
            }
            Operation::Revoke { id } => {
                let revoked = store.revoke_lease(convert::lease_id(*id)?);
                answered(revoked.map(|revoked| Answer::Revoked { revision: revoked.revision.get() }))
            }
            Operation::KeepAlive { id } => {
                let ttl = store.keep_alive(convert::lease_id(*id)?);
                answered(ttl.map(|ttl| Answer::KeptAlive { revision, ttl: ttl.as_secs() }))
            }
            Operation::TimeToLive { id } => {
                let id = convert::lease_id(*id)?;
                let keys = store.lease_keys(id).into_iter().map(Bytes).collect();
                let granted = store.lease(id, now).map(|status| status.ttl.as_secs());
                Ok(Answer::TimeToLive { revision, granted, keys })
            }
            Operation::Leases => {
                let ids = store.leases().into_iter().map(kv::LeaseId::get).collect();
                Ok(Answer::Leases { revision, ids })
            }
            other => Err(Trouble::new(format!("{other:?} is about no lease"))),
        }
    }

    fn hash_kv(&mut self, revision: u64) -> Result<Answer, Trouble> {
        let store = self.store()?;
        let current = store.revision().get();
        answered(store.hash_kv(revision).map(|hash| Answer::Hash {
            revision: current,
            hash: hash.hash,
            compacted: hash.compacted.map(kv::Revision::get),
        }))
    }
}

impl Driver for Engine {
    fn ask(&mut self, operation: &Operation) -> Result<Answer, Trouble> {
        let mut hasher = DefaultHasher::new();
        format!("{operation:?}").hash(&mut hasher);
        self.rng = Rng::new(self.seed ^ hasher.finish());
        self.meanwhile()?;
        match operation {
            Operation::Step(step) => self.step(step),
            Operation::Compact { revision } => {
                let store = self.store()?;
                let compacted = store.compact(*revision).map(|_| ());
                let revision = store.revision().get();
                answered(compacted.map(|()| Answer::Compacted { revision }))
            }
            Operation::Grant { .. }
            | Operation::Revoke { .. }
            | Operation::KeepAlive { .. }
            | Operation::TimeToLive { .. }
            | Operation::Leases => self.lease(operation),
            Operation::HashKv { revision } => self.hash_kv(*revision),
            Operation::Watch(watch) => self.watch(watch),
            Operation::Watched { id } => self.watched(*id),
            Operation::Status => {
                let status = self.store()?.status().map_err(Trouble::when("status"))?;
                Ok(Answer::Status { revision: status.revision.get() })
            }
        }
    }
}
