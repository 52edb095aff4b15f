//! Files of etcd, made by hand: bbolt's pages with what is wanted in them, sound or not.
#![expect(clippy::indexing_slicing, reason = "a test that makes wrong pages is to panic")]

use std::hash::Hasher;

use fnv::FnvHasher;
use sha2::{Digest, Sha256};

const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const META: u16 = 4;
const BUCKET: u32 = 1;
const HEADER_BYTES: usize = 16;

/// A key and a value of a bucket.
pub type Pair = (Vec<u8>, Vec<u8>);

/// An element of a page: flags or the page below it, key, value.
type Element<'a> = (u64, &'a [u8], &'a [u8]);

/// A change as etcd stores it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Version<'a> {
    /// The key.
    pub key: &'a str,
    /// The value.
    pub value: &'a str,
    /// The revision that created the key.
    pub created: u64,
    /// The key's version.
    pub version: u64,
    /// The lease, 0 for none.
    pub lease: u64,
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn number_field(out: &mut Vec<u8>, field: u8, number: u64) {
    if number != 0 {
        out.push(field << 3);
        varint(out, number);
    }
}

fn bytes_field(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.push(field << 3 | 2);
        varint(out, bytes.len() as u64);
        out.extend(bytes);
    }
}

/// A revision as etcd writes it.
#[must_use]
pub fn revision(main: u64, sub: u64) -> Vec<u8> {
    [&main.to_be_bytes()[..], b"_", &sub.to_be_bytes()].concat()
}

/// The record of a put.
#[must_use]
pub fn put((main, sub): (u64, u64), put: Version<'_>) -> Pair {
    let mut message = Vec::new();
    bytes_field(&mut message, 1, put.key.as_bytes());
    number_field(&mut message, 2, put.created);
    number_field(&mut message, 3, main);
    number_field(&mut message, 4, put.version);
    bytes_field(&mut message, 5, put.value.as_bytes());
    number_field(&mut message, 6, put.lease);
    (revision(main, sub), message)
}

/// The record of a delete.
#[must_use]
pub fn tombstone((main, sub): (u64, u64), key: &str) -> Pair {
    let mut message = Vec::new();
    bytes_field(&mut message, 1, key.as_bytes());
    ([revision(main, sub), b"t".to_vec()].concat(), message)
}

/// A lease of the bucket `lease`.
#[must_use]
pub fn lease(id: u64, ttl: u64, left: u64) -> Pair {
    let mut message = Vec::new();
    number_field(&mut message, 1, id);
    number_field(&mut message, 2, ttl);
    number_field(&mut message, 3, left);
    (id.to_be_bytes().to_vec(), message)
}

/// What a file of etcd has.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The bucket `key`.
    pub records: Vec<Pair>,
    /// The bucket `lease`.
    pub leases: Vec<Pair>,
    /// The bucket `meta`.
    pub meta: Vec<Pair>,
}

impl Contents {
    /// With a revision under a name of the bucket `meta`.
    #[must_use]
    pub fn with_meta(mut self, name: &str, main: u64) -> Self {
        self.meta.push((name.as_bytes().to_vec(), revision(main, 0)));
        self.meta.sort();
        self
    }

    /// A file with pages of this size.
    #[must_use]
    pub fn database(&self, page_bytes: usize) -> Vec<u8> {
        let mut file = File { page_bytes, pages: vec![Vec::new(); 2] };
        let buckets = [("key", &self.records), ("lease", &self.leases), ("meta", &self.meta)];
        let roots: Vec<(&str, Vec<u8>)> =
            buckets.into_iter().map(|(name, pairs)| (name, file.bucket(pairs))).collect();
        let elements: Vec<Element<'_>> = roots
            .iter()
            .map(|(name, value)| (u64::from(BUCKET), name.as_bytes(), value.as_slice()))
            .collect();
        let root = file.page(LEAF, &elements);
        file.finish(root)
    }

    /// A snapshot: a file with its hash behind it.
    #[must_use]
    pub fn snapshot(&self, page_bytes: usize) -> Vec<u8> {
        with_hash(self.database(page_bytes))
    }
}

/// A small file with all kinds of pages: inline buckets, branches, a page that goes on.
#[must_use]
pub fn small() -> Contents {
    let long = "v".repeat(1_300);
    let mut records: Vec<_> = (2..60)
        .map(|main| {
            put((main, 0), Version { key: "key", value: "value", created: 2, version: main - 1, lease: 0 })
        })
        .collect();
    records.push(put((60, 0), Version { key: "long", value: &long, created: 60, version: 1, lease: 0 }));
    records.push(put((61, 0), Version { key: "leased", value: "", created: 61, version: 1, lease: 7 }));
    records.push(tombstone((62, 0), "key"));
    let contents = Contents { records, leases: vec![lease(7, 60, 0)], ..Contents::default() };
    contents.with_meta("finishedCompactRev", 3).with_meta("scheduledCompactRev", 10)
}

