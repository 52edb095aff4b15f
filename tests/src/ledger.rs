//! What a program writes that is killed and begun again: for each revision one change, the same every time, so that whoever looks at
//! the store afterwards knows what must be there.

use std::collections::BTreeMap;

use palimpsest_kv::storage::Storage;
use palimpsest_kv::{Durability, Keys, Op, Result, Revision, Store};

use crate::rng::Rng;

/// Keys there are.
const KEYS: u64 = 40;
/// Keys between two keys of one transaction; it has no divisor in common with [`KEYS`], so that all of them differ.
const STRIDE: u64 = 7;

/// What one revision changes: keys with their values, or without one if they are deleted. It has at least one value, so that it
/// always takes a revision.
#[must_use]
pub fn change(revision: u64) -> Vec<(String, Option<Vec<u8>>)> {
    let mut rng = Rng::new(revision);
    let first = rng.below(KEYS);
    let puts = if rng.once_in(4) { 1 + rng.below(5) } else { 1 };
    let key = |number: u64| format!("key{:02}", (first + number * STRIDE) % KEYS);
    let mut changes: Vec<_> =
        (0..puts).map(|number| (key(number), Some(value(revision, &mut rng)))).collect();
    if puts > 1 {
        changes.push((key(puts), None));
    }
    changes
}

/// A value that names its revision; now and then one that is longer than a page.
fn value(revision: u64, rng: &mut Rng) -> Vec<u8> {
    let bytes = if rng.once_in(12) { rng.index(6_000) } else { rng.index(200) };
    let mut value = format!("{revision}:").into_bytes();
    value.resize(value.len() + bytes, b'a' + u8::try_from(revision % 26).unwrap_or(0));
    value
}

/// Writes the change that is next. Answers its revision.
///
/// # Errors
/// Those of writing.
pub fn write<S: Storage>(store: &mut Store<S>, durability: Durability) -> Result<Revision> {
    let mut changes = change(store.revision().get() + 1);
    let writer = store.with_durability(durability);
    if let [(key, Some(value))] = changes.as_slice() {
        return Ok(writer.put(key, value)?.revision);
    }
    let ops = changes.drain(..).map(|(key, value)| match value {
        Some(value) => Op::put(key, value),
        None => Op::delete(Keys::one(key)),
    });
    Ok(writer.txn().then(ops).commit()?.revision)
}

/// What is there after all changes up to a revision.
#[derive(Clone, Debug)]
pub struct Contents {
    revision: u64,
    values: BTreeMap<String, Vec<u8>>,
}

impl Default for Contents {
    fn default() -> Self {
        Self { revision: Revision::FIRST.get(), values: BTreeMap::new() }
    }
}

impl Contents {
    /// Makes the changes up to a revision, which is not before the present one.
    pub fn advance(&mut self, revision: Revision) {
        for revision in self.revision + 1..=revision.get() {
            for (key, value) in change(revision) {
                match value {
                    Some(value) => drop(self.values.insert(key, value)),
                    None => drop(self.values.remove(&key)),
                }
            }
        }
        self.revision = self.revision.max(revision.get());
    }

    /// Keys and values in order.
    #[must_use]
    pub fn entries(&self) -> Vec<(String, Vec<u8>)> {
        self.values.clone().into_iter().collect()
    }
}
