//! Rules of retention: what compaction leaves of the keys of a prefix.

use std::time::Duration;

use palimpsest_kv::{Budget, Durability, Error, Options, RetentionRule, Store};
use palimpsest_kv_tests::copying::{exported, imported};
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::sim::{SimClock, run_until_idle};

type Faulty = Store<FaultyStorage>;

fn open(disk: &FaultyStorage, retention: &[RetentionRule]) -> Faulty {
    let options = Options {
        page_bytes: 512,
        store_id: Some(1),
        compaction_pause: Duration::ZERO,
        retention: retention.to_vec(),
        ..Options::default()
    };
    Store::open(disk.clone(), options).unwrap()
}

/// Writes as the words say, each in a revision of its own: `a` puts under a, `-a` deletes a.
fn write(store: &mut Faulty, script: &str) {
    for word in script.split_whitespace() {
        match word.strip_prefix('-') {
            Some(key) => drop(store.delete(key).unwrap()),
            None => drop(store.put(word, "value").unwrap()),
        }
    }
}

fn rest(store: &mut Faulty, clock: &SimClock) {
    run_until_idle(store, clock, Budget::millis(2));
    store.check().unwrap();
}

fn records(store: &Faulty) -> u64 {
    store.status().unwrap().records
}

/// How many versions are kept of which prefixes, what is written, and how many records are left of that when it is compacted to the end.
type Case = (&'static [(&'static str, u64)], &'static str, u64);

const CASES: [Case; 14] = [
    (&[("a", 3)], "a a a a a", 3),
    (&[("a", 3)], "a a", 2),
    (&[("a", 1)], "a a a", 1),
    (&[("", 2)], "a b a b a b", 4),
    // The longest prefix decides, and exempts what it does not keep.
    (&[("a", 4), ("ab", 1)], "ab ab ab ac ac ac", 4),
    (&[("ab", 3), ("a", 2), ("", 1)], "ab ab ab ab a a a b b b", 6),
    (&[("b", 9)], "a a a", 1),
    // A key that is deleted keeps nothing once compaction has passed that; the tombstone at the very end stays, as always.
    (&[("a", 3)], "a a a -a", 1),
    (&[("a", 3)], "a a a -a b", 1),
    // The versions of its next life count from its beginning.
    (&[("a", 3)], "a a a -a a", 1),
    (&[("a", 3)], "a a a -a a a a a", 3),
    (&[("a", 2)], "a -a a -a a a a", 2),
    // More of them than one part of the index holds.
    (&[("a", 300)], LONG, 300),
    (&[("a", 10_000)], LONG, 400),
];

const LONG: &str = "long";

#[test]
fn compaction_keeps_the_newest_versions() {
    for (rules, script, left) in CASES {
        let rules: Vec<RetentionRule> =
            rules.iter().map(|(prefix, versions)| RetentionRule::of(prefix).newest(*versions)).collect();
        let (disk, clock) = (FaultyStorage::new(), SimClock::ticking(1));
        let mut store = open(&disk, &rules);
        let long = "a ".repeat(400);
        let script = if script == LONG { &long } else { script };
        write(&mut store, script);
        store.compact(store.revision()).unwrap();
        rest(&mut store, &clock);
        assert_eq!(records(&store), left, "{script:?} with {rules:?}");
        drop(store);
        let mut store = open(&disk, &rules);
        store.check().unwrap();
        assert!(!store.status().unwrap().is_compacting, "{script:?}: there is nothing to do");
        write(&mut store, "a a");
        store.compact(store.revision()).unwrap();
        rest(&mut store, &clock);
        store.set_retention(Vec::new()).unwrap();
        rest(&mut store, &clock);
        let live = store.status().unwrap().live_keys;
        assert_eq!(records(&store), live, "{script:?}: without rules");
    }
}

#[test]
fn a_pin_sees_what_it_sees_and_no_more() {
    let (disk, clock) = (FaultyStorage::new(), SimClock::ticking(1));
    let rules = [RetentionRule::of("a").newest(2)];
    let mut store = open(&disk, &rules);
    write(&mut store, "a a a a a");
    store.pin("pin", 3).unwrap();
    store.compact(6).unwrap();
    rest(&mut store, &clock);
    assert_eq!((records(&store), store.pins()[0].held_records), (3, 1));
    store.unpin("pin").unwrap();
    rest(&mut store, &clock);
    assert_eq!(records(&store), 2);
    assert!(
        matches!(store.read_at(5), Err(Error::Compacted { .. })),
        "what a rule keeps is no revision to read at"
    );
}

