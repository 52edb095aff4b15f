//! Who holds back what, so that "why does my store not get smaller" has an answer.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::Store;
use crate::revision::Revision;
use crate::scheduler::{Time, WallTime};
use crate::storage::Storage;

/// Something that keeps space from being given back. See [`Store::holders`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holder {
    /// A snapshot and its copies: what they reach stays, though newer states have let go of it.
    Snapshot {
        /// The revision that it reads.
        revision: Revision,
        /// It and its copies.
        count: u64,
        /// How long ago it was taken; `None` if [`Store::run`] had not been called before that.
        age: Option<Duration>,
        /// Pages that can't be used again at least as long as it is open.
        pages: u64,
    },
    /// A pin: what its revision shows stays, though newer records have replaced it.
    Pin {
        /// Its name; those that begin with `$` are the thinning's.
        name: String,
        /// The revision that it keeps readable.
        revision: Revision,
        /// When it ends, if it does.
        expires: Option<WallTime>,
        /// Dead records that compaction has come across and left for it.
        records: u64,
    },
    /// A watcher that compaction waits for: what it has not been told yet stays.
    Watcher {
        /// Its number.
        id: u64,
        /// The revision that it has got to.
        revision: Revision,
        /// Bytes of keys and values written since then, or up to a thirty-second part less where that is not known exactly.
        bytes: u64,
    },
}

impl<S: Storage> Store<S> {
    /// Everything that keeps space from being given back at this moment of the host's clock: snapshots, oldest first, pins in
    /// the order of their names, and watchers that hold. Costs a search for each.
    ///
    /// Pages and an age are told of snapshots only. What pins and watchers hold are records, which share their pages with others, and the times
    /// of revisions are forgotten as far as a store is compacted. How far back they hold is the difference between their revision and the newest.
    ///
    /// ```
    /// # use palimpsest_kv::{Clock, Holder, Options, Store, SystemClock, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// store.put("large", vec![7; 100_000])?;
    /// let snapshot = store.snapshot();
    /// store.delete("large")?;
    /// let holders = store.holders(SystemClock::new().now());
    /// assert!(matches!(holders[..], [Holder::Snapshot { revision, .. }] if revision == snapshot.revision()));
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    #[must_use]
    pub fn holders(&self, now: Time) -> Vec<Holder> {
        let snapshots = self.pager.held().into_iter().map(|held| Holder::Snapshot {
            revision: Revision::new(held.note.revision),
            count: held.count as u64,
            age: held.note.taken.map(|taken| now.since(Time::from_micros(taken))),
            pages: held.pages as u64,
        });
        let pins = self.pins().into_iter().map(|pin| Holder::Pin {
            name: pin.name,
            revision: pin.revision,
            expires: pin.expires,
            records: pin.held_records,
        });
        let watchers = self.watchers.holding().map(|(id, revision, bytes)| Holder::Watcher {
            id,
            // One that has got everything waits for nothing that is there.
            revision: Revision::new(revision.min(self.revision)),
            bytes,
        });
        snapshots.chain(pins).chain(watchers).collect()
    }
}
