//! The same as values of the engine.

use palimpsest_kv::{Compare, Delete, LeaseId, Op, Put, Read, Transaction};

use super::{Attachment, Condition, Deleting, Form, Putting, Query, Relation, Step, Target};

impl From<&Condition> for Compare {
    fn from(condition: &Condition) -> Self {
        let keys = &condition.keys;
        let number = match &condition.target {
            Target::Version(number) => (Self::version(keys), *number),
            Target::Create(number) => (Self::create_revision(keys), *number),
            Target::Mod(number) => (Self::mod_revision(keys), *number),
            Target::Lease(number) => (Self::lease(keys), *number),
            Target::Value(value) => {
                let side = Self::value(keys);
                return match condition.relation {
                    Relation::Equal => side.equals(value),
                    Relation::NotEqual => side.differs_from(value),
                    Relation::Less => side.is_less_than(value),
                    Relation::Greater => side.is_greater_than(value),
                };
            }
        };
        let (side, number) = number;
        match condition.relation {
            Relation::Equal => side.equals(number),
            Relation::NotEqual => side.differs_from(number),
            Relation::Less => side.is_less_than(number),
            Relation::Greater => side.is_greater_than(number),
        }
    }
}

impl From<&Putting> for Put {
    fn from(putting: &Putting) -> Self {
        let Putting { key, value, lease, previous } = putting;
        let put = value.as_ref().map_or_else(|| Self::keeping_value(key), |value| Self::new(key, value));
        let put = match lease {
            Attachment::Detached => put,
            Attachment::To(id) => put.lease(LeaseId::new(*id).expect("a lease has a number")),
            Attachment::Kept => put.keep_lease(),
        };
        if *previous { put.previous() } else { put }
    }
}

impl From<&Deleting> for Delete {
    fn from(deleting: &Deleting) -> Self {
        let delete = Self::new(&deleting.keys);
        if deleting.previous { delete.previous() } else { delete }
    }
}

impl From<&Query> for Read {
    fn from(query: &Query) -> Self {
        let Query { keys, revision, limit, form, sort, bounds } = query;
        let mut read = Self::new(keys)
            .min_mod_revision(bounds.modified.0)
            .max_mod_revision(bounds.modified.1)
            .min_create_revision(bounds.created.0)
            .max_create_revision(bounds.created.1);
        if let Some(revision) = revision {
            read = read.at(*revision);
        }
        if let Some(limit) = limit {
            read = read.limit(*limit);
        }
        if let Some((by, order)) = sort {
            read = read.sort(*by, *order);
        }
        match form {
            Form::Collected | Form::Lazy => read,
            Form::KeysOnly => read.keys_only(),
            Form::Counted => read.with_count(),
            Form::Count | Form::CountOnly => read.count_only(),
        }
    }
}

impl From<&super::Transaction> for Transaction {
    fn from(transaction: &super::Transaction) -> Self {
        let compares = transaction.conditions.iter().map(Compare::from);
        compares
            .fold(Self::new(), Self::when)
            .then(transaction.then.iter().map(Op::from))
            .otherwise(transaction.otherwise.iter().map(Op::from))
    }
}

impl From<&Step> for Op {
    fn from(step: &Step) -> Self {
        match step {
            Step::Put(putting) => Put::from(putting).into(),
            Step::Delete(deleting) => Delete::from(deleting).into(),
            Step::Read(query) => Read::from(query).into(),
            Step::Txn(transaction) => Transaction::from(transaction).into(),
        }
    }
}
