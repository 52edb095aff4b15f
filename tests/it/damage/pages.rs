//! Whole pages that are not what they were: blank, those of another place or time, or no longer there.

use palimpsest_kv_tests::sample::{PAGE_BYTES, Sample, closed, left};

use super::{check_any, right_answers};

/// A page's place in a storage.
pub(super) fn place(page: usize) -> std::ops::Range<usize> {
    page * PAGE_BYTES..(page + 1) * PAGE_BYTES
}

/// Calls `visit` with a sample's bytes, one page of them at a time replaced: by zeros, by ones, by every other page, and by what it
/// was at earlier moments; with the page and what was done, in words.
pub(super) fn with_other_pages(sample: &Sample, mut visit: impl FnMut(&[u8], usize, &str)) {
    let pages = sample.bytes.len() / PAGE_BYTES;
    let mut damaged = sample.bytes.clone();
    for page in 0..pages {
        let mut others: Vec<(String, Vec<u8>)> =
            vec![("zeros".into(), vec![0; PAGE_BYTES]), ("ones".into(), vec![0xFF; PAGE_BYTES])];
        others.extend((0..pages).map(|other| (format!("page {other}"), sample.bytes[place(other)].to_vec())));
        for earlier in sample.earlier.iter().filter_map(|earlier| earlier.get(place(page))) {
            if others.iter().all(|(_, bytes)| bytes != earlier) {
                others.push(("an earlier version of itself".into(), earlier.to_vec()));
            }
        }
        for (what, bytes) in others {
            damaged[place(page)].copy_from_slice(&bytes);
            if damaged != sample.bytes {
                visit(&damaged, page, &format!("page {page} replaced by {what}"));
            }
        }
        damaged[place(page)].copy_from_slice(&sample.bytes[place(page)]);
    }
}

#[test]
fn another_page_is_found_or_does_not_matter() {
    for sample in [closed(), left()] {
        let mut found = 0;
        with_other_pages(&sample, |bytes, page, what| {
            found += u64::from(check_any(bytes, &right_answers(&sample, page), what).is_some());
        });
        assert!(found > 500, "only {found} other pages were found");
    }
}

#[test]
fn exchanged_pages_are_found_or_do_not_matter() {
    for sample in [closed(), left()] {
        let pages = sample.bytes.len() / PAGE_BYTES;
        for (one, other) in (0..pages).flat_map(|one| (0..one).map(move |other| (one, other))) {
            let mut damaged = sample.bytes.clone();
            damaged[place(one)].copy_from_slice(&sample.bytes[place(other)]);
            damaged[place(other)].copy_from_slice(&sample.bytes[place(one)]);
            // The page that would vouch for the newest commit but one may be damaged with it.
            let is_newest = [one, other].iter().any(|page| right_answers(&sample, *page).len() > 1);
            let undone = sample.undone.iter().filter(|_| is_newest);
            let right: Vec<_> = std::iter::once(&sample.answers).chain(undone).collect();
            check_any(&damaged, &right, &format!("pages {one} and {other} exchanged"));
        }
    }
}

#[test]
fn a_store_cut_off_after_any_page_is_refused() {
    for sample in [closed(), left()] {
        let pages = sample.bytes.len() / PAGE_BYTES;
        for len in 1..pages {
            let what = format!("{len} of {pages} pages");
            let error = check_any(&sample.bytes[..len * PAGE_BYTES], &right_answers(&sample, len), &what);
            assert!(error.is_some(), "{what} are no whole store");
        }
    }
}
