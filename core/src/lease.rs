//! Leases: how long keys live that must not outlive somebody's attention.
//!
//! This is the table of them in memory: which there are, when they end, and which keys are attached. It knows nothing of records and
//! pages; the store tells it of every change of a key, and writes down what must be durable.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{MAX_LEASE_SECONDS, MIN_LEASE_SECONDS};
use crate::sabotage::sabotaged;
use crate::scheduler::Time;

/// The number of a lease: from 1 to 2^63 - 1, as in etcd.
///
/// ```
/// use palimpsest_kv::LeaseId;
/// assert_eq!(LeaseId::new(7).map(LeaseId::get), Some(7));
/// assert_eq!(LeaseId::new(0), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(u64);

impl LeaseId {
    /// The lease with this number; `None` for a number that no lease has.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 || number > i64::MAX as u64 { None } else { Some(Self(number)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a lease stands. See [`Store::lease`](crate::Store::lease).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseStatus {
    /// The lease.
    pub id: LeaseId,
    /// How long it lives from its grant or its last renewal.
    pub ttl: Duration,
    /// How much of that is left; zero for one that has ended and is about to be revoked.
    pub remaining: Duration,
    /// How many keys are attached to it.
    pub keys: u64,
}

/// What a checkpoint remembers of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) id: u64,
    pub(crate) ttl_seconds: u64,
    pub(crate) left_millis: u64,
}

/// Until when a lease lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// So long from the moment at which the clock is next looked at: the store has none of its own.
    In(Duration),
    At(Time),
}

#[derive(Clone, Debug)]
struct Lease {
    ttl_seconds: u64,
    ends: Ends,
    keys: BTreeSet<Arc<[u8]>>,
    /// A checkpoint remembers less than the whole time, so that a renewal has to be written down.
    is_aged: bool,
}

impl Lease {
    /// How much time was left when the clock was last looked at.
    fn left(&self, seen: Option<Time>) -> Duration {
        match (self.ends, seen) {
            (Ends::In(left), _) => left,
            (Ends::At(time), Some(now)) => time.since(now),
            (Ends::At(_), None) => Duration::from_secs(self.ttl_seconds),
        }
    }

    fn kept(&self, id: LeaseId, seen: Option<Time>) -> Kept {
        let left_millis = u64::try_from(self.left(seen).as_millis()).unwrap_or(u64::MAX);
        Kept { id: id.get(), ttl_seconds: self.ttl_seconds, left_millis }
    }
}

/// All leases.
///
/// Invariants, verified by [`Leases::check`]:
/// - a key is attached to at most one lease, which has it among its own;
/// - `ends` has exactly the leases whose end is known, and `unseen` all others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases {
    leases: BTreeMap<LeaseId, Lease>,
    attached: BTreeMap<Arc<[u8]>, LeaseId>,
    ends: BTreeSet<(Time, LeaseId)>,
    unseen: BTreeSet<LeaseId>,
    /// When the clock was last looked at.
    seen: Option<Time>,
    has_changed: bool,
}

/// A duration in whole seconds, as a lease has it: rounded up, and not less than the least.
pub(crate) fn ttl_seconds(ttl: Duration) -> u64 {
    let whole = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
    whole.max(MIN_LEASE_SECONDS)
}

impl Leases {
    pub(crate) fn len(&self) -> usize {
        self.leases.len()
    }

    pub(crate) fn has(&self, id: LeaseId) -> bool {
        self.leases.contains_key(&id)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = LeaseId> + '_ {
        self.leases.keys().copied()
    }

    /// Adds a lease, in place of one with the same number.
    pub(crate) fn grant(&mut self, id: LeaseId, ttl_seconds: u64, left: Duration) {
        let (ends, keys) = (Ends::In(left), BTreeSet::new());
        let is_aged = left < Duration::from_secs(ttl_seconds);
        self.leases.insert(id, Lease { ttl_seconds, ends, keys, is_aged });
        self.unseen.insert(id);
        self.has_changed = true;
    }

    /// Takes a lease away. Its keys must be gone before, or be detached by what follows.
    pub(crate) fn remove(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.remove(&id) else { return };
        self.unseen.remove(&id);
        if let Ends::At(time) = lease.ends {
            self.ends.remove(&(time, id));
        }
        lease.keys.iter().for_each(|key| {
            self.attached.remove(key);
        });
        self.has_changed = true;
    }

    /// Lets a lease live for its whole time once more. Answers its time in seconds and whether the renewal must be written down;
    /// `None` if there is no such lease.
    pub(crate) fn renew(&mut self, id: LeaseId) -> Option<(u64, Renewal)> {
        let lease = self.leases.get_mut(&id)?;
        let before = core::mem::replace(&mut lease.ends, Ends::In(Duration::from_secs(lease.ttl_seconds)));
        if let Ends::At(time) = before {
            self.ends.remove(&(time, id));
            self.unseen.insert(id);
        }
        self.has_changed = true;
        let renewal = if lease.is_aged { Renewal::ToBeWritten } else { Renewal::InMemory };
        lease.is_aged = false;
        Some((lease.ttl_seconds, renewal))
    }

    /// Notes the lease that a put gives its key, `None` for none.
    pub(crate) fn attach(&mut self, key: &[u8], id: Option<LeaseId>) {
        if id.is_none() && self.attached.is_empty() {
            return;
        }
        if self.attached.get(key).copied() == id {
            return;
        }
        self.detach(key);
        let Some((id, lease)) = id.and_then(|id| Some((id, self.leases.get_mut(&id)?))) else { return };
        let key: Arc<[u8]> = key.into();
        lease.keys.insert(Arc::clone(&key));
        self.attached.insert(key, id);
    }

