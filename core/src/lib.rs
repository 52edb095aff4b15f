//! An embeddable multi-version key-value store: etcd's model of revisions, time travel and transactions, with history that
//! does not grow for ever.
//!
//! ```
//! use palimpsest_kv::{Budget, Compare, Keys, Op, Options, Store, SystemClock, storage::MemoryStorage};
//!
//! let mut store = Store::open(MemoryStorage::new(), Options::default())?;
//! let first = store.put("users/1", "Ada")?.revision;
//! store.put("users/1", "Ada Lovelace")?;
//!
//! // The newest value, and the one before it.
//! assert_eq!(store.get("users/1")?.unwrap().value(), b"Ada Lovelace");
//! assert_eq!(store.read_at(first)?.get("users/1")?.unwrap().value(), b"Ada");
//!
//! // Compare and swap; ranges in key order.
//! store.txn().when(Compare::version("users/1").equals(2)).then([Op::put("users/1/seen", "yes")]).commit()?;
//! for entry in store.range(Keys::prefix("users/")).limit(10) {
//!     println!("{:?}", entry?);
//! }
//!
//! // Give up the history before now. The call returns at once; the host's loop does the work in small steps.
//! store.compact(store.revision())?;
//! let clock = SystemClock::new();
//! while store.run(&clock, Budget::millis(2))?.is_ready() { /* and whatever else the program does */ }
//! # Ok::<(), palimpsest_kv::Error>(())
//! ```
//!
//! # The model
//!
//! Every write transaction takes the next *revision*; an empty store is at revision 1. What a transaction changed is found under
//! its revision for ever after, or until history is compacted past it. Reading "at revision r" shows the store exactly
//! as it was when r was the newest.
//!
//! A key's life from its creation to its deletion is a *generation*. Within it each put raises the key's *version*, from 1 on. A
//! delete writes a *tombstone*; a put after that begins a new generation. Take one key, written in these revisions:
//!
//! | revision | 2 | 3 | 4 | 5 | 6 |
//! | --- | --- | --- | --- | --- | --- |
//! | change | put | put | delete | put | delete |
//! | version | 1 | 2 | | 1 | |
//! | create revision | 2 | 2 | | 5 | |
//!
//! # Compaction
//!
//! [`Store::compact`] with revision `r` gives up what nobody reading at `r` or later can see: for each key it keeps everything
//! after `r` and the newest version at or before it, unless that is a tombstone before `r`. Of the key above is kept:
//!
//! | after compacting to | 2 | 3 | 4 | 5 | 6 | 7 |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | there are still | 2 3 4† 5 6† | 3 4† 5 6† | 4† 5 6† | 5 6† | 6† | nothing |
//!
//! A tombstone (†) at exactly `r` stays until the next compaction, so that whoever follows the store from `r` on sees the delete. The
//! newest value of a key is never removed. Reads below `r` answer [`Error::Compacted`] at once; the space comes back in
//! chunks, whose number depends on what is removed and not on what is kept.
//!
//! # Time
//!
//! The store notes when revisions were there, wherever its clock knows the calendar ([`Clock::wall`]). [`Store::revision_at`] and
//! [`Store::time_of`] go from one to the other, and every read can be as of a time ([`RangeRequest::at_time`]).
//!
//! # Durability
//!
//! With [`Durability::Strict`], the default, a write is on the medium when the call returns. With [`Durability::Relaxed`] it is applied at
//! once and made durable within [`Options::flush_interval`], by [`Store::run`]. [`Store::durable_revision`] says what is safe; [`Store::flush`]
//! makes everything so. After a crash the store is as it was at some revision not before that, whole transactions only.
//!
//! # Damage
//!
//! Every page that is read is verified, and bytes that are not what the store wrote are answered with [`Error::Corrupt`]; nothing is
//! repaired or overwritten. [`examine`] lists all damage of a storage, and [`salvage`] writes what can still be read of it to a new
//! store, at its revisions, and tells what is missing. Both only read the damaged storage.
//!
//! # Backup and exchange
//!
//! [`Store::export`] copies the whole store, history and leases included, as it is at one moment and while writes go on; [`Import`] makes
//! a new store of such a copy. [`import_etcd`] makes one of a snapshot file of etcd. Nothing is made of what is damaged.
//!
//! # The host's loop
//!
//! The store has no thread and no clock. The program calls [`Store::run`] with a [`Clock`] and a [`Budget`] whenever it has a moment; the answer,
//! [`Next`], says when it is worth calling again. Everything that happens in the background happens there: flushing, checkpoints,
//! compaction.
//!
//! # Features
//!
//! `std` (default) brings files, the system's clock and the `imbl` index. Without it the crate needs only `alloc`, and the index is
//! `rpds`'. `exchange` (default) brings export, import, and etcd's snapshots. The least supported Rust version is 1.95.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod checksum;
mod compaction;
mod error;
#[cfg(feature = "exchange")]
mod exchange;
mod index;
mod keys;
mod lease;
pub mod limits;
mod pager;
mod pin;
mod records;
mod revision;
#[cfg_attr(feature = "sabotage", doc(hidden))]
pub mod sabotage;
mod salvage;
mod scheduler;
pub mod storage;
mod store;
mod sync;
mod times;
mod watch;

pub use compaction::{AutoCompaction, RetentionRule, Thinning};
pub use error::{Error, HoldBound, PageKind, Result};
#[cfg(feature = "exchange")]
pub use exchange::{EtcdImport, EtcdImported, Export, HashCheck, Import, import_etcd};
pub use keys::Keys;
pub use lease::{LeaseId, LeaseStatus};
pub use revision::Revision;
pub use salvage::{Damage, Examined, Lost, Salvaged, Sound, examine, salvage};
#[cfg(feature = "std")]
pub use scheduler::SystemClock;
pub use scheduler::{Budget, Clock, Next, Time, WallTime};
pub use store::*;
pub use watch::{EventKind, Hold};
