use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::ops::Bound;

use super::forget::Neighbours;
use super::*;
use crate::revision::Revision;

/// A generator of random numbers (xorshift64*) that is the same everywhere.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % end
    }
}

/// A history in words: `2`, `3.1` with a sub, `4t` for a tombstone.
fn words(steps: &[Step]) -> String {
    let word = |step: &Step| {
        let sub = if step.position.sub == 0 { String::new() } else { format!(".{}", step.position.sub) };
        let tombstone = if step.change == Change::Tombstone { "t" } else { "" };
        format!("{}{sub}{tombstone}", step.position.main)
    };
    steps.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn step(word: &str) -> Step {
    let change = if word.ends_with('t') { Change::Tombstone } else { Change::Put };
    let (main, sub) = word.trim_end_matches('t').split_once('.').unwrap_or((word.trim_end_matches('t'), "0"));
    Step::new(Position::new(main.parse().unwrap(), sub.parse().unwrap()), change)
}

fn index_of(history: &str) -> Index {
    let mut index = Index::default();
    for step in history.split_whitespace().map(step) {
        match step.change {
            Change::Put => _ = index.put(b"key", step.position),
            Change::Tombstone => _ = index.delete(b"key", step.position).expect("the key lives"),
        }
    }
    index.check().unwrap();
    index
}

/// The module's example, and the table of etcd's `key_index_test.go` (`TestKeyIndexCompactAndKeep`) with one key more.
#[test]
fn compaction_drops_what_died() {
    let example = "1 2 3t 4 5t";
    let etcd = "2 4 6t 8 10 12t 14 14.1 16t";
    let cases = [
        (example, 0, "1 2 3t 4 5t"),
        (example, 1, "1 2 3t 4 5t"),
        (example, 2, "2 3t 4 5t"),
        (example, 3, "3t 4 5t"),
        (example, 4, "4 5t"),
        (example, 5, "5t"),
        (example, 6, ""),
        (etcd, 1, "2 4 6t 8 10 12t 14 14.1 16t"),
        (etcd, 2, "2 4 6t 8 10 12t 14 14.1 16t"),
        (etcd, 3, "2 4 6t 8 10 12t 14 14.1 16t"),
        (etcd, 4, "4 6t 8 10 12t 14 14.1 16t"),
        (etcd, 5, "4 6t 8 10 12t 14 14.1 16t"),
        (etcd, 6, "6t 8 10 12t 14 14.1 16t"),
        (etcd, 7, "8 10 12t 14 14.1 16t"),
        (etcd, 8, "8 10 12t 14 14.1 16t"),
        (etcd, 9, "8 10 12t 14 14.1 16t"),
        (etcd, 10, "10 12t 14 14.1 16t"),
        (etcd, 11, "10 12t 14 14.1 16t"),
        (etcd, 12, "12t 14 14.1 16t"),
        (etcd, 13, "14 14.1 16t"),
        (etcd, 14, "14.1 16t"),
        (etcd, 15, "14.1 16t"),
        (etcd, 16, "16t"),
        (etcd, 17, ""),
        ("7", 9, "7"),
        ("3 7", u64::MAX, "7"),
    ];
    for (history, revision, left) in cases {
        let mut index = index_of(history);
        let snapshot = index.clone();
        index.compact_key(b"key", revision);
        index.check().unwrap();
        assert_eq!(words(&index.history(b"key")), left, "{history} compacted to {revision}");
        assert_eq!(index.len(), usize::from(!left.is_empty()));
        assert_eq!(index.positions(), left.split_whitespace().count() as u64);
        assert_eq!(words(&snapshot.history(b"key")), history, "a snapshot must not change");

        // The same in steps of one revision.
        let mut stepwise = index_of(history);
        (0..=revision.min(20)).for_each(|revision| stepwise.compact_key(b"key", revision));
        assert_eq!(words(&stepwise.history(b"key")), left, "{history} compacted step by step to {revision}");
    }
}

/// `TestKeyIndexGet` of etcd.
#[test]
fn a_read_in_the_past_finds_the_newest_position_until_then() {
    let index = index_of("2 4 6t 8 10 12t 14 14.1 16t");
    let expected = [
        (1, None),
        (2, Some("2")),
        (3, Some("2")),
        (4, Some("4")),
        (5, Some("4")),
        (6, None),
        (7, None),
        (8, Some("8")),
        (9, Some("8")),
        (10, Some("10")),
        (11, Some("10")),
        (12, None),
        (13, None),
        (14, Some("14.1")),
        (15, Some("14.1")),
        (16, None),
        (17, None),
        (u64::MAX, None),
    ];
    for (at, position) in expected {
        assert_eq!(index.get(b"key", at), position.map(|word| step(word).position), "at {at}");
    }
    assert_eq!(index.get(b"ke", 10), None);
    assert_eq!(index.get(b"keyy", 10), None);
}

#[test]
fn versions_count_the_puts_of_a_generation() {
    let mut index = Index::default();
    let at = |main| Position::new(main, 0);
    let effect = |version, created, replaced: Option<u64>| PutEffect {
        version,
        created,
        replaced: replaced.map(at),
        follows: None,
    };
    assert_eq!(index.put(b"k", at(2)), effect(1, 2, None));
    assert_eq!(index.put(b"k", at(5)), effect(2, 2, Some(2)));
    assert_eq!(index.latest(b"k"), Some(Latest { position: at(5), version: 2, created: 2 }));
    assert_eq!(index.delete(b"k", at(6)), Some(at(5)));
    assert_eq!(index.latest(b"k"), None);
    assert_eq!(index.delete(b"k", at(7)), None, "what is deleted can't be deleted");
    assert_eq!(index.delete(b"other", at(7)), None);
    assert_eq!((index.len(), index.live_len(), index.positions()), (1, 0, 3));
    assert_eq!(index.put(b"k", at(8)), PutEffect { follows: Some(at(6)), ..effect(1, 8, None) });
    index.compact_key(b"k", 8);
    assert_eq!(index.put(b"k", at(9)), effect(2, 8, Some(8)), "compaction keeps the version");
    assert_eq!((index.len(), index.live_len(), index.positions()), (1, 1, 2));
    index.check().unwrap();
}

#[test]
#[should_panic(expected = "must be later than the key's newest")]
fn a_position_that_is_not_later_is_refused() {
    let mut index = Index::default();
    index.put(b"k", Position::new(5, 1));
    index.put(b"k", Position::new(5, 1));
}

/// What an index must do, done in the obvious way.
#[derive(Clone, Default)]
struct Model(BTreeMap<Vec<u8>, Vec<(Step, Generation)>>);

impl Model {
    fn put(&mut self, key: &[u8], position: Position) -> PutEffect {
        let steps = self.0.entry(key.to_vec()).or_default();
        let live = steps.last().copied().filter(|(step, _)| step.change == Change::Put);
        let generation = live.map_or(Generation { version: 1, created: position.main }, |(_, old)| {
            Generation { version: old.version + 1, created: old.created }
        });
        let follows = steps.last().filter(|(step, _)| step.is_tombstone()).map(|(step, _)| step.position);
        steps.push((Step::new(position, Change::Put), generation));
        PutEffect {
            follows,
            version: generation.version,
            created: generation.created,
            replaced: live.map(|(step, _)| step.position),
        }
    }

    fn delete(&mut self, key: &[u8], position: Position) -> Option<Position> {
        let steps = self.0.get_mut(key)?;
        let (live, generation) = *steps.last()?;
        let replaced = live.live()?;
        steps.push((Step::new(position, Change::Tombstone), generation));
        Some(replaced)
    }

    fn compact_key(&mut self, key: &[u8], revision: u64) {
        let Some(steps) = self.0.get_mut(key) else { return };
        let deaths: Vec<u64> = (0..steps.len())
            .map(|i| match (steps[i].0.change, steps.get(i + 1)) {
                (Change::Tombstone, _) => steps[i].0.position.main + 1,
                (Change::Put, Some((next, _))) => next.position.main,
                (Change::Put, None) => u64::MAX,
            })
            .collect();
        let mut death = deaths.iter();
        steps.retain(|_| *death.next().unwrap() > revision);
        if steps.is_empty() {
            self.0.remove(key);
        }
    }

    fn forget(&mut self, key: &[u8], place: usize) {
        let Some(steps) = self.0.get_mut(key) else { return };
        steps.remove(place);
        if steps.is_empty() {
            self.0.remove(key);
        }
    }

    fn neighbours(steps: &[(Step, Generation)], position: Position) -> Neighbours {
        Neighbours {
            has_older: steps.iter().any(|(step, _)| step.position < position),
            next: steps.iter().map(|(step, _)| *step).find(|step| step.position > position),
        }
    }

    fn at(steps: &[(Step, Generation)], at: u64) -> Option<Position> {
        steps.iter().rev().find(|(step, _)| step.position.main <= at)?.0.live()
    }

    fn range(&self, bounds: KeyBounds<'_>, at: u64) -> Vec<(&[u8], Position)> {
        let within = |key: &[u8]| {
            (match bounds.0 {
                Bound::Included(lower) => key >= lower,
                Bound::Excluded(lower) => key > lower,
                Bound::Unbounded => true,
            }) && match bounds.1 {
                Bound::Included(upper) => key <= upper,
                Bound::Excluded(upper) => key < upper,
                Bound::Unbounded => true,
            }
        };
        let visible = self.0.iter().filter(|(key, _)| within(key));
        visible.filter_map(|(key, steps)| Some((&**key, Self::at(steps, at)?))).collect()
    }

    fn verify(&self, index: &Index, random: &mut Random, newest: u64) {
        index.check().unwrap();
        assert_eq!(index.len(), self.0.len());
        let expected =
            self.0.iter().map(|(key, steps)| (&**key, steps.iter().map(|(step, _)| *step).collect()));
        assert!(index.iter_entries().eq(expected));
        for (key, steps) in &self.0 {
            let (step, Generation { version, created }) = *steps.last().unwrap();
            let latest = step.live().map(|position| Latest { position, version, created });
            assert_eq!(index.latest(key), latest);
            let at = random.below(newest + 2);
            assert_eq!(index.get(key, at), Self::at(steps, at), "at {at}");
            assert_eq!(index.first(key), steps.first().map(|(step, _)| *step));
            let (known, random) = (steps[random.below(steps.len() as u64) as usize].0.position, at);
            for position in [known, Position::new(random, 0)] {
                assert_eq!(index.neighbours(key, position), Self::neighbours(steps, position), "{position}");
            }
        }
        for _ in 0..5 {
            let (a, b, at) = (random_key(random), random_key(random), random.below(newest + 2));
            let bounds = (random_bound(random, &a), random_bound(random, &b));
            let expected = self.range(bounds, at);
            assert_eq!(index.range(bounds, at).collect::<Vec<_>>(), expected, "{bounds:?} at {at}");
            assert_eq!(index.count(bounds, at), expected.len() as u64);
        }
    }

    /// The index that opening a store with these histories builds.
    fn rebuilt(&self) -> Index {
        let all = self.0.iter().flat_map(|(key, steps)| steps.iter().map(move |step| (key, *step)));
        let mut records: Vec<_> = all.collect();
        records.sort_by_key(|(_, (step, _))| step.position);
        let mut builder = IndexBuilder::default();
        let mut live: BTreeMap<&[u8], Option<Position>> = BTreeMap::new();
        for (key, (step, Generation { version, created })) in records {
            let loaded = match step.change {
                Change::Put => Loaded::Put { version, created },
                Change::Tombstone => Loaded::Tombstone,
            };
            let replaced = builder.push(key, step.position, loaded).unwrap();
            assert_eq!(replaced, live.insert(key, step.live()).flatten());
        }
        builder.finish()
    }
}

/// Few short keys of few letters, so that they meet, begin with each other and are the ends of ranges; some long ones.
fn random_key(random: &mut Random) -> Vec<u8> {
    let length = match random.below(50) {
        0 => 200 + random.below(2000),
        _ => 1 + random.below(5),
    };
    (0..length).map(|at| if at < 5 { b"abz"[random.below(3) as usize] } else { b'x' }).collect()
}

fn random_bound<'a>(random: &mut Random, key: &'a [u8]) -> Bound<&'a [u8]> {
    match random.below(5) {
        0 => Bound::Unbounded,
        1 | 2 => Bound::Included(key),
        _ => Bound::Excluded(key),
    }
}

