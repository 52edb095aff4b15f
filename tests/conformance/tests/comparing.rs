//! Differences are found, what may differ is let pass and counted, and what fails is made short.

use std::rc::Rc;

use palimpsest_kv_conformance::answer::{Answer, KeyValue, Ranged};
use palimpsest_kv_conformance::bytes::Bytes;
use palimpsest_kv_conformance::compare::{Comparison, Exemption, Exemptions};
use palimpsest_kv_conformance::driver::{Driver, Trouble};
use palimpsest_kv_conformance::engine::Engine;
use palimpsest_kv_conformance::generate::{Mood, View};
use palimpsest_kv_conformance::operation::{Keys, Operation, Range, SortOrder, SortTarget, Step};
use palimpsest_kv_conformance::session::{Session, Stop, Tally};
use palimpsest_kv_conformance::shrink::{Draw, Shrinker};

/// An engine that forgets, once a lease was granted, to detach what is deleted from it: it answers one key too many.
struct Forgetful {
    engine: Engine,
    has_granted: bool,
}

impl Driver for Forgetful {
    fn ask(&mut self, operation: &Operation) -> Result<Answer, Trouble> {
        let mut answer = self.engine.ask(operation)?;
        self.has_granted |= matches!(answer, Answer::Granted { .. });
        if let Answer::TimeToLive { keys, .. } = &mut answer
            && self.has_granted
        {
            keys.push(Bytes::from("deleted long ago"));
        }
        Ok(answer)
    }
}

fn pair() -> Result<Session<Engine, Forgetful>, Trouble> {
    Ok(Session::new(Engine::new(1)?, Forgetful { engine: Engine::new(2)?, has_granted: false }))
}

#[test]
fn a_difference_is_found_and_its_run_made_short() {
    let mood = Rc::new(Mood::new(5));
    let (mut session, mut draws, mut tally) = (pair().unwrap(), Vec::new(), Tally::default());
    let difference = loop {
        let draw = Draw::Random(Rc::clone(&mood), 1_000 + draws.len() as u64);
        let operation = draw.operation(session.view());
        draws.push(draw);
        match session.ask(&operation, &mut tally) {
            Ok(()) => assert!(draws.len() < 10_000, "the difference is not found"),
            Err(Stop::Different(difference)) => break difference,
            Err(Stop::Trouble(trouble)) => panic!("{trouble}"),
        }
    };
    assert!(matches!(difference.operation, Operation::TimeToLive { .. }));
    let failure = Shrinker::new(pair, &difference).shrink(&draws).unwrap();
    let operations = &failure.operations;
    assert!(
        matches!(operations[..], [Operation::Grant { .. }, Operation::TimeToLive { .. }]),
        "{operations:?} could be shorter"
    );
}

/// The answer to a range by version: keys with their versions, all there are.
fn whole(kvs: &[(&str, u64)]) -> Answer {
    Answer::Range(by_version(kvs))
}

/// The same where the limit has left some out.
fn cut(kvs: &[(&str, u64)]) -> Answer {
    Answer::Range(Ranged { more: true, ..by_version(kvs) })
}

fn by_version(kvs: &[(&str, u64)]) -> Ranged {
    let kv = |(key, version): &(&str, u64)| KeyValue {
        key: Bytes::from(*key),
        version: *version,
        ..KeyValue::default()
    };
    Ranged { revision: 9, kvs: kvs.iter().map(kv).collect(), more: false, count: Some(5) }
}

/// What was exempt where the answers pass for the same.
fn compared(etcd: &Answer, engine: &Answer) -> Option<Vec<Exemption>> {
    let range = Range {
        keys: Keys::all(),
        sort_target: SortTarget::Version,
        sort_order: SortOrder::Ascend,
        ..Range::default()
    };
    let mut exemptions = Exemptions::new();
    let is_same = Comparison::new(&View::default(), &mut exemptions).is_same(
        &Operation::Step(Step::Range(range)),
        etcd,
        engine,
    );
    is_same.then(|| exemptions.into_keys().collect())
}

#[test]
fn entries_of_the_same_rank_come_in_any_order_and_no_others() {
    let one = whole(&[("a", 1), ("b", 2), ("c", 2)]);
    assert_eq!(compared(&one, &one), Some(Vec::new()));
    let swapped = whole(&[("a", 1), ("c", 2), ("b", 2)]);
    assert_eq!(compared(&one, &swapped), Some(vec![Exemption::EqualRanks]));
    assert_eq!(compared(&one, &whole(&[("b", 2), ("a", 1), ("c", 2)])), None);
    assert_eq!(compared(&one, &whole(&[("a", 1), ("b", 2), ("d", 2)])), None, "nothing was left out");
    assert_eq!(compared(&one, &cut(&[("a", 1), ("b", 2), ("c", 2)])), None);

    let short = cut(&[("a", 1), ("b", 2)]);
    assert_eq!(compared(&short, &cut(&[("a", 1), ("c", 2)])), Some(vec![Exemption::EqualRanks]));
    assert_eq!(compared(&short, &cut(&[("d", 1), ("b", 2)])), None, "the first run is whole");
    assert_eq!(compared(&short, &cut(&[("a", 1), ("b", 3)])), None);
}
