//! What an export tells of a store, all as of one moment.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::rebuild::Change;
use super::{Snapshot, Store};
use crate::error::Result;
use crate::lease::Kept as KeptLease;
use crate::pin::Kept as KeptPin;
use crate::records::{Body, Record, with_contents, with_key};
use crate::revision::{Position, Revision};
use crate::sabotage::sabotaged;
use crate::storage::Storage;
use crate::times::Kept as KeptTime;

/// Looks at no more records than this at once.
const SCANNED_RECORDS: usize = 4096;

impl<S: Storage> Store<S> {
    /// The leases, with the time that was left to them when the clock was last looked at.
    pub(crate) fn listed_leases(&self) -> Vec<KeptLease> {
        self.leases.listed()
    }

    /// The pins.
    pub(crate) fn listed_pins(&self) -> Vec<KeptPin> {
        self.pins.listed()
    }

    /// When revisions were written.
    pub(crate) fn listed_times(&self) -> Vec<KeptTime> {
        self.times.listed()
    }
}

impl<S: Storage> Snapshot<S> {
    /// The newest revision when the snapshot was taken.
    pub(crate) fn newest(&self) -> Revision {
        Revision::new(self.current)
    }

    /// What was compacted when the snapshot was taken.
    pub(crate) fn compacted(&self) -> Option<Revision> {
        self.compacted.map(Revision::new)
    }

    /// Calls `visit` for every record from a position on that compaction has kept or will keep, in the order of positions, until that
    /// says to stop or it has been long enough. Answers where to go on, nothing at the end.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) if a page is damaged, [`Error::Storage`](crate::Error::Storage).
    pub(crate) fn for_each_kept(
        &self,
        from: Position,
        mut visit: impl FnMut(Position, Change<'_>) -> ControlFlow<()>,
    ) -> Result<Option<Position>> {
        let (mut scanned, mut stopped_at) = (0, None);
        self.view.source().for_each_from(&self.pages, from, |_page, record| {
            scanned += 1;
            let mut flow = ControlFlow::Continue(());
            if self.keeps(record)? {
                let main = record.position.main;
                flow = with_contents(&self.pages, &record.body, |key, value| {
                    let change = match record.body.generation(main) {
                        Some((version, created)) => {
                            Change::Put { key, value, version, created, lease: record.body.lease() }
                        }
                        None => Change::Tombstone { key },
                    };
                    visit(record.position, change)
                })?;
            }
            if flow.is_break() || scanned >= SCANNED_RECORDS {
                stopped_at = Some(record.position.next());
                return Ok(ControlFlow::Break(()));
            }
            Ok(flow)
        })?;
        Ok(stopped_at)
    }

    /// Whether a record is a part of the history that can be read, or what is left to tell a watcher.
    fn keeps(&self, record: &Record<'_>) -> Result<bool> {
        if matches!(record.body, Body::System(_)) {
            return Ok(false);
        }
        let Position { main, .. } = record.position;
        let Some(compacted) = self.compacted.filter(|compacted| main <= *compacted) else { return Ok(true) };
        if sabotaged!(DeadExported) {
            return Ok(true);
        }
        let is_put = record.body.generation(main).is_some();
        let holds = !self.pinned.is_empty() || !self.rules.is_empty();
        if !holds && !is_put {
            return Ok(main == compacted);
        }
        with_key(&self.pages, &record.body, |key| {
            let is_seen = is_put && self.index.get(key, compacted) == Some(record.position);
            is_seen || (holds && self.still_has(key, record.position))
        })
    }

    /// Whether a version is still there, for a pin, by a rule of retention or otherwise.
    fn still_has(&self, key: &[u8], position: Position) -> bool {
        let reader = self.reader();
        let found = reader.index.steps_from(key, position, 1);
        found.first().is_some_and(|past| {
            past.step.position == position && reader.exists(key, past, &reader.retained(key))
        })
    }
}
