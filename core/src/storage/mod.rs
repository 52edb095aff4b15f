//! Where the bytes are: the contract between the engine and a medium, and the two media that come with the crate.
//!
//! A storage knows nothing of pages. Every method takes `&self`, because snapshots on other threads read while the one
//! writer writes; an implementation that is used from one thread only needs no lock.

use crate::error::Result;

#[cfg(feature = "std")]
mod file;
mod memory;
#[cfg(feature = "exchange")]
mod read_at;

#[cfg(feature = "std")]
pub use file::FileStorage;
pub use memory::MemoryStorage;
#[cfg(feature = "exchange")]
pub use read_at::ReadAt;

/// A medium of bytes that can be read and written at any offset.
///
/// The contract, in words:
///
/// - One writer at a time; reads may run at the same time, and never touch bytes that are being written.
/// - `read` fills the whole buffer or fails: a short read is an error. So is a read past the end.
/// - `write` writes all of the bytes or fails; a write past the end grows the medium, and bytes that were never
///   written read as zeros.
/// - After `sync` returned `Ok`, everything written and every length set before is there after a crash. Between two
///   syncs, writes may reach the medium in any order, in part, or not at all; that is what the engine is built for.
/// - After a failed `write`, `set_len` or `sync` the fate of everything since the last sync is unknown. The engine then
///   refuses to write until the store is opened again.
#[expect(clippy::len_without_is_empty, reason = "a medium is measured, never asked whether it is empty")]
pub trait Storage {
    /// Fills `buffer` with the bytes from `offset`.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) when not all of the bytes could be read.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// Writes all of `bytes` at `offset`, growing the medium as needed.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) when not all of the bytes could be written.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) when that is not certain.
    fn sync(&self) -> Result<()>;

    /// The medium's length in bytes.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) when the medium does not answer.
    fn len(&self) -> Result<u64>;

    /// Cuts the medium off at `len`, or extends it with zeros.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) when the medium refuses.
    fn set_len(&self, len: u64) -> Result<()>;
}

/// A borrowed medium, for a store that does not outlive it.
impl<S: Storage + ?Sized> Storage for &S {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        (**self).read(offset, buffer)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        (**self).write(offset, bytes)
    }

    fn sync(&self) -> Result<()> {
        (**self).sync()
    }

    fn len(&self) -> Result<u64> {
        (**self).len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        (**self).set_len(len)
    }
}
