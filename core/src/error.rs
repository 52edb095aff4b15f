//! The one error type of the engine.
//!
//! Three classes of trouble are kept apart: a bad argument is answered with a variant that holds the offending
//! values, and nothing has changed; bad bytes are [`Error::Corrupt`] with the page and what was wrong; a broken
//! invariant of the engine itself is an `assert!` with a message and never an `Error`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::revision::Revision;

/// What an operation of the store answers.
pub type Result<T> = core::result::Result<T, Error>;

/// What kind of page some bytes were expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PageKind {
    /// One of the two pages that name the newest checkpoint.
    Meta,
    /// An inner page of the records tree.
    Branch,
    /// A page of records.
    Leaf,
    /// Part of a value too large for a leaf.
    Overflow,
    /// Part of the map of free pages.
    Freelist,
}

impl fmt::Display for PageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Meta => "meta",
            Self::Branch => "branch",
            Self::Leaf => "leaf",
            Self::Overflow => "overflow",
            Self::Freelist => "freelist",
        })
    }
}

/// What a watcher that compaction waits for may be behind by; see [`Hold`](crate::Hold).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldBound {
    /// Revisions.
    Revisions,
    /// Bytes of keys and values.
    Bytes,
}

impl fmt::Display for HoldBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revisions => "revisions",
            Self::Bytes => "bytes",
        })
    }
}

/// Everything that can go wrong, with the values that a caller needs to react.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The revision asked for lies before the last compaction, or compaction was asked for a revision that is
    /// already compacted.
    Compacted {
        /// The revision of the call.
        requested: Revision,
        /// The revision the store is compacted to; it and all later ones can be read.
        compacted: Revision,
    },
    /// The revision asked for has not been written yet.
    FutureRevision {
        /// The revision of the call.
        requested: Revision,
        /// The newest revision there is.
        current: Revision,
    },
    /// The store does not know what was there at this time: it is before the first that it has seen, or before a compaction.
    TimeUnknown {
        /// The time, in milliseconds since the beginning of 1970.
        millis: u64,
    },
    /// A key was empty; keys have at least one byte.
    EmptyKey,
    /// A key is longer than [`Options::max_key_bytes`](crate::Options::max_key_bytes).
    KeyTooLarge {
        /// The key's length in bytes.
        bytes: usize,
        /// The longest key allowed, in bytes.
        limit: usize,
    },
    /// A value is longer than [`Options::max_value_bytes`](crate::Options::max_value_bytes).
    ValueTooLarge {
        /// The value's length in bytes.
        bytes: usize,
        /// The longest value allowed, in bytes.
        limit: usize,
    },
    /// A branch of a transaction has more operations, or the transaction more compares, than
    /// [`Options::max_txn_ops`](crate::Options::max_txn_ops).
    TooManyOperations {
        /// How many there were.
        operations: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A transaction would put one key twice, or put and delete it.
    DuplicateKey {
        /// The key.
        key: Vec<u8>,
    },
    /// A put is to keep the value or the lease of a key that does not exist.
    KeyNotFound {
        /// The key.
        key: Vec<u8>,
    },
    /// There is no such lease, or no more.
    LeaseNotFound {
        /// The lease's number.
        lease: u64,
    },
    /// A lease is to be granted a number that another one has.
    LeaseExists {
        /// The number.
        lease: u64,
    },
    /// A lease is to live longer than [`MAX_LEASE_SECONDS`](crate::limits::MAX_LEASE_SECONDS).
    LeaseTtlTooLarge {
        /// The time asked for, in seconds.
        seconds: u64,
        /// The longest time allowed, in seconds.
        limit: u64,
    },
    /// A pin's name was empty; names have at least one byte.
    EmptyPinName,
    /// A pin's name is longer than [`MAX_PIN_NAME_BYTES`](crate::limits::MAX_PIN_NAME_BYTES).
    PinNameTooLong {
        /// The name's length in bytes.
        bytes: usize,
        /// The longest name allowed, in bytes.
        limit: usize,
    },
    /// A pin's name begins with `$`: such names are for the pins that the store sets itself.
    PinNameReserved {
        /// The name.
        name: String,
    },
    /// There is no pin of that name, or no more.
    PinNotFound {
        /// The name.
        name: String,
    },
    /// The write would need more space than [`Options::quota_bytes`](crate::Options::quota_bytes) allows.
    NoSpace {
        /// Bytes of the pages in use.
        used: u64,
        /// Bytes that the write may need, as etcd counts them.
        needed: u64,
        /// The quota in bytes.
        quota: u64,
    },
    /// The store has no such watcher, or no more.
    WatchNotFound {
        /// The watcher's number.
        watcher: u64,
    },
    /// Compaction has waited for a watcher as long as its [`Hold`](crate::Hold) says; it will be told nothing more.
    HoldExceeded {
        /// The watcher's number.
        watcher: u64,
        /// Which bound it has passed.
        bound: HoldBound,
        /// The bound.
        limit: u64,
        /// How far it was behind.
        behind: u64,
    },
    /// An interval of keys that is to be watched holds none: its end is not after its start.
    EmptyInterval,
    /// An option has a value outside its range.
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// What is wrong with the value.
        reason: String,
    },
    /// The bytes are no store: empty, too short, or of another format.
    NotAStore {
        /// What gave it away.
        reason: String,
    },
    /// The store was written by a newer version of this format.
    NewerFormat {
        /// The format version found.
        found: u32,
        /// The newest format version this build reads.
        supported: u32,
    },
    /// Bytes of the store are damaged; what was damaged was not used and not overwritten.
    Corrupt {
        /// The page's number.
        page: u32,
        /// What the page was expected to be.
        kind: PageKind,
        /// What was wrong with it.
        what: String,
    },
    /// What is to be imported is damaged, cut off, or something else. Nothing of it was taken.
    InvalidSource {
        /// The byte at which the part begins that is wrong.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The storage failed, or is full.
    Storage {
        /// What was being done: "read", "write", "sync", ...
        operation: &'static str,
        /// What the storage said.
        reason: String,
    },
    /// An earlier write or sync failed, so that the store cannot know what is durable; it can still be read.
    /// Open it again to write.
    WritesRefused {
        /// What the storage said at that time.
        reason: String,
    },
    /// Another process or another handle has the store open.
    Locked {
        /// Who holds it, where that is known.
        holder: String,
    },
    /// The store has used up its revisions (2^53 - 1, the largest that JavaScript can hold exactly).
    RevisionsExhausted,
}

