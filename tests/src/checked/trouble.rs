//! A store whose medium fails or loses power, beside its model.

use palimpsest_kv::{Budget, Error, Keys, Revision};

use super::compare::{all_found, everything, refused};
use super::{Checked, committed};
use crate::action::{Action, Form};
use crate::faulty::Fault;
use crate::medium::Medium;
use crate::rng::Rng;
use crate::sim::try_run_until_idle;

impl<M: Medium> Checked<M> {
    /// Does the action to both without comparing: the medium breaks in the middle, so that the store may have done it or not.
    fn attempt(&mut self, action: &Action) -> Result<(), Error> {
        let store = self.store.as_mut().expect("the store is open");
        match action {
            Action::Put(key, value) => {
                let expected = self.model.put(key, value);
                store.put(key, value).map(|_| ()).or_else(|error| refused(error, expected))
            }
            Action::Delete(keys) => {
                let expected = self.model.delete(keys);
                store.delete(keys).map(|_| ()).or_else(|error| refused(error, expected))
            }
            Action::Compact(revision) => {
                let expected = self.model.compact(*revision);
                store.compact(*revision).map(|_| ()).or_else(|error| refused(error, expected))
            }
            Action::Commit(transaction) => {
                let expected = self.model.commit(transaction);
                committed(store.txn(), transaction).map(|_| ()).or_else(|error| refused(error, expected))
            }
            Action::Flush => store.flush().map(|_| ()),
            Action::Checkpoint => store.checkpoint(),
            _ => try_run_until_idle(store, &self.clock, Budget::millis(2)).map(|_| ()),
        }
    }

    pub(super) fn cut_power_during(&mut self, action: &Action, seed: u64) {
        let compacted = self.model.compacted();
        let attempted = self.attempt(action);
        if let Err(error) = &attempted {
            assert!(matches!(error, Error::Storage { .. }), "a broken medium was answered with {error:?}");
            self.compare_reads_of_a_broken_store(error);
        }
        self.lose_power(seed);
        if attempted.is_err() && self.store().compacted().map(Revision::get) == compacted {
            self.model.undo_compaction(compacted);
        }
        self.compare_revisions();
        self.verify(&mut Rng::new(seed));
    }

    /// A program whose storage fails ends, and is started again on the same medium, which works now.
    pub(super) fn fail_during(&mut self, action: &Action, fault: &Fault, seed: u64) {
        let compacted = self.model.compacted();
        self.medium.arm(fault, seed);
        let attempted = self.attempt(action);
        if let Err(error) = &attempted {
            assert!(matches!(error, Error::Storage { .. }), "{fault:?} was answered with {error:?}");
            self.medium.heal();
            self.compare_reads_of_a_broken_store(error);
        }
        self.snapshots.clear();
        self.store = None;
        self.medium.kill();
        self.reopen_after_a_loss();
        if attempted.is_err() && self.store().compacted().map(Revision::get) == compacted {
            self.model.undo_compaction(compacted);
        }
        self.compare_revisions();
        self.verify(&mut Rng::new(seed));
    }

    /// What was durable stays readable when the medium fails to take more, and the newest revision is whole.
    fn compare_reads_of_a_broken_store(&mut self, error: &Error) {
        let durable = self.store().durable_revision().get();
        if self.model.readable(Some(durable)).is_ok() {
            self.range(&everything(Some(durable), Form::Lazy));
        }
        let newest = self.store().revision().get();
        let seen = self.store().range(Keys::all()).collect().expect("a store that takes no more can be read");
        assert_eq!(all_found(&seen.entries), self.model.at(&Keys::all(), newest), "the newest revision");
        let refused = self.store().delete("there is no such key");
        // A transaction that could not read what it compares has changed nothing.
        let goes_on = refused.is_ok() && matches!(error, Error::Storage { operation: "read", .. });
        let is_refused = matches!(refused, Err(Error::WritesRefused { .. }));
        assert!(goes_on || is_refused, "a broken store answered {refused:?}");
    }

    pub(super) fn cut_power(&mut self, seed: u64) {
        self.lose_power(seed);
        self.compare_revisions();
        self.verify(&mut Rng::new(seed));
    }

    /// Cuts the power and opens the store again; the model forgets what the store may and did forget.
    fn lose_power(&mut self, seed: u64) {
        self.snapshots.clear();
        self.store = None;
        self.medium.power_cut(&mut Rng::new(seed));
        self.reopen_after_a_loss();
    }

    fn reopen_after_a_loss(&mut self) {
        let durable = self.durable;
        self.open();
        let revision = self.store().revision().get();
        let newest = self.model.revision();
        assert!(
            (durable..=newest).contains(&revision),
            "{revision} came back of {durable} (durable) to {newest}"
        );
        self.model.roll_back_to(revision);
        assert_eq!(self.store().durable_revision().get(), revision, "what came back is durable");
    }
}
