//! The two messages of etcd's that its file holds, as protocol buffers write them.
//!
//! Too little for a crate that decodes any message: numbers and bytes, and other fields left out.

/// etcd's message `KeyValue`, without the revision that its place tells, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyValue<'a> {
    pub(super) key: &'a [u8],
    pub(super) created: u64,
    pub(super) modified: u64,
    pub(super) version: u64,
    pub(super) value: &'a [u8],
    pub(super) lease: u64,
}

/// etcd's message `Lease`. What is left of its time is 0 where that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeaseMessage {
    pub(super) id: u64,
    pub(super) ttl: u64,
    pub(super) left: u64,
}

/// What a field holds.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// A number of seven bits a byte, lowest first.
fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7F);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_bytes<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(taken)
}

/// The next field and its number.
fn take_field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let tag = take_varint(bytes)?;
    let field = match tag & 7 {
        0 => Field::Number(take_varint(bytes)?),
        1 => take_bytes(bytes, 8).map(|_| Field::Other)?,
        2 => {
            let length = take_varint(bytes)?;
            Field::Bytes(take_bytes(bytes, length)?)
        }
        5 => take_bytes(bytes, 4).map(|_| Field::Other)?,
        _ => return None,
    };
    Some((tag >> 3, field))
}

impl<'a> KeyValue<'a> {
    /// The message; nothing if the bytes are none.
    pub(super) fn decode(mut bytes: &'a [u8]) -> Option<Self> {
        let mut message = Self::default();
        while !bytes.is_empty() {
            match take_field(&mut bytes)? {
                (1, Field::Bytes(key)) => message.key = key,
                (2, Field::Number(created)) => message.created = created,
                (3, Field::Number(modified)) => message.modified = modified,
                (4, Field::Number(version)) => message.version = version,
                (5, Field::Bytes(value)) => message.value = value,
                (6, Field::Number(lease)) => message.lease = lease,
                (1..=6, _) => return None,
                _ => {}
            }
        }
        Some(message)
    }
}

impl LeaseMessage {
    /// The message; nothing if the bytes are none.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut message = Self::default();
        while !bytes.is_empty() {
            match take_field(&mut bytes)? {
                (1, Field::Number(id)) => message.id = id,
                (2, Field::Number(ttl)) => message.ttl = ttl,
                (3, Field::Number(left)) => message.left = left,
                (1..=3, _) => return None,
                _ => {}
            }
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_with_its_fields_in_any_order_and_unknown_ones_left_out() {
        let bytes = b"\x0a\x01k\x10\x02\x18\x05\x20\x03\x2a\x02v1\x30\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
        let expected =
            KeyValue { key: b"k", created: 2, modified: 5, version: 3, value: b"v1", lease: i64::MAX as u64 };
        assert_eq!(KeyValue::decode(bytes), Some(expected));
        let more = [&b"\x39ABCDEFGH\x42\x01x\x4dABCD\x50\x01"[..], bytes].concat();
        assert_eq!(KeyValue::decode(&more), Some(expected));
        for length in 1..bytes.len() {
            let cut = KeyValue::decode(&bytes[..length]);
            assert!(cut.is_none_or(|cut| cut != expected), "{length} bytes");
        }
        assert_eq!(KeyValue::decode(b""), Some(KeyValue::default()));
        assert_eq!(LeaseMessage::decode(b"\x08\x07\x10\x3c"), Some(LeaseMessage { id: 7, ttl: 60, left: 0 }));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [
            &b"\x08\x01"[..],
            b"\x0a\x05k",
            b"\x0b",
            b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(KeyValue::decode(bytes), None, "{bytes:?}");
        }
        assert_eq!(LeaseMessage::decode(b"\x0a\x01k"), None);
    }
}