    /// Notes that a key is deleted, or put without a lease.
    pub(crate) fn detach(&mut self, key: &[u8]) {
        if self.attached.is_empty() {
            return;
        }
        let Some(id) = self.attached.remove(key) else { return };
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.keys.remove(key);
        }
    }

    /// The lease that a key is attached to.
    pub(crate) fn of(&self, key: &[u8]) -> Option<LeaseId> {
        self.attached.get(key).copied()
    }

    /// The keys attached to a lease, in order.
    pub(crate) fn keys(&self, id: LeaseId) -> impl Iterator<Item = &[u8]> {
        self.leases.get(&id).into_iter().flat_map(|lease| lease.keys.iter().map(|key| &**key))
    }

    pub(crate) fn status(&self, id: LeaseId, now: Time) -> Option<LeaseStatus> {
        let lease = self.leases.get(&id)?;
        let remaining = match lease.ends {
            Ends::In(left) => left,
            Ends::At(time) => time.since(now),
        };
        let ttl = Duration::from_secs(lease.ttl_seconds);
        Some(LeaseStatus { id, ttl, remaining, keys: lease.keys.len() as u64 })
    }

    /// Looks at the clock: leases that were granted or renewed since it was last looked at begin to run.
    pub(crate) fn look(&mut self, now: Time) {
        self.seen = Some(now);
        for id in core::mem::take(&mut self.unseen) {
            let Some(lease) = self.leases.get_mut(&id) else { continue };
            if let Ends::In(left) = lease.ends {
                let time = now.after(left);
                lease.ends = Ends::At(time);
                self.ends.insert((time, id));
            }
        }
    }

    /// Whether a lease waits for the clock to be looked at.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.unseen.is_empty()
    }

    /// When the next lease ends, and which that is.
    pub(crate) fn next(&self) -> Option<(Time, LeaseId)> {
        if sabotaged!(LeaseOrderIgnored) {
            return self.ends.iter().min_by_key(|(_, id)| *id).copied();
        }
        self.ends.first().copied()
    }

    /// Whether anything differs from what the last checkpoint remembers. Time that has passed is remembered with the next change,
    /// or when the store is closed.
    pub(crate) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// Has the next checkpoint remember how much time is left to each lease, though nothing else may have changed.
    pub(crate) fn note_time(&mut self) {
        self.has_changed |= !self.ends.is_empty();
    }

    /// What a checkpoint remembers of all leases.
    pub(crate) fn keep(&mut self) -> Vec<Kept> {
        self.has_changed = false;
        let seen = self.seen;
        let kept = self.leases.iter_mut().map(|(id, lease)| {
            lease.is_aged = lease.left(seen) < Duration::from_secs(lease.ttl_seconds);
            lease.kept(*id, seen)
        });
        kept.collect()
    }

    /// The same, for something else than a checkpoint.
    pub(crate) fn listed(&self) -> Vec<Kept> {
        self.leases.iter().map(|(id, lease)| lease.kept(*id, self.seen)).collect()
    }

    /// Takes up what a checkpoint remembers.
    ///
    /// # Errors
    /// Says in words what can't be.
    pub(crate) fn restore(kept: &[Kept]) -> Result<Self, &'static str> {
        let mut leases = Self::default();
        for Kept { id, ttl_seconds, left_millis } in kept {
            let id = LeaseId::new(*id).ok_or("a lease has an impossible number")?;
            let left = Duration::from_millis(*left_millis);
            let is_possible = (MIN_LEASE_SECONDS..=MAX_LEASE_SECONDS).contains(ttl_seconds)
                && left <= Duration::from_secs(*ttl_seconds);
            if !is_possible || leases.has(id) {
                return Err("a lease has an impossible time, or is there twice");
            }
            leases.grant(id, *ttl_seconds, left);
        }
        leases.has_changed = false;
        Ok(leases)
    }

    /// Checks the invariants, and that exactly the keys of `expected` are attached.
    ///
    /// # Errors
    /// Says which does not hold.
    pub(crate) fn check(&self, expected: &BTreeMap<Vec<u8>, u64>) -> Result<(), &'static str> {
        let attached = self.attached.iter().map(|(key, id)| (&**key, id.get()));
        if !attached.eq(expected.iter().map(|(key, id)| (key.as_slice(), *id))) {
            return Err("the keys attached to leases are not those whose newest records say so");
        }
        let of_leases: usize = self.leases.values().map(|lease| lease.keys.len()).sum();
        let is_mutual = self
            .attached
            .iter()
            .all(|(key, id)| self.leases.get(id).is_some_and(|lease| lease.keys.contains(key)));
        if of_leases != self.attached.len() || !is_mutual {
            return Err("a key is attached to a lease that does not have it");
        }
        let is_timed = self.leases.iter().all(|(id, lease)| match lease.ends {
            Ends::In(_) => self.unseen.contains(id),
            Ends::At(time) => self.ends.contains(&(time, *id)),
        });
        if !is_timed || self.unseen.len() + self.ends.len() != self.leases.len() {
            return Err("a lease has no end, or more than one");
        }
        Ok(())
    }
}

/// Whether a lease's renewal must be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// After a crash the lease would have its whole time anyway.
    InMemory,
    /// A checkpoint remembers that a part of its time is over.
    ToBeWritten,
}
