//! Random leases, pins and watchers.

use palimpsest_kv::Keys;

use super::Swarm;
use crate::action::{Action, Kept, Wish, Without};
use crate::model::Model;
use crate::rng::Rng;
use crate::sim::CALENDAR_START;

/// The numbers that leases are given, besides those that the store chooses.
const NUMBERS: u64 = 4;
/// How long leases are to live, in milliseconds; longer than may be at the end.
const MILLIS: [u64; 7] = [0, 1_500, 2_000, 3_100, 10_000, 60_000, 9_000_000_000_001];

/// The number of a lease: mostly one that there is.
pub(super) fn lease(rng: &mut Rng, model: &Model) -> u64 {
    let ids: Vec<u64> = model.leases().all().keys().copied().collect();
    if ids.is_empty() || rng.once_in(10) { 1 + rng.below(NUMBERS) } else { rng.one_of(&ids) }
}

/// How far the calendar is set, in milliseconds.
const SET: [i64; 9] = [
    -700,
    -4_000,
    -3_600_000,
    // To a day before the store was there, and to one that no calendar that is right says.
    -100_000_000_000,
    -1_000_000_000_000,
    5_000,
    3_700_000,
    3_000_000_000,
    i64::MIN,
];

/// Some time, or what is called so.
pub(super) fn pass(rng: &mut Rng) -> Action {
    match rng.one_of(&[1_000, 200_000, 1_100_000, 7_000_000]) {
        7_000_000 if rng.once_in(4) => Action::SetCalendar(rng.one_of(&SET)),
        micros => Action::Pass(micros),
    }
}

/// The names that pins are given.
const NAMES: [&str; 5] = ["a", "b", "c", "monday", "the day before yesterday"];

/// The name of a pin: mostly one that there is.
pub(super) fn pin_name(rng: &mut Rng, model: &Model) -> String {
    let names: Vec<&str> = model.pins().all().keys().map(String::as_str).collect();
    match rng.below(40) {
        0 => String::new(),
        1 => "n".repeat(255 + rng.index(2)),
        2 => "$own".into(),
        3..20 if !names.is_empty() => rng.one_of(&names).into(),
        _ => rng.one_of(&NAMES).into(),
    }
}

/// Pins a revision: mostly one that can be read, of which the newest is the one that lasts longest.
pub(super) fn pin(rng: &mut Rng, model: &Model) -> Action {
    let name = if rng.once_in(3) { pin_name(rng, model) } else { rng.one_of(&NAMES).into() };
    let revision = super::revision(rng, model).unwrap_or(0);
    let expires = rng.one_of(&[None, None, None, Some(0), Some(2_000), Some(60_000)]);
    Action::Pin(name, revision, expires.map(|millis| CALENDAR_START + millis))
}

impl Swarm {
    pub(super) fn grant(&self, rng: &mut Rng) -> Action {
        let id = if rng.once_in(4) { None } else { Some(1 + rng.below(NUMBERS)) };
        Action::Grant(id, rng.one_of(&MILLIS))
    }

    /// Rules for some of the keys, within each other or for all of them.
    pub(super) fn retention(&self, rng: &mut Rng) -> Action {
        let mut rules: Vec<Kept> = Vec::new();
        for _ in 0..rng.below(4) {
            let key = self.key(rng);
            let prefix = key.get(..rng.index(key.len() + 1)).unwrap_or_default().to_vec();
            if rules.iter().all(|(other, _)| *other != prefix) {
                rules.push((prefix, rng.one_of(&[1, 2, 3, 10, 100])));
            }
        }
        Action::Retention(rules)
    }

    /// What a watcher is to want: from the past, which may be gone, from now on, or from the future.
    pub(super) fn wish(&self, rng: &mut Rng, model: &Model) -> Wish {
        let (oldest, newest) = (model.compacted().unwrap_or(0), model.revision());
        let from = match rng.below(8) {
            0..3 => None,
            3 => Some(newest + rng.below(5)),
            4 => Some(rng.below(oldest + 1)),
            5 => Some(oldest),
            _ => Some(oldest + rng.below(newest + 1 - oldest)),
        };
        let without = match rng.below(10) {
            0 => Without { puts: true, deletes: false },
            1 => Without { puts: false, deletes: true },
            2 if rng.once_in(3) => Without { puts: true, deletes: true },
            _ => Without::default(),
        };
        Wish {
            keys: if rng.once_in(3) { Keys::all() } else { self.keys(rng) },
            from,
            without,
            previous: rng.once_in(2),
            fragments: if rng.once_in(4) { Some(rng.one_of(&[0, 1, 100, 2_000])) } else { None },
            progress: if rng.once_in(5) { Some(rng.one_of(&[1, 500])) } else { None },
            hold: match rng.below(8) {
                0 => (Some(rng.one_of(&[0, 3, 30])), None),
                1 => (None, Some(rng.one_of(&[0, 1_000, 30_000]))),
                2 => (Some(100_000), Some(1 << 40)),
                _ => (None, None),
            },
        }
    }
}
