//! Pins: set and removed in both, and ended as the calendar goes on.

use palimpsest_kv::{Next, Result, RetentionRule, Revision, Store, WallTime};

use super::Checked;
use super::compare::agree;
use crate::action::{Action, Kept};
use crate::medium::Medium;
use crate::model::PinMap;
use palimpsest_kv::storage::Storage;

/// The pins of a store.
pub fn pins_of<S: Storage>(store: &Store<S>) -> PinMap {
    let pins = store.pins().into_iter();
    pins.map(|pin| (pin.name, (pin.revision.get(), pin.expires.map(WallTime::as_millis)))).collect()
}

/// Pins a revision, until a moment if there is an end.
pub(super) fn pin<S: Storage>(
    store: &mut Store<S>,
    name: &str,
    (revision, expires): (u64, Option<u64>),
) -> Result<Revision> {
    match expires {
        None => store.pin(name, revision),
        Some(millis) => store.pin_until(name, revision, WallTime::from_millis(millis)),
    }
}

impl<M: Medium> Checked<M> {
    pub(super) fn change_pin(&mut self, action: &Action) {
        let is_done = match action {
            Action::Pin(name, revision, expires) => {
                let pinned = (*revision, *expires);
                let answer = pin(self.store(), name, pinned).map(Revision::get);
                let is_done = answer.is_ok();
                agree(answer, self.model.pin(name, pinned));
                is_done
            }
            Action::Unpin(name) => {
                let answer = self.store().unpin(name);
                let is_done = answer.is_ok();
                agree(answer, self.model.unpin(name));
                is_done
            }
            other => panic!("{other:?} is nothing that is done to a pin"),
        };
        if is_done {
            self.settled_if_strict();
        }
        self.compare_pins();
    }

    /// Pins whose time was over have ended, and no other; if the store was not stopped before, all of them.
    pub(super) fn end_pins(&mut self, (start, first): (WallTime, u64), next: Option<&Next>) {
        let now = self.clock.calendar().as_millis();
        let left = pins_of(self.store());
        let revisions = (first, self.model.revision());
        let mut pins: Vec<_> = self.model.pins().all().clone().into_iter().collect();
        // They end in the order of their times, and leases end between them.
        pins.sort_by_key(|(_, (_, expires))| *expires);
        for (name, (_, expires)) in pins {
            if !left.contains_key(&name) {
                assert!(expires.is_some_and(|end| end <= now), "the pin {name:?} had ended at {now}");
                self.model.pins_mut().remove(&name, revisions);
            } else if matches!(next, Some(Next::At(_) | Next::Idle)) {
                let is_over = expires.is_some_and(|end| end <= start.as_millis());
                assert!(!is_over, "the pin {name:?} that was over has not ended");
            }
        }
    }

    /// Once everything is removed that can be, it is known what there is for the new rules. While a watcher holds some of it, it is not, and those
    /// that there are are set anew, which must change nothing.
    pub(super) fn set_retention(&mut self, rules: &[Kept]) {
        self.run_until_idle();
        if self.has_held {
            let same = self.options.retention.clone();
            return self.store().set_retention(same).expect("these were rules");
        }
        let of = |(prefix, versions): &Kept| RetentionRule::of(prefix).newest(*versions);
        self.options.retention = rules.iter().map(of).collect();
        let retention = self.options.retention.clone();
        self.store().set_retention(retention).expect("these are rules");
        self.model.set_retention(rules.to_vec());
        self.has_held = true;
    }

    pub(super) fn compare_pins(&mut self) {
        let seen = pins_of(self.store());
        assert_eq!(&seen, self.model.pins().all(), "the pins of the store, then the model's");
    }

    /// A crash may have brought pins back, or taken away those that were not durable.
    pub(super) fn pins_after_a_crash(&mut self, revision: u64) {
        let seen = pins_of(self.store());
        self.model.pins_mut().roll_back_to(revision, &seen);
    }
}
