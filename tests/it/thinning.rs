//! History that gets thinner with age, over months of simulated time.

use std::collections::BTreeMap;
use std::time::Duration;

use palimpsest_kv::{Budget, Durability, Error, Options, Pin, Revision, Store, Thinning};
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::sim::{CALENDAR_START, SimClock, run_until_idle};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn options(thinning: Thinning) -> Options {
    let durability = Durability::Relaxed;
    Options { thinning: Some(thinning), durability, store_id: Some(1), ..Options::default() }
}

/// Puts the time under one key every ten minutes until so many have passed, and lets the store work. Answers the revisions by their times.
fn live(store: &mut Store<FaultyStorage>, clock: &SimClock, minutes: u64) -> BTreeMap<u64, u64> {
    let mut revisions = BTreeMap::new();
    for _ in 0..minutes / 10 {
        let now = clock.calendar().as_millis();
        let revision = store.put("time", now.to_string()).unwrap().revision;
        revisions.insert(now, revision.get());
        for _ in 0..10 {
            run_until_idle(store, clock, Budget::millis(2));
            clock.advance(MINUTE * 1000);
        }
        run_until_idle(store, clock, Budget::millis(2));
    }
    revisions
}

/// The time that was written at a revision, if it can be read.
fn time_at(store: &Store<FaultyStorage>, revision: Revision) -> Option<u64> {
    let snapshot = store.read_at(revision).ok()?;
    let entry = snapshot.get("time").unwrap()?;
    Some(std::str::from_utf8(entry.value()).unwrap().parse().unwrap())
}

#[test]
fn three_months_leave_an_hour_of_everything_a_day_of_hours_and_a_month_of_days() {
    let (disk, clock) = (FaultyStorage::new(), SimClock::ticking(1));
    let mut store = Store::open(disk, options(Thinning::default())).unwrap();
    let revisions = live(&mut store, &clock, 90 * 24 * 60);
    let now = clock.calendar().as_millis();
    for (_, revision) in revisions.range(now - HOUR..) {
        assert!(store.read_at(*revision).is_ok(), "revision {revision} of the last hour");
    }
    let kept: Vec<u64> = store
        .pins()
        .iter()
        .map(|pin| time_at(&store, pin.revision).expect("what is pinned is there"))
        .collect();
    let is_kept_within = |start: u64, end: u64| kept.iter().any(|time| (start..end).contains(time));
    let first_hour = now - now % HOUR;
    for hour in 0..23 {
        let start = first_hour - hour * HOUR;
        assert!(is_kept_within(start - 11 * MINUTE, start + 11 * MINUTE), "{hour} hours ago");
    }
    let first_day = now - now % DAY;
    for day in 0..29 {
        let start = first_day - day * DAY;
        assert!(is_kept_within(start - 11 * MINUTE, start + 11 * MINUTE), "{day} days ago");
    }
    assert!(kept.len() <= 24 + 30 + 2, "{} revisions are kept", kept.len());
    let records = store.status().unwrap().records;
    assert!(records <= 56 + 15, "{records} records are left of {}", revisions.len());
    store.check().unwrap();
}

#[test]
fn pins_of_its_own_are_nobody_elses_and_go_when_their_time_is_over() {
    let (disk, clock) = (FaultyStorage::new(), SimClock::ticking(1));
    let hour = Duration::from_hours(1);
    let mut store =
        Store::open(disk.clone(), options(Thinning::keep_all_for(hour).then_one_every(hour, 3 * hour)))
            .unwrap();
    live(&mut store, &clock, 600);
    let name = store.pins()[0].name.clone();
    assert!(matches!(store.pin(&name, 0), Err(Error::PinNameReserved { .. })));
    store.unpin(&name).unwrap();
    let before = store.pins();
    assert!(before.iter().all(|pin| pin.name != name), "whoever wants it gone gets it out of the way");
    store.close().unwrap();
    let mut store = Store::open(disk, options(Thinning::default())).unwrap();
    assert_eq!(store.pins().len(), before.len(), "they outlive the process");
    store.set_thinning(None).unwrap();
    live(&mut store, &clock, 240);
    assert_eq!(store.pins(), []);
    assert!(clock.calendar().as_millis() > CALENDAR_START + 12 * HOUR);
}

/// Whether the calendar was ahead when the store was new or later: what was done then ends like everything else.
#[test]
fn a_calendar_that_was_ahead_for_a_while_leaves_nothing_for_good() {
    for minutes_before in [0, 600] {
        let (disk, clock) = (FaultyStorage::new(), SimClock::ticking(1));
        let mut store = Store::open(disk, options(Thinning::default())).unwrap();
        live(&mut store, &clock, minutes_before);
        let now = clock.calendar();
        clock.set_calendar(now.after(Duration::from_millis(80 * 365 * DAY)));
        live(&mut store, &clock, 10);
        clock.set_calendar(now);
        live(&mut store, &clock, 60 * 24 * 60);
        let latest = clock.calendar().after(Duration::from_millis(30 * DAY));
        let late: Vec<_> = store.pins().into_iter().filter(|pin| pin.expires > Some(latest)).collect();
        assert!(late.is_empty(), "{minutes_before} minutes before: {late:?}");
        let status = store.status().unwrap();
        assert!(status.compacted.is_some(), "{minutes_before} minutes before");
        assert!(status.records <= 56 + 15, "{minutes_before}: {} records are left", status.records);
        store.check().unwrap();
    }
}

/// Whoever sets the calendar back to where it was finds what there was.
#[test]
fn a_calendar_that_was_behind_for_a_while_ends_no_pin() {
    for behind in [Duration::from_millis(3 * DAY), Duration::from_millis(50 * 365 * DAY)] {
        let (disk, clock) = (FaultyStorage::new(), SimClock::ticking(1));
        let mut store = Store::open(disk, options(Thinning::default())).unwrap();
        live(&mut store, &clock, 5 * 24 * 60);
        let before = store.pins();
        let now = clock.calendar();
        clock.set_calendar(now.before(behind));
        live(&mut store, &clock, 20);
        clock.set_calendar(now);
        live(&mut store, &clock, 20);
        let pins = store.pins();
        let is_there = |pin: &&Pin| {
            pin.expires <= Some(clock.calendar())
                || pins.iter().any(|other| (&other.name, other.expires) == (&pin.name, pin.expires))
        };
        let gone: Vec<_> = before.iter().filter(|pin| !is_there(pin)).collect();
        assert!(gone.is_empty(), "{behind:?} behind: {gone:?}");
    }
}

#[test]
fn a_thinning_that_makes_no_sense_is_refused() {
    let hour = Duration::from_hours(1);
    let cases = [
        Thinning::keep_all_for(Duration::ZERO),
        Thinning::keep_all_for(hour).then_one_every(Duration::ZERO, hour),
        Thinning::keep_all_for(hour).then_one_every(hour, Duration::from_mins(59)),
        Thinning::keep_all_for(hour).then_one_every(Duration::from_secs(1), hour),
    ];
    for thinning in cases {
        let refused = options(thinning.clone()).validate();
        assert!(matches!(refused, Err(Error::InvalidOption { option: "thinning", .. })), "{thinning:?}");
        let mut store = Store::open(FaultyStorage::new(), Options::default()).unwrap();
        assert!(store.set_thinning(Some(thinning)).is_err());
    }
}
