//! The parts of a store that a compaction works on.

use super::filing::Filing;
use super::retention::Rules;
use crate::index::Index;
use crate::pager::Pager;
use crate::records::Records;

/// What a compaction works on, borrowed from the store for one chunk.
pub(crate) struct Parts<'a, S> {
    pub(crate) pager: &'a mut Pager<S>,
    pub(crate) records: &'a mut Records,
    pub(crate) index: &'a mut Index,
    pub(crate) filing: &'a mut Filing,
    pub(crate) rules: &'a Rules,
    /// What has died after this revision is still needed, whatever compaction was asked for.
    pub(crate) held: u64,
}
