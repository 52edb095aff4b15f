//! One element of a key's history.

use crate::revision::Position;

/// What happened to a key at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It got a value.
    Put,
    /// It was deleted.
    Tombstone,
}

/// One element of a key's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) position: Position,
    pub(crate) change: Change,
}

impl Step {
    pub(super) const fn new(position: Position, change: Change) -> Self {
        Self { position, change }
    }

    pub(crate) fn is_tombstone(self) -> bool {
        self.change == Change::Tombstone
    }

    /// The position, unless the key is deleted there.
    pub(crate) fn live(self) -> Option<Position> {
        (self.change == Change::Put).then_some(self.position)
    }
}