#[test]
fn a_rule_keeps_what_would_go_for_a_while() {
    let (disk, clock) = (FaultyStorage::new(), SimClock::ticking(1));
    let rules = [
        RetentionRule::of("a").for_at_least(Duration::from_hours(1)),
        RetentionRule::of("b").newest(2).for_at_least(Duration::from_mins(10)),
    ];
    let mut store = open(&disk, &rules);
    let minutes = |minutes: u64| clock.advance(minutes * 60_000_000);
    // It must be seen that time passes.
    rest(&mut store, &clock);
    write(&mut store, "a a -a b b b c c");
    store.compact(store.revision()).unwrap();
    rest(&mut store, &clock);
    assert_eq!(records(&store), 3 + 3 + 1, "all but a c");
    minutes(11);
    rest(&mut store, &clock);
    minutes(11);
    rest(&mut store, &clock);
    assert_eq!(records(&store), 3 + 2 + 1, "a b that is not among the newest two");
    for _ in 0..6 {
        minutes(10);
        rest(&mut store, &clock);
    }
    assert_eq!(records(&store), 2 + 1, "the deleted key is gone");
    write(&mut store, "b");
    store.compact(store.revision()).unwrap();
    rest(&mut store, &clock);
    assert_eq!(records(&store), 3 + 1, "one b waits again");
    store.set_retention(vec![RetentionRule::of("b")]).unwrap();
    rest(&mut store, &clock);
    assert_eq!(records(&store), 2);
}

#[test]
fn rules_change_when_the_compaction_that_is_under_way_has_finished() {
    let (disk, clock) = (FaultyStorage::new(), SimClock::ticking(1));
    let mut store = open(&disk, &[]);
    write(&mut store, &"a b c ".repeat(300));
    store.compact(store.revision()).unwrap();
    let _next = store.run(&clock, Budget::micros(50)).unwrap();
    assert!(store.status().unwrap().is_compacting);
    store.set_retention(vec![RetentionRule::of("").newest(5)]).unwrap();
    store.check().unwrap();
    rest(&mut store, &clock);
    assert_eq!(records(&store), 3);
    write(&mut store, &"a b c ".repeat(10));
    store.compact(store.revision()).unwrap();
    rest(&mut store, &clock);
    assert_eq!(records(&store), 15);
}

/// Rules that have waited for a compaction are taken up a few keys at a time, and whatever is done meanwhile is done by them, too.
#[test]
fn rules_that_have_waited_are_taken_up_in_small_steps() {
    for kept in [1, 3] {
        let (disk, clock) = (FaultyStorage::new(), SimClock::ticking(1));
        let mut store = open(&disk, &[]);
        let put = |store: &mut Faulty, key: usize| {
            store.with_durability(Durability::Relaxed).put(format!("k{key:04}"), "value").unwrap();
        };
        let one = |store: &mut Faulty| assert!(store.run(&clock, Budget::micros(1)).is_ok());
        (0..4_000).for_each(|key| put(&mut store, key % 2_000));
        store.pin("early", 0).unwrap();
        (0..300).for_each(|key| drop(store.delete(format!("k{:04}", key * 5).as_str()).unwrap()));
        store.pin("late", 0).unwrap();
        (0..100).for_each(|key| put(&mut store, key * 5));
        store.compact(store.revision()).unwrap();
        (0..30).for_each(|_| one(&mut store));
        store.set_retention(vec![RetentionRule::of("k").newest(kept)]).unwrap();
        assert_eq!(store.status().unwrap().retention_rules, 0, "the compaction has begun");
        while store.status().unwrap().finished.is_none() {
            one(&mut store);
        }
        let mut steps = 0;
        while store.status().unwrap().retention_rules == 0 {
            one(&mut store);
            steps += 1;
            match steps % 4 {
                0 => put(&mut store, steps * 13 % 2_000),
                1 => put(&mut store, steps * 57 % 2_000),
                2 => drop(store.delete(format!("k{:04}", steps * 31 % 2_000).as_str()).unwrap()),
                _ => store.check().map(drop).unwrap(),
            }
            match steps {
                8 => store.unpin("late").unwrap(),
                12 => drop(store.compact(store.revision()).unwrap()),
                16 => store.unpin("early").unwrap(),
                _ => {}
            }
        }
        assert!(steps > 20, "{steps} steps for 2,000 keys");
        store.check().unwrap();
        rest(&mut store, &clock);
        (0..2_000).for_each(|key| put(&mut store, key));
        (0..2_000).for_each(|key| put(&mut store, key));
        store.compact(store.revision()).unwrap();
        rest(&mut store, &clock);
        let few = records(&store) - 2_000 * kept.min(2);
        assert!(few <= if kept == 1 { 0 } else { 2_000 }, "{few} more");
        store.set_retention(Vec::new()).unwrap();
        rest(&mut store, &clock);
        assert_eq!(records(&store), 2_000);
    }
}

