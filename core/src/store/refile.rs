//! Filing all dead records anew, from the index.

use crate::compaction::{Dead, Filing, Stay};
use crate::index::{Change, Index};

/// Files every dead record of a store that is compacted to a revision and has some pinned, as compactions that have looked at all of them
/// would have. Costs some 100 ns a record.
pub(super) fn file_all(index: &Index, (compacted, pins): (u64, &[u64])) -> Filing {
    let mut filing = Filing::default();
    for (_, steps) in index.iter_entries() {
        let mut has_older = false;
        for (place, step) in steps.iter().enumerate() {
            let next = steps.get(place + 1).map(|step| step.position.main);
            let (position, main) = (step.position, step.position.main);
            let death = match step.change {
                Change::Put => next,
                Change::Tombstone => Some(main + 1),
            };
            if let Some(death) = death {
                let dead = Dead { position, death };
                let is_reached = death <= compacted;
                if !is_reached {
                    filing.push(position, death);
                } else if !filing.push_if_pinned(dead, pins) {
                    let stay = Stay::of(main, next, (compacted, pins));
                    match stay.filter(|_| has_older && step.change == Change::Tombstone) {
                        Some(stay) => filing.push_tombstone(position, stay),
                        None => filing.push(position, death),
                    }
                }
            }
            has_older = true;
        }
    }
    filing
}