/// Random writes, deletes and compactions with snapshots in between, against the model.
fn run_model(seed: u64) {
    let mut random = Random::new(seed);
    let (mut index, mut model) = (Index::default(), Model::default());
    let mut snapshots: Vec<(Index, Model)> = Vec::new();
    // Runs differ in how much they delete, compact, and prefer one hot key to the others.
    let (deletes, compacts, hot) = (random.below(40), random.below(20), random.below(100));
    let forgets = [0, 0, 2, 40][random.below(4) as usize];
    let mut main = random.below(3) * (1 << 40);
    for step in 0..3000 {
        let key = if random.below(100) < hot { b"hot".to_vec() } else { random_key(&mut random) };
        main += random.below(3) / 2 * random.below(300) + 1;
        let position = Position::new(main, random.below(3) as u32 * random.below(70_000) as u32);
        if random.below(100) < deletes {
            assert_eq!(index.delete(&key, position), model.delete(&key, position));
        } else {
            assert_eq!(index.put(&key, position), model.put(&key, position));
        }
        let steps = model.0.get(&key).map_or(&[][..], Vec::as_slice);
        let older = steps.len().saturating_sub(1) as u64;
        let is_left = older > 0 || steps.last().is_some_and(|(step, _)| step.is_tombstone());
        if random.below(100) < forgets && is_left {
            // The newest goes only as the last.
            let place = random.below(older.max(1)) as usize;
            index.forget(&key, model.0[&key][place].0.position);
            model.forget(&key, place);
        }
        if random.below(1000) < compacts {
            let revision = if random.below(3) == 0 { main } else { random.below(main + 2) };
            for key in model.0.keys().cloned().collect::<Vec<_>>() {
                index.compact_key(&key, revision);
                model.compact_key(&key, revision);
            }
        }
        if step % 300 == 299 {
            model.verify(&index, &mut random, main);
            model.verify(&model.rebuilt(), &mut random, main);
            snapshots.push((index.clone(), model.clone()));
        }
    }
    for (index, model) in &snapshots {
        model.verify(index, &mut random, main);
    }
}

