//! The way into a new store: each record is checked against all before it, and nothing is a store until the end.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Error, Result};
use crate::index::{IndexBuilder, Loaded};
use crate::lease::{Kept as KeptLease, LeaseId, Leases};
use crate::limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use crate::pin::{Kept as KeptPin, Pins};
use crate::revision::{Position, Revision};
use crate::storage::Storage;
use crate::store::{Change, Ending, Options, Rebuild, Store};
use crate::times::{Kept as KeptTime, Times};

/// A store that is being filled from somewhere.
///
/// Besides what the pages take, this holds an index as the store will have it.
pub(super) struct Load<S> {
    rebuild: Rebuild<S>,
    options: Options,
    history: IndexBuilder,
    /// The keys whose newest records name a lease, with its number.
    attached: BTreeMap<Vec<u8>, u64>,
    leases: BTreeMap<u64, KeptLease>,
    pins: Vec<KeptPin>,
    pub(super) times: Vec<KeptTime>,
    records: u64,
}

impl<S: Storage> Load<S> {
    /// # Errors
    /// [`Error::InvalidOption`] if the storage holds something or an option is invalid, with the storage unchanged;
    /// [`Error::Storage`].
    pub(super) fn begin(into: S, options: Options) -> Result<Self> {
        Ok(Self {
            rebuild: Rebuild::begin(into, &options)?,
            options,
            history: IndexBuilder::default(),
            attached: BTreeMap::new(),
            leases: BTreeMap::new(),
            pins: Vec::new(),
            times: Vec::new(),
            records: 0,
        })
    }

    pub(super) fn records(&self) -> u64 {
        self.records
    }

    pub(super) fn leases(&self) -> u64 {
        self.leases.len() as u64
    }

    /// The revision of the last record.
    pub(super) fn main(&self) -> u64 {
        self.rebuild.last().main
    }

    /// Takes a lease that stands at a byte of the source.
    ///
    /// # Errors
    /// [`Error::InvalidSource`] if there can't be such a lease, or it is there already.
    pub(super) fn lease(&mut self, offset: u64, lease: KeptLease) -> Result<()> {
        Leases::restore(&[lease]).map_err(|what| Error::invalid_source(offset, what))?;
        if self.leases.insert(lease.id, lease).is_some() {
            return Err(Error::invalid_source(offset, format!("the lease {} is there twice", lease.id)));
        }
        Ok(())
    }

    /// Takes a pin that stands at a byte of the source.
    ///
    /// # Errors
    /// [`Error::InvalidSource`] if there can't be such a pin.
    pub(super) fn pin(&mut self, offset: u64, pin: KeptPin) -> Result<()> {
        Pins::restore(alloc::vec![pin.clone()]).map_err(|what| Error::invalid_source(offset, what))?;
        self.pins.push(pin);
        Ok(())
    }

    /// # Errors
    /// Says in words why pins or times can't be those of a store that is at a revision.
    fn check_lists(&self, revision: u64) -> core::result::Result<(), String> {
        let pins = Pins::restore(self.pins.clone())?;
        if let Some(pinned) = pins.revisions().last().filter(|pinned| **pinned > revision) {
            return Err(format!("revision {pinned} is pinned at revision {revision}"));
        }
        Ok(Times::restore(&self.times)?.check(revision)?)
    }

    /// Takes a record that stands at a byte of the source. It must be after all before it.
    ///
    /// # Errors
    /// [`Error::InvalidSource`] if it can't follow those before it; [`Error::KeyTooLarge`], [`Error::ValueTooLarge`];
    /// [`Error::Storage`].
    pub(super) fn record(&mut self, offset: u64, position: Position, change: Change<'_>) -> Result<()> {
        let invalid = |what: String| Error::invalid_source(offset, format!("record {position}: {what}"));
        let (key, value) = match change {
            Change::Put { key, value, .. } => (key, value),
            Change::Tombstone { key } => (key, &[][..]),
        };
        if key.is_empty() {
            return Err(invalid("its key is empty".into()));
        }
        if key.len() > MAX_KEY_BYTES {
            return Err(Error::KeyTooLarge { bytes: key.len(), limit: MAX_KEY_BYTES });
        }
        if value.len() > MAX_VALUE_BYTES {
            return Err(Error::ValueTooLarge { bytes: value.len(), limit: MAX_VALUE_BYTES });
        }
        let is_possible = position > self.rebuild.last()
            && position.main > Revision::FIRST.get()
            && position.main <= Revision::LAST.get()
            && position.sub < u32::MAX;
        if !is_possible {
            return Err(invalid(format!("it can't come after {}", self.rebuild.last())));
        }
        let loaded = match change {
            Change::Put { version, created, .. } => Loaded::Put { version, created },
            Change::Tombstone { .. } => Loaded::Tombstone,
        };
        self.history.push(key, position, loaded).map_err(|what| invalid(what.into()))?;
        self.attach(key, change).map_err(invalid)?;
        self.records += 1;
        self.rebuild.append(position, change)
    }

    /// # Errors
    /// Says in words what can't be.
    fn attach(&mut self, key: &[u8], change: Change<'_>) -> core::result::Result<(), String> {
        match change {
            Change::Put { created, .. } if created <= Revision::FIRST.get() => {
                Err(format!("its key was created at revision {created}"))
            }
            Change::Put { lease, .. } if lease != 0 => {
                LeaseId::new(lease).ok_or_else(|| format!("a lease can't have the number {lease}"))?;
                self.attached.insert(key.to_vec(), lease);
                Ok(())
            }
            Change::Put { .. } | Change::Tombstone { .. } => {
                self.attached.remove(key);
                Ok(())
            }
        }
    }

    /// The leases that keys are attached to and that were not there.
    pub(super) fn missing_leases(&self) -> impl Iterator<Item = u64> + '_ {
        self.attached.values().copied().filter(|lease| !self.leases.contains_key(lease))
    }

    /// Takes everything back: the storage holds nothing again, if it still does what it is told.
    pub(super) fn abandon(self) {
        self.rebuild.abandon();
    }

    /// Makes it a store, durably. `offset` is where the source ends.
    ///
    /// # Errors
    /// [`Error::InvalidSource`] if the revisions are no store's, or a lease is missing, with nothing left of the store;
    /// [`Error::Storage`].
    pub(super) fn finish(self, offset: u64, (revision, compacted): (u64, Option<u64>)) -> Result<Store<S>> {
        let wrong = if revision < self.main() || revision < Revision::FIRST.get() {
            Some(format!("the newest revision is {revision}, and there are records of {}", self.main()))
        } else if revision > Revision::LAST.get() {
            Some(format!("the revision {revision} is beyond the last one"))
        } else if compacted > Some(revision) {
            Some(format!("{compacted:?} is compacted at revision {revision}"))
        } else if let Err(what) = self.check_lists(revision) {
            Some(what)
        } else {
            let missing = self.missing_leases().next();
            missing.map(|lease| format!("a key has the lease {lease}, which does not exist"))
        };
        if let Some(what) = wrong {
            self.abandon();
            return Err(Error::invalid_source(offset, what));
        }
        let Self { rebuild, options, leases, pins, times, history, attached, .. } = self;
        // The store makes its own.
        drop((history, attached));
        let leases = leases.into_values().collect();
        rebuild.finish(Ending { revision, compacted, leases, pins, times }, options)
    }
}
