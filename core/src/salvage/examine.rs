//! Looking at all of a store for damage, without changing anything.

use alloc::vec::Vec;

use super::damages::{Damage, Damages};
use super::ground::Ground;
use super::merge::in_order;
use super::overlay::Overlay;
use crate::error::{PageKind, Result};
use crate::pager::in_page;
use crate::records::{Chain, Record, Records};
use crate::revision::Revision;
use crate::storage::Storage;
use crate::store::{Options, Store};

/// What [`examine`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examined {
    /// Bytes in a page.
    pub page_bytes: usize,
    /// The storage's length in whole pages.
    pub pages: u64,
    /// The storage's length in bytes.
    pub file_bytes: u64,
    /// The store, if it is sound: it can be opened, and nothing that it holds is damaged. A damaged meta slot alone does it no
    /// harm, since there are two.
    pub sound: Option<Sound>,
    /// Damaged pages with what is wrong with them, at most [`MAX_LISTED`](crate::limits::MAX_LISTED).
    pub damage: Vec<Damage>,
    /// Damaged pages that `damage` does not list.
    pub more_damage: u64,
}

/// A store in which no damage was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sound {
    /// The newest revision.
    pub revision: Revision,
    /// The oldest revision that can be read; `None` before the first compaction.
    pub compacted: Option<Revision>,
    /// Keys that exist at the newest revision.
    pub keys: u64,
    /// Records stored: versions and tombstones.
    pub records: u64,
}

/// Looks at every page of a store that something reaches, and lists all that are damaged. If none is, but for a meta slot, the
/// store is opened on a copy that shares what does not change, and checked as [`Store::check`] does. Nothing is ever written to the
/// storage.
///
/// Damage in the log's newest writes can't be told from a write that a crash interrupted, and is not reported: opening undoes such
/// writes. A meta slot that a crash has torn is listed: the store is sound all the same, and its next checkpoint writes it anew.
///
/// Costs reading everything twice and memory for all keys.
///
/// ```
/// use palimpsest_kv::{Options, Store, examine, storage::MemoryStorage};
/// let mut store = Store::open(MemoryStorage::new(), Options::default())?;
/// store.put("a", "1")?;
/// let storage = store.close()?.unwrap();
/// let examined = examine(&storage)?;
/// assert_eq!(examined.sound.map(|sound| sound.keys), Some(1));
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
///
/// # Errors
/// [`Error::NotAStore`](crate::Error::NotAStore) if neither meta slot verifies,
/// [`Error::NewerFormat`](crate::Error::NewerFormat); [`Error::Storage`](crate::Error::Storage) if the storage fails as a whole.
pub fn examine<S: Storage>(storage: &S) -> Result<Examined> {
    let mut ground = Ground::new(storage)?;
    in_order(&mut ground, |ground, record, page| {
        look_at(ground, record, page);
        Ok(())
    })?;
    let mut examined = Examined {
        page_bytes: ground.survey.pages().page_bytes(),
        pages: ground.survey.len().into(),
        file_bytes: storage.len()?,
        sound: None,
        damage: Vec::new(),
        more_damage: 0,
    };
    let mut damages = ground.damages;
    if damages.are_harmless() {
        match open(storage) {
            Ok(sound) => examined.sound = Some(sound),
            Err(error) => damages.add(in_page(0, PageKind::Meta)(error)),
        }
    }
    let Damages { listed, .. } = damages;
    Ok(Examined { damage: listed.list, more_damage: listed.more, ..examined })
}

/// Verifies the overflow pages of a record.
fn look_at<S: Storage>(ground: &mut Ground<'_, S>, record: &Record<'_>, page: u32) {
    let place = record.body.chain().map_or(page, Chain::first_page);
    let seen = ground
        .claim_overflow(&record.body)
        .and_then(|()| Records::verified_overflow(ground.survey.pages(), &record.body));
    if let Err(error) = seen {
        ground.damages.add(in_page(place, PageKind::Overflow)(error));
    }
}

/// Opens the store as a program would, and checks all of it.
fn open<S: Storage>(storage: &S) -> Result<Sound> {
    let store = Store::open(Overlay::new(storage)?, Options::default())?;
    store.check()?;
    let status = store.status()?;
    Ok(Sound {
        revision: status.revision,
        compacted: status.compacted,
        keys: status.live_keys,
        records: status.records,
    })
}
