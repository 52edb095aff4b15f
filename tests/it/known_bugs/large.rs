//! A store that is larger than what 32 bits can count, on a medium that keeps little of it.

use std::collections::HashMap;
use std::sync::Mutex;

use palimpsest_kv::storage::Storage;
use palimpsest_kv::{Error, Options, Result, Store};

/// The largest page, which is the medium's block, too.
const BLOCK_BYTES: usize = 64 * 1024;
const VALUE_BYTES: usize = 8 * 1024 * 1024;
/// So many values are more than 4 GiB.
const VALUES: u32 = 520;

#[derive(Clone)]
enum Block {
    /// The same byte all over.
    Full(u8),
    Bytes(Box<[u8]>),
}

/// A medium that keeps blocks whose bytes are all the same by one of them.
#[derive(Default)]
struct Sparse(Mutex<Blocks>);

#[derive(Default)]
struct Blocks {
    len: u64,
    blocks: HashMap<u64, Block>,
}

/// The blocks that some bytes from an offset on lie in: each block, and the place within it.
fn parts(offset: u64, mut len: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let mut at = offset;
    std::iter::from_fn(move || {
        let start = usize::try_from(at % BLOCK_BYTES as u64).unwrap();
        let count = len.min(BLOCK_BYTES - start);
        let part = (at / BLOCK_BYTES as u64, start..start + count);
        (at, len) = (at + count as u64, len - count);
        (count > 0).then_some(part)
    })
}

impl Storage for Sparse {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let Blocks { len, blocks } = &*self.0.lock().unwrap();
        if offset + buffer.len() as u64 > *len {
            return Err(Error::Storage { operation: "read", reason: "beyond the end".into() });
        }
        let mut rest = buffer;
        for (block, place) in parts(offset, rest.len()) {
            let (part, others) = std::mem::take(&mut rest).split_at_mut(place.len());
            match blocks.get(&block) {
                Some(Block::Bytes(bytes)) => part.copy_from_slice(&bytes[place]),
                Some(Block::Full(byte)) => part.fill(*byte),
                None => part.fill(0),
            }
            rest = others;
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let Blocks { len, blocks } = &mut *self.0.lock().unwrap();
        *len = (*len).max(offset + bytes.len() as u64);
        let mut rest = bytes;
        for (block, place) in parts(offset, bytes.len()) {
            let (part, others) = rest.split_at(place.len());
            rest = others;
            let old = blocks.entry(block).or_insert(Block::Full(0));
            if part.len() == BLOCK_BYTES && part.iter().all(|byte| *byte == part[0]) {
                *old = Block::Full(part[0]);
                continue;
            }
            if let Block::Full(byte) = old {
                *old = Block::Bytes(vec![*byte; BLOCK_BYTES].into());
            }
            if let Block::Bytes(bytes) = old {
                bytes[place].copy_from_slice(part);
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.0.lock().unwrap().len)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.0.lock().unwrap().len = len;
        Ok(())
    }
}

/// What the value of a key is full of.
fn byte(number: u32) -> u8 {
    number.to_le_bytes()[0] | 1
}

pub(super) fn a_store_of_more_than_four_gigabytes() {
    let options = || Options {
        page_bytes: BLOCK_BYTES,
        max_value_bytes: VALUE_BYTES,
        cache_bytes: 0,
        ..Options::default()
    };
    let mut store = Store::open(Sparse::default(), options()).unwrap();
    for number in 0..VALUES {
        store.put(number.to_le_bytes(), vec![byte(number); VALUE_BYTES]).unwrap();
    }
    store.put("small", "value").unwrap();
    assert!(store.status().unwrap().used_bytes > 1 << 32);
    let storage = store.close().unwrap().unwrap();
    let store = Store::open(storage, options()).unwrap();
    for number in [0, 1, VALUES - 2, VALUES - 1] {
        let entry = store.get(number.to_le_bytes()).unwrap().unwrap();
        let expected = byte(number);
        assert!(entry.value().len() == VALUE_BYTES && entry.value().iter().all(|byte| *byte == expected));
    }
    assert_eq!(store.get("small").unwrap().unwrap().value(), b"value");
}
