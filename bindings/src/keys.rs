//! Which keys an operation is about, as they cross: one block of bytes.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | kind: 0 one key, 1 prefix, 2 interval, 3 from a key on, 4 all |
//! | 4 | length of the first key, little-endian |
//! | that | the key, the prefix, or the interval's first key |
//! | rest | the interval's end |

use palimpsest_kv::{Keys, Revision};
use wasm_bindgen::JsValue;

use crate::errors::{JsResult, invalid};

/// Takes a selection of keys apart.
pub(crate) fn selection(packed: &[u8]) -> JsResult<Keys> {
    let malformed = || invalid("the selection of keys is malformed");
    let (kind, rest) = packed.split_first().ok_or_else(malformed)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
    let (first, end) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(malformed)?;
    match kind {
        0 => Ok(Keys::one(first)),
        1 => Ok(Keys::prefix(first)),
        2 => Ok(Keys::interval(first, end)),
        3 => Ok(Keys::at_least(first)),
        4 => Ok(Keys::all()),
        _ => Err(malformed()),
    }
}

/// A revision as JavaScript writes it; `None` for 0, which means the current one, as in etcd.
pub(crate) fn revision(number: f64) -> Result<Option<Revision>, JsValue> {
    let revision = exact(number)?;
    Ok((revision > 0).then(|| Revision::new(revision)))
}

/// A whole number that JavaScript holds exactly.
pub(crate) fn exact(number: f64) -> Result<u64, JsValue> {
    if number.fract() == 0.0 && (0.0..=Revision::LAST.get() as f64).contains(&number) {
        return Ok(number as u64);
    }
    Err(invalid(&format!("{number} is not a whole number from 0 to {}", Revision::LAST)))
}
