//! What is known to be missing from a salvaged store.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::revision::{Position, Revision};

/// Something that is known to be missing from a salvaged store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lost {
    /// One change of one key.
    Record {
        /// The key, if it could be read.
        key: Option<Vec<u8>>,
        /// The revision that made the change.
        revision: Revision,
        /// Why it is lost.
        what: String,
    },
    /// Some of the changes that these revisions made; others of theirs may have been saved.
    Revisions {
        /// The first of them.
        from: Revision,
        /// The last of them; [`Revision::LAST`] if nothing tells how many there were.
        to: Revision,
        /// Why they are lost.
        what: String,
    },
    /// Leases, pins and times of revisions, but for those that were written down after the last checkpoint.
    Remembered {
        /// Why they are lost.
        what: String,
    },
}

impl Lost {
    /// Changes whose positions lie within a range.
    pub(super) fn between(range: &Range<Position>, what: String) -> Self {
        let from = range.start.main.clamp(Revision::FIRST.get(), Revision::LAST.get());
        let last = if range.end.sub == 0 { range.end.main.saturating_sub(1) } else { range.end.main };
        Self::Revisions {
            from: Revision::new(from),
            to: Revision::new(last.clamp(from, Revision::LAST.get())),
            what,
        }
    }
}
