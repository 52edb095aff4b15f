//! The golden files: stores as released builds have written them, each as the steps that made it and what it must hold.
//!
//! Every entry of [`GOLDEN`] is the file of its name in the folder `golden`. The steps are there to say what is in a file, and to make
//! files of a format that is not released yet; see the folder's README.

use std::time::Duration;

use palimpsest_kv::{Budget, LeaseId, Op, Options, Put, Store, WallTime};

use crate::faulty::FaultyStorage;
use crate::sim::{CALENDAR_START, SimClock, run_until_idle};

/// How a golden store was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It was closed.
    Closed,
    /// The program ended without closing it.
    Open,
    /// The power went right after it was created.
    Created,
}

/// What one key holds at one revision.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// The revision to read at; 0 for the newest.
    pub at: u64,
    /// The key.
    pub key: &'static str,
    /// The first byte of the value and its length, the create revision, the mod revision and the version; `None` if there is none.
    pub is: Option<(u8, usize, u64, u64, u64)>,
}

/// A golden file.
pub struct Golden {
    /// Its name, without `.plm`.
    pub name: &'static str,
    /// Bytes in a page.
    pub page_bytes: usize,
    /// How it was left.
    pub left: Left,
    /// What was done to the new store.
    pub steps: fn(&mut Store<FaultyStorage>) -> palimpsest_kv::Result<()>,
    /// Its newest revision.
    pub revision: u64,
    /// The revision that it is compacted to.
    pub compacted: Option<u64>,
    /// Its keys and records when it has been opened.
    pub counts: (u64, u64),
    /// Some of what can be read.
    pub values: &'static [Value],
    /// Its leases: number, time in seconds, and keys.
    pub leases: &'static [(u64, u64, &'static [&'static str])],
    /// When revisions were there, in milliseconds from where the simulated calendar begins; `None` where that is not known.
    pub times: &'static [(u64, Option<u64>)],
    /// Its pins: name, revision, and when it ends, in milliseconds of the calendar.
    pub pins: &'static [(&'static str, u64, Option<u64>)],
}

const fn value(at: u64, key: &'static str, is: Option<(u8, usize, u64, u64, u64)>) -> Value {
    Value { at, key, is }
}

fn text(byte: u8, bytes: usize) -> Vec<u8> {
    vec![byte; bytes]
}

/// Three revisions of eight keys, a delete, and a key that is created anew.
fn history(store: &mut Store<FaultyStorage>) -> palimpsest_kv::Result<()> {
    for round in b'a'..=b'c' {
        store.txn().then((0..8).map(|key| Op::put(format!("key{key}"), text(round, 40)))).commit()?;
    }
    store.delete("key3")?;
    store.put("key3", text(b'd', 10))?;
    store.delete("key5").map(drop)
}

/// Values of many pages, keys of some, and a tombstone of such a key.
fn large(store: &mut Store<FaultyStorage>) -> palimpsest_kv::Result<()> {
    store.put("large", text(b'l', 9_000))?;
    store.put("k".repeat(700), text(b'v', 700))?;
    store.put("l".repeat(700), text(b'w', 10))?;
    store.delete("k".repeat(700).as_bytes())?;
    store.put("large", text(b'm', 3_000)).map(drop)
}

/// Leases that a checkpoint remembers and leases of the log; one that is revoked, one that is renewed, keys with and without.
fn leased(store: &mut Store<FaultyStorage>) -> palimpsest_kv::Result<()> {
    let id = |number| LeaseId::new(number).expect("a number that a lease can have");
    let clock = SimClock::ticking(1);
    store.grant_lease_as(id(7), Duration::from_secs(60))?;
    store.grant_lease_as(id(8), Duration::from_secs(60))?;
    store.put_with(&Put::new("session", text(b's', 10)).lease(id(7)))?;
    store.put_with(&Put::new("freed", text(b'f', 10)).lease(id(8)))?;
    store.put_with(&Put::new("gone", text(b'g', 10)).lease(id(8)))?;
    let _next = store.run(&clock, Budget::millis(2))?;
    clock.advance(10_000_000);
    let _next = store.run(&clock, Budget::millis(2))?;
    store.grant_lease_as(id(u64::MAX >> 1), Duration::from_secs(2))?;
    store.checkpoint()?;
    store.put("kept", text(b'k', 10))?;
    store.put("freed", text(b'v', 10))?;
    store.revoke_lease(id(8))?;
    store.keep_alive(id(7))?;
    store.grant_lease_as(id(9), Duration::from_secs(3_600))?;
    store.put_with(&Put::new("later", text(b'l', 10)).lease(id(9))).map(drop)
}