impl Error {
    /// What is wrong with something that is to be imported, in words.
    #[cfg(feature = "exchange")]
    pub(crate) fn invalid_source(offset: u64, what: impl Into<String>) -> Self {
        Self::InvalidSource { offset, what: what.into() }
    }

    /// Damage found in a page, in words.
    pub(crate) fn corrupt(page: u32, kind: PageKind, what: impl Into<String>) -> Self {
        Self::Corrupt { page, kind, what: what.into() }
    }

    /// A stable name for the error's kind, the same that the npm package uses as `code`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Compacted { .. } => "COMPACTED",
            Self::FutureRevision { .. } => "FUTURE_REVISION",
            Self::TimeUnknown { .. } => "TIME_UNKNOWN",
            Self::EmptyKey => "EMPTY_KEY",
            Self::KeyTooLarge { .. } => "KEY_TOO_LARGE",
            Self::ValueTooLarge { .. } => "VALUE_TOO_LARGE",
            Self::TooManyOperations { .. } => "TOO_MANY_OPERATIONS",
            Self::DuplicateKey { .. } => "DUPLICATE_KEY",
            Self::KeyNotFound { .. } => "KEY_NOT_FOUND",
            Self::LeaseNotFound { .. } => "LEASE_NOT_FOUND",
            Self::LeaseExists { .. } => "LEASE_EXISTS",
            Self::LeaseTtlTooLarge { .. } => "LEASE_TTL_TOO_LARGE",
            Self::EmptyPinName => "EMPTY_PIN_NAME",
            Self::PinNameTooLong { .. } => "PIN_NAME_TOO_LONG",
            Self::PinNameReserved { .. } => "PIN_NAME_RESERVED",
            Self::PinNotFound { .. } => "PIN_NOT_FOUND",
            Self::NoSpace { .. } => "NO_SPACE",
            Self::WatchNotFound { .. } => "WATCH_NOT_FOUND",
            Self::HoldExceeded { .. } => "HOLD_EXCEEDED",
            Self::EmptyInterval => "EMPTY_INTERVAL",
            Self::InvalidOption { .. } => "INVALID_ARGUMENT",
            Self::NotAStore { .. } => "NOT_A_STORE",
            Self::NewerFormat { .. } => "NEWER_FORMAT",
            Self::Corrupt { .. } => "CORRUPT",
            Self::InvalidSource { .. } => "INVALID_SOURCE",
            Self::Storage { .. } => "STORAGE",
            Self::WritesRefused { .. } => "WRITES_REFUSED",
            Self::Locked { .. } => "LOCKED",
            Self::RevisionsExhausted => "REVISIONS_EXHAUSTED",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compacted { requested, compacted } => write!(
                f,
                "revision {requested} has been compacted: the oldest revision that can be read is {compacted}"
            ),
            Self::FutureRevision { requested, current } => {
                write!(f, "revision {requested} is in the future: the current revision is {current}")
            }
            Self::TimeUnknown { millis } => {
                write!(
                    f,
                    "what was there {millis} ms after the beginning of 1970 is not known: the store has seen no earlier time"
                )
            }
            Self::EmptyKey => f.write_str("a key must have at least one byte"),
            Self::KeyTooLarge { bytes, limit } => {
                write!(f, "a key of {bytes} bytes is over the limit of {limit} bytes")
            }
            Self::ValueTooLarge { bytes, limit } => {
                write!(f, "a value of {bytes} bytes is over the limit of {limit} bytes")
            }
            Self::TooManyOperations { operations, limit } => {
                write!(f, "{operations} operations in one transaction are over the limit of {limit}")
            }
            Self::DuplicateKey { key } => {
                write!(f, "the transaction changes the key {:?} twice", String::from_utf8_lossy(key))
            }
            Self::KeyNotFound { key } => {
                let key = String::from_utf8_lossy(key);
                write!(f, "the key {key:?} does not exist, so that there is nothing to keep")
            }
            Self::LeaseNotFound { lease } => write!(f, "there is no lease {lease}"),
            Self::LeaseExists { lease } => write!(f, "there is a lease {lease} already"),
            Self::LeaseTtlTooLarge { seconds, limit } => {
                write!(f, "a lease of {seconds} seconds is over the limit of {limit} seconds")
            }
            Self::NoSpace { used, needed, quota } => write!(
                f,
                "no space: {used} bytes are in use, the write may need {needed}, and the quota is {quota}, of which a part is \
                 kept free for deleting and compacting; do either, and space comes back"
            ),
            Self::WatchNotFound { watcher } => write!(f, "there is no watcher {watcher}"),
            Self::HoldExceeded { watcher, bound, limit, behind } => write!(
                f,
                "the watcher {watcher} was {behind} {bound} behind, and compaction waits for {limit} at most"
            ),
            Self::EmptyInterval => {
                f.write_str("the interval to watch holds no key: it ends where it starts or before")
            }
            other => other.describe_pin(f),
        }
    }
}

