//! A storage that counts what is done to it, fails when told to, and can lose power.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use palimpsest_kv::storage::Storage;
use palimpsest_kv::{Error, Result};

use crate::rng::Rng;

/// A write is torn at multiples of this many bytes: a disk's sector.
const SECTOR_BYTES: usize = 512;

/// A disk: bytes as the store sees them, and what of them a loss of power would leave. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    inner: Arc<Mutex<Inner>>,
}

/// Invariant: `live` is `durable` with all of `unsynced` applied in order.
#[derive(Debug, Default)]
struct Inner {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    counts: Counts,
    healthy_changes: Option<u64>,
    syncs_fail: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

/// What was done to a disk since it was made.
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

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes: written } => {
            let end = offset + written.len();
            bytes.resize(bytes.len().max(end), 0);
            if let Some(place) = bytes.get_mut(*offset..end) {
                place.copy_from_slice(written);
            }
        }
        Change::Resize(len) => bytes.resize(*len, 0),
    }
}

/// The part of a change that reached the disk before the power went.
fn torn(change: Change, rng: &mut Rng) -> Change {
    match change {
        Change::Write { offset, bytes } => {
            let sectors = bytes.len().div_ceil(SECTOR_BYTES);
            let start = rng.index(sectors + 1) * SECTOR_BYTES;
            let end = start + rng.index(sectors + 1) * SECTOR_BYTES;
            let bytes = bytes.get(start..end.min(bytes.len())).unwrap_or(&[]).to_vec();
            Change::Write { offset: offset + start, bytes }
        }
        resize @ Change::Resize(_) => resize,
    }
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk with these bytes on it, durably.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let inner = Inner { live: bytes.to_vec(), durable: bytes.to_vec(), ..Inner::default() };
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

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Lets the next `changes` writes, resizes and syncs succeed and fails all later ones.
    pub fn fail_after(&self, changes: u64) {
        self.lock().healthy_changes = Some(changes);
    }

    /// Fails all later syncs; writes go on.
    pub fn fail_syncs(&self) {
        self.lock().syncs_fail = true;
    }

    /// How many changes were made since the last sync.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.lock().unsynced.len()
    }

    /// A new disk with everything up to the last sync, and of the changes since then those that `keep` wants, by their places.
    #[must_use]
    pub fn with_unsynced(&self, keep: impl Fn(usize) -> bool) -> Self {
        let inner = self.lock();
        let mut bytes = inner.durable.clone();
        let kept = inner.unsynced.iter().enumerate().filter(|(place, _)| keep(*place));
        kept.for_each(|(_, change)| apply(&mut bytes, change));
        Self::from_bytes(&bytes)
    }

    /// A new disk with what a loss of power at this moment could leave: everything up to the last sync, and of the changes since
    /// then all, none, or any part.
    #[must_use]
    pub fn without_power(&self, rng: &mut Rng) -> Self {
        let (mut bytes, mut unsynced) = {
            let inner = self.lock();
            (inner.durable.clone(), inner.unsynced.clone())
        };
        match rng.below(4) {
            0 => unsynced.clear(),
            1 => {}
            _ => {
                let keep = rng.below(5);
                unsynced.retain(|_| rng.below(5) < keep);
                if !unsynced.is_empty() && rng.once_in(2) {
                    let place = rng.index(unsynced.len());
                    let change = unsynced.swap_remove(place);
                    unsynced.push(torn(change, rng));
                }
            }
        }
        unsynced.iter().for_each(|change| apply(&mut bytes, change));
        Self::from_bytes(&bytes)
    }
}

impl Inner {
    fn change(&mut self, operation: &'static str, change: Change) -> Result<()> {
        self.spend(operation)?;
        apply(&mut self.live, &change);
        self.unsynced.push(change);
        Ok(())
    }

    fn spend(&mut self, operation: &'static str) -> Result<()> {
        match &mut self.healthy_changes {
            Some(0) => Err(Error::Storage { operation, reason: "the disk is broken".into() }),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// An offset that the test's disk can hold.
fn narrow(offset: u64) -> usize {
    usize::try_from(offset).expect("a test's disk fits in memory")
}

impl Storage for Disk {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut inner = self.lock();
        inner.counts.reads += 1;
        inner.counts.read_bytes += buffer.len() as u64;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(bytes) = inner.live.get(start..start.saturating_add(buffer.len())) else {
            let reason = format!("{} bytes at {offset} of {}", buffer.len(), inner.live.len());
            return Err(Error::Storage { operation: "read", reason });
        };
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut inner = self.lock();
        inner.counts.writes += 1;
        inner.counts.written_bytes += bytes.len() as u64;
        inner.change("write", Change::Write { offset: narrow(offset), bytes: bytes.to_vec() })
    }

    fn sync(&self) -> Result<()> {
        let mut inner = self.lock();
        inner.counts.syncs += 1;
        inner.spend("sync")?;
        if inner.syncs_fail {
            return Err(Error::Storage { operation: "sync", reason: "the disk does not sync".into() });
        }
        let inner = &mut *inner;
        inner.unsynced.drain(..).for_each(|change| apply(&mut inner.durable, &change));
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.lock().live.len() as u64)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.lock().change("resize", Change::Resize(narrow(len)))
    }
}
