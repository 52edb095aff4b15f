//! The media that stores are measured on: memory, and a file.

use std::fs;
use std::path::PathBuf;

use palimpsest_kv::storage::{FileStorage, MemoryStorage, Storage};
use palimpsest_kv_bench_workload::Outcome;

/// Something a store can be created on and opened from again.
pub trait Medium {
    /// Its storage.
    type Storage: Storage;

    /// An empty storage.
    ///
    /// # Errors
    /// Those of the medium.
    fn fresh(&self) -> Outcome<Self::Storage>;

    /// The storage of a store that was closed; `closed` is what closing gave back.
    ///
    /// # Errors
    /// Those of the medium.
    fn again(&self, closed: Option<Self::Storage>) -> Outcome<Self::Storage>;
}

/// The program's memory.
#[derive(Debug)]
pub struct InMemory;

impl Medium for InMemory {
    type Storage = MemoryStorage;

    fn fresh(&self) -> Outcome<MemoryStorage> {
        Ok(MemoryStorage::new())
    }

    fn again(&self, closed: Option<MemoryStorage>) -> Outcome<MemoryStorage> {
        closed.ok_or_else(|| "closing did not give the memory back".into())
    }
}

/// A file of the operating system.
#[derive(Debug)]
pub struct InFile {
    /// Where it is.
    pub path: PathBuf,
}

impl Medium for InFile {
    type Storage = FileStorage;

    fn fresh(&self) -> Outcome<FileStorage> {
        if self.path.exists() {
            fs::remove_file(&self.path)?;
        }
        Ok(FileStorage::open(&self.path)?)
    }

    fn again(&self, closed: Option<FileStorage>) -> Outcome<FileStorage> {
        drop(closed);
        Ok(FileStorage::open(&self.path)?)
    }
}
