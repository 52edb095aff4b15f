//! WebAssembly bindings of `palimpsest-kv`: translation between JavaScript's values and the engine's, and nothing else.
//!
//! Every export is synchronous and takes `&self`; awaiting, scheduling, codecs and checking of arguments live in the npm
//! package's TypeScript. Keys and values cross as byte slices (short ones through `exchange`), numbers as `f64`, options and
//! results as plain objects; entries cross many at a time, packed into one block of bytes (see `entries`).
//!
//! The engine is single-threaded here and its state sits in `RefCell`s, so that a storage written in JavaScript that calls
//! back into its own store gets an error instead of a crash.

#[cfg(target_family = "wasm")]
mod allocator;
mod clock;
#[cfg(feature = "exchange")]
mod copies;
mod engine;
mod entries;
mod errors;
#[cfg(feature = "etcd")]
mod etcd;
mod exchange;
mod failure;
mod holders;
mod keys;
mod leases;
mod maintenance;
mod objects;
mod past;
mod pins;
mod random;
mod reads;
#[cfg(feature = "salvage")]
mod salvage;
mod snapshot;
mod storage;
mod txn;
mod watch;
mod writes;

#[cfg(feature = "exchange")]
pub use copies::{ExportStream, Importer};
pub use engine::{Engine, linear_memory};
#[cfg(feature = "etcd")]
pub use etcd::EtcdImporter;
pub use failure::failure;
pub use maintenance::EngineDryRun;
pub use past::{DiffCursor, HistoryCursor};
#[cfg(feature = "salvage")]
pub use salvage::{examine, salvage};
pub use snapshot::{Cursor, EngineSnapshot};
pub use storage::StorageObject;
pub use txn::{Relation, Transaction};
