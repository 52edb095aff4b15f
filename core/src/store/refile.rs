//! Filing all dead records anew, from the index.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::compaction::{Dead, Filing, Rules, Stay};
use crate::index::{Change, Index, Step};

/// When each of a key's steps dies by a rule that keeps so many versions, `None` for those that have not: a put at the put that makes it one too
/// many of its generation, or at the generation's tombstone; a tombstone one revision after its own.
pub(super) fn deaths(steps: &[(u64, Change)], versions: usize) -> Vec<Option<u64>> {
    let mut deaths = Vec::with_capacity(steps.len());
    let mut end = 0;
    for (place, (main, change)) in steps.iter().enumerate() {
        if *change == Change::Tombstone {
            deaths.push(Some(main + 1));
            continue;
        }
        if end <= place {
            let puts = steps.iter().skip(place).take_while(|(_, change)| *change == Change::Put).count();
            end = place + puts;
        }
        let newer = place.saturating_add(versions);
        let by = if newer < end { steps.get(newer) } else { steps.get(end) };
        deaths.push(by.map(|(main, _)| *main));
    }
    deaths
}

/// Files every dead record of a store in which compaction has reached a revision and some are pinned, as compactions that have looked at all of
/// them would have; those of rules that keep something for a while wait for that. Costs some 100 ns a record.
pub(super) fn file_all(index: &Index, rules: Rules, (compacted, pins): (u64, &[u64])) -> Filing {
    let rules = Arc::new(rules);
    let mut filing = Filing::new(Arc::clone(&rules));
    for (key, steps) in index.iter_entries() {
        let rule = rules.of(key);
        let versions = rules.versions(rule);
        let is_timed = rules.time(rule).is_some();
        let plain: Vec<(u64, Change)> = steps.iter().map(|step| (step.position.main, step.change)).collect();
        for (place, (step, death)) in steps.iter().zip(deaths(&plain, versions)).enumerate() {
            let Some(death) = death else { continue };
            let Step { position, change } = *step;
            let next = steps.get(place + 1).map(|step| step.position.main);
            let replaced = if change == Change::Tombstone { death } else { next.unwrap_or(death) };
            let is_waiting = death > compacted || is_timed;
            if is_waiting {
                filing.push(position, death, rule);
            } else if !filing.push_if_pinned(Dead { position, death: replaced }, pins) {
                let stay = match versions {
                    1 => Stay::of(position.main, next, (compacted, pins)),
                    _ => Some(Stay::Newest),
                };
                match stay.filter(|_| place > 0 && change == Change::Tombstone) {
                    Some(stay) => filing.push_tombstone(position, stay),
                    None => filing.push(position, death, rule),
                }
            }
        }
    }
    filing
}
