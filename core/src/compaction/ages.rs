//! Which revision was the newest at what time, as far back as this process has seen.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::scheduler::WallTime;

/// Samples of the newest revision, in memory.
///
/// Invariant: both times and revisions do not go back.
#[derive(Debug, Default)]
pub(crate) struct Ages {
    samples: VecDeque<(WallTime, u64)>,
}

impl Ages {
    /// Notes the newest revision, and forgets what is not needed to tell which one was the newest `memory` ago.
    pub(crate) fn note(&mut self, (now, newest): (WallTime, u64), memory: Duration) {
        if self.samples.back().is_none_or(|(last, _)| *last < now) {
            self.samples.push_back((now, newest));
        }
        let needed = now.before(memory);
        while let Some((second, _)) = self.samples.get(1)
            && *second <= needed
        {
            self.samples.pop_front();
        }
    }

    /// A revision that was the newest at a time or before it; `None` if that is not known.
    pub(crate) fn revision_before(&self, time: WallTime) -> Option<u64> {
        let place = self.samples.partition_point(|(sampled, _)| *sampled <= time);
        self.samples.get(place.checked_sub(1)?).map(|(_, revision)| *revision)
    }
}
