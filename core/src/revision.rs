//! Revisions, and positions within one revision.

use core::fmt;

/// The number of a write transaction; every later transaction has a greater one.
///
/// An empty store is at revision 1 and its first write is revision 2, as in etcd.
///
/// ```
/// use palimpsest_kv::Revision;
/// assert!(Revision::new(2) < Revision::new(3));
/// assert_eq!(Revision::from(7).get(), 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u64);

impl Revision {
    /// The revision of a store that nothing was written to.
    pub const FIRST: Self = Self(1);
    /// The greatest revision: 2^53 - 1, the largest integer that JavaScript's numbers hold exactly.
    pub const LAST: Self = Self((1 << 53) - 1);

    /// The revision with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The revision's number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for Revision {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where one record stands: the revision of its transaction (`main`) and its place within it (`sub`).
///
/// Positions are unique and only grow. etcd calls this pair a revision too; here that word is kept for `main`, which
/// is all that a user sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position {
    pub(crate) main: u64,
    pub(crate) sub: u32,
}

impl Position {
    pub(crate) const fn new(main: u64, sub: u32) -> Self {
        Self { main, sub }
    }

    /// The position after it.
    pub(crate) const fn next(self) -> Self {
        match self.sub.checked_add(1) {
            Some(sub) => Self { main: self.main, sub },
            None => Self { main: self.main.saturating_add(1), sub: 0 },
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.main, self.sub)
    }
}
