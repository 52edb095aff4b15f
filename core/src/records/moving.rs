//! Emptying the end of the storage of long values: those runs of a chain that stand there are copied to lower pages, and the others stay.

use alloc::vec;
use alloc::vec::Vec;

use super::overflow::{
    MAX_EXTENT_BYTES, Resolved, check_extents, max_extents, pages_of, resolve, shorten, store_once,
};
use super::record::{Chain, Extent};
use crate::error::Result;
use crate::pager::{PageId, Pager, Pages};
use crate::storage::Storage;

/// Bytes that a list takes besides its extents: the content's length, and how many extents there are.
const LIST_BYTES: usize = 5 + 5;

/// What of a chain stands at some page or after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beyond {
    /// Pages of the content there; none if only lists are.
    content: usize,
    /// Extents of the content, wherever they are.
    extents: usize,
}

/// A chain of which a part has moved.
#[derive(Debug)]
pub(crate) struct MovedChain {
    pub(crate) chain: Chain,
    /// Pages that were written for it.
    pub(crate) new: Vec<PageId>,
    /// Pages that only the chain as it was names.
    pub(crate) old: Vec<PageId>,
}

/// How many pages of an extent stand before page `limit`.
fn pages_before(limit: u32, extent: &Extent) -> u32 {
    limit.saturating_sub(extent.start.page).min(extent.pages)
}

/// What of a chain stands at page `limit` or after it; `None` if nothing does.
///
/// # Errors
/// [`Error::Corrupt`](crate::Error::Corrupt) if a list can't be read.
pub(crate) fn beyond<S: Storage>(pages: &Pages<S>, chain: &Chain, limit: u32) -> Result<Option<Beyond>> {
    let Resolved { lists, content } = resolve(pages, chain)?;
    check_extents(pages, content.len, &content.extents)?;
    let behind = |extent: &Extent| (extent.pages - pages_before(limit, extent)) as usize;
    let (of_lists, of_content): (usize, usize) =
        (lists.iter().map(behind).sum(), content.extents.iter().map(behind).sum());
    let extents = content.extents.len();
    Ok((of_lists + of_content > 0).then_some(Beyond { content: of_content, extents }))
}

impl Beyond {
    /// The most pages that moving it takes, where the free ones are so many runs. The lists are written anew, all of them.
    pub(crate) fn needed_pages(self, page_bytes: usize, runs: u32) -> usize {
        let runs = runs as usize;
        let mut needed = self.content;
        let mut extents = self.extents + self.content.min(runs);
        while extents > max_extents(page_bytes) {
            let list = (LIST_BYTES + extents * MAX_EXTENT_BYTES).div_ceil(page_bytes);
            needed += list;
            // The next list is shorter than this one, or else there is none.
            extents = list.min(runs).min(extents - 1);
        }
        needed
    }
}

/// Copies what stands at page `limit` or after it to other overflow pages. The old ones are left as they are.
///
/// # Errors
/// [`Error::Corrupt`](crate::Error::Corrupt) if a page is damaged; [`Error::Storage`](crate::Error::Storage) if the storage fails
/// or has no room. The pages are given back then.
pub(crate) fn move_below<S: Storage>(pager: &mut Pager<S>, chain: &Chain, limit: u32) -> Result<MovedChain> {
    let Resolved { lists, content } = resolve(pager.pages(), chain)?;
    check_extents(pager.pages(), content.len, &content.extents)?;
    let moved =
        content.extents.iter().flat_map(|extent| pages_of(extent).filter(move |page| page.get() >= limit));
    let old = lists.iter().flat_map(pages_of).chain(moved).collect();
    let most = max_extents(pager.page_bytes());
    let mut written = Vec::new();
    let chain = move_content(pager, &content, (limit, &mut written))
        .and_then(|content| shorten(pager, content, (most, &mut written)));
    let new: Vec<PageId> = written.iter().flat_map(pages_of).collect();
    match chain {
        Ok(chain) => Ok(MovedChain { chain, new, old }),
        Err(error) => {
            new.into_iter().for_each(|page| pager.give_back(page));
            Err(error)
        }
    }
}

/// The same for a chain without lists; `written` gets the new extents. A run that begins before the limit stays as far as it does.
fn move_content<S: Storage>(
    pager: &mut Pager<S>,
    content: &Chain,
    (limit, written): (u32, &mut Vec<Extent>),
) -> Result<Chain> {
    let mut extents = Vec::with_capacity(content.extents.len());
    for extent in &content.extents {
        let stays = pages_before(limit, extent);
        if stays == extent.pages {
            extents.push(*extent);
            continue;
        }
        let mut bytes = vec![0; extent.pages as usize * pager.page_bytes()];
        pager.pages().load_run(extent.start, &mut bytes)?;
        let moved = bytes.split_off(stays as usize * pager.page_bytes());
        if stays > 0 {
            let start = pager.run_at(PageId::new(extent.start.page), &bytes);
            extents.push(Extent { start, pages: stays });
        }
        let from = written.len();
        store_once(pager, moved, written)?;
        extents.extend_from_slice(written.get(from..).unwrap_or(&[]));
    }
    Ok(Chain { depth: 0, len: content.len, extents })
}
