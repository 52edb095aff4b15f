//! Putting and deleting: every check before the first change.

use alloc::vec::Vec;

use super::Store;
use super::keys::Keys;
use super::options::Durability;
use crate::error::{Error, Result};
use crate::limits::MAX_UNWRITTEN_LEAVES;
use crate::records::{Body, PutNumbers, Record, Records, Room};
use crate::revision::{Position, Revision};
use crate::sabotage::sabotaged;
use crate::storage::Storage;

/// What a put answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The revision of the put.
    pub revision: Revision,
}

/// What a delete answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// The store's revision after it; that before it if there was nothing to delete.
    pub revision: Revision,
    /// How many keys were deleted.
    pub deleted: u64,
}

/// A change whose bytes have a place, so that making it can't fail.
pub(super) enum Ready<'a> {
    Put { key: &'a [u8], value: &'a [u8], room: Room },
    Delete { key: Vec<u8>, room: Room },
}

impl Ready<'_> {
    fn room(&self) -> &Room {
        match self {
            Self::Put { room, .. } | Self::Delete { room, .. } => room,
        }
    }
}

/// The transaction that is being written: its revision, and the place of its next change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writing {
    pub(super) main: u64,
    pub(super) sub: u32,
}

impl<S: Storage> Store<S> {
    pub(super) fn put_with(&mut self, durability: Durability, key: &[u8], value: &[u8]) -> Result<Written> {
        self.check_key(key)?;
        self.check_value(value)?;
        let mut writing = self.begin_write()?;
        let room = Records::make_room(&mut self.pager, key, value);
        let room = self.noting_failure(room)?;
        self.make(Ready::Put { key, value, room }, &mut writing);
        self.end_write(writing, durability)?;
        Ok(Written { revision: self.revision() })
    }

    pub(super) fn delete_with(&mut self, durability: Durability, keys: &Keys) -> Result<Deleted> {
        self.check_keys(keys)?;
        let mut writing = self.begin_write()?;
        let ready = self.ready_deletes(keys);
        let ready = self.noting_failure(ready)?;
        let deleted = ready.len() as u64;
        ready.into_iter().for_each(|change| self.make(change, &mut writing));
        self.end_write(writing, durability)?;
        Ok(Deleted { revision: self.revision(), deleted })
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
    /// [`Error::WritesRefused`], [`Error::RevisionsExhausted`].
    pub(super) fn begin_write(&self) -> Result<Writing> {
        self.writable()?;
        if self.revision >= Revision::LAST.get() {
            return Err(Error::RevisionsExhausted);
        }
        Ok(Writing { main: self.revision + 1, sub: 0 })
    }

    /// The deletes of all keys of an interval that exist now.
    ///
    /// # Errors
    /// [`Error::Storage`] if a long key finds no room; nothing has changed then.
    pub(super) fn ready_deletes<'a>(&mut self, keys: &Keys) -> Result<Vec<Ready<'a>>> {
        let Some(bounds) = keys.bounds() else { return Ok(Vec::new()) };
        let found: Vec<Vec<u8>> = self.index.range(bounds, u64::MAX).map(|(key, _)| key.to_vec()).collect();
        let mut ready = Vec::with_capacity(found.len());
        for key in found {
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

    /// Makes a change in memory: the index, the open leaf, and the list of the dead.
    pub(super) fn make(&mut self, change: Ready<'_>, writing: &mut Writing) {
        let position = Position::new(writing.main, writing.sub);
        let replaced = match change {
            Ready::Put { key, value, room } => {
                let effect = self.index.put(key, position);
                let (version, age) = (effect.version, writing.main - effect.created);
                let body = Body::put((key, value), PutNumbers { age, version, lease: 0 }, room);
                self.records.append(&Record { position, body });
                effect.replaced
            }
            Ready::Delete { key, room } => {
                let Some(replaced) = self.index.delete(&key, position) else { return };
                let body = match room {
                    Room::Inline => Body::Tombstone { key: &key },
                    Room::LongValue(chain) | Room::LongKey(chain) => Body::LongTombstone { chain },
                };
                self.records.append(&Record { position, body });
                let death = if sabotaged!(TombstoneDropped) { writing.main } else { writing.main + 1 };
                self.dead.push(position, death);
                Some(replaced)
            }
        };
        if let Some(replaced) = replaced {
            self.dead.push(replaced, writing.main);
        }
        self.record_count += 1;
        writing.sub += 1;
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
