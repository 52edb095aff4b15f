//! What the tests that cross the parts of Palimpsest share: a store's obvious model, a driver that gives both the
//! same operations and compares their answers, a random choice of operations, and a storage that can lose power.
//!
//! It is not part of the product, and it knows of the engine only what every user can see.

pub mod action;
pub mod bolt;
pub mod checked;
pub mod copying;
pub mod faulty;
pub mod fuzzing;
pub mod generate;
pub mod golden;
pub mod hostile;
pub mod ledger;
pub mod medium;
pub mod model;
pub mod replay;
pub mod rng;
pub mod sample;
pub mod script;
pub mod sim;
pub mod simulation;
