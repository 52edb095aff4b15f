//! A differential test of the engine against a real etcd: the same operations to both, every answer compared.
//!
//! [`Operation`](operation::Operation) is what can be asked, [`Answer`](answer::Answer) what is answered; a [`Driver`](driver::Driver)
//! asks one store. [`session`] asks two of them and [`compare`] says where they may differ. What etcd answered to
//! fixed sequences is kept as [`vectors`], so that it can be replayed without an etcd.

pub mod answer;
pub mod bytes;
pub mod compare;
pub mod driver;
pub mod engine;
pub mod etcd;
pub mod generate;
pub mod operation;
pub mod scenarios;
pub mod session;
pub mod shrink;
pub mod vectors;
