//! Watchers: from the past, from now, from the future, behind a compaction, and slower than what they watch.

use palimpsest_kv::limits::WATCH_BATCH_EVENTS;
use palimpsest_kv::{Durability, Error, Keys, Op, Options, Store, Transaction, Watched, Watcher};
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::script::check_roomy as check;

const HISTORY: &str = "
    put foo0 a             => revision 2
    put foo1 b             => revision 3
    put foo2 c             => revision 4
    put foo0 d             => revision 5
    delete foo1            => revision 6, deleted 1
";
const EVENTS: [&str; 5] = ["foo0=a(2,2,1)", "foo1=b(3,3,1)", "foo2=c(4,4,1)", "foo0=d(2,5,2)", "foo1!6"];

/// From each revision on, each interval is told of the same, whether the past is closed, compacted up to there, or just written.
#[test]
fn a_watcher_is_told_what_happened_from_a_revision_on() {
    let rows: [(&str, &[usize]); 9] = [
        ("*", &[0, 1, 2, 3, 4]),
        ("foo0", &[0, 3]),
        ("foo1", &[1, 4]),
        ("foo*", &[0, 1, 2, 3, 4]),
        ("[foo0,foo1)", &[0, 3]),
        ("[foo0,foo2)", &[0, 1, 3, 4]),
        ("foo1..", &[1, 2, 4]),
        ("foo3", &[]),
        ("[foo3,z)", &[]),
    ];
    for (keys, events) in rows {
        for from in 1..=7 {
            let told: Vec<&str> =
                events.iter().filter(|place| **place + 2 >= from).map(|place| EVENTS[*place]).collect();
            let answer =
                if told.is_empty() { "idle".to_owned() } else { format!("{}; up to 6", told.join(" ")) };
            let watch = format!(
                "watch w {keys} from {from} => watching\npoll w => {answer}\npoll w => idle\nprogress w => 6\n"
            );
            let compacted = from.min(6);
            let compact = format!("compact {compacted} => compacted {compacted}\nrun => idle\n");
            check(&[HISTORY, &watch].concat());
            check(&[HISTORY, "reopen => revision 6\n", &watch].concat());
            check(&[HISTORY, &compact, &watch].concat());
        }
    }
}

#[test]
fn filters_leave_out_puts_or_deletes_or_both() {
    let rows = [
        ("", "foo0=a(2,2,1) foo1=b(3,3,1) foo2=c(4,4,1) foo0=d(2,5,2) foo1!6; up to 6"),
        ("puts", "foo0=a(2,2,1) foo1=b(3,3,1) foo2=c(4,4,1) foo0=d(2,5,2); up to 6"),
        ("deletes", "foo1!6; up to 6"),
        ("puts deletes", "idle"),
    ];
    for (words, told) in rows {
        let late = format!("watch w * from 1 {words} => watching\npoll w => {told}\nprogress w => 6\n");
        check(&[HISTORY, &late].concat());
        let early = format!("watch w * {words} => watching\n{HISTORY}poll w => {told}\nprogress w => 6\n");
        check(&early);
    }
}

#[test]
fn what_was_there_before_is_told_or_said_to_be_gone() {
    check(
        "
        put a 1                             => revision 2
        put a 2                             => revision 3
        delete a                            => revision 4, deleted 1
        put a 3                             => revision 5
        watch w a from 1 previous           => watching
        poll w                              => a=1(2,2,1)<nothing> a=2(2,3,2)<a=1(2,2,1)> a!4<a=2(2,3,2)> a=3(5,5,1)<nothing>; up to 5
        compact 3                           => compacted 3
        watch v a from 3 previous           => watching
        poll v                              => a=2(2,3,2)<compacted> a!4<a=2(2,3,2)> a=3(5,5,1)<nothing>; up to 5
        compact 4                           => compacted 4
        run                                 => idle
        watch u a from 4 previous           => watching
        poll u                              => a!4<compacted> a=3(5,5,1)<nothing>; up to 5
        put a 4                             => revision 6
        poll w                              => a=4(5,6,2)<a=3(5,5,1)>; up to 6
        ",
    );
}

