//! Damage that was found, listed as far as lists are worth reading.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Error, PageKind};
use crate::limits::MAX_LISTED;

/// A page that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The page's number.
    pub page: u32,
    /// What the page was expected to be.
    pub kind: PageKind,
    /// What is wrong with it.
    pub what: String,
}

/// A list of at most [`MAX_LISTED`] entries, and how many more there were.
#[derive(Debug)]
pub(super) struct Listed<T> {
    pub(super) list: Vec<T>,
    pub(super) more: u64,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { list: Vec::new(), more: 0 }
    }
}

impl<T> Listed<T> {
    pub(super) fn push(&mut self, entry: T) {
        if self.list.len() < MAX_LISTED {
            self.list.push(entry);
        } else {
            self.more += 1;
        }
    }
}

/// The damaged pages, each with the first thing that was found wrong with it.
#[derive(Debug, Default)]
pub(super) struct Damages {
    pub(super) listed: Listed<Damage>,
    /// How many pages are damaged.
    pub(super) pages: u64,
    seen: BTreeSet<u32>,
}

impl Damages {
    /// Notes what reading a page answered.
    pub(super) fn add(&mut self, error: Error) {
        let (page, kind, what) = match error {
            Error::Corrupt { page, kind, what } => (page, kind, what),
            other => (0, PageKind::Meta, alloc::format!("{other}")),
        };
        if self.seen.insert(page) {
            self.pages += 1;
            self.listed.push(Damage { page, kind, what });
        }
    }

    /// Whether everything that the newest checkpoint reaches is as it must be: a damaged meta slot matters only if it is the last.
    pub(super) fn are_harmless(&self) -> bool {
        self.listed.more == 0 && self.listed.list.iter().all(|damage| damage.kind == PageKind::Meta)
    }
}
