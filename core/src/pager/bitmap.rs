//! A set of small numbers, one bit each, that finds its lowest absent number quickly.

use alloc::vec::Vec;

/// Bits, all zero at first. A second level has one bit for each word that is full, so that a search looks at 4,096 bits a step.
///
/// Invariant: a bit of `full` is set exactly if all 64 bits of that word of `words` are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bitmap {
    words: Vec<u64>,
    full: Vec<u64>,
}

fn split(bit: u32) -> (usize, u64) {
    (bit as usize / 64, 1 << (bit % 64))
}

impl Bitmap {
    /// Makes room for bits below `len`.
    pub(super) fn extend(&mut self, len: u32) {
        let words = (len as usize).div_ceil(64);
        if words > self.words.len() {
            self.words.resize(words, 0);
            self.full.resize(words.div_ceil(64), 0);
        }
    }

    pub(crate) fn contains(&self, bit: u32) -> bool {
        let (word, mask) = split(bit);
        self.words.get(word).is_some_and(|word| word & mask != 0)
    }

    /// Sets a bit, and answers whether it was clear.
    pub(crate) fn insert(&mut self, bit: u32) -> bool {
        self.extend(bit.saturating_add(1));
        let (at, mask) = split(bit);
        let Some(word) = self.words.get_mut(at) else { return false };
        let was_clear = *word & mask == 0;
        *word |= mask;
        if *word == u64::MAX {
            let (at, mask) = split(u32::try_from(at).unwrap_or(u32::MAX));
            if let Some(full) = self.full.get_mut(at) {
                *full |= mask;
            }
        }
        was_clear
    }

    /// Clears a bit, and answers whether it was set.
    pub(super) fn remove(&mut self, bit: u32) -> bool {
        let (at, mask) = split(bit);
        let Some(word) = self.words.get_mut(at) else { return false };
        let was_set = *word & mask != 0;
        *word &= !mask;
        let (at, mask) = split(u32::try_from(at).unwrap_or(u32::MAX));
        if let Some(full) = self.full.get_mut(at) {
            *full &= !mask;
        }
        was_set
    }

    /// The lowest clear bit below `end`.
    pub(super) fn lowest_clear(&self, end: u32) -> Option<u32> {
        let group = self.full.iter().position(|full| *full != u64::MAX)?;
        let full = self.full.get(group)?;
        let at = group * 64 + full.trailing_ones() as usize;
        let word = self.words.get(at).copied().unwrap_or(0);
        let bit = u32::try_from(at * 64).ok()?.checked_add(word.trailing_ones())?;
        (bit < end).then_some(bit)
    }

    /// One more than the highest set bit.
    pub(super) fn end(&self) -> u32 {
        let last = self.words.iter().rposition(|word| *word != 0);
        let end = |at: usize| (at * 64 + 64) as u32 - self.word(at).leading_zeros();
        last.map_or(0, end)
    }

    /// How many bits below `end` are clear.
    pub(super) fn count_clear(&self, end: u32) -> u32 {
        let whole = end as usize / 64;
        let set: u32 = self.words.iter().take(whole).map(|word| word.count_ones()).sum();
        let rest = self.word(whole) & ((1u64 << (end % 64)) - 1);
        end - set - rest.count_ones()
    }

    /// How many runs of neighbouring bits below `end` are clear.
    pub(super) fn count_clear_runs(&self, end: u32) -> u32 {
        // Before the first bit there is none that is clear.
        let mut was_clear = 0;
        let mut runs = 0;
        for at in 0..end.div_ceil(64) {
            let left = end - at * 64;
            let below_end = if left < 64 { (1 << left) - 1 } else { u64::MAX };
            let clear = !self.word(at as usize) & below_end;
            runs += (clear & !(clear << 1 | was_clear)).count_ones();
            was_clear = clear >> 63;
        }
        runs
    }

    /// The word with bits `64 * word` and following.
    pub(super) fn word(&self, word: usize) -> u64 {
        self.words.get(word).copied().unwrap_or(0)
    }

    /// The clear bits below `end`, ascending.
    pub(super) fn clear(&self, end: u32) -> impl Iterator<Item = u32> + '_ {
        (0..end.div_ceil(64)).flat_map(move |word| {
            let bits = self.word(word as usize);
            let first = word * 64;
            let clear =
                (0..64).filter(move |bit| bits & (1 << bit) == 0).map(move |bit| first.saturating_add(bit));
            clear.take_while(move |bit| *bit < end)
        })
    }

    /// The set bits, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.words).flat_map(|(at, &word)| {
            (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| at * 64 + bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_clear_bit_is_found_whatever_was_set_and_cleared() {
        let mut bits = Bitmap::default();
        let mut model = alloc::collections::BTreeSet::new();
        let mut seed = 7u64;
        for _ in 0..50_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let bit = (seed >> 40) as u32 % 9000;
            if seed >> 63 == 0 || model.len() < 8500 {
                assert_eq!(bits.insert(bit), model.insert(bit));
            } else {
                assert_eq!(bits.remove(bit), model.remove(&bit));
            }
            let lowest = (0..).find(|bit| !model.contains(bit)).filter(|bit| *bit < 9000);
            if seed >> 58 == 0 {
                bits.extend(9000);
                assert_eq!(bits.lowest_clear(9000), lowest);
            }
        }
        assert!(bits.iter().eq(model.iter().copied()));
        for end in [0, 1, 63, 64, 65, 128, 5_000, 8_999] {
            let is_clear = |bit: &u32| !model.contains(bit);
            let begins = |bit: &u32| is_clear(bit) && (*bit == 0 || model.contains(&(bit - 1)));
            assert_eq!(bits.count_clear(end) as usize, (0..end).filter(is_clear).count());
            assert_eq!(bits.count_clear_runs(end) as usize, (0..end).filter(begins).count(), "{end}");
        }
    }
}
