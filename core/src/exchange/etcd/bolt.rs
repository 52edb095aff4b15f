//! bbolt's trees of pages.
//!
//! No page is visited twice, and none has more content than bytes: so reading takes no more work and memory than the file is long, whatever
//! the pages say.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::meta::Meta;
use super::page::{Elements, Kind, PAGE_HEADER_BYTES, PageHeader, PageType, u64_at};
use crate::error::{Error, Result};
use crate::pager::Bitmap;
use crate::storage::ReadAt;

/// Bytes of a bucket's value before a page that may stand in it: the root page and a sequence number.
const BUCKET_BYTES: usize = 16;
/// The first pages are the meta pages.
const META_PAGES: u64 = 2;

/// A file of bbolt's.
#[derive(Debug)]
pub(super) struct Bolt {
    page_bytes: u64,
    pages: u64,
    root: u64,
    visited: Bitmap,
}

/// The content of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bucket {
    /// A tree that begins on a page.
    Tree(u64),
    /// A page that stands in the bucket's value, at about this byte of the file.
    Inline { offset: u64, page: Vec<u8> },
}

/// A page that has still to be visited, and the bounds that its keys must keep.
#[derive(Debug)]
struct Open {
    page: u64,
    from: Vec<u8>,
    to: Option<Vec<u8>>,
}

/// A walk over the leaves of a bucket, in the order of keys.
#[derive(Debug, Default)]
pub(super) struct Walk {
    open: Vec<Open>,
    inline: Option<(u64, Vec<u8>)>,
}

/// A leaf, and where it stands in the file.
#[derive(Debug)]
pub(super) struct FoundLeaf {
    pub(super) offset: u64,
    pub(super) elements: Elements,
}

impl Bolt {
    /// # Errors
    /// [`Error::InvalidSource`] if it is no such file or was cut off, [`Error::Storage`].
    pub(super) fn open<R: ReadAt>(source: &R, length: u64) -> Result<Self> {
        let Meta { page_bytes, root, pages, .. } = Meta::find(source, length)?;
        let page_bytes = u64::from(page_bytes);
        if pages > length / page_bytes || pages > u64::from(u32::MAX) {
            let what = format!("it ends here, and should have {pages} pages of {page_bytes} bytes");
            return Err(Error::invalid_source(length, what));
        }
        Ok(Self { page_bytes, pages, root, visited: Bitmap::default() })
    }

    /// The top-level buckets with these names, nothing for those that are not there.
    ///
    /// # Errors
    /// [`Error::InvalidSource`] if a page or a bucket is damaged, [`Error::Storage`].
    pub(super) fn buckets<R: ReadAt, const N: usize>(
        &mut self,
        source: &R,
        names: [&[u8]; N],
    ) -> Result<[Option<Bucket>; N]> {
        let mut found = names.map(|_| None);
        let mut walk = Walk::new(Bucket::Tree(self.root));
        while let Some(FoundLeaf { offset, elements }) = walk.next(self, source)? {
            for (kind, key, value) in elements.iter() {
                let named = names.iter().zip(&mut found).find(|(name, _)| **name == key);
                if let Some((_, place)) = named {
                    let bucket = bucket(offset, kind, value);
                    *place = Some(bucket.ok_or_else(|| damaged(offset, "a bucket can't be read"))?);
                }
            }
        }
        Ok(found)
    }

    /// Reads a page that was not visited before.
    fn visit<R: ReadAt>(&mut self, source: &R, page: u64) -> Result<FoundLeaf> {
        let offset = page.saturating_mul(self.page_bytes);
        if !(META_PAGES..self.pages).contains(&page) {
            return Err(damaged(
                offset.min(self.pages * self.page_bytes),
                format!("there is no page {page}"),
            ));
        }
        let mut header = [0; PAGE_HEADER_BYTES];
        source.read_at(offset, &mut header)?;
        let header = PageHeader::read(&header).filter(|header| header.id == page);
        let header = header.ok_or_else(|| damaged(offset, format!("it is not the page {page}")))?;
        let after = page + u64::from(header.overflow) + 1;
        if after > self.pages {
            return Err(damaged(offset, format!("page {page} goes on beyond the end")));
        }
        for part in page..after {
            let is_first = u32::try_from(part).is_ok_and(|part| self.visited.insert(part));
            if !is_first {
                return Err(damaged(offset, format!("page {part} is reached twice")));
            }
        }
        let length = usize::try_from((after - page) * self.page_bytes);
        let mut bytes = vec![0; length.map_err(|_| damaged(offset, "a page is too large"))?];
        source.read_at(offset, &mut bytes)?;
        let elements = Elements::read(bytes).map_err(|what| damaged(offset, what))?;
        Ok(FoundLeaf { offset, elements })
    }
}

fn damaged(offset: u64, what: impl Into<String>) -> Error {
    Error::invalid_source(offset, what)
}

/// The bucket that an element is.
fn bucket(offset: u64, kind: Kind, value: &[u8]) -> Option<Bucket> {
    let (root, inline) = (u64_at(value, 0)?, value.get(BUCKET_BYTES..)?);
    match (kind, root) {
        (Kind::Bucket, 0) => Some(Bucket::Inline { offset, page: inline.to_vec() }),
        (Kind::Bucket, root) => Some(Bucket::Tree(root)),
        (Kind::Value | Kind::Page(_), _) => None,
    }
}

impl Walk {
    pub(super) fn new(bucket: Bucket) -> Self {
        match bucket {
            Bucket::Tree(page) => {
                Self { open: vec![Open { page, from: Vec::new(), to: None }], inline: None }
            }
            Bucket::Inline { offset, page } => Self { open: Vec::new(), inline: Some((offset, page)) },
        }
    }

    /// The next leaf, nothing at the end. Its keys are after those of all leaves before.
    ///
    /// # Errors
    /// [`Error::InvalidSource`] if a page is damaged, [`Error::Storage`].
    pub(super) fn next<R: ReadAt>(&mut self, bolt: &mut Bolt, source: &R) -> Result<Option<FoundLeaf>> {
        if let Some((offset, page)) = self.inline.take() {
            let elements = Elements::read(page).map_err(|what| damaged(offset, what))?;
            if elements.page_type == PageType::Branch {
                return Err(damaged(offset, "a bucket in one page begins with a branch"));
            }
            return Ok(Some(FoundLeaf { offset, elements }));
        }
        while let Some(Open { page, from, to }) = self.open.pop() {
            let FoundLeaf { offset, elements } = bolt.visit(source, page)?;
            let is_within =
                |key: &[u8]| from.as_slice() <= key && to.as_ref().is_none_or(|to| key < to.as_slice());
            if !elements.iter().all(|(_, key, _)| is_within(key)) {
                return Err(damaged(
                    offset,
                    format!("a key of page {page} is not where the branch above says"),
                ));
            }
            if elements.page_type == PageType::Leaf {
                return Ok(Some(FoundLeaf { offset, elements }));
            }
            self.descend(&elements, to);
        }
        Ok(None)
    }

    /// Notes the pages below a branch, the first to be the next.
    fn descend(&mut self, branch: &Elements, to: Option<Vec<u8>>) {
        let mut end = to;
        for (kind, key, _) in branch.iter().rev() {
            if let Kind::Page(page) = kind {
                let from = key.to_vec();
                self.open.push(Open { page, from: from.clone(), to: end.replace(from) });
            }
        }
    }
}