#[test]
fn agrees_with_the_model() {
    for seed in 0..60 {
        std::println!("seed {seed}");
        run_model(seed);
    }
}

#[test]
fn a_long_history_is_read_and_compacted_anywhere() {
    let (mut index, mut model) = (Index::default(), Model::default());
    for main in 1..=3000 {
        // A key that begins with the other, so that their chunks are neighbours.
        for (key, sub) in [(&b"hot"[..], 0), (b"hot\0", 2)] {
            index.put(key, Position::new(main, sub));
            model.put(key, Position::new(main, sub));
            if main.is_multiple_of(97) {
                let tombstone = Position::new(main, sub + 1);
                assert_eq!(index.delete(key, tombstone), model.delete(key, tombstone));
            }
        }
    }
    model.verify(&index, &mut Random::new(1), 3000);
    for built in [&index, &model.rebuilt()] {
        for revision in (0..=3001).step_by(7).chain([97, 98, 96, 2910, 2911]) {
            assert_eq!(
                built.get(b"hot", revision),
                Model::at(&model.0[&b"hot"[..]], revision),
                "at {revision}"
            );
            let (mut compacted, mut expected) = (built.clone(), model.clone());
            compacted.compact_key(b"hot", revision);
            expected.compact_key(b"hot", revision);
            compacted.check().unwrap();
            let steps: Vec<Step> = expected.0[&b"hot"[..]].iter().map(|(step, _)| *step).collect();
            assert_eq!(compacted.history(b"hot"), steps, "compacted to {revision}");
            assert_eq!(compacted.history(b"hot\0"), built.history(b"hot\0"), "the neighbour must not change");
            assert_eq!(
                compacted.put(b"hot", Position::new(4000, 0)),
                expected.put(b"hot", Position::new(4000, 0))
            );
        }
    }
}