impl Error {
    /// In words, what is wrong with a call about a pin.
    fn describe_pin(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPinName => f.write_str("a pin's name must have at least one byte"),
            Self::PinNameTooLong { bytes, limit } => {
                write!(f, "a pin's name of {bytes} bytes is over the limit of {limit} bytes")
            }
            Self::PinNameReserved { name } => {
                write!(f, "the name {name:?} begins with \"$\", as those of the store's own pins do")
            }
            Self::PinNotFound { name } => write!(f, "there is no pin {name:?}"),
            other => other.describe_store(f),
        }
    }

    /// In words, what is wrong with the store or its storage and not with a call.
    fn describe_store(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidOption { option, reason } => write!(f, "the option {option} is invalid: {reason}"),
            Self::NotAStore { reason } => write!(f, "this is not a Palimpsest store: {reason}"),
            Self::NewerFormat { found, supported } => write!(
                f,
                "the store has format version {found}, and this build reads versions up to {supported}: use a newer build"
            ),
            Self::Corrupt { page, kind, what } => {
                write!(f, "the store is damaged: {kind} page {page}: {what}")
            }
            Self::InvalidSource { offset, what } => {
                write!(f, "what is to be imported can't be used: at byte {offset}: {what}")
            }
            Self::Storage { operation, reason } => write!(f, "the storage failed to {operation}: {reason}"),
            Self::WritesRefused { reason } => write!(
                f,
                "the store refuses writes until it is opened again, because the storage failed earlier: {reason}"
            ),
            Self::Locked { holder } => write!(f, "the store is already open in {holder}"),
            Self::RevisionsExhausted => f.write_str("the store has used up its revisions"),
            other => f.write_str(other.code()),
        }
    }
}

impl core::error::Error for Error {}
