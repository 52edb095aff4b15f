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

    /// At most so many bytes of keys and values, of all keys, that were written after what it was told of and since it began. For one that is
    /// far behind they are counted to within a thirty-second part: it is let go late then, and never early.
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

/// Samples before they are thinned out for the first time.
const FIRST_THINNING: usize = 1024;
/// What was written within one sample is at most this part of what was written since.
const EXACTNESS: u64 = 32;

/// Who holds, and how much was written while anybody did.
///
/// Invariants, verified by [`Holders::check`]: `samples` grow in all numbers, and none tells of more than was written.
#[derive(Debug, Default)]
pub(super) struct Holders {
    pub(super) ids: BTreeSet<u64>,
    /// Bytes written so far.
    pub(super) written: u64,
    samples: VecDeque<Sample>,
    /// They are thinned out when there are more than this.
    thin_beyond: usize,
}

/// What was written up to a revision, and up to the last one before the next sample.
#[derive(Clone, Copy, Debug)]
struct Sample {
    revision: u64,
    from: u64,
    until: u64,
}

impl Holders {
    /// Takes note that so much was written up to a revision.
    pub(super) fn sample(&mut self, revision: u64) {
        if self.samples.back().is_some_and(|last| last.revision >= revision) {
            return;
        }
        self.samples.push_back(Sample { revision, from: self.written, until: self.written });
        if self.samples.len() > self.thin_beyond {
            self.thin_out();
            self.thin_beyond = FIRST_THINNING.max(2 * self.samples.len());
        }
    }

    /// Makes one of neighbours, so far as that is a small part of what was written since: so there are as many as the logarithm of that is
    /// long. The first revision of each is kept, so that there is always one at or before what is held.
    fn thin_out(&mut self) {
        let written = self.written;
        let mut thinned: VecDeque<Sample> = VecDeque::new();
        for sample in self.samples.drain(..) {
            match thinned.back_mut() {
                Some(last) if sample.until - last.from <= (written - sample.until) / EXACTNESS => {
                    last.until = sample.until;
                }
                Some(_) | None => thinned.push_back(sample),
            }
        }
        self.samples = thinned;
    }

    /// What was written up to a revision, or a little more where that is not known exactly: nobody is to seem further behind than he is.
    pub(super) fn written_until(&self, revision: u64) -> u64 {
        let place = self.samples.partition_point(|sample| sample.revision <= revision);
        place.checked_sub(1).and_then(|place| self.samples.get(place)).map_or(0, |sample| sample.until)
    }

    /// Forgets what was written before a revision that nobody holds.
    pub(super) fn forget_before(&mut self, revision: u64) {
        while let Some(second) = self.samples.get(1)
            && second.revision <= revision
        {
            self.samples.pop_front();
        }
    }

    /// # Errors
    /// Says what does not hold.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let grows = |a: &&Sample, b: &&Sample| a.revision < b.revision && a.until <= b.from;
        let is_range = |sample: &Sample| sample.from <= sample.until && sample.until <= self.written;
        if self.samples.iter().is_sorted_by(grows) && self.samples.iter().all(is_range) {
            return Ok(());
        }
        Err("what was written up to some revision is less than up to an earlier one")
    }
}
