//! Leases: granted, renewed and revoked in both, and ended as time passes.

use std::collections::BTreeMap;
use std::time::Duration;

use palimpsest_kv::{Budget, Durability, Error, LeaseId, Next, Time};

use super::Checked;
use super::compare::agree;
use crate::action::Action;
use crate::medium::Medium;
use crate::model::{Ends, Expected, Granted};
use crate::sim::is_at_rest;

/// The largest number that a store chooses itself.
const LARGEST_CHOSEN: u64 = (1 << 53) - 1;
/// The shortest and the longest life, in seconds.
const SECONDS: (u64, u64) = (2, 9_000_000_000);
/// What a time loses at most when it is remembered.
const ROUNDING_MICROS: u64 = 1_000;
/// Runs of a store at most before it comes to rest, for each record and besides.
const PATIENCE: (u64, u64) = (2, 1_000);

pub(super) fn lease_id(id: u64) -> LeaseId {
    LeaseId::new(id).expect("a lease has a number")
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl<M: Medium> Checked<M> {
    pub(super) fn change_lease(&mut self, action: &Action) {
        self.note_space();
        let before = self.model.revision();
        match action {
            Action::Grant(id, millis) => self.grant(*id, *millis),
            Action::Revoke(id) => {
                let answer = self.store().revoke_lease(lease_id(*id));
                let expected = self.model.revoke(*id);
                if expected.is_ok() {
                    self.settled_if_strict();
                }
                agree(answer.map(|done| (done.revision.get(), done.deleted)), expected);
            }
            Action::KeepAlive(id) => {
                let answer = self.store().keep_alive(lease_id(*id)).map(|ttl| ttl.as_secs());
                agree(answer, self.model.leases_mut().renew(*id));
            }
            other => panic!("{other:?} is nothing that is done to a lease"),
        }
        if self.options.durability == Durability::Strict && self.model.revision() > before {
            assert_eq!(self.store().durable_revision(), self.store().revision(), "a strict revocation");
        }
    }

    /// A strict store makes a change of its leases or pins durable at once.
    pub(super) fn settled_if_strict(&mut self) {
        if self.options.durability == Durability::Strict {
            self.model.settled();
        }
    }

    /// For how many seconds a lease is granted.
    ///
    /// # Errors
    /// What it must be refused with.
    pub(super) fn grantable(&self, id: Option<u64>, millis: u64) -> Expected<u64> {
        let seconds = millis.div_ceil(1_000).max(SECONDS.0);
        let mut errors: Vec<Error> = self.model.no_space_for_a_lease().into_iter().collect();
        if seconds > SECONDS.1 {
            errors.push(Error::LeaseTtlTooLarge { seconds, limit: SECONDS.1 });
        }
        if let Some(id) = id.filter(|id| self.model.leases().get(*id).is_ok()) {
            errors.push(Error::LeaseExists { lease: id });
        }
        if errors.is_empty() { Ok(seconds) } else { Err(errors) }
    }

    fn grant(&mut self, id: Option<u64>, millis: u64) {
        let expected = self.grantable(id, millis);
        let ttl = Duration::from_millis(millis);
        let answer = match id {
            Some(id) => self.store().grant_lease_as(lease_id(id), ttl),
            None => self.store().grant_lease(ttl),
        };
        self.compare_alarm(answer.as_ref().err());
        let given = answer.as_ref().map_or(1, |lease| lease.id.get());
        let answer = answer.map(|lease| (lease.id.get(), lease.ttl.as_secs(), lease.revision.get()));
        let seconds = match expected {
            Ok(seconds) => seconds,
            Err(errors) => return agree(answer, Err(errors)),
        };
        assert!(id.is_some() || given <= LARGEST_CHOSEN, "{given} is not exact in JavaScript");
        assert!(self.model.leases().get(given).is_err(), "the number {given} was given before");
        let revision = self.model.revision();
        agree(answer, Ok((id.unwrap_or(given), seconds, revision)));
        self.model.leases_mut().grant(given, (seconds, revision));
        self.settled_if_strict();
    }

    pub(super) fn run(&mut self, budget: Budget) {
        let next = self.run_once(budget).expect("background work succeeds");
        if let Next::At(time) = next {
            assert!(time < Time::from_micros(u64::MAX), "background work that waits for ever");
        }
    }

    pub(super) fn run_until_idle(&mut self) {
        self.try_run_until_idle().expect("background work succeeds");
        self.model.pins_mut().at_rest();
        self.has_held = self.is_held();
        let status = self.store().status().expect("a store tells its status");
        assert!(!status.is_compacting, "nothing is left to do, so nothing is left to remove");
        assert_eq!(status.finished, status.scheduled, "nothing is left to do, so the compaction is finished");
        assert_eq!(status.durable_revision, status.revision, "nothing is left to do, so all is durable");
    }

    /// Runs the store until nothing is left to do but to wait for the end of a lease, or to tell watchers how far it is.
    pub(super) fn try_run_until_idle(&mut self) -> palimpsest_kv::Result<()> {
        let patience = PATIENCE.1 + PATIENCE.0 * self.store().status()?.records;
        for _ in 0..patience {
            match self.run_once(Budget::millis(2))? {
                Next::Now => {}
                Next::At(_) if is_at_rest(self.store())? => return Ok(()),
                Next::At(time) => self.clock.advance_to(time),
                Next::Idle => {
                    self.model.settled();
                    return Ok(());
                }
            }
        }
        panic!("the store still asks for time after {patience} runs: {:?}", self.store().status());
    }

    fn run_once(&mut self, budget: Budget) -> palimpsest_kv::Result<Next> {
        // The third look is the first that leases are compared with.
        let (start, looked) = (self.clock.peek(), self.clock.after_looks(2));
        let (wall, revision) = (self.clock.calendar(), self.model.revision());
        let store = self.store.as_mut().expect("the store is open");
        let next = store.run(&self.clock, budget);
        self.note_time(wall, revision);
        if !self.model.leases().all().is_empty() {
            self.looked = Some((start, self.clock.peek()));
            self.end_leases((start, looked), next.as_ref().ok());
        }
        if !self.model.pins().all().is_empty() {
            self.end_pins((wall, revision), next.as_ref().ok());
        }
        next
    }

    /// Leases whose time was over have ended, in the order of their ends, and no other; if the store was not stopped before, all of
    /// them. Those that it had not seen before have begun to run.
    fn end_leases(&mut self, (start, looked): (Time, Time), next: Option<&Next>) {
        let (start, now) = (start.as_micros(), self.clock.peek().as_micros());
        let left: Vec<u64> = self.store().leases().into_iter().map(LeaseId::get).collect();
        let mut ended = Vec::new();
        let mut alive = Vec::new();
        for (id, Granted { ends, .. }) in self.model.leases().all().clone() {
            match (left.contains(&id), ends) {
                (false, Ends::At(end)) if end <= now => ended.push((end, id)),
                (false, Ends::In(0)) => ended.push((looked.as_micros(), id)),
                (false, _) => panic!("lease {id}, which ends {ends:?}, had ended at {now}"),
                (true, Ends::At(end)) => alive.push((end, id)),
                (true, Ends::In(left)) => self.begin_lease(id, (start + left, now + left)),
            }
        }
        ended.sort_unstable();
        if let (Some(last), Some(first)) = (ended.last(), alive.iter().min()) {
            assert!(last < first, "{last:?} has ended before {first:?}");
        }
        if matches!(next, Some(Next::At(_) | Next::Idle)) {
            let overdue = alive.iter().find(|(end, _)| *end <= start);
            assert_eq!(overdue, None, "a lease that was over at {start} has not ended");
        }
        for (_, id) in ended {
            self.model.revoke(id).expect("the model has the lease");
        }
    }

    fn begin_lease(&mut self, id: u64, (earliest, latest): (u64, u64)) {
        let now = self.clock.peek();
        let status = self.store().lease(lease_id(id), now).expect("the lease is there");
        let end = now.as_micros() + micros(status.remaining);
        assert!((earliest..=latest).contains(&end), "lease {id} ends at {end}, not {earliest} to {latest}");
        self.model.leases_mut().set_end(id, Ends::At(end));
    }

    /// Numbers, times and keys of all leases.
    pub(super) fn compare_leases(&mut self) {
        let now = self.clock.peek();
        let leases = self.model.leases().all().clone();
        let ids: Vec<u64> = self.store().leases().into_iter().map(LeaseId::get).collect();
        assert!(ids.iter().eq(leases.keys()), "the store has the leases {ids:?}, the model {leases:?}");
        for (id, Granted { seconds, ends }) in leases {
            let attached = self.model.attached(id);
            let status = self.store().lease(lease_id(id), now).expect("the lease is there");
            let remaining = match ends {
                Ends::In(left) => left,
                Ends::At(end) => end.saturating_sub(now.as_micros()),
            };
            let seen = (status.ttl.as_secs(), micros(status.remaining), status.keys);
            assert_eq!(seen, (seconds, remaining, attached.len() as u64), "lease {id}: ttl, remaining, keys");
            assert_eq!(self.store().lease_keys(lease_id(id)), attached, "the keys of lease {id}");
        }
    }

    /// What a store has of its leases: their times in seconds, by their numbers.
    fn leases_of_store(&mut self) -> BTreeMap<u64, u64> {
        let ids = self.store().leases();
        let now = self.clock.peek();
        let seconds = |id: LeaseId| {
            let status = self.store.as_ref().and_then(|store| store.lease(id, now));
            (id.get(), status.expect("the lease is there").ttl.as_secs())
        };
        ids.into_iter().map(seconds).collect()
    }

    /// A store that was closed and opened again goes on counting where it was.
    pub(super) fn compare_times_kept(&mut self) {
        let looked = self.looked.take().map_or((0, 0), |(start, end)| (start.as_micros(), end.as_micros()));
        for (id, Granted { ends, .. }) in self.model.leases().all().clone() {
            let (least, most) = match ends {
                Ends::In(left) => (left, left),
                Ends::At(end) => (end.saturating_sub(looked.1), end.saturating_sub(looked.0)),
            };
            let least = least.saturating_sub(ROUNDING_MICROS);
            self.take_time_left(id, (least, most));
        }
    }

    /// A crash may have brought leases back, or taken away those that were not durable. It never gives one more than its whole time; in
    /// a strict store it takes none away either.
    pub(super) fn leases_after_a_crash(&mut self, revision: u64) {
        let before = self.model.leases().all().clone();
        let seen = self.leases_of_store();
        self.model.leases_mut().roll_back_to(revision, &seen);
        let now = self.clock.peek().as_micros();
        let is_strict = self.options.durability == Durability::Strict;
        for (id, Granted { seconds, .. }) in self.model.leases().all().clone() {
            let least = match before.get(&id).filter(|_| is_strict).map(|lease| lease.ends) {
                Some(Ends::In(left)) => left,
                Some(Ends::At(end)) => end.saturating_sub(now),
                None => 0,
            };
            let whole = seconds * 1_000_000;
            self.take_time_left(id, (least.min(whole).saturating_sub(ROUNDING_MICROS), whole));
        }
        self.looked = None;
    }

    fn take_time_left(&mut self, id: u64, (least, most): (u64, u64)) {
        let now = self.clock.peek();
        let status = self.store().lease(lease_id(id), now).expect("the lease is there");
        let left = micros(status.remaining);
        assert!((least..=most).contains(&left), "lease {id} has {left} us left, not {least} to {most}");
        self.model.leases_mut().set_end(id, Ends::In(left));
    }
}
