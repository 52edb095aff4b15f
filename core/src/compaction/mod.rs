//! Removing history: what is dead, and the job that removes it in chunks.
//!
//! A record's *death* is the revision at which it stops mattering: a record replaced at revision m dies at m; a tombstone at m
//! dies at m + 1, so that a tombstone at exactly the compacted revision is kept until the next compaction. Compacting to R
//! removes the records whose death is at most R, and nothing else is looked at: the cost follows the garbage.
//!
//! Three things keep a dead record. A *rule of retention* has it die later: a version that is among the newest that are to stay dies when it is no
//! longer, or at the tombstone of its generation; and what a rule keeps for a time is looked at when that is over. A *pin* of a revision p keeps what is visible at p: a record at main m with death d stays as long as
//! m <= p < d. And a tombstone stays as long as an older record of its key does, unless a newer one takes over; see `tombstones`.

mod auto;
mod dead;
mod filing;
mod job;
mod parts;
mod retention;
mod rewrite;
mod shrink;
mod thinning;
mod tombstones;

pub use auto::AutoCompaction;
pub(crate) use auto::{Auto, Look};
pub(crate) use dead::Dead;
pub(crate) use filing::{Filing, Place};
pub(crate) use job::{Job, Limits};
pub(crate) use parts::Parts;
pub use retention::RetentionRule;
pub(crate) use retention::Rules;
pub(crate) use shrink::{Moved, Mover};
pub(crate) use thinning::MARK;
pub use thinning::Thinning;
pub(crate) use tombstones::Stay;
