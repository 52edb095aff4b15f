//! Reading etcd's snapshots: a file of bbolt's, and a SHA-256 of it at the end.
//!
//! etcd's formats: `server/storage/schema` and `api/mvccpb/kv.proto`; `etcdutl/snapshot` for the hash. bbolt's:
//! `internal/common/page.go`.

mod bolt;
mod import;
mod meta;
mod page;
mod proto;
mod verify;

pub use import::{EtcdImport, EtcdImported, import_etcd};
pub use verify::HashCheck;
