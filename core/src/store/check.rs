//! The whole-store check: every page, every record, and everything in memory against them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{CheckReport, Store};
use crate::error::{Error, PageKind, Result};
use crate::index::Change;
use crate::pager::PageId;
use crate::records::{Body, Records, with_key};
use crate::revision::Position;
use crate::storage::Storage;

/// What the records say: position and change of each, by key.
pub(super) type Histories = BTreeMap<Vec<u8>, Vec<(Position, Change)>>;

impl<S: Storage> Store<S> {
    /// Reads the whole store and compares it with what is in memory: every page's checksum and its place (reachable,
    /// pending or free, exactly one of them), the order of keys and positions, the index against the records, the counts, the
    /// dead records. Costs reading everything, and memory for all keys.
    ///
    /// # Errors
    /// [`Error::Corrupt`] says what does not hold; [`Error::Storage`] if something can't be read.
    pub fn check(&self) -> Result<CheckReport> {
        let broken = |what: String| Error::corrupt(0, PageKind::Meta, what);
        self.records.tree().check().map_err(|what| broken(what.into()))?;
        self.index.check().map_err(broken)?;
        self.filing.check(self.pins.revisions()).map_err(broken)?;
        self.background.retaining.check(self.pins.revisions()).map_err(broken)?;
        self.pins.check().map_err(|what| broken(what.into()))?;
        let mut reachable: Vec<PageId> = self.pager.own_pages().collect();
        reachable.extend(self.records.tree().branch_pages().into_iter().map(|(page, _bytes)| page));
        reachable.extend(self.records.tree().leaves().map(|leaf| PageId::new(leaf.place.page)));
        reachable.extend(self.records.open_page());
        reachable.extend(self.records.full_pages());
        if let Some(chain) = &self.system {
            Records::load_apart(self.pager.pages(), chain)?;
            reachable.extend(Records::pages_apart(self.pager.pages(), chain)?);
        }
        let mut attached = BTreeMap::new();
        let mut histories = Histories::new();
        let mut records = 0;
        self.records.source().for_each(self.pager.pages(), |record, _page| {
            reachable.extend(Records::verified_overflow(self.pager.pages(), &record.body)?);
            if !matches!(record.body, Body::System(_)) {
                records += 1;
                let key = with_key(self.pager.pages(), &record.body, <[u8]>::to_vec)?;
                match record.body.lease() {
                    0 => attached.remove(&key),
                    lease => attached.insert(key.clone(), lease),
                };
                let change = match record.body.generation(record.position.main) {
                    Some(_) => Change::Put,
                    None => Change::Tombstone,
                };
                histories.entry(key).or_default().push((record.position, change));
            }
            Ok(())
        })?;
        self.leases.check(&attached).map_err(|what| broken(what.into()))?;
        self.times.check(self.revision).map_err(|what| broken(what.into()))?;
        self.watchers.check().map_err(|what| broken(what.into()))?;
        self.check_index(&histories).map_err(broken)?;
        self.check_dead(&histories).map_err(broken)?;
        if records != self.record_count {
            return Err(broken(format!("{records} records are stored and {} counted", self.record_count)));
        }
        let pending_pages = self.check_pages(&mut reachable).map_err(broken)?;
        Ok(CheckReport {
            keys: self.index.len() as u64,
            records,
            reachable_pages: reachable.len() as u64,
            pending_pages,
            free_pages: u64::from(self.pager.free_pages()),
        })
    }

    /// Every page is reachable, pending or free, and only one of them. The three make up all pages, so that it is enough to
    /// compare the first two with what is marked as used, and to find none twice.
    fn check_pages(&self, reachable: &mut [PageId]) -> core::result::Result<u64, String> {
        reachable.sort_unstable();
        if let Some([page, _]) = reachable.array_windows().find(|[one, other]| one == other) {
            return Err(format!("page {} is reached twice", page.get()));
        }
        if !self.pager.used_pages().eq(reachable.iter().copied()) {
            let used: Vec<PageId> = self.pager.used_pages().collect();
            let only_used = used.iter().filter(|page| reachable.binary_search(page).is_err());
            let only_reached = reachable.iter().filter(|page| used.binary_search(page).is_err());
            let differ: Vec<u32> = only_used.chain(only_reached).take(10).map(|page| page.get()).collect();
            return Err(format!("these pages are either used or reachable, but not both: {differ:?}"));
        }
        let mut pending: Vec<PageId> = self.pager.pending().collect();
        pending.sort_unstable();
        pending.dedup();
        if pending.len() != self.pager.pending_pages() {
            return Err("a page is pending twice".into());
        }
        if let Some(page) = pending.iter().find(|page| reachable.binary_search(page).is_ok()) {
            return Err(format!("page {} is pending and reachable", page.get()));
        }
        let accounted = reachable.len() + pending.len() + self.pager.free_pages() as usize;
        if accounted != self.pager.file_pages() as usize {
            return Err(format!("{accounted} pages are accounted for, of {}", self.pager.file_pages()));
        }
        if self.pager.fewest_free() > self.pager.free_pages() {
            return Err(format!(
                "fewer pages are free than {}, noted as the fewest",
                self.pager.fewest_free()
            ));
        }
        Ok(pending.len() as u64)
    }
}
