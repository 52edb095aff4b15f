//! What can be done about a damaged store: looking at all of it, and getting what can still be read into a new one.
//!
//! The damaged storage is only ever read. Everything here goes on where opening stops: damage ends nothing but the page that it
//! is in.

mod damages;
mod examine;
mod ground;
mod log;
mod lost;
mod merge;
mod numbers;
mod overlay;
mod position;
mod rescue;

pub use damages::Damage;
pub use examine::{Examined, Sound, examine};
pub use lost::Lost;
pub use rescue::{Salvaged, salvage};
