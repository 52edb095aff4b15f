use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;

use super::block::{BLOCK_BYTES, Block, Entry, find, halves, separator};
use super::table::{ALL, Table, TableBuilder};
use super::tests::Random;
use super::varint;
use crate::keys::KeyBounds;

#[test]
fn integers_survive_packing() {
    let mut values: Vec<u64> = (0..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]).collect();
    values.push(u64::MAX);
    let mut bytes = Vec::new();
    values.iter().for_each(|&value| varint::push(&mut bytes, value));
    let mut rest = &*bytes;
    for &value in &values {
        assert_eq!(varint::take(&mut rest), Some(value));
        assert_eq!(varint::unzigzag(varint::zigzag(value.cast_signed())), value.cast_signed());
    }
    assert_eq!(varint::take(&mut rest), None);
    for bad in
        [&[0x80][..], &[0xff; 9], &[0xff; 10], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]]
    {
        assert_eq!(varint::take(&mut &*bad), None, "{bad:?}");
    }
}

#[test]
fn a_separator_is_the_shortest_key_between() {
    for (lower, upper, expected) in
        [("a", "b", "b"), ("abc", "abd", "abd"), ("a", "abc", "ab"), ("ab1", "b99", "b")]
    {
        assert_eq!(separator(lower.as_bytes(), upper.as_bytes()), expected.as_bytes());
    }
}

#[test]
fn a_block_is_cut_in_its_middle_or_around_a_long_entry() {
    let cases: [(&[usize], Option<usize>); 6] = [
        (&[BLOCK_BYTES * 3], None),
        (&[BLOCK_BYTES / 3; 2], None),
        (&[BLOCK_BYTES / 3; 4], Some(2)),
        (&[10, 10, BLOCK_BYTES * 3], Some(2)),
        (&[BLOCK_BYTES * 3, 10, 10], Some(1)),
        (&[10, BLOCK_BYTES * 3, 10], Some(1)),
    ];
    for (lengths, expected) in cases {
        let mut bytes = Vec::new();
        let bodies: Vec<Vec<u8>> = lengths.iter().map(|&length| alloc::vec![7; length]).collect();
        for (at, body) in bodies.iter().enumerate() {
            Entry { key: &[at as u8], body }.write(&mut bytes);
        }
        let cut = halves(&bytes).map(|(lower, separator, upper)| {
            assert_eq!([lower, upper].concat(), bytes);
            assert!(find(upper, separator).body.is_some() && find(lower, separator).body.is_none());
            separator[0] as usize
        });
        assert_eq!(cut, expected, "{lengths:?}");
    }
}

#[test]
fn a_block_grows_in_place_unless_it_is_shared() {
    let mut block = Block::new(b"abcdef");
    let snapshot = block.clone();
    block.splice(2..4, b"CCDD");
    assert_eq!((block.entries(), snapshot.entries()), (&b"abCCDDef"[..], &b"abcdef"[..]));
    let place = block.entries().as_ptr();
    block.splice(0..1, b"");
    block.splice(7..7, b"!!");
    assert_eq!((block.entries(), block.entries().as_ptr()), (&b"bCCDDef!!"[..], place), "there was room");
    let snapshot = block.clone();
    block.splice(0..9, b"new");
    assert_eq!((block.entries(), snapshot.entries()), (&b"new"[..], &b"bCCDDef!!"[..]));
    assert_ne!(block.entries().as_ptr(), place);
    block.splice(3..3, &[b'x'; 1000]);
    assert_eq!(block.entries(), [&b"new"[..], &[b'x'; 1000]].concat());
}

fn bound(kind: u64, key: &[u8]) -> Bound<&[u8]> {
    match kind {
        0 => Bound::Unbounded,
        1 => Bound::Included(key),
        _ => Bound::Excluded(key),
    }
}

/// Runs the same operations on both libraries' maps, and on one of std's.
macro_rules! map_tests {
    ($name:ident, $map:ty) => {
        #[test]
        fn $name() {
            let mut random = Random::new(7);
            let (mut map, mut model) = (<$map>::default(), BTreeMap::<Vec<u8>, Vec<u8>>::new());
            let mut snapshots = Vec::new();
            for step in 0..20_000_u32 {
                let key = random.below(2000).to_be_bytes()[6..].to_vec();
                let kind = random.below(4);
                if kind == 0 {
                    map.remove(&key);
                    model.remove(&key);
                } else if kind == 1 {
                    let found = map.get_mut(&key.as_slice().into()).map(|block| block.splice(1..2, &[7, 7]));
                    let expected = model.get_mut(&key).map(|block| _ = block.splice(1..2, [7, 7]));
                    assert_eq!(found, expected);
                } else {
                    map.insert(key.as_slice().into(), Block::new(&step.to_be_bytes()));
                    model.insert(key.clone(), step.to_be_bytes().to_vec());
                }
                let last =
                    map.last_until(&key).map(|(lower, block)| (lower.to_vec(), block.entries().to_vec()));
                let expected =
                    model.range(..=key).next_back().map(|(lower, block)| (lower.clone(), block.clone()));
                assert_eq!(last, expected);
                if step % 1000 == 0 {
                    snapshots.push((map.clone(), model.clone()));
                }
            }
            let sorted: Vec<_> = model.iter().map(|(k, v)| (k.as_slice().into(), Block::new(v))).collect();
            snapshots.push((<$map>::from_sorted(&sorted), model));
            for (map, model) in &snapshots {
                for _ in 0..100 {
                    let (a, b) = (random.below(1000), 1000 + random.below(1001));
                    let (a, b) = (a.to_be_bytes(), b.to_be_bytes());
                    let bounds: KeyBounds<'_> =
                        (bound(random.below(3), &a[6..]), bound(random.below(3), &b[6..]));
                    let found =
                        map.range(bounds).map(|(lower, block)| (lower.to_vec(), block.entries().to_vec()));
                    let expected = model.range::<[u8], _>(bounds).map(|(k, v)| (k.clone(), v.clone()));
                    assert!(found.eq(expected), "{bounds:?}");
                }
                let backwards = map.range(ALL).rev().map(|(lower, _)| lower.to_vec());
                assert!(backwards.eq(model.keys().rev().cloned()));
            }
        }
    };
}

