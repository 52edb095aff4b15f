//! Values and keys too long for a leaf, in pages of their own.
//!
//! The bytes lie in runs of neighbouring pages, as long as the free space allows and never needing one long run, so that
//! fragmentation can't make the storage grow. A list of runs that is itself too long for a leaf is stored the same way, and so
//! on; the depth says how often.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::leaf::max_inline;
use super::record::{Chain, Extent};
use crate::error::{Error, PageKind, Result};
use crate::pager::{PageId, PageRef, Pager, Pages};
use crate::storage::Storage;

/// Lists of lists of lists: with the smallest page already more than the longest value needs.
const MAX_DEPTH: u8 = 8;
/// The most bytes that one extent takes when it is encoded: page, checksum and length as varints.
pub(super) const MAX_EXTENT_BYTES: usize = 5 + 10 + 5;

fn damaged(page: u32, what: impl Into<String>) -> Error {
    Error::corrupt(page, PageKind::Overflow, what)
}

/// Extents of a chain that are kept in the leaf.
pub(super) fn max_extents(page_bytes: usize) -> usize {
    (max_inline(page_bytes) / 2 / MAX_EXTENT_BYTES).max(1)
}

/// Writes `parts`, one after the other, to pages of their own. Nothing reaches them until their chain is stored in a leaf.
///
/// # Errors
/// [`Error::Storage`] if the storage fails or has no room; the pages are given back then.
pub(super) fn store<S: Storage>(pager: &mut Pager<S>, parts: &[&[u8]]) -> Result<Chain> {
    let most = max_extents(pager.page_bytes());
    store_within(pager, parts, most)
}

/// The same, with at most so many extents in the chain itself.
///
/// # Errors
/// As [`store`].
pub(super) fn store_within<S: Storage>(pager: &mut Pager<S>, parts: &[&[u8]], most: usize) -> Result<Chain> {
    let bytes = parts.concat();
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut done: Vec<Extent> = Vec::new();
    let stored = store_once(pager, bytes, &mut done).and_then(|()| {
        let content = Chain { depth: 0, len, extents: done.clone() };
        shorten(pager, content, (most, &mut done))
    });
    if stored.is_err() {
        done.iter().flat_map(pages_of).for_each(|page| pager.give_back(page));
    }
    stored
}

/// Puts the list of a chain's extents into pages of its own while there are more than so many; `done` gets the extents written for that.
///
/// # Errors
/// [`Error::Storage`] if the storage fails or has no room.
pub(super) fn shorten<S: Storage>(
    pager: &mut Pager<S>,
    mut chain: Chain,
    (most, done): (usize, &mut Vec<Extent>),
) -> Result<Chain> {
    while chain.extents.len() > most {
        let list = List { len: chain.len, extents: chain.extents };
        let Ok(list) = postcard::to_allocvec(&list) else {
            unreachable!("a vector takes any number of bytes")
        };
        let len = u32::try_from(list.len()).unwrap_or(u32::MAX);
        let from = done.len();
        store_once(pager, list, done)?;
        chain = Chain { depth: chain.depth + 1, len, extents: done.get(from..).unwrap_or(&[]).to_vec() };
    }
    Ok(chain)
}

/// What the bytes of a deeper level say of the level above.
#[derive(serde::Serialize, serde::Deserialize)]
struct List {
    len: u32,
    extents: Vec<Extent>,
}

/// Writes bytes to pages of their own; `done` gets the extents, those too that were begun when the storage failed.
///
/// # Errors
/// [`Error::Storage`] if the storage fails or has no room.
pub(super) fn store_once<S: Storage>(
    pager: &mut Pager<S>,
    mut bytes: Vec<u8>,
    done: &mut Vec<Extent>,
) -> Result<()> {
    let page_bytes = pager.page_bytes();
    bytes.resize(bytes.len().next_multiple_of(page_bytes), 0);
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let wanted = u32::try_from(rest.len() / page_bytes).unwrap_or(u32::MAX);
        let (start, pages) = pager.allocate_run(wanted)?;
        // Noted before it is written, so that a failed write gives it back.
        done.push(Extent { start: PageRef { page: start.get(), checksum: 0 }, pages });
        let (now, later) = rest.split_at(pages as usize * page_bytes);
        let start = pager.write_run(start, now)?;
        if let Some(extent) = done.last_mut() {
            extent.start = start;
        }
        rest = later;
    }
    Ok(())
}

