//! Writes: done to both, and the answers compared.

use palimpsest_kv::{Delete, Durability, Error, Put, Transaction, Writer};

use super::Checked;
use super::compare::{agree, all_found, committed};
use crate::action::{Action, Found};
use crate::medium::Medium;
use crate::model::Space;

impl<M: Medium> Checked<M> {
    fn writer(&mut self) -> Writer<'_, M::Storage> {
        let durability = self.durability;
        self.store().with_durability(durability)
    }

    /// Tells the model how much space the store uses, which is for the store to decide.
    pub(super) fn note_space(&mut self) {
        let space = self.space();
        self.model.note_space(space);
    }

    fn space(&mut self) -> Option<Space> {
        let quota = self.options.quota_bytes?;
        let used = self.store().status().expect("a store tells its status").used_bytes;
        Some(Space { used, quota, page_bytes: self.options.page_bytes })
    }

    pub(super) fn write(&mut self, durability: Durability, write: &Action) {
        let before = self.model.revision();
        self.durability = durability;
        self.note_space();
        let refused = match write {
            Action::Put(putting) => {
                let answer = self.writer().put_with(&Put::from(putting));
                let refused = answer.as_ref().err().cloned();
                let answer =
                    answer.map(|done| (done.revision.get(), done.previous.as_ref().map(Found::from)));
                agree(answer, self.model.put(putting));
                refused
            }
            Action::Delete(deleting) => {
                let answer = self.writer().delete_with(&Delete::from(deleting));
                let refused = answer.as_ref().err().cloned();
                let answer =
                    answer.map(|done| (done.revision.get(), done.deleted, all_found(&done.previous)));
                agree(answer, self.model.delete(deleting));
                refused
            }
            Action::Commit(transaction) => {
                let answer = self.writer().commit(&Transaction::from(transaction));
                let refused = answer.as_ref().err().cloned();
                agree(answer.map(|outcome| committed(&outcome)), self.model.commit(transaction));
                refused
            }
            other => panic!("{other:?} is no write"),
        };
        self.compare_alarm(refused.as_ref());
        if durability == Durability::Strict && self.model.revision() > before {
            let durable = self.store().durable_revision().get();
            assert_eq!(durable, self.model.revision(), "a strict write is durable at once");
            self.model.settled();
        }
    }

    /// A write that finds no space, but would in an empty store, raises the alarm, and it is over as soon as that write would find some.
    pub(super) fn compare_alarm(&mut self, refused: Option<&Error>) {
        let space = self.space();
        if let Some((Error::NoSpace { needed, .. }, space)) = refused.zip(space)
            && space.can_have_room(*needed)
        {
            self.refused = Some(*needed);
        }
        let is_raised = self
            .refused
            .zip(space)
            .is_some_and(|(needed, space)| space.can_have_room(needed) && !space.has_room(needed));
        let status = self.store().status().expect("a store tells its status");
        assert_eq!(
            status.is_out_of_space, is_raised,
            "the alarm: {space:?}, {:?} were refused",
            self.refused
        );
    }
}
