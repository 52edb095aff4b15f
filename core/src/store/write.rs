//! Putting and deleting: every check before the first change.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::Store;
use super::entry::Entry;
use super::options::Durability;
use super::put::{Delete, Lease, Previous, PutView};
use super::read::Read;
use super::reader::RangeRequest;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::lease::LeaseId;
use crate::limits::MAX_UNWRITTEN_LEAVES;
use crate::pager::Purpose;
use crate::records::{Body, PutNumbers, Record, Records, Room, SystemRecord};
use crate::revision::{Position, Revision};
use crate::sabotage::sabotaged;
use crate::storage::Storage;
use crate::watch::EventKind;

/// What a put answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The revision of the put.
    pub revision: Revision,
    /// The entry that it replaced, if that was asked for and there was one.
    pub previous: Option<Entry>,
}

/// What a delete answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// The store's revision after it; that before it if there was nothing to delete.
    pub revision: Revision,
    /// How many keys were deleted.
    pub deleted: u64,
    /// The entries that were deleted, in key order, if they were asked for.
    pub previous: Vec<Entry>,
}

/// A change whose bytes have a place, so that making it can't fail.
pub(super) enum Ready<'a> {
    Put { key: &'a [u8], value: Cow<'a, [u8]>, lease: Option<LeaseId>, room: Room },
    Delete { key: Vec<u8>, room: Room },
}

impl Ready<'_> {
    fn room(&self) -> &Room {
        match self {
            Self::Put { room, .. } | Self::Delete { room, .. } => room,
        }
    }
}

/// A put that is ready, and the entry that it replaces if that is wanted.
pub(super) type ReadyPut<'a> = (Ready<'a>, Option<Entry>);

/// The transaction that is being written: its revision, and the place of its next change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writing {
    pub(super) main: u64,
    pub(super) sub: u32,
}

impl<S: Storage> Store<S> {
    pub(super) fn write_put(&mut self, durability: Durability, put: PutView<'_>) -> Result<Written> {
        self.check_key(put.key)?;
        self.check_value(put.value.unwrap_or(&[]))?;
        self.check_quota(Self::put_cost(&put))?;
        self.check_lease(&put)?;
        self.check_kept(&put)?;
        let mut writing = self.begin_write()?;
        let (change, previous) = self.ready_put(put)?;
        self.make(change, &mut writing);
        self.end_write(writing, durability)?;
        Ok(Written { revision: self.revision(), previous })
    }

    pub(super) fn write_delete(&mut self, durability: Durability, delete: &Delete) -> Result<Deleted> {
        self.check_keys(&delete.keys)?;
        let mut writing = self.begin_write()?;
        let previous = self.previous_of(delete)?;
        let deleted = self.make_deletes(&delete.keys, &mut writing)?;
        self.end_write(writing, durability)?;
        Ok(Deleted { revision: self.revision(), deleted, previous })
    }

    /// # Errors
    /// [`Error::EmptyKey`], [`Error::KeyTooLarge`].
    pub(super) fn check_key(&self, key: &[u8]) -> Result<()> {
        if key.is_empty() {
            return Err(Error::EmptyKey);
        }
        if key.len() > self.options.max_key_bytes {
            return Err(Error::KeyTooLarge { bytes: key.len(), limit: self.options.max_key_bytes });
        }
        Ok(())
    }

    /// # Errors
    /// [`Error::ValueTooLarge`].
    pub(super) fn check_value(&self, value: &[u8]) -> Result<()> {
        if value.len() > self.options.max_value_bytes {
            return Err(Error::ValueTooLarge { bytes: value.len(), limit: self.options.max_value_bytes });
        }
        Ok(())
    }

    /// # Errors
    /// [`Error::EmptyKey`] for one key that is empty.
    pub(super) fn check_keys(&self, keys: &Keys) -> Result<()> {
        match keys.single() {
            Some([]) => Err(Error::EmptyKey),
            Some(_) | None => Ok(()),
        }
    }

    /// # Errors
    /// [`Error::LeaseNotFound`] for a lease that there is not.
    pub(super) fn check_lease(&self, put: &PutView<'_>) -> Result<()> {
        match put.lease {
            Lease::Attached(id) if !self.leases.has(id) => Err(Error::LeaseNotFound { lease: id.get() }),
            Lease::Attached(_) | Lease::Detached | Lease::Kept => Ok(()),
        }
    }

