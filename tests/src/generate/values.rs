//! Random keys, values and intervals.

use palimpsest_kv::Keys;

use super::{KeyStyle, MAX_KEY_BYTES, MAX_VALUE_BYTES, Swarm};
use crate::rng::Rng;

impl Swarm {
    /// One of the run's keys: the same number always makes the same key.
    pub(super) fn key(&self, rng: &mut Rng) -> Vec<u8> {
        let number = rng.below(self.distinct_keys);
        let mut own = Rng::new(number);
        match self.style {
            KeyStyle::Numbered => format!("k{number:03}").into_bytes(),
            KeyStyle::Letters => {
                (0..=own.below(4)).map(|_| own.one_of(&[0, b'a', b'b', 0xFE, u8::MAX])).collect()
            }
            KeyStyle::Long => [vec![b'p'; 400], number.to_be_bytes().to_vec()].concat(),
            KeyStyle::Wild => {
                let most = if number.is_multiple_of(10) { MAX_KEY_BYTES } else { 60 };
                (0..=own.index(most)).map(|_| own.bits().to_le_bytes()[0]).collect()
            }
        }
    }

    pub(super) fn key_or_bad(&self, rng: &mut Rng) -> Vec<u8> {
        match rng.below(200) {
            0 => Vec::new(),
            _ => self.key(rng),
        }
    }

    pub(super) fn value(&self, rng: &mut Rng) -> Vec<u8> {
        let len = match rng.below(300) {
            0 => MAX_VALUE_BYTES + 1,
            1 => rng.index(MAX_VALUE_BYTES + 1),
            2..20 => 0,
            _ => rng.index(self.value_bytes + 1),
        };
        let byte = rng.bits().to_le_bytes()[0];
        (0..len).map(|place| byte.wrapping_add(place.to_le_bytes()[0])).collect()
    }

    pub(super) fn keys(&self, rng: &mut Rng) -> Keys {
        match rng.below(40) {
            0 => Keys::one(""),
            1 => Keys::all(),
            2 => Keys::at_least(self.key(rng)),
            3..6 => {
                let mut prefix = self.key(rng);
                prefix.truncate(1 + rng.index(prefix.len()));
                Keys::prefix(prefix)
            }
            6..14 => {
                let (one, other) = (self.key(rng), self.key(rng));
                // Now and then the wrong way round, which is an interval without keys.
                let (start, end) = if rng.once_in(10) { (one, other) } else { ordered(one, other) };
                Keys::interval(start, end)
            }
            _ => Keys::one(self.key(rng)),
        }
    }

    pub(super) fn wide_keys(&self, rng: &mut Rng) -> Keys {
        if rng.once_in(3) { Keys::all() } else { self.keys(rng) }
    }
}

fn ordered(one: Vec<u8>, other: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    if one <= other { (one, other) } else { (other, one) }
}

pub(super) fn limit(rng: &mut Rng) -> Option<usize> {
    rng.one_of(&[None, None, None, Some(0), Some(1), Some(2), Some(7), Some(1_000)])
}
