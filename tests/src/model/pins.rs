//! The pins: which there are, and which of the states they went through a crash may bring back.

use std::collections::{BTreeMap, BTreeSet};

use palimpsest_kv::Error;

use super::states::States;
use super::{Expected, Model};

/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 255;

/// Which revision a name pins, and when that ends, in milliseconds since 1970.
pub type Pinned = (u64, Option<u64>);

/// All pins by their names.
pub type PinMap = BTreeMap<String, Pinned>;

/// All pins, and the states that may come back after a crash.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    now: PinMap,
    states: States<PinMap>,
    /// Revisions that were pinned after the store was last seen to have nothing to do: what they held may still be there.
    loose: BTreeSet<u64>,
}

/// # Errors
/// What the store must refuse the name with.
fn check_name(name: &str) -> Expected<()> {
    match name {
        "" => Err(vec![Error::EmptyPinName]),
        long if long.len() > MAX_NAME_BYTES => {
            Err(vec![Error::PinNameTooLong { bytes: long.len(), limit: MAX_NAME_BYTES }])
        }
        reserved if reserved.starts_with('$') => Err(vec![Error::PinNameReserved { name: reserved.into() }]),
        _ => Ok(()),
    }
}

impl Pins {
    /// The pins there are.
    #[must_use]
    pub fn all(&self) -> &PinMap {
        &self.now
    }

    /// What may come back after a crash.
    #[must_use]
    pub fn states(&self) -> &States<PinMap> {
        &self.states
    }

    /// The pinned revisions.
    #[must_use]
    pub fn revisions(&self) -> BTreeSet<u64> {
        self.now.values().map(|(revision, _)| *revision).collect()
    }

    /// The pinned revisions, and those that were until a while ago.
    #[must_use]
    pub fn revisions_and_loose(&self) -> BTreeSet<u64> {
        self.revisions().union(&self.loose).copied().collect()
    }

    /// Removes a pin, as its end does too, somewhere between two revisions.
    pub fn remove(&mut self, name: &str, (first, last): (u64, u64)) {
        self.loosen();
        self.now.remove(name);
        self.states.note(self.now.clone(), (last, first));
    }

    fn loosen(&mut self) {
        let revisions = self.revisions();
        self.loose.extend(revisions);
    }

    /// The store has nothing to do any more.
    pub fn at_rest(&mut self) {
        self.loose.clear();
    }

    /// All that has happened is durable.
    pub fn settled(&mut self) {
        self.states.settled();
    }

    /// Forgets states that no crash from now on can bring back.
    pub fn begin(&mut self) {
        self.states.begin();
    }

    /// A crash has left the store at a revision with these pins.
    ///
    /// # Panics
    /// If it can't have.
    pub fn roll_back_to(&mut self, revision: u64, pins: &PinMap) {
        self.loosen();
        self.states.roll_back_to(revision, pins);
        self.now.clone_from(pins);
    }
}

impl Model {
    /// Pins a revision, 0 for the newest, and answers it.
    ///
    /// # Errors
    /// What the store must refuse it with.
    pub fn pin(&mut self, name: &str, (revision, expires): Pinned) -> Expected<u64> {
        let (checked, readable) = (check_name(name), self.readable(Some(revision)));
        let revision = match (checked, readable) {
            (Ok(()), Ok(revision)) => revision,
            (checked, readable) => {
                return Err([checked.err().unwrap_or_default(), readable.err().unwrap_or_default()].concat());
            }
        };
        self.pins.loosen();
        self.pins.now.insert(name.into(), (revision, expires));
        self.pins.states.note(self.pins.now.clone(), (self.revision, self.revision));
        Ok(revision)
    }

    /// Removes a pin.
    ///
    /// # Errors
    /// What the store must refuse it with.
    pub fn unpin(&mut self, name: &str) -> Expected<()> {
        if !self.pins.now.contains_key(name) {
            return Err(vec![Error::PinNotFound { name: name.into() }]);
        }
        self.pins.remove(name, (self.revision, self.revision));
        Ok(())
    }
}
