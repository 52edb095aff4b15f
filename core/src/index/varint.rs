//! Integers of variable length: seven bits a byte, the lowest first, the top bit set on all but the last byte.

use alloc::vec::Vec;

/// Appends `value`: one byte below 128, at most ten.
#[inline]
pub(crate) fn push(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Takes one integer off the front of `bytes`; `None` if they end within it or it has more than 64 bits.
#[inline]
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let low = |byte: u8| u64::from(byte & 0x7f);
    // Nearly all are short. Revisions are told apart by a guess at their length, which is nearly always that of the one before.
    let (value, rest) = match **bytes {
        [a, ref rest @ ..] if a < 0x80 => (u64::from(a), rest),
        [a, b, ref rest @ ..] if b < 0x80 => (low(a) | u64::from(b) << 7, rest),
        [a, b, c, ref rest @ ..] if c < 0x80 => (low(a) | low(b) << 7 | u64::from(c) << 14, rest),
        _ => return take_long(bytes),
    };
    *bytes = rest;
    Some(value)
}

fn take_long(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if (part << shift) >> shift != part {
            return None;
        }
        value |= part << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Maps integers of small magnitude, of either sign, to small unsigned ones: 0, -1, 1, -2, ... to 0, 1, 2, 3, ...
#[inline]
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
#[inline]
pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
