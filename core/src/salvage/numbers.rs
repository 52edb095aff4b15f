//! Versions and create revisions of records of which some may be missing.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::revision::{Position, Revision};

/// What the newest record of a key so far says.
#[derive(Clone, Copy)]
struct Newest {
    main: u64,
    /// Version and create revision, `None` after a tombstone.
    lives: Option<(u64, u64)>,
}

/// The keys met so far. Takes memory for each of them, as opening the store does too.
#[derive(Default)]
pub(super) struct Numbers {
    keys: BTreeMap<Vec<u8>, Newest>,
    /// Records whose own numbers fitted no history.
    pub(super) renumbered: u64,
}

impl Numbers {
    /// The version and create revision that a put gets: its own, if they can follow what is there of the key.
    pub(super) fn put(
        &mut self,
        key: &[u8],
        position: Position,
        (version, created): (u64, u64),
    ) -> (u64, u64) {
        let main = position.main;
        let is_possible = (1..=Revision::LAST.get()).contains(&version)
            && created <= main
            && (version > 1 || created == main);
        let before = self.keys.get(key).copied();
        let follows = before.is_none_or(|before| match before.lives {
            Some((old, since)) if since == created => version > old,
            Some(_) | None => created >= before.main,
        });
        let numbers = if is_possible && follows {
            (version, created)
        } else {
            self.renumbered += 1;
            let next = |(version, created): (u64, u64)| (version.saturating_add(1), created);
            before.and_then(|before| before.lives).map_or((1, main), next)
        };
        self.set(key, Newest { main, lives: Some(numbers) });
        numbers
    }

    /// The key was deleted.
    pub(super) fn delete(&mut self, key: &[u8], position: Position) {
        self.set(key, Newest { main: position.main, lives: None });
    }

    fn set(&mut self, key: &[u8], newest: Newest) {
        match self.keys.get_mut(key) {
            Some(there) => *there = newest,
            None => _ = self.keys.insert(key.to_vec(), newest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{IndexBuilder, Loaded};

    /// Whatever numbers the records of a key claim, those they get make an index; and a history that is sound keeps its own.
    #[test]
    fn opening_takes_what_numbers_give() {
        let mut seed = 3u64;
        let mut random = |end: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % end
        };
        for _ in 0..2_000 {
            let (mut numbers, mut builder) = (Numbers::default(), IndexBuilder::default());
            for main in 2..2 + random(12) {
                let position = Position::new(main, 0);
                let loaded = if random(4) == 0 {
                    numbers.delete(b"key", position);
                    Loaded::Tombstone
                } else {
                    let claimed = (random(5), random(main + 3));
                    let (version, created) = numbers.put(b"key", position, claimed);
                    Loaded::Put { version, created }
                };
                builder.push(b"key", position, loaded).unwrap();
            }
        }
    }

    #[test]
    fn a_history_with_records_missing_keeps_its_numbers() {
        let mut numbers = Numbers::default();
        for (main, own) in [(3, (2, 2)), (7, (5, 2)), (9, (1, 9)), (20, (3, 15))] {
            assert_eq!(numbers.put(b"key", Position::new(main, 0), own), own);
        }
        numbers.delete(b"key", Position::new(21, 0));
        numbers.delete(b"key", Position::new(22, 0));
        assert_eq!(numbers.put(b"key", Position::new(30, 0), (4, 25)), (4, 25));
        assert_eq!(numbers.renumbered, 0);
        assert_eq!(numbers.put(b"key", Position::new(31, 0), (4, 25)), (5, 25), "no version twice");
        assert_eq!(numbers.renumbered, 1);
    }
}
