//! A storage that takes writes and keeps them to itself.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;

use crate::error::{Error, Result};
use crate::limits::MIN_PAGE_BYTES;
use crate::storage::Storage;
use crate::sync::RwLock;

/// Bytes that are copied at once.
const BLOCK: u64 = MIN_PAGE_BYTES as u64;

/// A storage as another one would be after some writes. The other one is only read.
pub(super) struct Overlay<'a, S> {
    base: &'a S,
    changes: RwLock<Changes>,
}

/// Invariant: bytes from `base_len` on are not the base's, even where it has some.
struct Changes {
    blocks: BTreeMap<u64, Box<[u8]>>,
    len: u64,
    base_len: u64,
}

impl<'a, S: Storage> Overlay<'a, S> {
    /// A storage that reads as `base` does.
    ///
    /// # Errors
    /// [`Error::Storage`] if the base does not tell its length.
    pub(super) fn new(base: &'a S) -> Result<Self> {
        let len = base.len()?;
        let changes = Changes { blocks: BTreeMap::new(), len, base_len: len };
        Ok(Self { base, changes: RwLock::new(changes) })
    }

    /// The bytes of a block as they are now.
    fn block(&self, changes: &Changes, number: u64) -> Result<Box<[u8]>> {
        if let Some(block) = changes.blocks.get(&number) {
            return Ok(block.clone());
        }
        let mut block = vec![0; MIN_PAGE_BYTES].into_boxed_slice();
        let start = number * BLOCK;
        let there = usize::try_from(changes.base_len.saturating_sub(start).min(BLOCK)).unwrap_or(0);
        if let Some(part) = block.get_mut(..there).filter(|part| !part.is_empty()) {
            self.base.read(start, part)?;
        }
        Ok(block)
    }
}

/// The parts that blocks cut a stretch of bytes into: block, first byte within it, and how many.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset.saturating_add(len as u64);
    let mut at = offset;
    core::iter::from_fn(move || {
        let within = at % BLOCK;
        let count = (BLOCK - within).min(end.checked_sub(at).filter(|left| *left > 0)?);
        let part = (at / BLOCK, usize::try_from(within).ok()?, usize::try_from(count).ok()?);
        at += count;
        Some(part)
    })
}

impl<S: Storage> Storage for Overlay<'_, S> {
    fn read(&self, offset: u64, mut buffer: &mut [u8]) -> Result<()> {
        let changes = self.changes.read();
        let end = offset.saturating_add(buffer.len() as u64);
        if end > changes.len {
            let reason = format!("bytes {offset} to {end} asked for, {} there", changes.len);
            return Err(Error::Storage { operation: "read", reason });
        }
        if changes.blocks.is_empty() && end <= changes.base_len {
            return self.base.read(offset, buffer);
        }
        for (number, from, count) in parts(offset, buffer.len()) {
            let block = self.block(&changes, number)?;
            let (now, rest) = buffer.split_at_mut(count);
            now.copy_from_slice(block.get(from..from + count).unwrap_or(&[]));
            buffer = rest;
        }
        Ok(())
    }

    fn write(&self, offset: u64, mut bytes: &[u8]) -> Result<()> {
        let mut changes = self.changes.write();
        let end = offset.saturating_add(bytes.len() as u64);
        for (number, from, count) in parts(offset, bytes.len()) {
            let mut block = self.block(&changes, number)?;
            let (now, rest) = bytes.split_at(count);
            if let Some(place) = block.get_mut(from..from + count) {
                place.copy_from_slice(now);
            }
            changes.blocks.insert(number, block);
            bytes = rest;
        }
        changes.len = changes.len.max(end);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.changes.read().len)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut changes = self.changes.write();
        if len < changes.len {
            // What is cut off reads as zeros if the storage grows again.
            let last = len / BLOCK;
            let kept = usize::try_from(len % BLOCK).unwrap_or(0);
            let mut block = self.block(&changes, last)?;
            if let Some(tail) = block.get_mut(kept..) {
                tail.fill(0);
            }
            changes.blocks.retain(|number, _| *number < last);
            changes.blocks.insert(last, block);
            changes.base_len = changes.base_len.min(len);
        }
        changes.len = len;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;
    use alloc::vec::Vec;

    /// Random writes and resizes of an overlay read as those of a plain storage, and the base stays as it was.
    #[test]
    fn an_overlay_is_a_storage_and_leaves_its_base_alone() {
        let bytes: Vec<u8> = (0..5_000).map(|place| (place % 251) as u8).collect();
        let base = MemoryStorage::from_bytes(&bytes);
        let (overlay, plain) = (Overlay::new(&base).unwrap(), MemoryStorage::from_bytes(&bytes));
        let mut seed = 5u64;
        let mut random = |end: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % end
        };
        for step in 0..400 {
            let (place, len) = (random(6_000), random(1_500) as usize);
            if random(4) == 0 {
                overlay.set_len(place).unwrap();
                plain.set_len(place).unwrap();
            } else {
                overlay.write(place, &vec![step as u8; len]).unwrap();
                plain.write(place, &vec![step as u8; len]).unwrap();
            }
            assert_eq!(overlay.len(), plain.len());
            let mut seen = vec![0; plain.len().unwrap() as usize];
            overlay.read(0, &mut seen).unwrap();
            assert_eq!(seen, plain.to_bytes());
        }
        assert!(overlay.read(plain.len().unwrap(), &mut [0]).is_err());
        assert_eq!(base.to_bytes(), bytes);
    }
}