#[test]
fn an_older_position_is_found_without_decoding_the_whole_history() {
    let mut index = Index::default();
    for main in 1..=20_000 {
        index.put(b"hot", Position::new(main, 0));
    }
    let head = head_of(index.heads.get(b"hot").unwrap());
    assert!(head.has_chunks && head.steps.older.len() <= HEAD_BYTES);
    for entry in index.chunks.range(ALL) {
        assert!(entry.body.len() <= CHUNK_BYTES + 32, "{} bytes", entry.body.len());
    }
    assert!(index.chunks.len() < 20_000 / 100, "{} chunks", index.chunks.len());
}

/// Puts and tombstones in turn with a gap behind each, so that compaction into a gap drops the tombstone before it: even
/// the newest step of a key's only chunk.
#[test]
fn a_chunk_that_begins_with_a_dead_tombstone_goes() {
    let (mut index, mut gone) = (Index::default(), 0);
    for step in 1..400 {
        match step % 2 {
            1 => _ = index.put(b"hot", Position::new(step * 2, 0)),
            _ => _ = index.delete(b"hot", Position::new(step * 2, 0)),
        }
        let Some(chunk) = index.chunk_at(b"hot", u64::MAX) else { continue };
        let newest = chunk.steps.newest;
        let mut compacted = index.clone();
        compacted.compact_key(b"hot", newest.position.main + 1);
        compacted.check().unwrap();
        let dead = u64::from(newest.change == Change::Tombstone);
        assert_eq!(compacted.positions(), step - newest.position.main / 2 + 1 - dead);
        assert_eq!(compacted.chunks.len() as u64, 1 - dead);
        gone += dead;
    }
    assert!(gone > 0, "no chunk began with a tombstone");
}

