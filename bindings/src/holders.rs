//! Who keeps space from being given back, as objects, and what each page is used for.

use palimpsest_kv::{Clock, Holder, PageKind, PageUse, Store};
use serde::Serialize;

use crate::clock::HostClock;
use crate::storage::Medium;

/// One of them. What a later engine adds is left out.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub(crate) enum HolderObject {
    Snapshot { revision: u64, count: u64, age: Option<f64>, pages: u64 },
    Pin { name: String, revision: u64, expires: Option<f64>, records: u64 },
    Watch { revision: u64, bytes: u64 },
}

/// All of them, now.
pub(crate) fn holders(store: &Store<Medium>) -> Vec<HolderObject> {
    let object = |holder| match holder {
        Holder::Snapshot { revision, count, age, pages } => Some(HolderObject::Snapshot {
            revision: revision.get(),
            count,
            age: age.map(|age| age.as_secs_f64() * 1000.0),
            pages,
        }),
        Holder::Pin { name, revision, expires, records } => Some(HolderObject::Pin {
            name,
            revision: revision.get(),
            expires: expires.map(|end| end.as_millis() as f64),
            records,
        }),
        Holder::Watcher { revision, bytes, .. } => {
            Some(HolderObject::Watch { revision: revision.get(), bytes })
        }
        _ => None,
    };
    store.holders(HostClock.now()).into_iter().filter_map(object).collect()
}

/// What a page is used for, in a number: `pkg/src/pages.ts` reads it. A page has at most 65,536 bytes.
pub(crate) fn packed_use(page: PageUse) -> u32 {
    match page {
        PageUse::Pending => 1 << 24,
        PageUse::Used { kind, bytes } => {
            let code = match kind {
                PageKind::Meta => 2,
                PageKind::Branch => 3,
                PageKind::Leaf => 4,
                PageKind::Overflow => 5,
                // What a later engine adds can't be told apart here.
                _ => 6,
            };
            (code << 24) | bytes
        }
        _ => 0,
    }
}
