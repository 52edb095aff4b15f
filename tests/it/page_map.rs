//! What the map of pages says is what stands on the pages.

use std::time::Duration;

use palimpsest_kv::storage::FileStorage;
use palimpsest_kv::{Budget, Durability, Options, PageKind, PageUse, Store};
use palimpsest_kv_tests::sim::SimClock;

const PAGE_BYTES: usize = 512;
const HEADER_BYTES: u32 = 48;
const SLOT_BYTES: u32 = 2;
const BRANCH_ENTRY_BYTES: u32 = 28;

fn u16_at(page: &[u8], at: usize) -> u32 {
    u32::from(u16::from_le_bytes([page[at], page[at + 1]]))
}

/// A page's use as its bytes tell it, by `FORMAT.md`, "Page header"; nothing of pages that have none.
fn told(page: &[u8]) -> Option<(PageKind, u32)> {
    let count = u16_at(page, 10);
    match page[8] {
        1 => Some((PageKind::Branch, HEADER_BYTES + count * BRANCH_ENTRY_BYTES)),
        2 => Some((PageKind::Leaf, HEADER_BYTES + u16_at(page, 40) + count * SLOT_BYTES)),
        4 => Some((PageKind::Freelist, PAGE_BYTES as u32)),
        _ => None,
    }
}

/// The map against the counts of the status.
fn counted(store: &Store<FileStorage>) -> Vec<PageUse> {
    let (pages, status) = (store.pages(), store.status().unwrap());
    let count = |wanted: PageUse| pages.iter().filter(|page| **page == wanted).count() as u64;
    assert_eq!(pages.len() as u64, status.file_bytes / PAGE_BYTES as u64);
    assert_eq!(count(PageUse::Free), status.free_pages);
    assert_eq!(count(PageUse::Pending), status.pending_pages);
    pages
}

#[test]
fn every_page_is_what_the_map_says_whatever_the_store_is_busy_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.plm");
    let options = Options {
        page_bytes: PAGE_BYTES,
        durability: Durability::Relaxed,
        compaction_pause: Duration::ZERO,
        store_id: Some(9),
        ..Options::default()
    };
    let clock = SimClock::ticking(10);
    let mut store = Store::open(FileStorage::open(&path).unwrap(), options).unwrap();
    for number in 0..2_000u32 {
        let value = vec![7; if number % 97 == 0 { 3_000 } else { 20 }];
        store.put(format!("key{}", number % 300), value).unwrap();
    }
    store.checkpoint().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let mut seen = [0; 3];
    for (page, found) in bytes.chunks(PAGE_BYTES).zip(counted(&store)) {
        let PageUse::Used { kind, bytes } = found else { continue };
        match kind {
            // The place where the log goes on.
            PageKind::Leaf if bytes == 0 => seen[0] += 1,
            PageKind::Leaf | PageKind::Branch | PageKind::Freelist => {
                seen[1] += 1;
                assert_eq!(told(page), Some((kind, bytes)));
            }
            PageKind::Overflow => {
                seen[2] += 1;
                assert!(page.iter().all(|byte| [0, 7].contains(byte)), "part of a value");
            }
            _ => assert!(page.starts_with(b"palimps\x01")),
        }
    }
    assert_eq!(seen[0], 1);
    assert!(seen[1] > 100 && seen[2] > 100, "{seen:?}");
    store.compact(store.revision()).unwrap();
    while store.status().unwrap().finished != store.compacted() {
        let _next = store.run(&clock, Budget::micros(200)).unwrap();
        counted(&store);
    }
    store.shrink();
    while store.is_shrinking() {
        let _next = store.run(&clock, Budget::micros(200)).unwrap();
        clock.advance(1_000);
        counted(&store);
    }
}
