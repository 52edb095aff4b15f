//! One page of bbolt's, with those that continue it: a list of elements.
//!
//! Layout, little-endian: id u64, flags u16, count u16, overflow u32, then `count` headers of 16 bytes, then keys and values. A branch's header is
//! position u32, key bytes u32, page u64; a leaf's is flags u32, position u32, key bytes u32, value bytes u32. Positions are relative to
//! the header.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

/// Bytes of a page's header.
pub(super) const PAGE_HEADER_BYTES: usize = 16;
const ELEMENT_BYTES: usize = 16;
const FLAG_BRANCH: u16 = 1;
const FLAG_LEAF: u16 = 2;
/// Said of a leaf's element that is a bucket.
const ELEMENT_BUCKET: u32 = 1;

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// What stands in a page's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageHeader {
    pub(super) id: u64,
    flags: u16,
    count: u16,
    /// Pages that continue this one.
    pub(super) overflow: u32,
}

impl PageHeader {
    /// The header at the beginning of some bytes; nothing if they are too few.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            id: u64_at(bytes, 0)?,
            flags: u16_at(bytes, 8)?,
            count: u16_at(bytes, 10)?,
            overflow: u32_at(bytes, 12)?,
        })
    }
}

/// What a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageType {
    Branch,
    Leaf,
}

/// What an element is besides its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A page below a branch.
    Page(u64),
    /// A value in a leaf.
    Value,
    /// A bucket in a leaf; its value says where it is.
    Bucket,
}

/// An element: where its key and its value are within its page.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Element {
    kind: Kind,
    key: Range<usize>,
    value: Range<usize>,
}

/// A page whose elements lie within it one after the other, and have ascending keys. So their bytes are never more than the page's.
#[derive(Debug)]
pub(super) struct Elements {
    bytes: Vec<u8>,
    elements: Vec<Element>,
    pub(super) page_type: PageType,
}

impl Elements {
    /// # Errors
    /// Says in words what can't be.
    pub(super) fn read(bytes: Vec<u8>) -> Result<Self, String> {
        let header = PageHeader::read(&bytes).ok_or("it is too short for a page")?;
        let page_type = match header.flags {
            FLAG_BRANCH => PageType::Branch,
            FLAG_LEAF => PageType::Leaf,
            flags => return Err(format!("it is neither a branch nor a leaf: its flags are {flags:#x}")),
        };
        let count = usize::from(header.count);
        let mut elements: Vec<Element> = Vec::new();
        let mut free = PAGE_HEADER_BYTES + count * ELEMENT_BYTES;
        for number in 0..count {
            let at = PAGE_HEADER_BYTES + number * ELEMENT_BYTES;
            let element = element(&bytes, at, page_type).ok_or("it is too short for its elements")?;
            let Element { key, value, .. } = &element;
            if key.start < free || value.end > bytes.len() {
                return Err(format!("element {number} lies outside of its place"));
            }
            let before = elements.last().and_then(|before| bytes.get(before.key.clone()));
            if before.is_some_and(|before| bytes.get(key.clone()).unwrap_or_default() <= before) {
                return Err(format!("the key of element {number} is not after the one before it"));
            }
            free = value.end;
            elements.push(element);
        }
        Ok(Self { bytes, elements, page_type })
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (Kind, &[u8], &[u8])> + ExactSizeIterator {
        let part = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        self.elements.iter().map(move |element| (element.kind, part(&element.key), part(&element.value)))
    }
}

/// The element whose header is at an offset.
fn element(bytes: &[u8], at: usize, page_type: PageType) -> Option<Element> {
    let number = |offset: usize| Some(u32_at(bytes, at + offset)? as usize);
    let (kind, position, key_bytes, value_bytes) = match page_type {
        PageType::Branch => (Kind::Page(u64_at(bytes, at + 8)?), number(0)?, number(4)?, 0),
        PageType::Leaf => {
            let is_bucket = u32_at(bytes, at)? & ELEMENT_BUCKET != 0;
            let kind = if is_bucket { Kind::Bucket } else { Kind::Value };
            (kind, number(4)?, number(8)?, number(12)?)
        }
    };
    let start = at.checked_add(position)?;
    let middle = start.checked_add(key_bytes)?;
    Some(Element { kind, key: start..middle, value: middle..middle.checked_add(value_bytes)? })
}