    /// # Errors
    /// [`Error::KeyNotFound`] if a put is to keep something of a key that does not exist.
    pub(super) fn check_kept(&self, put: &PutView<'_>) -> Result<()> {
        let keeps = put.value.is_none() || put.lease == Lease::Kept;
        if keeps && self.index.get(put.key, self.revision).is_none() {
            return Err(Error::KeyNotFound { key: put.key.to_vec() });
        }
        Ok(())
    }

    /// # Errors
    /// [`Error::WritesRefused`], [`Error::RevisionsExhausted`].
    pub(super) fn begin_write(&self) -> Result<Writing> {
        self.writable()?;
        if self.revision >= Revision::LAST.get() {
            return Err(Error::RevisionsExhausted);
        }
        Ok(Writing { main: self.revision + 1, sub: 0 })
    }

    /// Finds out what a put writes, and makes room for it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if what it needs can't be read, [`Error::Storage`] if there is no room; nothing
    /// has changed then.
    pub(super) fn ready_put<'a>(&mut self, put: PutView<'a>) -> Result<ReadyPut<'a>> {
        let current = if put.is_blind() { None } else { self.reader().get(put.key, self.revision)? };
        let value = match (put.value, &current) {
            (Some(value), _) => Cow::Borrowed(value),
            (None, current) => {
                Cow::Owned(current.as_ref().map_or(Vec::new(), |current| current.value().to_vec()))
            }
        };
        let lease = match put.lease {
            Lease::Detached => None,
            Lease::Attached(id) => Some(id),
            Lease::Kept => self.leases.of(put.key),
        };
        let room = Records::make_room(&mut self.pager, put.key, &value);
        let room = self.noting_failure(room)?;
        let previous = current.filter(|_| put.previous == Previous::Told);
        Ok((Ready::Put { key: put.key, value, lease, room }, previous))
    }

    /// The entries that a delete takes away, if they are asked for.
    ///
    /// # Errors
    /// Those of reading.
    pub(super) fn previous_of(&self, delete: &Delete) -> Result<Vec<Entry>> {
        match delete.previous {
            Previous::Untold => Ok(Vec::new()),
            Previous::Told => {
                Ok(RangeRequest::new(self.reader(), Read::new(&delete.keys)).collect()?.entries)
            }
        }
    }

    /// Deletes all keys of an interval that exist now. Answers how many there were.
    ///
    /// # Errors
    /// [`Error::Storage`] if a long key finds no room; nothing has changed then.
    pub(super) fn make_deletes(&mut self, keys: &Keys, writing: &mut Writing) -> Result<u64> {
        let Some(bounds) = keys.bounds() else { return Ok(0) };
        let found: Vec<Vec<u8>> = self.index.range(bounds, u64::MAX).map(|(key, _)| key.to_vec()).collect();
        let ready = self.ready_deletes(found);
        let ready = self.noting_failure(ready)?;
        let deleted = ready.len() as u64;
        ready.into_iter().for_each(|change| self.make(change, writing));
        Ok(deleted)
    }

    /// The deletes of keys that exist.
    ///
    /// # Errors
    /// [`Error::Storage`] if a long key finds no room; nothing has changed then.
    pub(super) fn ready_deletes<'a>(&mut self, keys: Vec<Vec<u8>>) -> Result<Vec<Ready<'a>>> {
        let mut ready = Vec::with_capacity(keys.len());
        for key in keys {
            match Records::make_room(&mut self.pager, &key, &[]) {
                Ok(room) => ready.push(Ready::Delete { key, room }),
                Err(error) => {
                    self.abandon(&ready)?;
                    return Err(error);
                }
            }
        }
        Ok(ready)
    }

    /// Gives back the room of changes that are not made.
    ///
    /// # Errors
    /// Those of reading a list of pages.
    pub(super) fn abandon(&mut self, ready: &[Ready<'_>]) -> Result<()> {
        ready.iter().try_for_each(|change| Records::give_back(&mut self.pager, change.room()))
    }

    /// Makes a change in memory: the index, the open leaf, the list of the dead, the leases, and the watchers' lists.
    pub(super) fn make(&mut self, change: Ready<'_>, writing: &mut Writing) {
        let position = Position::new(writing.main, writing.sub);
        match change {
            Ready::Put { key, value, lease, room } => {
                let effect = self.index.put(key, position);
                let (version, age) = (effect.version, writing.main - effect.created);
                let numbers = PutNumbers { age, version, lease: lease.map_or(0, LeaseId::get) };
                self.records.append(&Record { position, body: Body::put((key, &value), numbers, room) });
                self.leases.attach(key, lease);
                self.note_for_watchers((key, value.len()), position, EventKind::Put);
                if let Some(tombstone) = effect.follows {
                    let anew = self.background.retaining.filing_of(key);
                    let filings = core::iter::once(&mut self.filing).chain(anew);
                    filings.for_each(|filing| filing.note_next(tombstone, writing.main));
                }
                self.file_replaced(key, effect.replaced, writing.main);
            }
            Ready::Delete { key, room } => {
                let Some(replaced) = self.index.delete(&key, position) else { return };
                let body = match room {
                    Room::Inline => Body::Tombstone { key: &key },
                    Room::LongValue(chain) | Room::LongKey(chain) => Body::LongTombstone { chain },
                };
                self.records.append(&Record { position, body });
                self.leases.detach(&key);
                self.note_for_watchers((&key, 0), position, EventKind::Delete);
                let death = if sabotaged!(TombstoneDropped) { writing.main } else { writing.main + 1 };
                self.file_deleted(&key, replaced, (position, death));
            }
        }
        self.record_count += 1;
        writing.sub += 1;
    }

    /// Files what has died by a put at revision `main`: what it replaces, or the version that is no longer among those that a rule keeps.
    fn file_replaced(&mut self, key: &[u8], replaced: Option<Position>, main: u64) {
        let Some(replaced) = replaced else { return };
        let anew = self.background.retaining.filing_of(key);
        for filing in core::iter::once(&mut self.filing).chain(anew) {
            let rule = filing.rules().of(key);
            match filing.rules().versions(rule) {
                1 => filing.push(replaced, main, rule),
                versions => {
                    let puts = self.index.puts_before_newest(key, versions);
                    let kept = if sabotaged!(OneVersionLess) { versions - 1 } else { versions };
                    if let Some(position) = puts.get(kept - 1) {
                        filing.push(*position, main, rule);
                    }
                }
            }
        }
    }

    /// Files what has died by a delete: the last version and those that a rule has kept, and the tombstone with its own death.
    fn file_deleted(&mut self, key: &[u8], replaced: Position, (tombstone, death): (Position, u64)) {
        let anew = self.background.retaining.filing_of(key);
        for filing in core::iter::once(&mut self.filing).chain(anew) {
            let rule = filing.rules().of(key);
            filing.push(tombstone, death, rule);
            match filing.rules().versions(rule) {
                1 => filing.push(replaced, tombstone.main, rule),
                versions => {
                    let puts = self.index.puts_before_newest(key, versions);
                    puts.iter().for_each(|position| filing.push(*position, tombstone.main, rule));
                }
            }
        }
    }

    fn note_for_watchers(&mut self, (key, value_bytes): (&[u8], usize), position: Position, kind: EventKind) {
        if !self.watchers.is_empty() {
            self.watchers.note_written(key.len() + value_bytes);
            self.watchers.note(key, position, kind);
        }
    }

    /// Adds a record of the engine's own. It takes a position after the last change and no revision.
    ///
    /// # Errors
    /// [`Error::RevisionsExhausted`] if no position is left in this revision.
    pub(super) fn append_system(&mut self, record: SystemRecord<'_>) -> Result<()> {
        let last = self.records.last();
        let main = self.revision.max(last.main);
        let sub = if last.main == main { last.sub.checked_add(1) } else { Some(0) };
        // Opening refuses a store after whose last record there can be none.
        let sub = sub.filter(|sub| *sub < u32::MAX).ok_or(Error::RevisionsExhausted)?;
        self.records.append(&Record { position: Position::new(main, sub), body: Body::System(record) });
        self.has_unsynced_system = true;
        Ok(())
    }

    /// Ends a transaction: if it changed anything the revision is taken, and made durable as is asked for.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails.
    pub(super) fn end_write(&mut self, writing: Writing, durability: Durability) -> Result<()> {
        if writing.sub == 0 {
            return Ok(());
        }
        self.revision = writing.main;
        if sabotaged!(DurableTooEarly) {
            self.durable_revision = self.revision;
        }
        self.settle(durability)
    }

    /// Makes what was appended durable, as is asked for.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails.
    pub(super) fn settle(&mut self, durability: Durability) -> Result<()> {
        self.watchers.check_holds(self.revision);
        let settled = self.settle_now(durability);
        self.pager.work_for(Purpose::Work);
        settled
    }

    fn settle_now(&mut self, durability: Durability) -> Result<()> {
        match durability {
            Durability::Strict => self.flush().map(|_| ()),
            Durability::Relaxed if self.records.unwritten_leaves() >= MAX_UNWRITTEN_LEAVES => {
                let written = self.records.commit(&mut self.pager);
                self.noting_failure(written)?;
                self.checkpoint_if_overdue()
            }
            Durability::Relaxed => Ok(()),
        }
    }
}
