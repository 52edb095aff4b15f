//! A copy of the store: exported, imported, and compared with the same model.

use palimpsest_kv::storage::MemoryStorage;
use palimpsest_kv::{Options, Pin, Revision, Store, Time};

use super::Checked;
use super::compare::{Asked, Place, compare_range, everything};
use crate::action::Form;
use crate::copying::{exported, imported_in_pieces};
use crate::medium::Medium;
use crate::rng::Rng;

impl<M: Medium> Checked<M> {
    /// Exports the store and imports it anew, and compares what that gives with the model and with the store.
    ///
    /// # Panics
    /// If anything differs.
    pub fn verify_copy(&mut self, rng: &mut Rng) {
        let bytes = exported(self.store()).expect("the store can be exported");
        let options = Options { page_bytes: rng.one_of(&[512, 1_024, 4_096]), ..self.options.clone() };
        let copy = imported_in_pieces(&bytes, options, rng).expect("an export can be imported");
        copy.check().expect("the copy is sound");
        let status = copy.status().expect("a store tells its status");
        let seen = (status.revision.get(), status.compacted.map(Revision::get), status.records);
        let least = self.model.numbers(&self.model.rule(self.model.compacted()));
        assert_eq!(seen, (self.model.revision(), self.model.compacted(), least.records), "the copy");
        assert!(exported(&copy).expect("the copy can be exported") == bytes, "a copy of the copy differs");
        self.compare_copied_leases(&copy);
        let listed = |pins: Vec<Pin>| {
            pins.into_iter().map(|pin| (pin.name, pin.revision, pin.expires)).collect::<Vec<_>>()
        };
        assert_eq!(listed(copy.pins()), listed(self.store().pins()), "the pins of the copy");

        let (newest, oldest) = (self.model.revision(), self.model.compacted().unwrap_or(0).max(1));
        let pins = self.model.pins().revisions();
        let pinned = pins.iter().nth(rng.index(pins.len().max(1))).copied().unwrap_or(newest);
        for revision in [oldest, newest, pinned, oldest + rng.below(newest + 1 - oldest)] {
            let query = everything(Some(revision), Form::Collected);
            let revision = self.model.readable(Some(revision));
            compare_range(
                &self.model,
                &Place::Store(&copy),
                &Asked { query: &query, revision, current: newest },
            );
        }
        for revision in [newest, oldest + rng.below(newest + 1 - oldest)] {
            let (one, other) = (self.store().hash_kv(revision), copy.hash_kv(revision));
            assert_eq!(one, other, "the hash of the copy at {revision}");
        }
    }

    fn compare_copied_leases(&mut self, copy: &Store<MemoryStorage>) {
        let store = self.store();
        assert_eq!(store.leases(), copy.leases(), "the leases of the copy");
        for id in store.leases() {
            let granted =
                |store: Option<palimpsest_kv::LeaseStatus>| store.map(|lease| (lease.ttl, lease.keys));
            let now = Time::from_micros(0);
            assert_eq!(granted(store.lease(id, now)), granted(copy.lease(id, now)), "lease {id} of the copy");
            assert_eq!(store.lease_keys(id), copy.lease_keys(id), "keys of lease {id} of the copy");
        }
    }
}
