//! Random numbers that are the same for the same seed, on every machine and in every version.

use std::collections::VecDeque;

/// A generator of random numbers: SplitMix64, which fits in a line and passes the usual batteries.
///
/// Source: <https://prng.di.unimi.it/splitmix64.c>.
///
/// It can also take its numbers from given bytes, two at a time, for as long as there are any: so that whoever chooses the bytes
/// chooses what happens.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
    given: VecDeque<u8>,
}

impl Rng {
    /// The generator for a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed, given: VecDeque::new() }
    }

    /// A generator that gives what these bytes say, and then what the seed 0 gives.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self { state: 0, given: bytes.iter().copied().collect() }
    }

    /// Whether all given bytes have been used.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.given.is_empty()
    }

    /// The next 64 bits; only the lowest 16 of them are not zero while bytes are given.
    pub fn bits(&mut self) -> u64 {
        if let Some(low) = self.given.pop_front() {
            return u64::from(u16::from_le_bytes([low, self.given.pop_front().unwrap_or(0)]));
        }
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number less than `end`; 0 if that is 0. Its bias is of no matter here.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits().checked_rem(end).unwrap_or(0)
    }

    /// A length or a place less than `end`; 0 if that is 0.
    pub fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap_or(0)
    }

    /// Yes once in `times` times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of `choices`.
    ///
    /// # Panics
    /// If there are none.
    pub fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        let place = self.index(choices.len());
        choices.get(place).cloned().expect("there is something to choose from")
    }
}
