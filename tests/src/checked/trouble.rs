//! A store whose medium fails or loses power, beside its model.

use std::time::Duration;

use palimpsest_kv::{Delete, Error, Put, Revision, Transaction};

use super::Checked;
use super::compare::{everything, refused};
use super::leasing::lease_id;
use super::pinning::pin;
use crate::action::{Action, Form};
use crate::faulty::Fault;
use crate::medium::Medium;
use crate::rng::Rng;

impl<M: Medium> Checked<M> {
    /// Does the action to both without comparing: the medium breaks in the middle, so that the store may have done it or not.
    fn attempt(&mut self, action: &Action) -> Result<(), Error> {
        self.note_space();
        let grantable = match action {
            Action::Grant(id, millis) => self.grantable(*id, *millis),
            _ => Err(Vec::new()),
        };
        let model = &mut self.model;
        let store = self.store.as_mut().expect("the store is open");
        match action {
            Action::Put(putting) => {
                let expected = model.put(putting);
                store.put_with(&Put::from(putting)).map(drop).or_else(|error| refused(error, expected))
            }
            Action::Delete(deleting) => {
                let expected = model.delete(deleting);
                store.delete_with(&Delete::from(deleting)).map(drop).or_else(|error| refused(error, expected))
            }
            Action::Commit(transaction) => {
                let expected = model.commit(transaction);
                let answer = store.commit(&Transaction::from(transaction));
                answer.map(drop).or_else(|error| refused(error, expected))
            }
            Action::Compact(revision) => {
                let expected = model.compact(*revision);
                store.compact(*revision).map(drop).or_else(|error| refused(error, expected))
            }
            Action::Grant(Some(id), millis) => {
                if let Ok(seconds) = grantable {
                    let revision = model.revision();
                    model.leases_mut().grant(*id, (seconds, revision));
                }
                let answer = store.grant_lease_as(lease_id(*id), Duration::from_millis(*millis));
                answer.map(drop).or_else(|error| refused(error, grantable))
            }
            Action::Revoke(id) => {
                let expected = model.revoke(*id);
                store.revoke_lease(lease_id(*id)).map(drop).or_else(|error| refused(error, expected))
            }
            Action::KeepAlive(id) => {
                let expected = model.leases().get(*id);
                store.keep_alive(lease_id(*id)).map(drop).or_else(|error| refused(error, expected))
            }
            Action::Pin(name, revision, expires) => {
                let pinned = (*revision, *expires);
                let expected = model.pin(name, pinned);
                pin(store, name, pinned).map(drop).or_else(|error| refused(error, expected))
            }
            Action::Unpin(name) => {
                let expected = model.unpin(name);
                store.unpin(name).or_else(|error| refused(error, expected))
            }
            Action::Flush => store.flush().map(drop),
            Action::Checkpoint => store.checkpoint(),
            _ => self.try_run_until_idle(),
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
        self.watch_again_after_a_crash();
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
        self.watch_again_after_a_crash();
        self.compare_revisions();
        self.verify(&mut Rng::new(seed));
    }

    /// What was durable stays readable when the medium fails to take more, the newest revision is whole, and nothing is written any more. A
    /// write that failed to read what it was to tell, before it changed anything, breaks nothing.
    fn compare_reads_of_a_broken_store(&mut self, error: &Error) {
        let durable = self.store().durable_revision().get();
        if self.model.readable(Some(durable)).is_ok() {
            self.range(&everything(Some(durable), Form::Lazy));
        }
        let newest = self.store().revision().get();
        if self.model.readable(Some(newest)).is_ok() {
            self.range(&everything(Some(newest), Form::Lazy));
        }
        let refused = self.store().flush();
        let is_broken = matches!(refused, Err(Error::WritesRefused { .. }));
        let is_whole = refused.is_ok() && matches!(error, Error::Storage { operation: "read", .. });
        assert!(is_broken || is_whole, "after {error:?} a broken store answered {refused:?}");
    }

    pub(super) fn cut_power(&mut self, seed: u64) {
        self.lose_power(seed);
        self.watch_again_after_a_crash();
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
        self.leases_after_a_crash(revision);
        self.times_after_a_crash();
        self.pins_after_a_crash(revision);
        assert_eq!(self.store().durable_revision().get(), revision, "what came back is durable");
    }
}
