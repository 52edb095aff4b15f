//! Watchers that compaction waits for, and how far behind they may be.

use alloc::collections::{BTreeSet, VecDeque};

use crate::error::HoldBound;

/// How far a watcher may be behind while compaction keeps for it what it was not told of. At least one bound must be set.
///
/// ```
/// use palimpsest_kv::Hold;
/// let hold = Hold::revisions(1_000).and_bytes(1 << 20);
/// # let _ = hold;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    pub(crate) revisions: Option<u64>,
    pub(crate) bytes: Option<u64>,
}

impl Hold {
    /// At most so many revisions.
    #[must_use]
    pub const fn revisions(most: u64) -> Self {
        Self { revisions: Some(most), bytes: None }
    }

    /// At most so many bytes of keys and values, of all keys, that were written after what it was told of and since it began.
    #[must_use]
    pub const fn bytes(most: u64) -> Self {
        Self { revisions: None, bytes: Some(most) }
    }

    /// And at most so many revisions.
    #[must_use]
    pub const fn and_revisions(self, most: u64) -> Self {
        Self { revisions: Some(most), ..self }
    }

    /// And at most so many bytes.
    #[must_use]
    pub const fn and_bytes(self, most: u64) -> Self {
        Self { bytes: Some(most), ..self }
    }

    /// The bound that is passed by one who is so far behind.
    pub(super) fn passed(&self, revisions: u64, bytes: u64) -> Option<Overrun> {
        let over = |bound, most: Option<u64>, behind| {
            most.filter(|most| behind > *most).map(|limit| Overrun { bound, limit, behind })
        };
        let of_revisions = over(HoldBound::Revisions, self.revisions, revisions);
        of_revisions.or_else(|| over(HoldBound::Bytes, self.bytes, bytes))
    }
}

/// A bound that a watcher has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overrun {
    pub(crate) bound: HoldBound,
    pub(crate) limit: u64,
    pub(crate) behind: u64,
}

/// Samples at most; when there are more, every other one goes.
const MOST_SAMPLES: usize = 1024;

/// Who holds, and how much was written while anybody did.
///
/// Invariant: `samples` grow in both numbers.
#[derive(Debug, Default)]
pub(super) struct Holders {
    pub(super) ids: BTreeSet<u64>,
    /// Bytes written so far.
    pub(super) written: u64,
    /// Revisions, and what was written up to each.
    samples: VecDeque<(u64, u64)>,
}

impl Holders {
    /// Takes note that so much was written up to a revision.
    pub(super) fn sample(&mut self, revision: u64) {
        if self.samples.back().is_some_and(|(last, _)| *last >= revision) {
            return;
        }
        self.samples.push_back((revision, self.written));
        if self.samples.len() > MOST_SAMPLES {
            let mut place = 0usize;
            self.samples.retain(|_| {
                place += 1;
                place.is_multiple_of(2)
            });
        }
    }

    /// What was written up to a revision, or less where that is not known exactly.
    pub(super) fn written_until(&self, revision: u64) -> u64 {
        let place = self.samples.partition_point(|(sampled, _)| *sampled <= revision);
        place.checked_sub(1).and_then(|place| self.samples.get(place)).map_or(0, |(_, written)| *written)
    }

    /// Forgets what was written before a revision that nobody holds.
    pub(super) fn forget_before(&mut self, revision: u64) {
        while let Some((second, _)) = self.samples.get(1)
            && *second <= revision
        {
            self.samples.pop_front();
        }
    }
}
