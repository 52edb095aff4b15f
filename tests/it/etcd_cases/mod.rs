//! The behaviours that etcd's own tests of its storage cover, each as a worked case in our words.

mod hashes;
mod key_histories;
mod kv;
mod leases;
mod options;
mod restore;
mod transactions;
mod trees;
mod watch_bounds;
mod watching;