/// Times that a checkpoint remembers and times of the log; the calendar is set back in between.
fn timed(store: &mut Store<FaultyStorage>) -> palimpsest_kv::Result<()> {
    let clock = SimClock::ticking(0);
    let put = |store: &mut Store<FaultyStorage>, number: u8| -> palimpsest_kv::Result<()> {
        store.put(format!("key{}", number % 3), text(b'a' + number, 10))?;
        let _next = store.run(&clock, Budget::millis(2))?;
        clock.advance(5_000_000);
        Ok(())
    };
    (1..=2).try_for_each(|number| put(store, number))?;
    store.compact(3)?;
    finish_compaction(store);
    (3..=4).try_for_each(|number| put(store, number))?;
    store
        .grant_lease_as(LeaseId::new(5).expect("a number that a lease can have"), Duration::from_secs(60))?;
    store.checkpoint()?;
    clock.set_calendar(WallTime::from_millis(CALENDAR_START + 12_000));
    (5..=8).try_for_each(|number| put(store, number))
}

/// Pins that a checkpoint remembers and pins of the log; one that ends, one that is moved, one that is removed; and a compaction around them.
fn pinned(store: &mut Store<FaultyStorage>) -> palimpsest_kv::Result<()> {
    history(store)?;
    store.pin("release", 2)?;
    store.pin("removed", 4)?;
    store.checkpoint()?;
    store.put("more", text(b'm', 10))?;
    store.pin("release", 3)?;
    store.pin_until("trial", 5, WallTime::from_millis(CALENDAR_START + 86_400_000))?;
    store.unpin("removed")?;
    store.compact(7)?;
    finish_compaction(store);
    store.put("later", text(b'l', 10)).map(drop)
}

fn finish_compaction(store: &mut Store<FaultyStorage>) {
    run_until_idle(store, &SimClock::ticking(1), Budget::millis(2));
}

/// What the keys of [`history`] hold, whatever the pages.
const HISTORY: &[Value] = &[
    value(2, "key0", Some((b'a', 40, 2, 2, 1))),
    value(3, "key7", Some((b'b', 40, 2, 3, 2))),
    value(0, "key0", Some((b'c', 40, 2, 4, 3))),
    value(4, "key3", Some((b'c', 40, 2, 4, 3))),
    value(5, "key3", None),
    value(0, "key3", Some((b'd', 10, 6, 6, 1))),
    value(6, "key5", Some((b'c', 40, 2, 4, 3))),
    value(0, "key5", None),
];

