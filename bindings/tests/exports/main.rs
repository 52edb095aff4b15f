//! The exports as JavaScript meets them, in Node and in browsers. One program, since each is made anew for every host.
#![cfg(target_family = "wasm")]

mod calls;
mod model;
mod salvage;
