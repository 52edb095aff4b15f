//! Bytes that are only read.

use alloc::format;
use alloc::vec::Vec;

use crate::error::{Error, Result};

/// Bytes that can be read at any offset and that nobody changes meanwhile: what [`import_etcd`](crate::import_etcd) reads. Bytes in memory
/// are, and with the feature `std` so is a [`File`](std::fs::File).
#[expect(clippy::len_without_is_empty, reason = "it is measured, never asked whether it is empty")]
pub trait ReadAt {
    /// Fills `buffer` with the bytes from `offset`.
    ///
    /// # Errors
    /// [`Error::Storage`] when not all of the bytes could be read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// How many bytes there are.
    ///
    /// # Errors
    /// [`Error::Storage`] when that can't be told.
    fn len(&self) -> Result<u64>;
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let start = usize::try_from(offset).ok();
        let bytes = start.and_then(|start| self.get(start..)).and_then(|rest| rest.get(..buffer.len()));
        let bytes = bytes.ok_or_else(|| Error::Storage {
            operation: "read",
            reason: format!("{} bytes at {offset} of {}", buffer.len(), <[u8]>::len(self)),
        })?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(<[u8]>::len(self) as u64)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.as_slice().read_at(offset, buffer)
    }

    fn len(&self) -> Result<u64> {
        ReadAt::len(self.as_slice())
    }
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        (**self).read_at(offset, buffer)
    }

    fn len(&self) -> Result<u64> {
        (**self).len()
    }
}