#[test]
fn a_watcher_of_what_is_compacted_is_refused_or_ended() {
    let starts = [
        (1, "COMPACTED 1, compacted 5"),
        (4, "COMPACTED 4, compacted 5"),
        (5, "watching"),
        (6, "watching"),
        (99, "watching"),
    ];
    for (from, answer) in starts {
        let watch = format!("watch w * from {from} => {answer}\n");
        check(&[HISTORY, "compact 5 => compacted 5\n", &watch, "run => idle\n", &watch].concat());
    }
    check(
        &[
            "watch slow * => watching\nwatch quick * => watching\nwatch quiet other => watching\n",
            HISTORY,
            "
            poll quick                   => foo0=a(2,2,1) foo1=b(3,3,1) foo2=c(4,4,1) foo0=d(2,5,2) foo1!6; up to 6
            compact 6                    => compacted 6
            poll slow                    => COMPACTED 2, compacted 6
            poll slow                    => COMPACTED 2, compacted 6
            # Nothing that it watches has changed, so that it has lost nothing.
            poll quiet                   => idle
            progress quiet               => 6
            put other 1                  => revision 7
            poll quiet                   => other=1(7,7,1); up to 7
            poll quick                   => other=1(7,7,1); up to 7
            cancel slow                  => cancelled
            poll slow                    => WATCH_NOT_FOUND
            ",
        ]
        .concat(),
    );
}

/// The compacted revision itself is still told, the delete at it too.
#[test]
fn a_delete_at_the_compacted_revision_is_told() {
    check(
        "
        put a 1                   => revision 2
        watch w a from 3          => watching
        delete a                  => revision 3, deleted 1
        compact 3                 => compacted 3
        run                       => idle
        poll w                    => a!3; up to 3
        watch v a from 3          => watching
        poll v                    => a!3; up to 3
        put b 1                   => revision 4
        compact 4                 => compacted 4
        run                       => idle
        watch u a from 4          => watching
        poll u                    => idle
        ",
    );
}

#[test]
fn a_watcher_of_the_future_waits_for_it() {
    check(
        "
        put a 1                   => revision 2
        watch w * from 5          => watching
        watch v * from 3          => watching
        put a 2                   => revision 3
        poll w                    => idle
        progress w                => none
        poll v                    => a=2(2,3,2); up to 3
        put a 3                   => revision 4
        compact 4                 => compacted 4
        poll w                    => idle
        progress w                => 4
        txn then put a 4; put b 1 => then put, put; revision 5
        poll w                    => a=4(2,5,4) b=1(5,5,1); up to 5
        ",
    );
}

#[test]
fn a_revision_is_told_whole() {
    check(
        "
        watch w *                                => watching
        watch f * fragments 1                    => watching
        txn then put a 1; put b 2; put c 3       => then put, put, put; revision 2
        poll w                                   => a=1(2,2,1) b=2(2,2,1) c=3(2,2,1); up to 2
        poll f                                   => a=1(2,2,1) ...; up to 1
        poll f                                   => b=2(2,2,1) ...; up to 1
        poll f                                   => c=3(2,2,1); up to 2
        poll f                                   => idle
        delete *                                 => revision 3, deleted 3
        poll w                                   => a!3 b!3 c!3; up to 3
        ",
    );
}

#[test]
fn an_interval_without_keys_and_an_empty_key_are_not_watched() {
    check(
        "
        watch w [b,a)       => EMPTY_INTERVAL
        watch w [a,a)       => EMPTY_INTERVAL
        watch w ''          => EMPTY_KEY
        watch w * from 0    => watching
        put a 1             => revision 2
        poll w              => a=1(2,2,1); up to 2
        ",
    );
}

#[test]
fn who_wants_to_hear_how_far_the_store_is_does() {
    check(
        "
        watch w other progress 10      => watching
        put a 1                        => revision 2
        poll w                         => idle
        pass 9                         => revision 2
        poll w                         => idle
        pass 2                         => revision 2
        poll w                         => up to 2
        poll w                         => idle
        pass 9                         => revision 2
        put other 1                    => revision 3
        poll w                         => other=1(3,3,1); up to 3
        pass 9                         => revision 3
        poll w                         => idle
        pass 2                         => revision 3
        poll w                         => up to 3
        ",
    );
}

