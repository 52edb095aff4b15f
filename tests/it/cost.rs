//! What reads cost: pages of a storage without a cache.

use std::cell::Cell;

use palimpsest_kv::storage::{MemoryStorage, Storage};
use palimpsest_kv::{Durability, Keys, Options, Result, Store};

/// Keys of the store.
const KEYS: u64 = 5_000;

/// A storage that counts reads.
#[derive(Default)]
struct Counting {
    storage: MemoryStorage,
    reads: Cell<u64>,
}

impl Storage for Counting {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.reads.set(self.reads.get() + 1);
        self.storage.read(offset, buffer)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.storage.write(offset, bytes)
    }

    fn sync(&self) -> Result<()> {
        self.storage.sync()
    }

    fn len(&self) -> Result<u64> {
        self.storage.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.storage.set_len(len)
    }
}

/// A store of keys that were all put twice, in another order each time; every tenth is deleted.
fn filled(storage: &Counting) -> Store<&Counting> {
    let options = Options { cache_bytes: 0, durability: Durability::Relaxed, ..Options::default() };
    let mut store = Store::open(storage, options).expect("the store opens");
    let mut put =
        |key: u64| store.put(format!("key{key:05}"), format!("{key:0100}")).map(drop).expect("a put");
    (0..KEYS).for_each(|place| put(place * 7_919 % KEYS));
    (0..KEYS).for_each(|place| put(place * 104_729 % KEYS));
    (0..KEYS).step_by(10).for_each(|key| drop(store.delete(&*format!("key{key:05}"))));
    store.checkpoint().expect("a checkpoint");
    store
}

/// What `work` answers, and how many reads of the storage that took.
fn reads<T>(storage: &Counting, work: impl FnOnce() -> T) -> (T, u64) {
    let before = storage.reads.get();
    let answer = work();
    (answer, storage.reads.get() - before)
}

#[test]
fn a_count_reads_no_page() {
    let storage = Counting::default();
    let store = filled(&storage);
    let moments = [(0, KEYS / 10 * 9), (2 * KEYS + 1, KEYS), (KEYS + KEYS / 2, KEYS), (1_001, 1_000)];
    for (revision, expected) in moments {
        let (count, pages) = reads(&storage, || store.range(Keys::all()).at(revision).count());
        assert_eq!((count, pages), (Ok(expected), 0), "all keys at {revision}");
        let (counted, pages) =
            reads(&storage, || store.range(Keys::all()).at(revision).limit(0).with_count().collect());
        assert_eq!((counted.map(|counted| counted.count), pages), (Ok(Some(expected)), 0));
    }
    let (count, pages) = reads(&storage, || store.range(Keys::prefix("key00")).count());
    assert_eq!((count, pages), (Ok(900), 0));
    let (count, pages) = reads(&storage, || store.range(Keys::interval("key00995", "key01005")).count());
    assert_eq!((count, pages), (Ok(9), 0));
}

#[test]
fn a_limited_range_does_not_look_past_its_limit() {
    let storage = Counting::default();
    let store = filled(&storage);
    let page = |limit: usize| {
        let (page, pages) =
            reads(&storage, || store.range(Keys::all()).limit(limit).collect().expect("a range"));
        assert_eq!((page.entries.len(), page.more), (limit, true));
        assert!(pages <= limit as u64, "{pages} pages for {limit} entries");
    };
    [0, 1, 7, 100].into_iter().for_each(page);
    let (first, pages) = reads(&storage, || store.range(Keys::all()).into_iter().next());
    assert_eq!(first.expect("an entry").expect("it can be read").key(), b"key00001");
    assert!(pages <= 1, "{pages} pages for an entry");
}

/// Where a bound leaves entries out, those are looked at that come before the last one given.
#[test]
fn a_filtered_range_goes_on_until_its_limit_is_filled() {
    let storage = Counting::default();
    let store = filled(&storage);
    // The last puts before the deletes.
    let bound = 2 * KEYS - 200;
    let range = || store.range(Keys::all()).min_mod_revision(bound).limit(3).collect().expect("a range");
    let (page, pages) = reads(&storage, range);
    assert_eq!((page.entries.len(), page.more), (3, true));
    assert!(pages <= 4, "{pages} pages for 3 entries: what the bound leaves out is known from the index");
}
