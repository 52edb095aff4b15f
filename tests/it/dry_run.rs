//! What a dry run tells while other things go on, and that this is what a compaction then does.

use std::time::Duration;

use palimpsest_kv::{Budget, DryRunReport, Durability, Hold, Keys, Options, RetentionRule, Store, Watched};
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::sim::{SimClock, run_until_idle};

type Faulty = Store<FaultyStorage>;

fn new(retention: Vec<RetentionRule>) -> Faulty {
    let options = Options {
        page_bytes: 512,
        store_id: Some(1),
        durability: Durability::Relaxed,
        compaction_pause: Duration::ZERO,
        retention,
        ..Options::default()
    };
    Store::open(FaultyStorage::new(), options).unwrap()
}

fn rest(store: &mut Faulty) {
    run_until_idle(store, &SimClock::ticking(1), Budget::millis(2));
    store.check().unwrap();
}

/// Puts all of some keys once.
fn put(store: &mut Faulty, keys: usize) {
    (0..keys).for_each(|key| drop(store.put(format!("k{key:04}"), "value").unwrap()));
}

fn tried(store: &Faulty) -> DryRunReport {
    store.dry_run(store.revision()).unwrap().by_prefix("k0", 1).finish(store).unwrap()
}

/// A dry run in steps, with something else after each.
fn tried_beside(store: &mut Faulty, steps: u64, mut other: impl FnMut(&mut Faulty)) -> DryRunReport {
    let mut run = store.dry_run(store.revision()).unwrap().by_prefix("k0", 1);
    let clock = SimClock::ticking(1);
    loop {
        if let Some(report) = run.step(store, &clock, Budget::micros(steps)).unwrap() {
            return report;
        }
        other(store);
    }
}

/// Work that is left in the background, by what it is.
const AT_WORK: [fn(&mut Faulty); 3] = [compacting, sweeping, ending_tombstones];

fn compacting(store: &mut Faulty) {
    (0..3).for_each(|_| put(store, 600));
    store.compact(store.revision()).unwrap();
    put(store, 40);
}

fn sweeping(store: &mut Faulty) {
    put(store, 600);
    store.pin("pin", 0).unwrap();
    put(store, 600);
    store.compact(store.revision()).unwrap();
    rest(store);
    put(store, 40);
    store.unpin("pin").unwrap();
}

/// Deletes that an older version which is pinned needs, until the puts that come after the compaction are compacted too.
fn ending_tombstones(store: &mut Faulty) {
    put(store, 300);
    store.pin("pin", 0).unwrap();
    put(store, 300);
    store.pin("other", 0).unwrap();
    store.delete(Keys::prefix("k")).unwrap();
    store.put("other", "value").unwrap();
    store.compact(store.revision()).unwrap();
    put(store, 300);
    store.unpin("other").unwrap();
}

#[test]
fn background_work_changes_nothing_of_what_is_told() {
    for (case, prepare) in AT_WORK.into_iter().enumerate() {
        for (begun, steps, budget) in [(0, 1, 1), (3, 1, 1), (3, 20, 5), (10, 3, 40), (40, 7, 1)] {
            let mut store = new(Vec::new());
            prepare(&mut store);
            let clock = SimClock::ticking(1);
            let run = |store: &mut Faulty| assert!(store.run(&clock, Budget::micros(budget)).is_ok());
            let expected = tried(&store);
            assert!(expected.freed.records > 0);
            (0..begun).for_each(|_| run(&mut store));
            let what = format!("case {case}, {begun} runs before, {steps} looks a step, {budget} a run");
            assert_eq!(tried_beside(&mut store, steps, run), expected, "{what}");
            store.check().unwrap();
            rest(&mut store);
            assert_eq!(tried(&store), expected, "{what}: when all is done");
            let before = store.status().unwrap().records;
            store.compact(store.revision()).unwrap();
            rest(&mut store);
            assert_eq!(before - store.status().unwrap().records, expected.freed.records, "{what}: done");
        }
    }
}

#[test]
fn a_change_of_rules_begins_it_anew() {
    let mut store = new(vec![RetentionRule::of("z").newest(2)]);
    (0..3).for_each(|_| put(&mut store, 600));
    let expected = tried(&store);
    let mut rules = Some(Vec::new());
    let told = tried_beside(&mut store, 50, |store| {
        rules.take().into_iter().for_each(|rules| store.set_retention(rules).unwrap());
    });
    assert_eq!(told, expected);
    let mut rules = Some(vec![RetentionRule::of("").newest(2)]);
    let told = tried_beside(&mut store, 50, |store| {
        rules.take().into_iter().for_each(|rules| store.set_retention(rules).unwrap());
    });
    assert_eq!(told.freed.records, 600, "what is kept by the new rule is not counted");
}

#[test]
fn what_a_watcher_holds_is_not_counted() {
    let mut store = new(Vec::new());
    put(&mut store, 10);
    put(&mut store, 10);
    let watcher = store.watch(Keys::all()).hold(Hold::revisions(1_000)).start().unwrap();
    put(&mut store, 10);
    let freed = |store: &Faulty| tried(store).freed.records;
    assert_eq!(freed(&store), 10, "what was replaced before it began");
    store.compact(store.revision()).unwrap();
    rest(&mut store);
    put(&mut store, 1);
    assert_eq!(freed(&store), 0);
    while let Watched::Batch(_) = store.poll(&watcher).unwrap() {}
    assert_eq!(freed(&store), 1, "and not what the compaction before was asked to free");
}
