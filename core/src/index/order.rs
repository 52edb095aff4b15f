//! The order of keys, found several bytes at a time.

use core::cmp::Ordering;

/// As `one.cmp(other)`, without a call: what the compiler makes of that is a function which in WebAssembly compares byte after byte,
/// and neighbouring keys mostly begin alike.
#[inline]
pub(super) fn compare(mut one: &[u8], mut other: &[u8]) -> Ordering {
    while let (Some((a, rest)), Some((b, other_rest))) =
        (one.split_first_chunk::<8>(), other.split_first_chunk::<8>())
    {
        if a != b {
            return u64::from_be_bytes(*a).cmp(&u64::from_be_bytes(*b));
        }
        (one, other) = (rest, other_rest);
    }
    if let (Some((a, rest)), Some((b, other_rest))) =
        (one.split_first_chunk::<4>(), other.split_first_chunk::<4>())
    {
        if a != b {
            return u32::from_be_bytes(*a).cmp(&u32::from_be_bytes(*b));
        }
        (one, other) = (rest, other_rest);
    }
    let different = one.iter().zip(other).find(|(a, b)| a != b);
    different.map_or_else(|| one.len().cmp(&other.len()), |(a, b)| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn the_order_is_that_of_slices() {
        let mut keys = alloc::vec![Vec::new()];
        for length in 1..=21 {
            for at in 0..length {
                for byte in [0, 0x7f, 0x80, 0xff] {
                    let mut key = alloc::vec![b'k'; length];
                    if let Some(other) = key.get_mut(at) {
                        *other = byte;
                    }
                    keys.push(key);
                }
            }
        }
        for (one, other) in keys.iter().flat_map(|one| keys.iter().map(move |other| (one, other))) {
            assert_eq!(compare(one, other), one.cmp(other), "{one:?} {other:?}");
        }
    }
}
