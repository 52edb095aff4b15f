//! Which keys an operation is about.

use alloc::vec::Vec;
use core::ops::Bound;

/// Bounds of an interval of keys.
pub(crate) type KeyBounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// One key, an interval of keys, or all of them. Keys are ordered by their bytes.
///
/// ```
/// use palimpsest_kv::Keys;
/// assert!(Keys::prefix("users/").contains(b"users/1"));
/// assert!(!Keys::interval("a", "c").contains(b"c"));
/// assert!(Keys::from("a").contains(b"a"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Keys(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    One(Vec<u8>),
    Interval { start: Vec<u8>, end: Option<Vec<u8>> },
}

impl Keys {
    /// One key.
    pub fn one(key: impl AsRef<[u8]>) -> Self {
        Self(Kind::One(key.as_ref().to_vec()))
    }

    /// The keys from `start`, which is part of the interval, to `end`, which is not. Where `end` is not greater than `start` there
    /// are none.
    pub fn interval(start: impl AsRef<[u8]>, end: impl AsRef<[u8]>) -> Self {
        Self(Kind::Interval { start: start.as_ref().to_vec(), end: Some(end.as_ref().to_vec()) })
    }

    /// The keys that begin with `prefix`; with an empty prefix, all.
    pub fn prefix(prefix: impl AsRef<[u8]>) -> Self {
        let start = prefix.as_ref().to_vec();
        let mut end = start.clone();
        while end.last() == Some(&u8::MAX) {
            end.pop();
        }
        let end = end.last_mut().map(|last| *last += 1).map(|()| end);
        Self(Kind::Interval { start, end })
    }

    /// The keys from `start` on.
    pub fn at_least(start: impl AsRef<[u8]>) -> Self {
        Self(Kind::Interval { start: start.as_ref().to_vec(), end: None })
    }

    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self(Kind::Interval { start: Vec::new(), end: None })
    }

    /// Those of them that come after `key`: what is left to read when one has read so far.
    ///
    /// ```
    /// # use palimpsest_kv::Keys;
    /// let rest = Keys::prefix("users/").after("users/7");
    /// assert!(rest.contains(b"users/8") && !rest.contains(b"users/7") && !rest.contains(b"v"));
    /// ```
    #[must_use]
    pub fn after(&self, key: impl AsRef<[u8]>) -> Self {
        let after = [key.as_ref(), &[0]].concat();
        match &self.0 {
            Kind::One(one) if *one >= after => self.clone(),
            Kind::One(_) => Self::interval("", ""),
            Kind::Interval { start, end } => {
                Self(Kind::Interval { start: after.max(start.clone()), end: end.clone() })
            }
        }
    }

    /// Whether `key` is one of them.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.0 {
            Kind::One(one) => one == key,
            Kind::Interval { start, end } => {
                start.as_slice() <= key && end.as_ref().is_none_or(|end| key < end.as_slice())
            }
        }
    }

    /// The only key, where it is one.
    #[must_use]
    pub fn single(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::One(key) => Some(key),
            Kind::Interval { .. } => None,
        }
    }

    /// The bounds, `None` where there can be no key between them.
    pub(crate) fn bounds(&self) -> Option<KeyBounds<'_>> {
        match &self.0 {
            Kind::One(key) => Some((Bound::Included(key), Bound::Included(key))),
            Kind::Interval { start, end: None } => Some((Bound::Included(start), Bound::Unbounded)),
            Kind::Interval { start, end: Some(end) } => {
                (start < end).then_some((Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice())))
            }
        }
    }
}

impl From<&Keys> for Keys {
    fn from(keys: &Keys) -> Self {
        keys.clone()
    }
}

impl From<&str> for Keys {
    fn from(key: &str) -> Self {
        Self::one(key)
    }
}

impl From<&[u8]> for Keys {
    fn from(key: &[u8]) -> Self {
        Self::one(key)
    }
}

impl<const N: usize> From<&[u8; N]> for Keys {
    fn from(key: &[u8; N]) -> Self {
        Self::one(key)
    }
}

impl From<Vec<u8>> for Keys {
    fn from(key: Vec<u8>) -> Self {
        Self(Kind::One(key))
    }
}
