//! A storage in memory with every weakness of a real medium: it keeps apart what was written and what is durable, fails when told
//! to, lies when told to, and can lose power.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use palimpsest_kv::storage::Storage;
use palimpsest_kv::{Error, Result};

use crate::rng::Rng;

mod faults;
mod moment;

pub use faults::{Fault, Lasting, Operation};
pub use moment::{Change, Event, Moment, SECTOR_BYTES};

use faults::{Armed, Verdict};
use moment::apply;

/// A storage with faults. Clones are the same medium.
#[derive(Clone, Debug, Default)]
pub struct FaultyStorage {
    inner: Arc<Mutex<Inner>>,
}

/// Invariant: `live` is what the system shows: the durable bytes with all unsynced changes, unless a failed or lying sync has
/// lost some of them, which the system does not notice.
#[derive(Debug, Default)]
struct Inner {
    live: Vec<u8>,
    medium: Moment,
    counts: Counts,
    armed: Armed,
    /// What happened since [`FaultyStorage::record`].
    record: Option<Vec<Event>>,
    /// Decides what a failed sync loses.
    losses: Option<Rng>,
}

/// What was done to a storage since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of `read`.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Calls of `write`.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Calls of `sync`.
    pub syncs: u64,
}

impl Counts {
    /// What was done since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            read_bytes: self.read_bytes - earlier.read_bytes,
            writes: self.writes - earlier.writes,
            written_bytes: self.written_bytes - earlier.written_bytes,
            syncs: self.syncs - earlier.syncs,
        }
    }
}

impl FaultyStorage {
    /// An empty medium.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A medium with these bytes on it, durably.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::from_image(bytes.to_vec())
    }

    /// As [`FaultyStorage::from_bytes`].
    #[must_use]
    pub fn from_image(bytes: Vec<u8>) -> Self {
        let medium = Moment { durable: bytes.clone(), unsynced: Vec::new() };
        Self::of(Inner { live: bytes, medium, ..Inner::default() })
    }

    fn of(inner: Inner) -> Self {
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a reader sees.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.lock().live.clone()
    }

    /// How many bytes a reader sees.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.lock().live.len()
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Lets something go wrong from now on, besides what is armed already.
    pub fn arm(&self, fault: Fault) {
        let mut inner = self.lock();
        if matches!(fault, Fault::StaleRead(_)) {
            inner.armed.stale = inner.live.clone();
        }
        inner.armed.arm(fault);
    }

    /// From now on nothing goes wrong any more. What was lost stays lost.
    pub fn heal(&self) {
        self.lock().armed = Armed::default();
    }

    /// Seeds the choice of what a failed sync loses; without a seed it loses everything.
    pub fn seed_losses(&self, seed: u64) {
        self.lock().losses = Some(Rng::new(seed));
    }

    /// Lets the next `changes` writes, resizes and syncs succeed and fails all later ones.
    pub fn fail_after(&self, changes: u64) {
        self.arm(Fault::Broken(changes));
    }

    /// Flips bits of a byte, as if the medium had decayed. A byte past the end is left alone.
    pub fn flip(&self, at: usize, bits: u8) {
        let inner = &mut *self.lock();
        for bytes in [&mut inner.live, &mut inner.medium.durable] {
            bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= bits);
        }
    }

    /// The medium as it is now: what is durable, and what is not yet.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.lock().medium.clone()
    }

    /// Begins to record what happens. Answers the medium as it is now.
    #[must_use]
    pub fn record(&self) -> Moment {
        let mut inner = self.lock();
        inner.record = Some(Vec::new());
        inner.medium.clone()
    }

    /// Ends the recording and answers what happened meanwhile.
    #[must_use]
    pub fn recorded(&self) -> Vec<Event> {
        self.lock().record.take().unwrap_or_default()
    }

    /// How many changes were made since the last sync.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.lock().medium.unsynced.len()
    }

    /// A new medium with everything up to the last sync, and of the changes since then those that `keep` wants, by their places.
    #[must_use]
    pub fn with_unsynced(&self, keep: impl Fn(usize) -> bool) -> Self {
        Self::from_image(self.lock().medium.with(keep))
    }

    /// A new medium with what a loss of power at this moment could leave: everything up to the last sync, and of the changes since
    /// then all, none, or any part.
    #[must_use]
    pub fn without_power(&self, rng: &mut Rng) -> Self {
        let medium = &self.lock().medium;
        Self::from_image(match rng.below(4) {
            0 => medium.durable.clone(),
            1 => medium.with(|_| true),
            _ => medium.torn(rng),
        })
    }

    /// The same medium after its process was killed: the system still has what was not synced. Faults and the recording are gone.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let inner = self.lock();
        Self::of(Inner { live: inner.live.clone(), medium: inner.medium.clone(), ..Inner::default() })
    }
}

