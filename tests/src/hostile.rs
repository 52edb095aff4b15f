//! Stores that say what can't be, with checksums that are right: what no accident makes, but a person may.
//!
//! A field of a page is changed, the page is sealed anew, and so is everything that names it, up to the meta slots. The layout is
//! read from `core/FORMAT.md` and nothing of the engine is used, so that these tests also show that the page is right.

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// Bytes of a page's header.
const HEADER: usize = 48;
/// Bytes of a meta slot that mean something.
const META: usize = 512;
/// How far a new checksum is carried up: more than any sample has levels and pages of the log.
const MAX_CARRIED: usize = 200;

const BRANCH: u8 = 1;
const LEAF: u8 = 2;
const FREELIST: u8 = 4;

/// The body of a meta slot, with the root state in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Meta {
    checkpoint: u64,
    pages: u32,
    freelist: Option<(u32, u64, u8)>,
    log_next: u32,
    log_previous: u64,
    log_commit: u64,
    root: Vec<u8>,
}

/// The root state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Root {
    records: Option<RecordsRoot>,
    revision: u64,
    scheduled: Option<u64>,
    finished: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RecordsRoot {
    tree: Option<(u32, u64)>,
    open: Option<(u32, u64)>,
    last_main: u64,
    last_sub: u32,
}

fn checksum(store_id: u64, page: usize, bytes: &[u8]) -> u64 {
    let seed = store_id ^ (page as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    xxhash_rust::xxh64::xxh64(bytes, seed)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + part.len()) {
        place.copy_from_slice(part);
    }
}

/// A number that is more likely than others to be one too many.
fn awkward(rng: &mut Rng, present: u64) -> u64 {
    match rng.below(9) {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => u64::from(u32::MAX),
        4 => present.wrapping_add(1),
        5 => present.wrapping_sub(1),
        6 => present ^ (1 << rng.below(64)),
        7 => rng.below(64),
        _ => rng.bits(),
    }
}

/// The bytes of a store, to be changed.
#[derive(Clone, Debug)]
pub struct Image {
    bytes: Vec<u8>,
    page_bytes: usize,
    store_id: u64,
}

impl Image {
    /// A store whose first meta slot tells its page size.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let field = |at: usize| u64_at(bytes, at);
        let page_bytes = usize::try_from(field(12) & 0xFFFF_FFFF).unwrap_or(0).max(META);
        Self { bytes: bytes.to_vec(), page_bytes, store_id: field(16) }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn pages(&self) -> usize {
        self.bytes.len() / self.page_bytes
    }

    fn page(&self, page: usize) -> &[u8] {
        self.bytes.get(page * self.page_bytes..(page + 1) * self.page_bytes).unwrap_or(&[])
    }

    fn page_mut(&mut self, page: usize) -> &mut [u8] {
        self.bytes.get_mut(page * self.page_bytes..(page + 1) * self.page_bytes).unwrap_or(&mut [])
    }

    fn kind(&self, page: usize) -> u8 {
        self.page(page).get(8).copied().unwrap_or(0)
    }

    /// Whether a page has a header and the checksum that this says.
    fn is_sealed(&self, page: usize) -> bool {
        let bytes = self.page(page);
        let content = bytes.get(8..).unwrap_or(&[]);
        page > 1
            && [BRANCH, LEAF, FREELIST].contains(&self.kind(page))
            && u64_at(bytes, 0) == checksum(self.store_id, page, content)
    }

    /// The pages with a header that verify.
    fn sealed(&self) -> Vec<usize> {
        (2..self.pages()).filter(|page| self.is_sealed(*page)).collect()
    }

    /// Seals every page that has a kind, and the meta slots, as they are: so that what an arbitrary change has made of the store
    /// is read, and not refused for its checksums.
    pub fn seal_all(&mut self) {
        for page in 2..self.pages() {
            if [BRANCH, LEAF, FREELIST].contains(&self.kind(page)) && !self.is_sealed(page) {
                self.seal(page);
            }
        }
        self.seal_meta(0);
        self.seal_meta(1);
    }

    /// Seals a page, and everything that names it.
    fn seal(&mut self, page: usize) {
        let mut open = vec![page];
        for _ in 0..MAX_CARRIED {
            let Some(page) = open.pop() else { break };
            let old = u64_at(self.page(page), 0);
            let new = checksum(self.store_id, page, self.page(page).get(8..).unwrap_or(&[]));
            put(self.page_mut(page), 0, &new.to_le_bytes());
            if new != old {
                open.extend(self.replace(old, new));
            }
        }
    }