/// The golden files of format version 1.
pub const GOLDEN: &[Golden] = &[
    Golden {
        name: "v1-new",
        page_bytes: 65_536,
        left: Left::Created,
        steps: |_| Ok(()),
        revision: 1,
        compacted: None,
        counts: (0, 0),
        values: &[value(0, "key0", None)],
        leases: &[],
        times: &[],
        pins: &[],
    },
    Golden {
        name: "v1-log-of-one-page",
        page_bytes: 512,
        left: Left::Open,
        steps: |store| store.put("key", "value").map(drop),
        revision: 2,
        compacted: None,
        counts: (1, 1),
        values: &[value(0, "key", Some((b'v', 5, 2, 2, 1)))],
        leases: &[],
        times: &[],
        pins: &[],
    },
    Golden {
        name: "v1-log-after-a-checkpoint",
        page_bytes: 512,
        left: Left::Open,
        steps: |store| {
            history(store)?;
            store.checkpoint()?;
            store.put("key0", text(b'e', 30))?;
            store.put("long", text(b'f', 2_000))?;
            store.delete("key1").map(drop)
        },
        revision: 10,
        compacted: None,
        counts: (9, 30),
        values: &[
            value(7, "key0", Some((b'c', 40, 2, 4, 3))),
            value(0, "key0", Some((b'e', 30, 2, 8, 4))),
            value(0, "long", Some((b'f', 2_000, 9, 9, 1))),
            value(9, "key1", Some((b'c', 40, 2, 4, 3))),
            value(0, "key1", None),
        ],
        leases: &[],
        times: &[],
        pins: &[],
    },
    Golden {
        name: "v1-history-in-pages-of-512-bytes",
        page_bytes: 512,
        left: Left::Closed,
        steps: history,
        revision: 7,
        compacted: None,
        counts: (8, 27),
        values: HISTORY,
        leases: &[],
        times: &[],
        pins: &[],
    },
    Golden {
        name: "v1-history-in-pages-of-2048-bytes",
        page_bytes: 2_048,
        left: Left::Closed,
        steps: history,
        revision: 7,
        compacted: None,
        counts: (8, 27),
        values: HISTORY,
        leases: &[],
        times: &[],
        pins: &[],
    },
    Golden {
        name: "v1-history-left-open",
        page_bytes: 1_024,
        left: Left::Open,
        steps: history,
        revision: 7,
        compacted: None,
        counts: (8, 27),
        values: HISTORY,
        leases: &[],
        times: &[],
        pins: &[],
    },
    Golden {
        name: "v1-large-keys-and-values",
        page_bytes: 512,
        left: Left::Closed,
        steps: large,
        revision: 6,
        compacted: None,
        counts: (3, 5),
        values: &[
            value(2, "large", Some((b'l', 9_000, 2, 2, 1))),
            value(0, "large", Some((b'm', 3_000, 2, 6, 2))),
        ],
        leases: &[],
        times: &[],
        pins: &[],
    },
    Golden {
        name: "v1-tombstones",
        page_bytes: 512,
        left: Left::Closed,
        steps: |store| {
            history(store)?;
            store.delete(palimpsest_kv::Keys::all()).map(drop)
        },
        revision: 8,
        compacted: None,
        counts: (8, 34),
        values: &[
            value(7, "key0", Some((b'c', 40, 2, 4, 3))),
            value(0, "key0", None),
            value(0, "key3", None),
        ],
        leases: &[],
        times: &[],
        pins: &[],
    },
    Golden {
        name: "v1-compacted",
        page_bytes: 512,
        left: Left::Closed,
        steps: |store| {
            history(store)?;
            store.compact(5)?;
            finish_compaction(store);
            store.put("key0", text(b'e', 30)).map(drop)
        },
        revision: 8,
        compacted: Some(5),
        counts: (8, 11),
        values: &[
            value(5, "key0", Some((b'c', 40, 2, 4, 3))),
            value(5, "key3", None),
            value(0, "key0", Some((b'e', 30, 2, 8, 4))),
            value(0, "key3", Some((b'd', 10, 6, 6, 1))),
        ],
        leases: &[],
        times: &[],
        pins: &[],
    },
    Golden {
        name: "v1-compaction-scheduled",
        page_bytes: 512,
        left: Left::Open,
        steps: |store| {
            history(store)?;
            store.compact(4).map(drop)
        },
        revision: 7,
        compacted: Some(4),
        counts: (8, 27),
        values: &[value(4, "key3", Some((b'c', 40, 2, 4, 3))), value(0, "key3", Some((b'd', 10, 6, 6, 1)))],
        leases: &[],
        times: &[],
        pins: &[],
    },
    Golden {
        name: "v1-compaction-half-done",
        page_bytes: 512,
        left: Left::Open,
        steps: |store| {
            history(store)?;
            store.compact(7)?;
            let _more = store.run(&SimClock::ticking(1_000), Budget::micros(1))?;
            store.checkpoint()
        },
        revision: 7,
        compacted: Some(7),
        counts: (8, 19),
        values: &[
            value(0, "key0", Some((b'c', 40, 2, 4, 3))),
            value(0, "key3", Some((b'd', 10, 6, 6, 1))),
            value(0, "key5", None),
        ],
        leases: &[],
        times: &[],
        pins: &[],
    },
    Golden {
        name: "v1-branches-of-two-levels",
        page_bytes: 512,
        left: Left::Closed,
        steps: |store| {
            (0..10u8).try_for_each(|round| {
                let put = |key: u8| Op::put(format!("key{key:02}"), text(round, 50));
                store.txn().then((0..12).map(put)).commit().map(drop)
            })
        },
        revision: 11,
        compacted: None,
        counts: (12, 120),
        values: &[
            value(2, "key11", Some((0, 50, 2, 2, 1))),
            value(7, "key04", Some((5, 50, 2, 7, 6))),
            value(0, "key00", Some((9, 50, 2, 11, 10))),
        ],
        leases: &[],
        times: &[],
        pins: &[],
    },
    Golden {
        name: "v1-history-in-pages-of-4096-bytes",
        page_bytes: 4_096,
        left: Left::Closed,
        steps: history,
        revision: 7,
        compacted: None,
        counts: (8, 27),
        values: HISTORY,
        leases: &[],
        times: &[],
        pins: &[],
    },
    Golden {
        name: "v1-leases",
        page_bytes: 512,
        left: Left::Open,
        steps: leased,
        revision: 8,
        compacted: None,
        counts: (5, 7),
        values: &[
            value(0, "session", Some((b's', 10, 2, 2, 1))),
            value(5, "gone", Some((b'g', 10, 4, 4, 1))),
            value(0, "gone", None),
            value(0, "freed", Some((b'v', 10, 3, 6, 2))),
        ],
        leases: &[(7, 60, &["session"]), (9, 3_600, &["later"]), (u64::MAX >> 1, 2, &[])],
        times: &[],
        pins: &[],
    },
    Golden {
        name: "v1-times",
        page_bytes: 512,
        left: Left::Open,
        steps: timed,
        revision: 9,
        compacted: Some(3),
        counts: (3, 8),
        values: &[value(0, "key0", Some((b'g', 10, 4, 7, 2)))],
        leases: &[(5, 60, &[])],
        times: &[
            (2, Some(5_000)),
            (3, Some(5_000)),
            (4, Some(10_000)),
            (5, Some(12_000)),
            (6, Some(12_000)),
            (7, Some(17_000)),
            (8, Some(22_000)),
            (9, None),
        ],
        pins: &[],
    },
    Golden {
        name: "v1-pins",
        page_bytes: 512,
        left: Left::Open,
        steps: pinned,
        revision: 9,
        compacted: Some(7),
        counts: (10, 20),
        values: &[
            value(3, "key0", Some((b'b', 40, 2, 3, 2))),
            value(3, "key5", Some((b'b', 40, 2, 3, 2))),
            value(5, "key3", None),
            value(7, "key3", Some((b'd', 10, 6, 6, 1))),
            value(0, "key5", None),
            value(0, "later", Some((b'l', 10, 9, 9, 1))),
        ],
        leases: &[],
        times: &[],
        pins: &[("release", 3, None), ("trial", 5, Some(CALENDAR_START + 86_400_000))],
    },
];

impl Golden {
    /// How the store was made, and may be opened.
    #[must_use]
    pub fn options(&self) -> Options {
        Options {
            page_bytes: self.page_bytes,
            store_id: Some(0x676F_6C64),
            compaction_batch_limit: 4,
            compaction_pause: Duration::from_millis(1),
            ..Options::default()
        }
    }

    /// Makes the store anew, and gives its bytes.
    ///
    /// # Panics
    /// If a step fails.
    #[must_use]
    pub fn make(&self) -> Vec<u8> {
        let disk = FaultyStorage::new();
        let mut store = Store::open(disk.clone(), self.options()).expect("an empty disk becomes a store");
        (self.steps)(&mut store).expect("a golden store can be made");
        match self.left {
            Left::Closed => _ = store.close().expect("a golden store can be closed"),
            Left::Open => drop(store),
            Left::Created => return disk.with_unsynced(|_| false).to_bytes(),
        }
        disk.to_bytes()
    }
}
