//! A storage in memory: for tests, for caches, and for stores that need not outlive the program.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::Storage;
use crate::error::{Error, Result};
use crate::sync::RwLock;

/// Growing by whole chunks keeps a growing medium from being copied.
const CHUNK_BYTES: usize = 256 * 1024;

/// Bytes in memory. Everything is as durable as the value itself.
///
/// ```
/// use palimpsest_kv::{Options, Store, storage::MemoryStorage};
/// let mut store = Store::open(MemoryStorage::new(), Options::default())?;
/// store.put("a", "1")?;
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryStorage {
    inner: RwLock<Inner>,
}

/// Invariant: the chunks hold at least `len` bytes, and all bytes from `len` on are zero.
#[derive(Debug, Default)]
struct Inner {
    chunks: Vec<Box<[u8]>>,
    len: u64,
}

impl MemoryStorage {
    /// An empty medium.
    #[must_use]
    pub fn new() -> Self {
        Self { inner: RwLock::new(Inner { chunks: Vec::new(), len: 0 }) }
    }

    /// A medium with these bytes, for example a store that was kept elsewhere.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut inner = Inner { chunks: Vec::new(), len: 0 };
        inner.grow(bytes.len() as u64);
        inner.write(0, bytes);
        Self { inner: RwLock::new(inner) }
    }

    /// A copy of all bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let inner = self.inner.read();
        let mut bytes: Vec<u8> = inner.chunks.iter().flat_map(|chunk| chunk.iter().copied()).collect();
        bytes.truncate(usize::try_from(inner.len).unwrap_or(usize::MAX));
        bytes
    }
}

/// Splits an offset into a chunk's number and the place within it.
fn split(offset: u64) -> (usize, usize) {
    let chunk = CHUNK_BYTES as u64;
    (usize::try_from(offset / chunk).unwrap_or(usize::MAX), (offset % chunk) as usize)
}

impl Inner {
    fn grow(&mut self, len: u64) {
        let chunks = usize::try_from(len.div_ceil(CHUNK_BYTES as u64)).unwrap_or(usize::MAX);
        while self.chunks.len() < chunks {
            self.chunks.push(vec![0; CHUNK_BYTES].into_boxed_slice());
        }
        self.len = self.len.max(len);
    }

    fn write(&mut self, mut offset: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (chunk, at) = split(offset);
            let Some(room) = self.chunks.get_mut(chunk).and_then(|chunk| chunk.get_mut(at..)) else { return };
            let (now, rest) = bytes.split_at(room.len().min(bytes.len()));
            room.split_at_mut(now.len()).0.copy_from_slice(now);
            offset += now.len() as u64;
            bytes = rest;
        }
    }

    fn read(&self, mut offset: u64, mut buffer: &mut [u8]) {
        while !buffer.is_empty() {
            let (chunk, at) = split(offset);
            let Some(there) = self.chunks.get(chunk).and_then(|chunk| chunk.get(at..)) else { return };
            let (now, rest) = buffer.split_at_mut(there.len().min(buffer.len()));
            now.copy_from_slice(there.split_at(now.len()).0);
            offset += now.len() as u64;
            buffer = rest;
        }
    }
}

impl Storage for MemoryStorage {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let inner = self.inner.read();
        let end = offset.saturating_add(buffer.len() as u64);
        if end > inner.len {
            let reason = format!("bytes {offset} to {end} asked for, {} there", inner.len);
            return Err(Error::Storage { operation: "read", reason });
        }
        inner.read(offset, buffer);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut inner = self.inner.write();
        inner.grow(offset.saturating_add(bytes.len() as u64));
        inner.write(offset, bytes);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.inner.read().len)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut inner = self.inner.write();
        if len >= inner.len {
            inner.grow(len);
            return Ok(());
        }
        let (chunk, at) = split(len);
        inner.len = len;
        inner.chunks.truncate(if at == 0 { chunk } else { chunk + 1 });
        if let Some(tail) = inner.chunks.get_mut(chunk).and_then(|chunk| chunk.get_mut(at..)) {
            tail.fill(0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_across_chunks_and_a_cut_leaves_zeros() {
        let storage = MemoryStorage::new();
        let bytes: Vec<u8> = (0..CHUNK_BYTES + 1000).map(|i| (i % 251) as u8 + 1).collect();
        storage.write(500, &bytes).unwrap();
        assert_eq!(storage.len().unwrap(), (bytes.len() + 500) as u64);
        let mut back = vec![9; bytes.len()];
        storage.read(500, &mut back).unwrap();
        assert_eq!(back, bytes);

        storage.set_len(600).unwrap();
        storage.set_len(700).unwrap();
        let mut tail = vec![9; 200];
        storage.read(500, &mut tail).unwrap();
        assert_eq!(&tail[..100], &bytes[..100]);
        assert_eq!(&tail[100..], &[0; 100]);
        assert!(matches!(storage.read(650, &mut tail), Err(Error::Storage { operation: "read", .. })));
    }

    #[test]
    fn a_copy_of_the_bytes_is_the_same_medium() {
        let storage = MemoryStorage::from_bytes(b"some bytes");
        assert_eq!(MemoryStorage::from_bytes(&storage.to_bytes()).to_bytes(), b"some bytes");
    }
}