map_tests!(the_map_without_std_is_an_ordered_persistent_map, super::map::alloc_only::BlockMap);
#[cfg(feature = "std")]
map_tests!(the_map_with_std_is_an_ordered_persistent_map, super::map::with_std::BlockMap);

#[test]
fn blocks_that_became_short_are_joined() {
    let mut table = <Table>::default();
    let key = |number: u32| number.to_be_bytes();
    (0..20_000).for_each(|number| table.insert(&key(number), b"body"));
    let full = table.block_count();
    assert!((200..400).contains(&full), "{full} blocks of 200,000 bytes");
    (0..20_000).filter(|number| number % 20 != 0).for_each(|number| table.remove(&key(number)));
    assert_eq!(table.len(), 1000);
    assert!(table.block_count() < full / 5, "{} of {full} blocks are left", table.block_count());
    table.check().unwrap();
}

/// Keys of very different lengths, bodies up to a few blocks long; grows, then shrinks to nothing.
#[test]
fn a_table_is_an_ordered_persistent_map() {
    for seed in 0..8 {
        std::println!("seed {seed}");
        let mut random = Random::new(seed);
        let (mut table, mut model) = (<Table>::default(), BTreeMap::<Vec<u8>, Box<[u8]>>::new());
        let mut snapshots = Vec::new();
        let longest = 1 + random.below(4) * 500;
        for step in 0..4000 {
            let key = random_key(&mut random);
            if random.below(4000) < step {
                table.remove(&key);
                model.remove(&key);
            } else {
                let longest = if random.below(20) == 0 { longest } else { 40 };
                let length = 1 + random.below(longest);
                let body: Box<[u8]> = (0..length).map(|_| random.below(256) as u8).collect();
                table.insert(&key, &body);
                model.insert(key, body);
            }
            if step % 1000 == 999 {
                verify(&table, &model, &mut random);
                let entries = model.iter().map(|(key, body)| Entry { key, body });
                let mut builder = <TableBuilder>::default();
                entries.for_each(|entry| builder.push(entry));
                verify(&builder.finish(), &model, &mut random);
                snapshots.push((table.clone(), model.clone()));
            }
        }
        for key in model.keys() {
            table.remove(key);
        }
        verify(&table, &BTreeMap::new(), &mut random);
        assert_eq!(table.range(ALL).count(), 0);
        snapshots.iter().for_each(|(table, model)| verify(table, model, &mut random));
    }
}

fn random_key(random: &mut Random) -> Vec<u8> {
    let mut key = random.below(3000).to_be_bytes()[6..].to_vec();
    let tail = if random.below(30) == 0 { random.below(3000) } else { 0 };
    // The same tail whenever a key is drawn again, most of the time.
    key.resize(2 + (tail as usize / 1500) * 1500, 0);
    key
}

fn verify(table: &Table, model: &BTreeMap<Vec<u8>, Box<[u8]>>, random: &mut Random) {
    table.check().unwrap();
    assert_eq!(table.len(), model.len());
    let entries = |bounds: KeyBounds<'_>| {
        model.range::<[u8], _>(bounds).map(|(key, body)| (key.clone(), body.clone())).collect::<Vec<_>>()
    };
    let found = |bounds: KeyBounds<'_>| {
        table.range(bounds).map(|entry| (entry.key.to_vec(), Box::from(entry.body))).collect::<Vec<_>>()
    };
    assert_eq!(found(ALL), entries(ALL));
    for _ in 0..10 {
        let mut keys = [random_key(random), random_key(random)];
        keys.sort();
        let [a, b] = &keys;
        let bounds = [Bound::Included(&**a), Bound::Excluded(&**a), Bound::Unbounded];
        for lower in bounds {
            for upper in [Bound::Included(&**b), Bound::Excluded(&**b), Bound::Unbounded] {
                // std's maps panic where there is nothing between equal bounds.
                if a == b && (lower, upper) != (Bound::Included(&**a), Bound::Included(&**a)) {
                    continue;
                }
                assert_eq!(found((lower, upper)), entries((lower, upper)), "{lower:?} {upper:?}");
            }
        }
        assert_eq!(table.get(a), model.get(a).map(|body| &**body));
        let last = table.last_until(a).map(|entry| (entry.key, entry.body));
        assert_eq!(last, model.range(..=a.clone()).next_back().map(|(key, body)| (&**key, &**body)));
    }
    for (lower, upper) in [("b", "a"), ("a", "a")] {
        let (lower, upper) = (lower.as_bytes(), upper.as_bytes());
        assert_eq!(found((Bound::Included(lower), Bound::Excluded(upper))), []);
        assert_eq!(found((Bound::Excluded(lower), Bound::Included(upper))), []);
        assert_eq!(found((Bound::Excluded(lower), Bound::Excluded(upper))), []);
    }
}
