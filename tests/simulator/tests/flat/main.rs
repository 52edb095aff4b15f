//! What must not grow: tests that count the program's memory, and so are a program of their own.

use std::alloc::System;

use cap::Cap;

#[cfg(test)]
mod day;

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);
