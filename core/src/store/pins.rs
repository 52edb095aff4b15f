//! Pinning revisions, and letting go of them.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::options::Durability;
use super::{Store, Writer};
use crate::error::{Error, Result};
use crate::limits::MAX_PIN_NAME_BYTES;
use crate::pin::Pinned;
use crate::records::SystemRecord;
use crate::revision::Revision;
use crate::scheduler::{Clock, Deadline, Next, WallTime};
use crate::storage::Storage;

/// Names of pins that begin with this are the store's own.
const RESERVED: char = '$';

/// The calendar may be set, which no clock tells: where a pin ends, it is looked at this often.
const LOOK_INTERVAL: Duration = Duration::from_mins(10);

/// A pin. See [`Store::pins`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pin {
    /// Its name.
    pub name: String,
    /// The revision that it keeps readable.
    pub revision: Revision,
    /// When it ends, if it does.
    pub expires: Option<WallTime>,
    /// Dead records that compaction has come across and left because this revision is pinned. Those that several pinned revisions see are
    /// counted for the earliest of them.
    pub held_records: u64,
}

impl<S: Storage> Store<S> {
    /// Pins a revision under a name, 0 for the newest: it can be read exactly as it was, whatever is compacted around it, until the pin
    /// is removed. A name that pins another revision already lets go of that one. Pins outlive the process. Answers the revision.
    ///
    /// Costs O(pins). What a pin holds costs a compaction nothing but the first look.
    ///
    /// ```
    /// # use palimpsest_kv::{Error, Options, Store, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// store.put("price", "10")?;
    /// let monday = store.pin("monday", 0)?;
    /// store.put("price", "12")?;
    /// store.compact(store.revision())?;
    /// assert_eq!(store.read_at(monday)?.get("price")?.unwrap().value(), b"10");
    /// store.unpin("monday")?;
    /// assert!(matches!(store.read_at(monday), Err(Error::Compacted { .. })));
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::EmptyPinName`], [`Error::PinNameTooLong`], [`Error::PinNameReserved`]; [`Error::Compacted`] for a revision that can't be
    /// read any more, [`Error::FutureRevision`]; all with nothing changed. [`Error::Storage`] if the storage fails, after which the store
    /// refuses to write.
    pub fn pin(&mut self, name: &str, revision: impl Into<Revision>) -> Result<Revision> {
        self.pin_with(self.options.durability, name, (revision.into(), None))
    }

    /// As [`Store::pin`], until a moment of the calendar. [`Store::run`] removes the pin then, if its clock knows the calendar.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use palimpsest_kv::{Clock, Options, Store, SystemClock, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// let now = SystemClock::new().wall().expect("a system has a calendar");
    /// store.pin_until("backup", 0, now.after(Duration::from_hours(24)))?;
    /// assert!(store.pins()[0].expires.is_some());
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Store::pin`].
    pub fn pin_until(
        &mut self,
        name: &str,
        revision: impl Into<Revision>,
        expires: WallTime,
    ) -> Result<Revision> {
        self.pin_with(self.options.durability, name, (revision.into(), Some(expires)))
    }

    /// Removes a pin, be it one of thinning's own. What only it held is removed by [`Store::run`]; no compaction need be asked for.
    ///
    /// # Errors
    /// [`Error::PinNotFound`] with nothing changed; [`Error::Storage`] if the storage fails, after which the store refuses to write.
    pub fn unpin(&mut self, name: &str) -> Result<()> {
        self.unpin_with(self.options.durability, name)
    }

    /// All pins, in the order of their names.
    #[must_use]
    pub fn pins(&self) -> Vec<Pin> {
        let pins = self.pins.iter().map(|(name, pinned)| Pin {
            name: name.into(),
            revision: Revision::new(pinned.revision),
            expires: pinned.expires,
            held_records: self.filing.count_of(pinned.revision) as u64,
        });
        pins.collect()
    }

    fn pin_with(
        &mut self,
        durability: Durability,
        name: &str,
        (revision, expires): (Revision, Option<WallTime>),
    ) -> Result<Revision> {
        check_name(name)?;
        let revision = self.reader().check(Some(revision))?;
        self.set_pin(name, Pinned { revision, expires })?;
        self.settle(durability)?;
        Ok(Revision::new(revision))
    }

    fn unpin_with(&mut self, durability: Durability, name: &str) -> Result<()> {
        if self.pins.get(name).is_none() {
            return Err(Error::PinNotFound { name: name.into() });
        }
        self.drop_pin(name)?;
        self.settle(durability)
    }

    /// Writes a pin down and takes it up.
    pub(super) fn set_pin(&mut self, name: &str, pinned: Pinned) -> Result<()> {
        self.writable()?;
        let Pinned { revision, expires } = pinned;
        let expires = expires.map(WallTime::as_millis);
        self.append_system(SystemRecord::Pinned { name, revision, expires })?;
        let gone = self.pins.set(name, pinned);
        self.release(gone);
        Ok(())
    }

    /// Writes down that a pin is gone, and lets go of what it held.
    pub(super) fn drop_pin(&mut self, name: &str) -> Result<()> {
        self.writable()?;
        self.append_system(SystemRecord::Unpinned { name })?;
        let gone = self.pins.remove(name);
        self.release(gone);
        Ok(())
    }

    fn release(&mut self, gone: Option<u64>) {
        if let Some(revision) = gone {
            self.filing.release(revision);
            self.background.retaining.release(revision);
        }
    }

    /// Removes a pin whose time is over.
    pub(super) fn pin_step<C: Clock>(&mut self, deadline: &Deadline<'_, C>) -> Result<Next> {
        let Some((end, name)) = self.pins.next() else { return Ok(Next::Idle) };
        let Some(wall) = deadline.wall() else { return Ok(Next::Idle) };
        if end > wall {
            let left = Duration::from_millis(end.as_millis() - wall.as_millis());
            return Ok(Next::At(deadline.now().after(left.min(LOOK_INTERVAL))));
        }
        // Nobody waits for it, so that those due together can share a sync.
        self.drop_pin(&name)?;
        Ok(Next::Now)
    }
}

impl<S: Storage> Writer<'_, S> {
    /// As [`Store::pin`].
    ///
    /// # Errors
    /// As [`Store::pin`].
    pub fn pin(self, name: &str, revision: impl Into<Revision>) -> Result<Revision> {
        self.store.pin_with(self.durability, name, (revision.into(), None))
    }

    /// As [`Store::pin_until`].
    ///
    /// # Errors
    /// As [`Store::pin_until`].
    pub fn pin_until(self, name: &str, revision: impl Into<Revision>, expires: WallTime) -> Result<Revision> {
        self.store.pin_with(self.durability, name, (revision.into(), Some(expires)))
    }

    /// As [`Store::unpin`].
    ///
    /// # Errors
    /// As [`Store::unpin`].
    pub fn unpin(self, name: &str) -> Result<()> {
        self.store.unpin_with(self.durability, name)
    }
}

/// # Errors
/// [`Error::EmptyPinName`], [`Error::PinNameTooLong`], [`Error::PinNameReserved`].
fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::EmptyPinName);
    }
    if name.len() > MAX_PIN_NAME_BYTES {
        return Err(Error::PinNameTooLong { bytes: name.len(), limit: MAX_PIN_NAME_BYTES });
    }
    if name.starts_with(RESERVED) {
        return Err(Error::PinNameReserved { name: name.into() });
    }
    Ok(())
}
