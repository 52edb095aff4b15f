//! What can be done to a store, as values that can be made at random, printed, and given to a store and to its model.

use std::fmt;

use palimpsest_kv::{Budget, Compare, Durability, Entry, Keys, Op, Read};

use crate::faulty::Fault;

/// A read of many keys.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which keys.
    pub keys: Keys,
    /// As of when; `None` for now.
    pub revision: Option<u64>,
    /// At most how many.
    pub limit: Option<usize>,
    /// By which call, and what it is to answer.
    pub form: Form,
}

/// In which form a range is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All at once.
    Collected,
    /// All at once, without the values.
    KeysOnly,
    /// One entry at a time.
    Lazy,
    /// The number of keys, whatever the limit.
    Count,
}

/// What of a key a condition is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Its version.
    Version(u64),
    /// Its create revision.
    Create(u64),
    /// Its mod revision.
    Mod(u64),
    /// Its value.
    Value(Vec<u8>),
}

/// How it must relate to the number or value given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same.
    Equal,
    /// Another.
    NotEqual,
    /// Less.
    Less,
    /// Greater.
    Greater,
}

/// One condition of a transaction.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The keys that must all fulfil it.
    pub keys: Keys,
    /// What of them, and the other side.
    pub target: Target,
    /// The relation.
    pub relation: Relation,
}

/// One operation of a transaction.
#[derive(Clone, Debug)]
pub enum Step {
    /// Writes a value.
    Put(Vec<u8>, Vec<u8>),
    /// Deletes keys.
    Delete(Keys),
    /// Reads keys: which, as of when, and at most how many.
    Read(Keys, Option<u64>, Option<usize>),
}

/// A transaction.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// What decides between the branches.
    pub conditions: Vec<Condition>,
    /// What is done if all conditions hold.
    pub then: Vec<Step>,
    /// What is done otherwise.
    pub otherwise: Vec<Step>,
}

/// One thing to do to a store.
#[derive(Clone, Debug)]
pub enum Action {
    /// Writes a value.
    Put(Vec<u8>, Vec<u8>),
    /// Deletes keys.
    Delete(Keys),
    /// Commits a transaction.
    Commit(Transaction),
    /// Makes one of the three with a durability of its own.
    Durably(Durability, Box<Action>),
    /// Reads one key, now or as of a revision.
    Get(Vec<u8>, Option<u64>),
    /// Reads many.
    Range(Query),
    /// Opens a snapshot, now or as of a revision.
    OpenSnapshot(Option<u64>),
    /// Reads from one of the open snapshots.
    ReadSnapshot(usize, Query),
    /// Drops one of the open snapshots.
    DropSnapshot(usize),
    /// Compacts.
    Compact(u64),
    /// Gives the background work some time.
    Run(Budget),
    /// Gives the background work all the time it wants.
    RunUntilIdle,
    /// Makes everything durable.
    Flush,
    /// Checkpoints.
    Checkpoint,
    /// Closes the store and opens it again.
    Reopen,
    /// Cuts the power and opens the store again; the number decides what of the unsynced changes is left.
    CutPower(u64),
    /// Begins a write or background work, cuts the power after so many of its changes to the medium (or after it, if it makes fewer),
    /// and opens the store again.
    CutPowerDuring(Box<Action>, u64, u64),
    /// Begins a write or background work while something goes wrong, kills the process, and opens the store again on what the system shows
    /// of the medium; the number decides what a failed sync loses.
    FailDuring(Box<Action>, Fault, u64),
}

/// One key with its value, as an answer has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// The revision that created the key.
    pub create: u64,
    /// The revision that put the value.
    pub modified: u64,
    /// How often it was put since it was created.
    pub version: u64,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, create, modified, version } = self;
        let short = |bytes: &[u8]| {
            let start: String =
                bytes.iter().take(12).flat_map(|byte| byte.escape_ascii()).map(char::from).collect();
            format!("{start} ({} bytes)", bytes.len())
        };
        write!(f, "{{{} = {}, create {create}, mod {modified}, version {version}}}", short(key), short(value))
    }
}

impl From<&Entry> for Found {
    fn from(entry: &Entry) -> Self {
        Self {
            key: entry.key().to_vec(),
            value: entry.value().to_vec(),
            create: entry.create_revision().get(),
            modified: entry.mod_revision().get(),
            version: entry.version(),
        }
    }
}

impl From<&Condition> for Compare {
    fn from(condition: &Condition) -> Self {
        let keys = &condition.keys;
        let number = match &condition.target {
            Target::Version(number) => (Self::version(keys), *number),
            Target::Create(number) => (Self::create_revision(keys), *number),
            Target::Mod(number) => (Self::mod_revision(keys), *number),
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

impl From<&Step> for Op {
    fn from(step: &Step) -> Self {
        match step {
            Step::Put(key, value) => Self::put(key, value),
            Step::Delete(keys) => Self::delete(keys),
            Step::Read(keys, revision, limit) => {
                let read = Read::new(keys).at(revision.unwrap_or(0));
                Self::from(limit.map_or(read.clone(), |limit| read.limit(limit)))
            }
        }
    }
}
