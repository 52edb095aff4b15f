//! Removing history: what is dead, and the job that removes it in chunks.
//!
//! A record's *death* is the revision at which it stops mattering: a record replaced at revision m dies at m; a tombstone at m
//! dies at m + 1, so that a tombstone at exactly the compacted revision is kept until the next compaction. Compacting to R
//! removes the records whose death is at most R, and nothing else is looked at: the cost follows the garbage.

mod auto;
mod dead;
mod job;
mod parts;
mod rewrite;
mod shrink;

pub use auto::AutoCompaction;
pub(crate) use auto::{Auto, Look};
pub(crate) use dead::DeadList;
pub(crate) use job::{Job, Limits};
pub(crate) use parts::Parts;
pub(crate) use shrink::{Moved, Mover};