/// The pages of an extent.
pub(super) fn pages_of(extent: &Extent) -> impl Iterator<Item = PageId> + use<> {
    (extent.start.page..extent.start.page.saturating_add(extent.pages)).map(PageId::new)
}

/// Reads what a chain holds, verifying all of it.
///
/// # Errors
/// [`Error::Corrupt`] if a page is damaged or the chain says what can't be.
pub(super) fn load<S: Storage>(pages: &Pages<S>, chain: &Chain) -> Result<Arc<[u8]>> {
    if chain.depth == 0 {
        return read_extents(pages, chain);
    }
    read_extents(pages, &resolve(pages, chain)?.content)
}

/// Every page that a chain uses, those of its lists included.
///
/// # Errors
/// [`Error::Corrupt`] if a list can't be read.
pub(super) fn all_pages<S: Storage>(pages: &Pages<S>, chain: &Chain) -> Result<Vec<PageId>> {
    let resolved = resolve(pages, chain)?;
    check_extents(pages, resolved.content.len, &resolved.content.extents)?;
    Ok(resolved.lists.iter().chain(&resolved.content.extents).flat_map(pages_of).collect())
}

/// A chain followed through its lists.
pub(super) struct Resolved {
    /// The extents of the lists.
    pub(super) lists: Vec<Extent>,
    /// The chain of the content itself, of depth 0.
    pub(super) content: Chain,
}

/// # Errors
/// [`Error::Corrupt`] if a list can't be read.
pub(super) fn resolve<S: Storage>(pages: &Pages<S>, chain: &Chain) -> Result<Resolved> {
    let page = chain.extents.first().map_or(0, |extent| extent.start.page);
    if chain.depth > MAX_DEPTH {
        return Err(damaged(page, format!("a list {} levels deep", chain.depth)));
    }
    let mut lists = Vec::new();
    let mut content = chain.clone();
    while content.depth > 0 {
        let list = decode_list(&content, &read_extents(pages, &content)?)?;
        lists.append(&mut content.extents);
        content = Chain { depth: content.depth - 1, len: list.len, extents: list.extents };
    }
    Ok(Resolved { lists, content })
}

fn decode_list(chain: &Chain, bytes: &[u8]) -> Result<List> {
    let page = chain.extents.first().map_or(0, |extent| extent.start.page);
    postcard::from_bytes(bytes)
        .map_err(|error| damaged(page, format!("a list of pages can't be read: {error}")))
}

/// Checks that extents can hold so many bytes and no more, before anything is allocated, so that damage can't ask for more memory
/// than there is storage. Answers how many pages they have.
///
/// # Errors
/// [`Error::Corrupt`] if they can't.
pub(super) fn check_extents<S: Storage>(pages: &Pages<S>, len: u32, extents: &[Extent]) -> Result<u64> {
    let page_bytes = pages.page_bytes();
    let mut wanted = 0u64;
    for extent in extents {
        if !pages.has_run(PageId::new(extent.start.page), extent.pages) {
            return Err(damaged(extent.start.page, "it lies beyond the end of the storage"));
        }
        wanted += u64::from(extent.pages);
    }
    if u64::from(len).div_ceil(page_bytes as u64) != wanted || wanted > u64::from(pages.most_pages()) {
        let page = extents.first().map_or(0, |extent| extent.start.page);
        return Err(damaged(page, format!("{len} bytes in {wanted} pages")));
    }
    Ok(wanted)
}

/// The bytes in a chain's own extents.
fn read_extents<S: Storage>(pages: &Pages<S>, chain: &Chain) -> Result<Arc<[u8]>> {
    let (len, extents) = (chain.len, &chain.extents);
    let page_bytes = pages.page_bytes();
    let wanted = check_extents(pages, len, extents)?;
    let mut bytes = vec![0; wanted as usize * page_bytes];
    let mut rest = bytes.as_mut_slice();
    for extent in extents {
        let (now, later) = rest.split_at_mut(extent.pages as usize * page_bytes);
        pages.load_run(extent.start, now)?;
        rest = later;
    }
    bytes.truncate(len as usize);
    Ok(bytes.into())
}
