//! What a loss of power can leave of a medium.

use crate::rng::Rng;

/// The medium writes so many bytes whole; a longer write is torn between them.
pub const SECTOR_BYTES: usize = 512;

/// Something that was done to a medium and lasts only once it is synced.
#[derive(Clone, Debug)]
pub enum Change {
    /// Bytes were written.
    Write {
        /// Where.
        offset: usize,
        /// Which.
        bytes: Vec<u8>,
    },
    /// The medium was cut off or extended.
    Resize(usize),
}

/// A medium at one moment: what is surely on it, and what may or may not be.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// Everything up to the last sync.
    pub durable: Vec<u8>,
    /// What was done since, in order.
    pub unsynced: Vec<Change>,
}

/// What happened to a medium, in order.
#[derive(Clone, Debug)]
pub enum Event {
    /// It was changed.
    Changed(Change),
    /// Everything so far was synced.
    Synced,
}

/// Makes a change to bytes.
pub(super) fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes: written } => {
            let end = offset + written.len();
            bytes.resize(bytes.len().max(end), 0);
            if let Some(place) = bytes.get_mut(*offset..end) {
                place.copy_from_slice(written);
            }
        }
        Change::Resize(len) => bytes.resize(*len, 0),
    }
}

impl Moment {
    /// Lets something happen.
    pub fn pass(&mut self, event: &Event) {
        match event {
            Event::Changed(change) => self.unsynced.push(change.clone()),
            Event::Synced => self.sync(),
        }
    }

    /// Everything so far lasts.
    pub(super) fn sync(&mut self) {
        let Self { durable, unsynced } = self;
        unsynced.drain(..).for_each(|change| apply(durable, &change));
    }

    /// What is left if of the unsynced changes those are kept that `keep` wants, by their places.
    #[must_use]
    pub fn with(&self, keep: impl Fn(usize) -> bool) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let kept = self.unsynced.iter().enumerate().filter(|(place, _)| keep(*place));
        kept.for_each(|(_, change)| apply(&mut bytes, change));
        bytes
    }

    /// What a loss of power could leave: of the unsynced changes any part, with writes torn between sectors, and a sector that was
    /// just being written full of anything.
    #[must_use]
    pub fn torn(&self, rng: &mut Rng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let kept = rng.below(5);
        let is_cut_short = rng.once_in(3);
        let last = if is_cut_short { rng.index(self.unsynced.len()) } else { usize::MAX };
        for (place, change) in self.unsynced.iter().enumerate() {
            let is_kept = if is_cut_short { place < last } else { rng.below(5) < kept };
            if is_kept {
                apply(&mut bytes, change);
            } else if place == last || rng.once_in(4) {
                tear(&mut bytes, change, rng);
            }
        }
        bytes
    }
}

/// Makes a part of a change: some of a write's sectors, one of them perhaps as garbage.
fn tear(bytes: &mut Vec<u8>, change: &Change, rng: &mut Rng) {
    let Change::Write { offset, bytes: written } = change else { return };
    let kept = rng.below(5);
    for (number, sector) in written.chunks(SECTOR_BYTES).enumerate() {
        let at = offset + number * SECTOR_BYTES;
        if rng.below(5) < kept {
            apply(bytes, &Change::Write { offset: at, bytes: sector.to_vec() });
        } else if rng.once_in(6) && bytes.get(at..at + sector.len()) != Some(sector) {
            // Writing what is there already can't hurt it: the format relies on that.
            let garbage = sector.iter().map(|byte| byte ^ rng.bits().to_le_bytes()[0]).collect();
            apply(bytes, &Change::Write { offset: at, bytes: garbage });
        }
    }
}