    /// Names a checksum by its new value wherever the old one is named. Answers the pages that this changed.
    fn replace(&mut self, old: u64, new: u64) -> Vec<usize> {
        let mut changed = Vec::new();
        for page in 2..self.pages() {
            let places: Vec<usize> = match self.kind(page) {
                BRANCH => (HEADER + 16..self.page_bytes).step_by(28).collect(),
                FREELIST => (HEADER + 4..self.page_bytes).step_by(12).collect(),
                LEAF => vec![24],
                _ => Vec::new(),
            };
            for at in places {
                if u64_at(self.page(page), at) == old {
                    put(self.page_mut(page), at, &new.to_le_bytes());
                    changed.push(page);
                }
            }
        }
        changed.dedup();
        let swap = |checksum: &mut u64| *checksum = if *checksum == old { new } else { *checksum };
        self.edit_meta(|meta, root| {
            swap(&mut meta.log_previous);
            meta.freelist.iter_mut().for_each(|(_, checksum, _)| swap(checksum));
            if let Some(records) = root.as_mut().and_then(|root| root.records.as_mut()) {
                let places = [records.tree.as_mut(), records.open.as_mut()];
                places.into_iter().flatten().for_each(|(_, checksum)| swap(checksum));
            }
        });
        changed
    }

    fn seal_meta(&mut self, slot: usize) {
        let store_id = self.store_id;
        let Some(sector) = self.page_mut(slot).get_mut(..META) else { return };
        let sum = checksum(store_id, slot, sector.get(..META - 8).unwrap_or(&[]));
        put(sector, META - 8, &sum.to_le_bytes());
    }

    /// Changes what both meta slots say.
    fn edit_meta(&mut self, mut edit: impl FnMut(&mut Meta, &mut Option<Root>)) {
        for slot in 0..2 {
            let body = self.page(slot).get(24..META - 8).unwrap_or(&[]);
            let Ok((mut meta, _)) = postcard::take_from_bytes::<Meta>(body) else { continue };
            // What follows says where the leases are.
            let (mut root, leases) = match postcard::take_from_bytes::<Root>(&meta.root) {
                Ok((root, leases)) => (Some(root), leases.to_vec()),
                Err(_) => (None, Vec::new()),
            };
            edit(&mut meta, &mut root);
            if let Some(Ok(bytes)) = root.as_ref().map(postcard::to_allocvec) {
                meta.root = [bytes, leases].concat();
            }
            let Ok(mut body) = postcard::to_allocvec(&meta) else { continue };
            body.resize(META - 8 - 24, 0);
            put(self.page_mut(slot), 24, &body);
            self.seal_meta(slot);
        }
    }

    /// Makes the map of used pages say that none is, with every checksum right.
    pub fn free_all(&mut self) {
        for page in self.sealed() {
            if self.kind(page) == FREELIST {
                self.page_mut(page).iter_mut().skip(HEADER).for_each(|byte| *byte = 0);
                self.seal(page);
            }
        }
    }

    /// Changes one thing, anything, and makes every checksum right again. Answers what it was, in words.
    pub fn change(&mut self, rng: &mut Rng) -> String {
        let sealed = self.sealed();
        if sealed.is_empty() || rng.once_in(6) {
            return self.change_meta(rng);
        }
        let page = rng.one_of(&sealed);
        let what = match (self.kind(page), rng.below(3)) {
            (_, 0) => self.change_header(page, rng),
            (BRANCH, _) => self.change_entry(page, rng, (28, &[(0, 8), (8, 4), (12, 4), (24, 2), (26, 2)])),
            (FREELIST, 1) => self.change_entry(page, rng, (12, &[(0, 4)])),
            (FREELIST, _) => self.change_entry(page, rng, (8, &[(0, 8)])),
            (_, 1) => self.change_entry(page, rng, (2, &[(0, 2)])),
            _ => self.change_record(page, rng),
        };
        self.seal(page);
        what
    }

    /// Puts an awkward number into a field.
    fn change_field(&mut self, page: usize, (at, len): (usize, usize), rng: &mut Rng) -> String {
        let mut present = [0; 8];
        let there = self.page(page).get(at..at + len).unwrap_or(&[]);
        put(&mut present, 0, there);
        let other = awkward(rng, u64::from_le_bytes(present));
        put(self.page_mut(page), at, other.to_le_bytes().get(..len).unwrap_or(&[]));
        format!("page {page}: {len} bytes at {at} became {other}")
    }