impl Inner {
    /// Decides over an operation that would leave `len` bytes.
    fn judge(&mut self, (operation, name): (Operation, &'static str), len: usize) -> Result<Verdict> {
        match self.armed.judge(operation, len) {
            Verdict::Fail(reason) => Err(Error::Storage { operation: name, reason: reason.into() }),
            Verdict::Panic => panic!("the medium panics"),
            verdict => Ok(verdict),
        }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.live, &change);
        if let Some(record) = &mut self.record {
            record.push(Event::Changed(change.clone()));
        }
        self.medium.unsynced.push(change);
    }

    /// A failed sync: some of the writes are on the medium and some never will be, and the system has forgotten which. Lengths are kept
    /// in a journal of the system's own, which is not what fails here.
    fn lose(&mut self) {
        let Self { medium, losses, .. } = self;
        let mut is_lost = || losses.as_mut().is_none_or(|rng| rng.once_in(2));
        medium.unsynced.retain(|change| matches!(change, Change::Resize(_)) || !is_lost());
        medium.sync();
    }
}

/// An offset that a medium in memory can hold.
fn narrow(offset: u64) -> usize {
    usize::try_from(offset).expect("a test's medium fits in memory")
}

impl Storage for FaultyStorage {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let inner = &mut *self.lock();
        inner.counts.reads += 1;
        inner.counts.read_bytes += buffer.len() as u64;
        let len = inner.live.len();
        let verdict = inner.judge((Operation::Read, "read"), len)?;
        let seen = if verdict == Verdict::Stale { &inner.armed.stale } else { &inner.live };
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(bytes) = seen.get(start..start.saturating_add(buffer.len())) else {
            let reason = format!("{} bytes at {offset} of {}", buffer.len(), seen.len());
            return Err(Error::Storage { operation: "read", reason });
        };
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let inner = &mut *self.lock();
        inner.counts.writes += 1;
        inner.counts.written_bytes += bytes.len() as u64;
        let mut offset = narrow(offset);
        match inner.judge((Operation::Write, "write"), inner.live.len().max(offset + bytes.len()))? {
            Verdict::Skip => return Ok(()),
            Verdict::Elsewhere(place) => offset = place,
            Verdict::Fine | Verdict::Fail(_) | Verdict::Panic | Verdict::Stale => {}
        }
        inner.change(Change::Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let inner = &mut *self.lock();
        inner.counts.syncs += 1;
        let len = inner.live.len();
        match inner.judge((Operation::Sync, "sync"), len) {
            Ok(Verdict::Skip) => return Ok(()),
            Ok(_) => {}
            Err(error) => {
                inner.lose();
                return Err(error);
            }
        }
        if let Some(record) = &mut inner.record {
            record.push(Event::Synced);
        }
        inner.medium.sync();
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.lock().live.len() as u64)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let inner = &mut *self.lock();
        let len = narrow(len);
        inner.judge((Operation::Resize, "resize"), len)?;
        inner.change(Change::Resize(len));
        Ok(())
    }
}