#[test]
fn the_builder_refuses_what_is_no_history() {
    let put = |version, created| Loaded::Put { version, created };
    let last = Revision::LAST.get();
    let at = |main| Position::new(main, 0);
    // Two records of one key, and whether the second can follow the first.
    let cases: Vec<(Position, Loaded, Position, Loaded, bool)> = vec![
        (at(2), put(1, 2), at(3), put(2, 2), true),
        (at(2), put(1, 2), at(2), put(2, 2), false),
        (at(3), put(1, 3), at(2), put(2, 2), false),
        (at(2), put(1, 2), Position::new(2, 1), Loaded::Tombstone, true),
        (at(2), Loaded::Tombstone, at(3), put(1, 3), true),
        (at(2), Loaded::Tombstone, at(9), put(3, 5), true),
        (at(2), Loaded::Tombstone, at(9), Loaded::Tombstone, true),
        (at(2), put(1, 2), at(9), put(5, 2), true),
        (at(2), put(1, 2), at(9), put(2, 5), true),
        (at(5), put(3, 2), at(9), put(3, 2), false),
        (at(5), put(3, 2), at(9), put(9, 3), false),
        (at(5), Loaded::Tombstone, at(9), put(2, 4), false),
        (at(5), put(3, 2), at(9), put(0, 2), false),
        (at(5), put(3, 2), at(9), put(4, 10), false),
        (at(5), put(3, 2), at(9), put(1, 8), false),
        (at(5), put(3, 2), at(9), put(u64::MAX, 2), false),
        (at(5), put(3, 2), at(last + 1), put(4, 2), false),
        (at(5), put(3, 2), at(u64::MAX), Loaded::Tombstone, false),
        (at(5), put(3, 2), Position::new(last, u32::MAX), put(last, 2), true),
    ];
    for (first, loaded, second, next, good) in cases {
        let mut builder = IndexBuilder::default();
        builder.push(b"k", first, loaded).unwrap();
        let pushed = builder.push(b"k", second, next);
        assert_eq!(pushed.is_ok(), good, "{first} {loaded:?}, {second} {next:?}: {pushed:?}");
        if good {
            let mut index = builder.finish();
            index.check().unwrap();
            assert_eq!(index.positions(), 2);
            index.put(b"k", Position::new(last + 1, 0));
        }
    }
    IndexBuilder::default().finish().check().unwrap();
}

#[test]
fn check_finds_what_is_wrong() {
    let mut good = Index::default();
    for main in 1..=2000 {
        good.put(if main % 3 == 0 { b"b" } else { b"a" }, Position::new(main, 0));
    }
    good.check().unwrap();
    type Damage = Box<dyn Fn(&mut Index)>;
    let damages: Vec<(&str, Damage)> = vec![
        ("live keys", Box::new(|index| index.live += 1)),
        ("positions", Box::new(|index| index.positions -= 1)),
        ("0 chunks", Box::new(|index| index.chunks = Table::default())),
        ("damaged", Box::new(|index| index.heads.insert(b"a", &[0x80]))),
        ("version 1", Box::new(|index| index.heads.insert(b"a", &[9, 2, 1, 3]))),
        ("bytes behind", Box::new(|index| index.heads.insert(b"a", &[9, 2, 2, 3, 0x80]))),
        ("strictly decrease", Box::new(|index| index.heads.insert(b"a", &[9, 2, 2, 3, 0]))),
        ("chunks: 5 claimed", Box::new(|index| index.chunks.insert(b"x", &[1, 1, 0]))),
    ];
    for (what, damage) in damages {
        let mut index = good.clone();
        damage(&mut index);
        let found = index.check().expect_err(what);
        assert!(found.contains(what), "{found:?} does not say {what:?}");
    }
}

#[test]
fn snapshots_can_be_read_by_other_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Index>();
}