    fn change_header(&mut self, page: usize, rng: &mut Rng) -> String {
        let fields = [(8, 1), (9, 1), (10, 2), (12, 4), (16, 8), (32, 8), (40, 2), (42, 1), (43, 1), (44, 4)];
        let field = rng.one_of(&fields);
        self.change_field(page, field, rng)
    }

    /// Changes a field of one entry of a list that begins behind the header: the entries' length, and where their fields are.
    fn change_entry(
        &mut self,
        page: usize,
        rng: &mut Rng,
        (bytes, fields): (usize, &[(usize, usize)]),
    ) -> String {
        let count = u16::from_le_bytes(
            self.page(page).get(10..12).and_then(|count| count.try_into().ok()).unwrap_or([0; 2]),
        );
        let most = (self.page_bytes - HEADER) / bytes;
        let count = if count == 0 { most } else { usize::from(count).min(most) };
        let (at, len) = rng.one_of(fields);
        let entry = rng.index(count);
        self.change_field(page, (HEADER + entry * bytes + at, len), rng)
    }

    /// Changes some bytes among a leaf's records.
    fn change_record(&mut self, page: usize, rng: &mut Rng) -> String {
        let used = u16::from_le_bytes(
            self.page(page).get(40..42).and_then(|used| used.try_into().ok()).unwrap_or([0; 2]),
        );
        let at = self.page_bytes - 1 - rng.index(usize::from(used).min(self.page_bytes - HEADER));
        let other = rng.one_of(&[0, 1, 0x7F, 0x80, 0xFF, rng.clone().bits().to_le_bytes()[0]]);
        put(self.page_mut(page), at, &[other]);
        format!("page {page}: byte {at} became {other:#x}")
    }

    fn change_meta(&mut self, rng: &mut Rng) -> String {
        let choice = rng.below(11);
        let mut rng = rng.clone();
        let what = format!("the meta slots, in way {choice}");
        self.edit_meta(|meta, root| {
            let narrow = |number: u64| u32::try_from(number & 0xFFFF_FFFF).unwrap_or(0);
            let records = root.as_mut().and_then(|root| root.records.as_mut());
            match (choice, records) {
                (0, _) => meta.checkpoint = awkward(&mut rng, meta.checkpoint),
                (1, _) => meta.pages = narrow(awkward(&mut rng, meta.pages.into())),
                (2, _) => meta.log_next = narrow(awkward(&mut rng, meta.log_next.into())),
                (3, _) => meta.log_commit = awkward(&mut rng, meta.log_commit),
                (4, _) => meta.freelist = meta.freelist.map(|(page, sum, level)| (page, sum, level ^ 1)),
                (5, _) => meta.freelist = None,
                (6, Some(records)) => records.last_main = awkward(&mut rng, records.last_main),
                (7, Some(records)) => records.last_sub = narrow(awkward(&mut rng, records.last_sub.into())),
                (8, Some(records)) => records.open = records.tree.filter(|_| rng.once_in(2)),
                (9, Some(records)) => records.tree = records.open.filter(|_| rng.once_in(2)),
                _ => {
                    let Some(root) = root else { return };
                    root.revision = awkward(&mut rng, root.revision);
                    let scheduled = awkward(&mut rng, root.scheduled.unwrap_or(0));
                    root.scheduled = Some(scheduled).filter(|_| rng.once_in(2));
                    root.finished = root.finished.map(|finished| awkward(&mut rng, finished));
                }
            }
        });
        what
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{closed, left};

    #[test]
    fn sealing_what_is_sealed_changes_nothing() {
        for sample in [closed(), left()] {
            let mut image = Image::new(&sample.bytes);
            image.seal_all();
            image.edit_meta(|meta, root| assert!(root.is_some() && meta.freelist.is_some()));
            assert!(image.bytes() == sample.bytes);
            let kinds: Vec<u8> = image.sealed().into_iter().map(|page| image.kind(page)).collect();
            assert!(kinds.len() > 20, "{} pages: {kinds:?}", image.pages());
            let branches = image.sealed().into_iter().filter(|page| image.kind(*page) == BRANCH).count();
            assert!(branches >= 3, "{branches} branches are no two levels; {} pages", image.pages());
        }
    }
}
