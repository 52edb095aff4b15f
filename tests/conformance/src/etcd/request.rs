//! Operations as etcd's JSON gateway wants them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::bytes::Bytes;
use crate::operation::{
    Compare, DeleteRange, Keys, Put, Range, Relation, SortOrder, SortTarget, Step, Target, Txn, Watch,
};

fn base64(bytes: &Bytes) -> Value {
    Value::String(STANDARD.encode(bytes))
}

/// A message of which nothing is said yet. What has its default is left out.
#[derive(Default)]
struct Message(Map<String, Value>);

impl Message {
    fn set(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    fn number(self, name: &str, number: u64) -> Self {
        if number == 0 { self } else { self.set(name, Value::String(number.to_string())) }
    }

    fn flag(self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if value == Value::Bool(false) { self } else { self.set(name, value) }
    }

    fn bytes(self, name: &str, bytes: &Bytes) -> Self {
        if bytes.is_empty() { self } else { self.set(name, base64(bytes)) }
    }

    fn keys(self, keys: &Keys) -> Self {
        let message = self.bytes("key", &keys.key);
        match &keys.range_end {
            Some(end) => message.bytes("range_end", end),
            None => message,
        }
    }

    fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// A message that is one number.
pub(super) fn number(name: &str, number: u64) -> Value {
    Message::default().number(name, number).done()
}

/// A lease to be made.
pub(super) fn grant(id: u64, ttl: u64) -> Value {
    Message::default().number("ID", id).number("TTL", ttl).done()
}

fn put(put: &Put) -> Value {
    Message::default()
        .bytes("key", &put.key)
        .bytes("value", &put.value)
        .number("lease", put.lease)
        .flag("prev_kv", put.prev_kv)
        .flag("ignore_value", put.ignore_value)
        .flag("ignore_lease", put.ignore_lease)
        .done()
}

fn delete_range(delete: &DeleteRange) -> Value {
    Message::default().keys(&delete.keys).flag("prev_kv", delete.prev_kv).done()
}

fn range(range: &Range) -> Value {
    let target = match range.sort_target {
        SortTarget::Key => "KEY",
        SortTarget::Version => "VERSION",
        SortTarget::Create => "CREATE",
        SortTarget::Mod => "MOD",
        SortTarget::Value => "VALUE",
    };
    let order = match range.sort_order {
        SortOrder::None => "NONE",
        SortOrder::Ascend => "ASCEND",
        SortOrder::Descend => "DESCEND",
    };
    Message::default()
        .keys(&range.keys)
        .number("revision", range.revision)
        .number("limit", range.limit)
        .flag("sort_target", target)
        .flag("sort_order", order)
        .flag("keys_only", range.keys_only)
        .flag("count_only", range.count_only)
        .number("min_mod_revision", range.min_mod_revision)
        .number("max_mod_revision", range.max_mod_revision)
        .number("min_create_revision", range.min_create_revision)
        .number("max_create_revision", range.max_create_revision)
        .done()
}

fn compare(compare: &Compare) -> Value {
    let result = match compare.result {
        Relation::Equal => "EQUAL",
        Relation::Greater => "GREATER",
        Relation::Less => "LESS",
        Relation::NotEqual => "NOT_EQUAL",
    };
    let text = |number: &u64| Value::String(number.to_string());
    let (target, name, value) = match &compare.target {
        Target::Version(number) => ("VERSION", "version", text(number)),
        Target::Create(number) => ("CREATE", "create_revision", text(number)),
        Target::Mod(number) => ("MOD", "mod_revision", text(number)),
        Target::Value(value) => ("VALUE", "value", base64(value)),
        Target::Lease(number) => ("LEASE", "lease", text(number)),
    };
    Message::default()
        .keys(&compare.keys)
        .flag("target", target)
        .flag("result", result)
        .set(name, value)
        .done()
}

fn txn(txn: &Txn) -> Value {
    let branch = |steps: &[Step]| -> Vec<Value> {
        steps.iter().map(|step| json!({ format!("request_{}", name(step)): body(step) })).collect()
    };
    json!({
        "compare": txn.compare.iter().map(compare).collect::<Vec<_>>(),
        "success": branch(&txn.success),
        "failure": branch(&txn.failure),
    })
}

fn name(step: &Step) -> &'static str {
    match step {
        Step::Put(_) => "put",
        Step::DeleteRange(_) => "delete_range",
        Step::Range(_) => "range",
        Step::Txn(_) => "txn",
    }
}

/// Where a step is sent when it stands on its own.
pub(super) fn path(step: &Step) -> &'static str {
    match step {
        Step::Put(_) => "kv/put",
        Step::DeleteRange(_) => "kv/deleterange",
        Step::Range(_) => "kv/range",
        Step::Txn(_) => "kv/txn",
    }
}

/// What is sent for a step.
pub(super) fn body(step: &Step) -> Value {
    match step {
        Step::Put(it) => put(it),
        Step::DeleteRange(it) => delete_range(it),
        Step::Range(it) => range(it),
        Step::Txn(it) => txn(it),
    }
}

/// What starts a watcher.
pub(super) fn watch(watch: &Watch) -> Value {
    let filters = [(watch.no_put, "NOPUT"), (watch.no_delete, "NODELETE")];
    let filters: Vec<&str> =
        filters.into_iter().filter_map(|(is_set, name)| is_set.then_some(name)).collect();
    let request = Message::default()
        .keys(&watch.keys)
        .number("start_revision", watch.start_revision)
        .flag("prev_kv", watch.prev_kv)
        .set("filters", json!(filters))
        .done();
    json!({ "create_request": request })
}