/// The file with the hash of its bytes behind it.
#[must_use]
pub fn with_hash(mut bytes: Vec<u8>) -> Vec<u8> {
    let hash = Sha256::digest(&bytes);
    bytes.extend(hash.as_slice());
    bytes
}

/// A snapshot with changed bytes gets the hash of these, and meta pages their checksums.
pub fn seal(bytes: &mut Vec<u8>) {
    let length = bytes.len() - bytes.len() % 512;
    bytes.truncate(length);
    let page_bytes =
        bytes.get(24..28).map_or(0, |size| u32::from_le_bytes([size[0], size[1], size[2], size[3]]));
    for start in [0, page_bytes as usize] {
        if let Some(meta) = bytes.get_mut(start + HEADER_BYTES..start + HEADER_BYTES + 64) {
            let (covered, sum) = meta.split_at_mut(56);
            sum.copy_from_slice(&fnv(covered).to_le_bytes());
        }
    }
    *bytes = with_hash(std::mem::take(bytes));
}

fn fnv(bytes: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// Pages, by their numbers; one that others continue is longer.
struct File {
    page_bytes: usize,
    pages: Vec<Vec<u8>>,
}

impl File {
    /// Adds a page and what continues it. Answers its number.
    fn page(&mut self, flags: u16, elements: &[Element<'_>]) -> u64 {
        let id = self.pages.len() as u64;
        let mut page = encoded(id, flags, elements);
        let pages = page.len().div_ceil(self.page_bytes);
        page.resize(pages * self.page_bytes, 0);
        page[12..16].copy_from_slice(&(pages as u32 - 1).to_le_bytes());
        self.pages.push(page);
        self.pages.extend(vec![Vec::new(); pages - 1]);
        id
    }

    /// Adds a bucket. Answers the value that names it.
    fn bucket(&mut self, pairs: &[Pair]) -> Vec<u8> {
        let elements: Vec<Element<'_>> =
            pairs.iter().map(|(key, value)| (0, key.as_slice(), value.as_slice())).collect();
        let inline = encoded(0, LEAF, &elements);
        if inline.len() <= self.page_bytes / 4 {
            return [&[0; 16][..], &inline].concat();
        }
        let most = self.page_bytes / 100 + 1;
        let mut level: Vec<(u64, Vec<u8>)> =
            elements.chunks(most).map(|chunk| (self.page(LEAF, chunk), chunk[0].1.to_vec())).collect();
        while level.len() > 1 {
            level = level
                .chunks(most)
                .map(|chunk| {
                    let children: Vec<Element<'_>> =
                        chunk.iter().map(|(page, key)| (*page, key.as_slice(), &[][..])).collect();
                    (self.page(BRANCH, &children), chunk[0].1.clone())
                })
                .collect();
        }
        [&level[0].0.to_le_bytes()[..], &[0; 8]].concat()
    }

    fn finish(mut self, root: u64) -> Vec<u8> {
        let pages = self.pages.len() as u64;
        for number in 0..2u64 {
            let mut meta = Vec::new();
            for part in [0xED0C_DAED, 2, self.page_bytes as u32, 0] {
                meta.extend(part.to_le_bytes());
            }
            for part in [root, 0, u64::MAX, pages, 7 - number] {
                meta.extend(part.to_le_bytes());
            }
            let sum = fnv(&meta);
            meta.extend(sum.to_le_bytes());
            let mut page = [encoded(number, META, &[]), meta].concat();
            page.resize(self.page_bytes, 0);
            self.pages[number as usize] = page;
        }
        self.pages.concat()
    }
}

fn encoded(id: u64, flags: u16, elements: &[Element<'_>]) -> Vec<u8> {
    let mut page = id.to_le_bytes().to_vec();
    page.extend(flags.to_le_bytes());
    page.extend((elements.len() as u16).to_le_bytes());
    page.extend([0; 4]);
    let mut free = HEADER_BYTES * (1 + elements.len());
    for (number, (word, key, value)) in elements.iter().enumerate() {
        let position = (free - HEADER_BYTES * (1 + number)) as u32;
        let (key_bytes, value_bytes) = (key.len() as u32, value.len() as u32);
        if flags == BRANCH {
            page.extend([position, key_bytes].map(u32::to_le_bytes).concat());
            page.extend(word.to_le_bytes());
        } else {
            page.extend([*word as u32, position, key_bytes, value_bytes].map(u32::to_le_bytes).concat());
        }
        free += key.len() + value.len();
    }
    elements.iter().for_each(|(_, key, value)| page.extend([*key, *value].concat()));
    page
}
