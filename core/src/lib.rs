//! An embeddable multi-version key-value store: etcd's model of revisions, with history that does not grow for ever.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod checksum;
mod compaction;
mod error;
mod index;
pub mod limits;
mod pager;
mod records;
mod revision;
mod scheduler;
pub mod storage;
mod store;
mod sync;

pub use error::{Error, PageKind, Result};
pub use revision::Revision;
#[cfg(feature = "std")]
pub use scheduler::SystemClock;
pub use scheduler::{Budget, Clock, Next, Time};
pub use store::*;