fn open(durability: Durability) -> Store<FaultyStorage> {
    Store::open(FaultyStorage::new(), Options { durability, max_txn_ops: 4_000, ..Options::default() })
        .unwrap()
}

/// Everything that a watcher has not been told: revisions of the events, and how many batches they came in.
fn told(store: &mut Store<FaultyStorage>, watcher: &Watcher) -> (Vec<u64>, usize) {
    let (mut revisions, mut batches) = (Vec::new(), 0);
    loop {
        match store.poll(watcher).unwrap() {
            Watched::Batch(batch) => {
                revisions.extend(batch.events.iter().map(|event| event.entry.mod_revision().get()));
                batches += 1;
            }
            Watched::Behind => {}
            Watched::Idle => return (revisions, batches),
        }
    }
}

/// A consumer that is slower than the writes, in any rhythm, hears of every revision once and in order; so does one that comes later.
#[test]
fn a_slow_consumer_misses_nothing() {
    for pace in [1, 7, 200, 256, 257, 300, 1_500, 5_000] {
        let mut store = open(Durability::Relaxed);
        let watcher = store.watch("k").start().unwrap();
        let mut heard = Vec::new();
        for number in 1..=5_000 {
            store.put(if number % 3 == 0 { "other" } else { "k" }, "v").unwrap();
            if number % pace == 0 {
                heard.extend(told(&mut store, &watcher).0);
            }
        }
        heard.extend(told(&mut store, &watcher).0);
        let expected: Vec<u64> =
            (1..=5_000).filter(|number| number % 3 != 0).map(|number| number + 1).collect();
        assert!(heard == expected, "at a pace of {pace}");
        let late = store.watch("k").from(1).start().unwrap();
        assert!(told(&mut store, &late).0 == expected, "from the past");
    }
}

#[test]
fn a_slow_consumer_that_falls_behind_a_compaction_is_told_so() {
    let mut store = open(Durability::Relaxed);
    let watcher = store.watch("k").start().unwrap();
    (0..400).for_each(|_| _ = store.put("k", "v").unwrap());
    store.compact(300).unwrap();
    let lost = Error::Compacted { requested: 2.into(), compacted: 300.into() };
    assert_eq!(store.poll(&watcher), Err(lost));
    let again = store.watch("k").from(300).start().unwrap();
    assert_eq!(told(&mut store, &again).0, (300..=401).collect::<Vec<u64>>());
}

/// A batch ends after about a thousand events, and never within a revision.
#[test]
fn batches_are_bounded_and_revisions_are_not_torn() {
    let mut store = open(Durability::Relaxed);
    let watcher = store.watch(Keys::all()).from(2).start().unwrap();
    for _ in 0..3 {
        let puts = (0..WATCH_BATCH_EVENTS * 3 / 2).map(|number| Op::put(format!("{number}"), "v"));
        store.commit(&Transaction::new().then(puts)).unwrap();
    }
    let (revisions, batches) = told(&mut store, &watcher);
    assert_eq!((revisions.len(), batches), (WATCH_BATCH_EVENTS * 9 / 2, 3), "one batch for each revision");
    (0..2_500).for_each(|_| _ = store.put("k", "v").unwrap());
    let (revisions, batches) = told(&mut store, &watcher);
    assert_eq!((revisions.len(), batches), (2_500, 3));
}

/// What is not durable is not told by a store that is strict.
#[test]
fn what_is_not_durable_is_not_told() {
    let mut store = open(Durability::Strict);
    let watcher = store.watch("k").start().unwrap();
    store.with_durability(Durability::Relaxed).put("k", "1").unwrap();
    assert_eq!(store.poll(&watcher).unwrap(), Watched::Idle);
    assert_eq!(store.progress(&watcher).unwrap(), None, "there is something to tell, only not yet");
    let past = store.watch("k").from(1).start().unwrap();
    assert_eq!(told(&mut store, &past).0, []);
    store.flush().unwrap();
    assert_eq!((told(&mut store, &watcher).0, told(&mut store, &past).0), (vec![2], vec![2]));
}
