//! What can be done to a store, as values that can be made at random, printed, and given to a store and to its model.

use std::fmt;

use palimpsest_kv::{Budget, Durability, Entry, Keys, LeaseId, Order, SortBy};

use crate::faulty::Fault;

mod convert;

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
    /// In which order, if not that of the keys.
    pub sort: Option<(SortBy, Order)>,
    /// Which revisions are wanted.
    pub bounds: Bounds,
}

/// Bounds on revisions, both included; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Of the mod revision.
    pub modified: (u64, u64),
    /// Of the create revision.
    pub created: (u64, u64),
}

impl Query {
    /// Reads these keys in the plainest way.
    #[must_use]
    pub fn plain(keys: Keys, revision: Option<u64>) -> Self {
        Self { keys, revision, limit: None, form: Form::Collected, sort: None, bounds: Bounds::default() }
    }
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
    /// All at once, and the number of keys.
    Counted,
    /// The number of keys and no entry, as an answer to a read.
    CountOnly,
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
    /// Its lease.
    Lease(u64),
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

/// The lease that a put gives its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attachment {
    /// None.
    #[default]
    Detached,
    /// The one with this number.
    To(u64),
    /// The one that the key has.
    Kept,
}

/// A put.
#[derive(Clone, Debug)]
pub struct Putting {
    /// The key.
    pub key: Vec<u8>,
    /// The value; `None` for the one that the key has.
    pub value: Option<Vec<u8>>,
    /// The lease.
    pub lease: Attachment,
    /// Whether what was there before is to be told.
    pub previous: bool,
}

impl Putting {
    /// A put of a value and nothing else.
    #[must_use]
    pub fn plain(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let (key, value) = (key.as_ref().to_vec(), Some(value.as_ref().to_vec()));
        Self { key, value, lease: Attachment::Detached, previous: false }
    }
}

/// A delete.
#[derive(Clone, Debug)]
pub struct Deleting {
    /// Of which keys.
    pub keys: Keys,
    /// Whether what was there before is to be told.
    pub previous: bool,
}

/// One operation of a transaction.
#[derive(Clone, Debug)]
pub enum Step {
    /// Writes a value.
    Put(Putting),
    /// Deletes keys.
    Delete(Deleting),
    /// Reads keys.
    Read(Query),
    /// A transaction within this one.
    Txn(Transaction),
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

/// What a watcher wants.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Of which keys.
    pub keys: Keys,
    /// From which revision on; `None` and 0 for the next.
    pub from: Option<u64>,
    /// Kinds of change that are left out.
    pub without: Without,
    /// Whether what was there before is to be told.
    pub previous: bool,
    /// After how many bytes a batch may end within a revision.
    pub fragments: Option<usize>,
    /// After how many milliseconds without a word it wants to hear how far the store is.
    pub progress: Option<u64>,
    /// How many revisions and bytes it may be behind while compaction waits for it; neither if it does not wait.
    pub hold: (Option<u64>, Option<u64>),
}

/// What a watcher does not want to hear of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Without {
    /// Puts.
    pub puts: bool,
    /// Deletes.
    pub deletes: bool,
}

/// A rule of retention: the prefix of its keys, and how many versions it keeps of each.
pub type Kept = (Vec<u8>, u64);

/// One thing to do to a store.
#[derive(Clone, Debug)]
pub enum Action {
    /// Writes a value.
    Put(Putting),
    /// Deletes keys.
    Delete(Deleting),
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
    /// Grants a lease: which number, if that is not left to the store, and for how many milliseconds.
    Grant(Option<u64>, u64),
    /// Revokes the lease with this number.
    Revoke(u64),
    /// Renews the lease with this number.
    KeepAlive(u64),
    /// Pins a revision, 0 for the newest: under which name, and until when, in milliseconds since 1970.
    Pin(String, u64, Option<u64>),
    /// Removes the pin of this name.
    Unpin(String),
    /// Sets rules of retention: prefixes, and how many versions are kept. What is to be removed is removed first.
    Retention(Vec<Kept>),
    /// Lets so many microseconds pass.
    Pass(u64),
    /// Sets the calendar so many milliseconds forward or back; as far back as can be stands for where it was in the beginning.
    SetCalendar(i64),
    /// Begins to watch.
    Watch(Wish),
    /// Asks one of the watchers.
    Poll(usize),
    /// Ends one of the watchers.
    Cancel(usize),
    /// Allows so many bytes to be in use.
    Quota(Option<u64>),
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
    /// Has background work make the storage shorter.
    Shrink,
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
    /// The number of its lease; 0 for none.
    pub lease: u64,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, create, modified, version, lease } = self;
        let short = |bytes: &[u8]| {
            let start: String =
                bytes.iter().take(12).flat_map(|byte| byte.escape_ascii()).map(char::from).collect();
            format!("{start} ({} bytes)", bytes.len())
        };
        let (key, value) = (short(key), short(value));
        write!(f, "{{{key} = {value}, create {create}, mod {modified}, version {version}, lease {lease}}}")
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
            lease: entry.lease().map_or(0, LeaseId::get),
        }
    }
}
