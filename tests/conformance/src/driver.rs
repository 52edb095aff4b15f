//! Who asks a store.

use std::fmt;

use crate::answer::Answer;
use crate::operation::Operation;

/// Operations in one branch of a transaction at most, for both stores: few, so that the limit is often met.
pub const MAX_TXN_OPS: usize = 16;

/// Asks one store.
pub trait Driver {
    /// Asks one thing. A refusal is an answer, too.
    ///
    /// # Errors
    /// If there is no answer: the store can't be reached, is damaged, or says what nobody understands.
    fn ask(&mut self, operation: &Operation) -> Result<Answer, Trouble>;
}

/// Something that keeps the test from being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble(pub String);

impl Trouble {
    /// What went wrong, and where.
    pub fn new(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }

    /// For use with `map_err`: what was being done when it went wrong.
    pub fn when<E: fmt::Display>(doing: &str) -> impl Fn(E) -> Self {
        move |error| Self(format!("{doing}: {error}"))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}