fn versions(store: &Faulty, key: &str) -> Vec<u64> {
    let history = store.history(key).collect().unwrap();
    history.versions.iter().map(|version| version.revision().get()).collect()
}

/// From the moment it was asked for, a compaction leaves in histories, and in copies, what the rules keep; a dry run tells the same before.
#[test]
fn histories_and_copies_show_what_rules_keep() {
    let (disk, clock) = (FaultyStorage::new(), SimClock::ticking(1));
    let rules = [
        RetentionRule::of("a").newest(2),
        RetentionRule::of("b").for_at_least(Duration::from_hours(1)),
        RetentionRule::of("d").newest(3),
    ];
    let mut store = open(&disk, &rules);
    rest(&mut store, &clock);
    write(&mut store, "a a a a b b b c c c d d d -d e");
    let before = store.snapshot();
    let freed = store.dry_run(store.revision()).unwrap().finish(&store).unwrap().freed.records;
    store.compact(store.revision()).unwrap();
    let shown = |store: &Faulty| ["a", "b", "c", "d"].map(|key| versions(store, key));
    let left: [&[u64]; 4] = [&[4, 5], &[6, 7, 8], &[11], &[]];
    assert_eq!(shown(&store), left, "before any of it is removed");
    assert_eq!(before.history("a").collect().unwrap().versions.len(), 4, "the snapshot is from before");
    let all = records(&store);
    rest(&mut store, &clock);
    assert_eq!(shown(&store), left);
    assert_eq!(all - records(&store), freed, "what the dry run has told");
    assert!(matches!(store.read_at(5), Err(Error::Compacted { .. })));
    let copied = exported(&store).unwrap();
    let options = Options { retention: rules.to_vec(), ..Options::default() };
    let mut copy = imported(&copied, FaultyStorage::new(), options).unwrap();
    assert_eq!(copy.status().unwrap().records, records(&store));
    let of_copy = copy.history("a").collect().unwrap().versions;
    assert_eq!(of_copy, store.history("a").collect().unwrap().versions);
    clock.advance(2 * 3_600_000_000);
    rest(&mut store, &clock);
    assert_eq!(versions(&store, "b"), [8]);
    run_until_idle(&mut copy, &clock, Budget::millis(2));
    assert_eq!(copy.status().unwrap().records, records(&store), "the copy knows the times");
}

/// Times outlive the process: what was written before counts, whoever had the store open.
#[test]
fn what_rules_keep_for_a_while_ages_while_the_store_is_closed() {
    let rules = [RetentionRule::of("a").for_at_least(Duration::from_hours(1))];
    for is_closed in [true, false] {
        let (disk, clock) = (FaultyStorage::new(), SimClock::ticking(1));
        let mut store = open(&disk, &rules);
        rest(&mut store, &clock);
        write(&mut store, "a a a");
        rest(&mut store, &clock);
        store.compact(store.revision()).unwrap();
        clock.advance(1_000_000);
        write(&mut store, "a");
        rest(&mut store, &clock);
        assert_eq!(records(&store), 4);
        if is_closed {
            store.close().unwrap();
        } else {
            drop(store);
        }
        clock.advance(3_599_000_000);
        let mut store = open(&disk, &rules);
        rest(&mut store, &clock);
        assert_eq!(records(&store), 2, "those that compaction has reached, and are over an hour old");
        assert_eq!(versions(&store, "a"), [4, 5]);
        // Compactions as often as one likes do not forget how old it is.
        for _ in 0..61 {
            clock.advance(60_000_000);
            write(&mut store, "a b");
            rest(&mut store, &clock);
            store.compact(store.revision()).unwrap();
        }
        rest(&mut store, &clock);
        assert!((60..=63).contains(&versions(&store, "a").len()), "{:?}", versions(&store, "a"));
    }
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let cases = [
        vec![RetentionRule::of("a").newest(0)],
        vec![RetentionRule::of("a").newest(10_001)],
        vec![RetentionRule::of("a").newest(2), RetentionRule::of("b"), RetentionRule::of("a")],
    ];
    let mut store = open(&FaultyStorage::new(), &[]);
    for rules in cases {
        let refused = store.set_retention(rules.clone()).unwrap_err();
        assert!(matches!(refused, Error::InvalidOption { option: "retention", .. }), "{refused:?}");
        assert!(Options { retention: rules, ..Options::default() }.validate().is_err());
    }
}
