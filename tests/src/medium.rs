//! Where a tested store lives, and how it gets there again after it was closed or lost power.

use std::path::PathBuf;

use palimpsest_kv::Result;
use palimpsest_kv::storage::{FileStorage, MemoryStorage, Storage};

use crate::faulty::{Fault, FaultyStorage};
use crate::rng::Rng;

/// Whether a medium can lose power while a store is open on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It can.
    Unreliable,
    /// It can't.
    Steady,
}

/// A place for one store.
pub trait Medium {
    /// Whether it can lose power.
    const POWER: Power;

    /// What the store is opened on.
    type Storage: Storage;

    /// The storage with what is on the medium now.
    ///
    /// # Errors
    /// As the storage's own opening.
    fn storage(&self) -> Result<Self::Storage>;

    /// Takes back the storage of a store that was closed.
    fn closed(&mut self, storage: Self::Storage);

    /// Lets so many changes succeed and fails all later ones, where the medium can do that.
    fn break_after(&self, changes: u64);

    /// Lets something go wrong from now on, where the medium can do that; the seed decides what it loses by it.
    fn arm(&self, fault: &Fault, seed: u64);

    /// Nothing goes wrong any more.
    fn heal(&self);

    /// The store is gone without having been closed, and the system goes on: it still has what was not synced.
    fn kill(&mut self);

    /// The store is gone without having been closed: loses what it had not synced, all of it or any part.
    fn power_cut(&mut self, rng: &mut Rng);
}

/// On a disk that can lose power.
impl Medium for FaultyStorage {
    type Storage = Self;
    const POWER: Power = Power::Unreliable;

    fn storage(&self) -> Result<Self> {
        Ok(self.clone())
    }

    fn closed(&mut self, storage: Self) {
        *self = storage;
    }

    fn break_after(&self, changes: u64) {
        self.fail_after(changes);
    }

    fn arm(&self, fault: &Fault, seed: u64) {
        self.seed_losses(seed);
        Self::arm(self, fault.clone());
    }

    fn heal(&self) {
        Self::heal(self);
    }

    fn kill(&mut self) {
        *self = self.after_kill();
    }

    fn power_cut(&mut self, rng: &mut Rng) {
        *self = self.without_power(rng);
    }
}

/// In memory, from one store to the next as a copy of its bytes. It loses nothing without power, because it has nothing else: a
/// store that is not closed is gone.
#[derive(Debug, Default)]
pub struct Image(Vec<u8>);

impl Medium for Image {
    type Storage = MemoryStorage;
    const POWER: Power = Power::Steady;

    fn storage(&self) -> Result<MemoryStorage> {
        Ok(MemoryStorage::from_bytes(&self.0))
    }

    fn closed(&mut self, storage: MemoryStorage) {
        self.0 = storage.to_bytes();
    }

    fn break_after(&self, _changes: u64) {}

    fn arm(&self, _fault: &Fault, _seed: u64) {}

    fn heal(&self) {}

    fn kill(&mut self) {}

    fn power_cut(&mut self, _rng: &mut Rng) {
        panic!("an image in memory is only taken from a store that was closed");
    }
}

/// In a file of the system, which keeps what was written without a sync as long as the machine runs.
#[derive(Debug)]
pub struct InFile(pub PathBuf);

impl Medium for InFile {
    type Storage = FileStorage;
    const POWER: Power = Power::Unreliable;

    fn storage(&self) -> Result<FileStorage> {
        FileStorage::open(&self.0)
    }

    fn closed(&mut self, storage: FileStorage) {
        drop(storage);
    }

    fn break_after(&self, _changes: u64) {}

    fn arm(&self, _fault: &Fault, _seed: u64) {}

    fn heal(&self) {}

    fn kill(&mut self) {}

    fn power_cut(&mut self, _rng: &mut Rng) {}
}
