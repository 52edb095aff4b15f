//! Whole stores as streams of bytes, and the stores of others: what `EXPORT.md` describes, and etcd's snapshots.
//!
//! Whatever comes from outside is checked as it comes: an import makes a store of something that is whole and sound, or nothing.

mod etcd;
mod export;
mod format;
mod import;
mod load;

pub use etcd::{EtcdImport, EtcdImported, HashCheck, import_etcd};
pub use export::Export;
pub use import::Import;
