//! Leases, as JavaScript knows them.

use js_sys::Uint8Array;
use palimpsest_kv::{Clock, LeaseId};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::clock::HostClock;
use crate::engine::Engine;
use crate::entries::lease_number;
use crate::errors::{JsResult, invalid};
use crate::keys::exact;
use crate::objects::{DeletedObject, as_duration, duration_millis, to_js};

/// The lease with a number.
pub(crate) fn lease_id(number: f64) -> JsResult<LeaseId> {
    LeaseId::new(exact(number)?).ok_or_else(|| invalid("0 is no lease's number"))
}

#[derive(Serialize)]
struct LeaseObject {
    id: f64,
    ttl: f64,
    revision: u64,
}

#[derive(Serialize)]
struct LeaseStatusObject {
    id: f64,
    ttl: f64,
    remaining: f64,
    keys: u64,
}

#[wasm_bindgen]
impl Engine {
    /// Grants a lease that lives for `ttl` milliseconds, with a number of its own or the one that is given. Answers
    /// `{ id, ttl, revision }`.
    ///
    /// # Errors
    /// As [`palimpsest_kv::Store::grant_lease_as`].
    #[wasm_bindgen(js_name = grantLease)]
    pub fn grant_lease(&self, ttl: f64, id: Option<f64>) -> JsResult<JsValue> {
        let ttl = as_duration("ttl", ttl)?;
        let id = id.map(lease_id).transpose()?;
        let lease = self.writing(|writer| match id {
            Some(id) => writer.grant_lease_as(id, ttl),
            None => writer.grant_lease(ttl),
        })?;
        to_js(&LeaseObject {
            id: lease_number(lease.id),
            ttl: duration_millis(lease.ttl),
            revision: lease.revision.get(),
        })
    }

    /// Ends a lease. Answers `{ revision, deleted }`.
    ///
    /// # Errors
    /// As [`palimpsest_kv::Store::revoke_lease`].
    #[wasm_bindgen(js_name = revokeLease)]
    pub fn revoke_lease(&self, id: f64) -> JsResult<JsValue> {
        let id = lease_id(id)?;
        let revoked = self.writing(|writer| writer.revoke_lease(id))?;
        to_js(&DeletedObject::from(revoked))
    }

    /// Lets a lease live for its whole time once more. Answers how long that is, in milliseconds.
    ///
    /// # Errors
    /// As [`palimpsest_kv::Store::keep_alive`].
    #[wasm_bindgen(js_name = keepAlive)]
    pub fn keep_alive(&self, id: f64) -> JsResult<f64> {
        let id = lease_id(id)?;
        let ttl = self.writing(|writer| writer.keep_alive(id))?;
        Ok(duration_millis(ttl))
    }

    /// How a lease stands: `{ id, ttl, remaining, keys }`; nothing if there is none.
    ///
    /// # Errors
    /// If the store is closed.
    pub fn lease(&self, id: f64) -> JsResult<JsValue> {
        let status = self.read()?.lease(lease_id(id)?, HostClock.now());
        to_js(&status.map(|status| LeaseStatusObject {
            id: lease_number(status.id),
            ttl: duration_millis(status.ttl),
            remaining: duration_millis(status.remaining),
            keys: status.keys,
        }))
    }

    /// The keys that are attached to a lease.
    ///
    /// # Errors
    /// If the store is closed.
    #[wasm_bindgen(js_name = leaseKeys)]
    pub fn lease_keys(&self, id: f64) -> JsResult<Vec<Uint8Array>> {
        let keys = self.read()?.lease_keys(lease_id(id)?);
        Ok(keys.iter().map(|key| Uint8Array::from(key.as_slice())).collect())
    }

    /// The numbers of all leases.
    ///
    /// # Errors
    /// If the store is closed.
    pub fn leases(&self) -> JsResult<Vec<f64>> {
        Ok(self.read()?.leases().into_iter().map(lease_number).collect())
    }
}
