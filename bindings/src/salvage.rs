//! A damaged store: looking at it, and getting what can be read into a new one.

use palimpsest_kv::{Damage, Examined, Lost, Options, Salvaged};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::errors::{JsResult, translated};
use crate::objects::to_js;
use crate::random::random_id;
use crate::storage::{Medium, StorageObject};

#[derive(Serialize)]
struct DamageObject {
    page: u32,
    kind: String,
    what: String,
}

impl From<Damage> for DamageObject {
    fn from(damage: Damage) -> Self {
        Self { page: damage.page, kind: damage.kind.to_string(), what: damage.what }
    }
}

/// What is there; the last four only of a store that is sound.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExaminedObject {
    sound: bool,
    page_bytes: usize,
    pages: u64,
    file_bytes: u64,
    damage: Vec<DamageObject>,
    more_damage: u64,
    revision: Option<u64>,
    compacted: Option<u64>,
    keys: Option<u64>,
    records: Option<u64>,
}

impl From<Examined> for ExaminedObject {
    fn from(examined: Examined) -> Self {
        let sound = examined.sound;
        Self {
            sound: sound.is_some(),
            page_bytes: examined.page_bytes,
            pages: examined.pages,
            file_bytes: examined.file_bytes,
            damage: examined.damage.into_iter().map(DamageObject::from).collect(),
            more_damage: examined.more_damage,
            revision: sound.map(|sound| sound.revision.get()),
            compacted: sound.and_then(|sound| sound.compacted).map(|revision| revision.get()),
            keys: sound.map(|sound| sound.keys),
            records: sound.map(|sound| sound.records),
        }
    }
}

/// One change of one key, some changes of a stretch of revisions, or what the store remembered besides.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct LostObject {
    #[serde(with = "serde_bytes", skip_serializing_if = "Option::is_none")]
    key: Option<Vec<u8>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_revision: Option<u64>,
    what: String,
}

impl From<Lost> for LostObject {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Record { key, revision, what } => {
                Self { key, revision: Some(revision.get()), what, ..Self::default() }
            }
            Lost::Revisions { from, to, what } => {
                Self { from_revision: Some(from.get()), to_revision: Some(to.get()), what, ..Self::default() }
            }
            Lost::Remembered { what } => Self { what, ..Self::default() },
            other => Self { what: format!("{other:?}"), ..Self::default() },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SalvagedObject {
    pages_read: u64,
    damaged_pages: u64,
    damage: Vec<DamageObject>,
    more_damage: u64,
    records_saved: u64,
    records_lost: u64,
    lost: Vec<LostObject>,
    more_lost: u64,
    renumbered: u64,
    unconfirmed_leaves: u64,
    keys: u64,
    revision: u64,
    compacted: Option<u64>,
    leases: u64,
    pins: u64,
}

impl From<Salvaged> for SalvagedObject {
    fn from(saved: Salvaged) -> Self {
        Self {
            pages_read: saved.pages,
            damaged_pages: saved.damaged_pages,
            damage: saved.damage.into_iter().map(DamageObject::from).collect(),
            more_damage: saved.more_damage,
            records_saved: saved.records_saved,
            records_lost: saved.records_lost,
            lost: saved.lost.into_iter().map(LostObject::from).collect(),
            more_lost: saved.more_lost,
            renumbered: saved.renumbered,
            unconfirmed_leaves: saved.unconfirmed_leaves,
            keys: saved.keys,
            revision: saved.revision.get(),
            compacted: saved.compacted.map(|revision| revision.get()),
            leases: saved.leases,
            pins: saved.pins,
        }
    }
}

/// Looks at all of the store in a storage, which is only read. Answers `{ sound, damage, .. }`.
///
/// # Errors
/// As [`palimpsest_kv::examine`].
#[wasm_bindgen]
pub fn examine(storage: StorageObject) -> JsResult<JsValue> {
    let examined = palimpsest_kv::examine(&Medium::new(Some(storage))).map_err(translated)?;
    to_js(&ExaminedObject::from(examined))
}

/// Gets what can be read of the store in `from`, which is only read, into a new store in `to`, which must be empty. Answers
/// `{ recordsSaved, recordsLost, damage, lost, .. }`.
///
/// # Errors
/// As [`palimpsest_kv::salvage`].
#[wasm_bindgen]
pub fn salvage(from: StorageObject, to: StorageObject) -> JsResult<JsValue> {
    let options = Options { store_id: Some(random_id()?), ..Options::default() };
    let saved = palimpsest_kv::salvage(&Medium::new(Some(from)), Medium::new(Some(to)), options)
        .map_err(translated)?;
    to_js(&SalvagedObject::from(saved))
}
