//! Twenty-four simulated hours of a busy store with periodic compaction: its file and its memory stay as they are.

use std::time::Duration;

use palimpsest_kv::storage::MemoryStorage;
use palimpsest_kv::{Budget, Durability, Next, Options, Snapshot, Store};
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sim::SimClock;

use crate::HEAP;

const HOURS: u64 = 24;
/// Until the file has found its size.
const WARM_HOURS: u64 = 2;
const SECONDS_AN_HOUR: u64 = 3_600;
const MICROS_A_SECOND: u64 = 1_000_000;
/// Writes a second in the quietest hour; at the busiest it is three times as many.
const WRITES_A_SECOND: u64 = 2;
const KEYS: u64 = 2_000;
const VALUE_BYTES: usize = 128;
/// How often the store is compacted, and the history that is kept.
const COMPACTION_SECONDS: u64 = 300;
/// A reader holds a snapshot so long.
const READER_SECONDS: u64 = 400;

/// The store and its clients.
struct Day {
    store: Store<MemoryStorage>,
    clock: SimClock,
    rng: Rng,
    /// The revision at the last compaction: the next one goes there.
    sample: u64,
    reader: Option<Snapshot<MemoryStorage>>,
}

/// What there is at the end of an hour.
#[derive(Clone, Copy, Debug)]
struct Hour {
    revision: u64,
    records: u64,
    file: u64,
    used: u64,
    /// Memory beside the file's bytes, which are in memory here, too.
    heap: u64,
}

impl Day {
    fn new() -> Self {
        let options = Options {
            durability: Durability::Relaxed,
            cache_bytes: 256 * 1024,
            compaction_pause: Duration::from_millis(10),
            store_id: Some(24),
            ..Options::default()
        };
        let store = Store::open(MemoryStorage::new(), options).unwrap();
        Self { store, clock: SimClock::ticking(20), rng: Rng::new(24), sample: 1, reader: None }
    }

    fn write(&mut self) {
        let key = format!("/registry/pods/{:06}", self.rng.below(KEYS));
        if self.rng.once_in(20) {
            self.store.delete(key.as_str()).unwrap();
        } else {
            let byte = self.rng.bits().to_le_bytes()[0];
            self.store.put(key, vec![byte; VALUE_BYTES]).unwrap();
        }
    }

    /// Lets the host's loop run until `end`.
    fn run_until(&mut self, end: u64) {
        loop {
            let next = self.store.run(&self.clock, Budget::millis(2)).unwrap();
            let now = self.clock.peek().as_micros();
            match next {
                Next::Now if now < end => {}
                Next::At(time) if time.as_micros() < end => self.clock.advance_to(time),
                Next::Now | Next::At(_) | Next::Idle => break,
            }
        }
        self.clock.advance(end.saturating_sub(self.clock.peek().as_micros()));
    }

    fn second(&mut self, second: u64) {
        let hour = second / SECONDS_AN_HOUR % 24;
        let busy = [1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 3, 3, 2, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1];
        let writes = WRITES_A_SECOND * busy.get(usize::try_from(hour).unwrap()).unwrap();
        let step = MICROS_A_SECOND / writes;
        for number in 1..=writes {
            self.write();
            self.run_until(second * MICROS_A_SECOND + number * step);
        }
        if second.is_multiple_of(COMPACTION_SECONDS) {
            // What was so long ago may be compacted already where nothing was written since.
            let _unchanged = self.store.compact(self.sample);
            self.sample = self.store.revision().get();
        }
        if second.is_multiple_of(READER_SECONDS) {
            self.reader = Some(self.store.snapshot());
        }
    }

    fn hour(&self) -> Hour {
        let status = self.store.status().unwrap();
        Hour {
            revision: status.revision.get(),
            records: status.records,
            file: status.file_bytes,
            used: status.used_bytes,
            heap: HEAP.allocated() as u64 - status.file_bytes,
        }
    }
}

#[test]
fn file_and_memory_stay_flat_for_a_day() {
    let mut day = Day::new();
    let mut hours: Vec<Hour> = Vec::new();
    println!("hour  revision  records  file KiB  in use KiB  memory KiB");
    for hour in 0..HOURS {
        for second in hour * SECONDS_AN_HOUR..(hour + 1) * SECONDS_AN_HOUR {
            day.second(second);
        }
        let Hour { revision, records, file, used, heap } = day.hour();
        println!(
            "{:>4} {revision:>9} {records:>8} {:>9} {:>11} {:>11}",
            hour + 1,
            file / 1024,
            used / 1024,
            heap / 1024
        );
        hours.push(Hour { revision, records, file, used, heap });
    }
    day.reader = None;
    day.store.check().unwrap();
    // The busiest hours keep three times the history of the quiet ones, and the file does not shrink by itself: what must not be is growth from one
    // busy stretch to the next.
    let (early, late) = hours.split_at(12);
    let most = |hours: &[Hour], of: fn(&Hour) -> u64| hours.iter().map(of).max().unwrap_or(0);
    for (what, of) in [("file", (|hour| hour.file) as fn(&Hour) -> u64), ("memory", |hour| hour.heap)] {
        let (before, after) = (most(early.get(WARM_HOURS as usize..).unwrap(), of), most(late, of));
        assert!(
            after <= before + before / 20,
            "{what}: {before} bytes in the morning, {after} in the afternoon"
        );
    }
    let last = hours.last().unwrap();
    assert!(last.revision > 300_000, "it was a busy day: revision {}", last.revision);
}
