//! What a checkpoint remembers besides the records: lists, one after the other, in overflow pages that the root names.
//!
//! Lists are added at the end as the format grows, and one that is not there is empty: what an older build wrote can be read.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Store;
use crate::error::{Error, PageKind, Result};
use crate::lease::Kept as KeptLease;
use crate::pager::{Pager, Pages};
use crate::pin::Kept as KeptPin;
use crate::records::{Chain, Records};
use crate::sabotage::sabotaged;
use crate::storage::Storage;
use crate::times::Kept as KeptTime;

/// The lists, read or to be written.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) leases: Vec<KeptLease>,
    pub(super) pins: Vec<KeptPin>,
    pub(super) times: Vec<KeptTime>,
}

impl Kept {
    fn is_empty(&self) -> bool {
        let Self { leases, pins, times } = self;
        leases.is_empty() && pins.is_empty() && times.is_empty()
    }

    fn encode(&self) -> Vec<u8> {
        let Self { leases, pins, times } = self;
        let mut bytes = Vec::new();
        append(&mut bytes, leases);
        append(&mut bytes, pins);
        append(&mut bytes, times);
        bytes
    }

    /// # Errors
    /// Says in words which list can't be read.
    fn decode(mut bytes: &[u8]) -> core::result::Result<Self, String> {
        let leases = take(&mut bytes, "leases")?;
        let pins = take(&mut bytes, "pins")?;
        let times = take(&mut bytes, "times")?;
        if !bytes.is_empty() {
            return Err(format!("{} bytes behind the last list", bytes.len()));
        }
        Ok(Self { leases, pins, times })
    }

    /// Writes the lists to pages of their own; answers nothing if they are empty.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails or has no room.
    pub(super) fn store<S: Storage>(&self, pager: &mut Pager<S>) -> Result<Option<Chain>> {
        if self.is_empty() {
            return Ok(None);
        }
        Records::store_apart(pager, &self.encode()).map(Some)
    }

    /// What the checkpoint remembers that wrote this chain.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Storage`].
    pub(super) fn load<S: Storage>(pages: &Pages<S>, chain: Option<&Chain>) -> Result<Self> {
        let Some(chain) = chain else { return Ok(Self::default()) };
        let bytes = Records::load_apart(pages, chain)?;
        Self::decode(&bytes).map_err(|what| damaged(chain, what))
    }
}

/// The error of a chain that says what can't be.
pub(super) fn damaged(chain: &Chain, what: impl Into<String>) -> Error {
    Error::corrupt(chain.first_page(), PageKind::Overflow, what)
}

fn append<T: Serialize>(bytes: &mut Vec<u8>, list: &[T]) {
    let Ok(list) = postcard::to_allocvec(list) else { unreachable!("a vector takes any number of bytes") };
    bytes.extend(list);
}

/// The next list.
fn take<T: DeserializeOwned>(bytes: &mut &[u8], name: &str) -> core::result::Result<Vec<T>, String> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let (list, rest) =
        postcard::take_from_bytes(bytes).map_err(|error| format!("the {name} can't be read: {error}"))?;
    *bytes = rest;
    Ok(list)
}

impl<S: Storage> Store<S> {
    /// Writes the lists to pages of their own, if there is anything about them that the last checkpoint does not know.
    pub(super) fn store_kept(&mut self) -> Result<()> {
        let has_changed = self.leases.has_changed() || self.pins.has_changed() || self.times.has_changed();
        if !(has_changed || self.write_kept_anew) || sabotaged!(LeasesNotCheckpointed) {
            return Ok(());
        }
        self.write_kept_anew = false;
        let before = self.system.take();
        if let Some(chain) = &before {
            for page in Records::pages_apart(self.pager.pages(), chain)? {
                self.pager.free(page);
            }
        }
        let mut kept = Kept { leases: self.leases.keep(), pins: self.pins.keep(), times: self.times.keep() };
        if sabotaged!(PinsNotCheckpointed) {
            kept.pins.clear();
        }
        if sabotaged!(TimesNotCheckpointed) {
            kept.times.clear();
        }
        self.system = kept.store(&mut self.pager)?;
        Ok(())
    }
}
