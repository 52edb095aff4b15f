//! Making a store of a snapshot.

use alloc::format;
use alloc::string::String;

use super::bolt::{Bolt, Bucket, FoundLeaf, Walk};
use super::page::Kind;
use super::proto::{KeyValue, LeaseMessage};
use super::verify::{HashCheck, Verify};
use crate::error::{Error, Result};
use crate::exchange::load::Load;
use crate::lease::Kept as KeptLease;
use crate::limits::{MAX_LEASE_SECONDS, MIN_LEASE_SECONDS};
use crate::pager::Progress;
use crate::revision::{Position, Revision};
use crate::storage::{ReadAt, Storage};
use crate::store::{Change, Options, Store};

/// Bytes of a revision as a key: main, an underscore, sub; big-endian.
const REVISION_BYTES: usize = 17;

/// What an import from etcd has made.
#[derive(Debug)]
#[non_exhaustive]
pub struct EtcdImported<S: Storage> {
    /// The store, open.
    pub store: Store<S>,
    /// Records, versions and tombstones, that were taken.
    pub records: u64,
    /// Leases that were taken.
    pub leases: u64,
    /// Leases that keys are attached to and that etcd no longer had: they were granted anew, for the longest time there is.
    pub missing_leases: u64,
    /// Records without a key that were left out: what `etcdutl snapshot restore --mark-compacted` leaves to mark a revision.
    pub marks: u64,
}

/// A store that is being made of a snapshot of etcd, in steps.
///
/// [`import_etcd`] does all of them at once. A step looks at about a page of the snapshot, or at a megabyte of it while its hash is compared. Until [`EtcdImport::finish`]
/// has returned there is no store on the storage.
pub struct EtcdImport<R, S: Storage> {
    source: R,
    load: Option<Load<S>>,
    stage: Stage,
    found: Found,
}

/// What comes next.
#[derive(Debug)]
enum Stage {
    Verify(Verify),
    Open { length: u64 },
    Records { bolt: Bolt, walk: Walk, length: u64 },
    Done { length: u64 },
    Failed(Error),
}

/// What was found besides records and leases.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    scheduled: Option<u64>,
    finished: Option<u64>,
    /// The revision of the last record, also of one that was left out.
    last: u64,
    marks: u64,
    missing_leases: u64,
}

/// Makes a store of a snapshot of etcd, in a storage that must hold nothing: what `etcdctl snapshot save` writes, of etcd 3. All its history is there,
/// under its revisions, with its compacted revision and its leases; [`Store::hash_kv`] is what that etcd's `HashKV` says. A compaction that was
/// not finished goes on. What else a snapshot holds (members, users, alarms) is left out.
///
/// The time that is left to a lease is what etcd knew of it, or all of it; leases shorter than [`MIN_LEASE_SECONDS`] get
/// that. The limits of the options to keys, values and pages in use don't hold for what is imported.
///
/// Reads `source` once from its beginning for the hash and once page by page, holds in memory a page of it and what the new store's
/// index takes.
///
/// ```no_run
/// use palimpsest_kv::{HashCheck, Options, import_etcd, storage::MemoryStorage};
/// let snapshot = std::fs::File::open("snapshot.db").unwrap();
/// let imported = import_etcd(snapshot, MemoryStorage::new(), Options::default(), HashCheck::Required)?;
/// println!("revision {}, {} records", imported.store.revision(), imported.records);
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidSource`] if the snapshot is damaged, cut off, or something else; [`Error::KeyTooLarge`], [`Error::ValueTooLarge`] if etcd had been allowed more
/// than [`limits`](crate::limits) do: with nothing left of the store. [`Error::InvalidOption`] if the storage holds something or an option is invalid, with the
/// storage unchanged; [`Error::Storage`].
pub fn import_etcd<R: ReadAt, S: Storage>(
    source: R,
    into: S,
    options: Options,
    check: HashCheck,
) -> Result<EtcdImported<S>> {
    let mut import = EtcdImport::begin(source, into, options, check)?;
    while import.step()? {}
    import.finish()
}

impl<R: ReadAt, S: Storage> EtcdImport<R, S> {
    /// Begins, as [`import_etcd`] does.
    ///
    /// # Errors
    /// As [`import_etcd`].
    pub fn begin(source: R, into: S, options: Options, check: HashCheck) -> Result<Self> {
        let stage = Stage::Verify(Verify::begin(&source, check)?);
        let load = Some(Load::begin(into, options)?);
        Ok(Self { source, load, stage, found: Found::default() })
    }

    /// Goes a step on, and answers whether there are more.
    ///
    /// # Errors
    /// As [`import_etcd`]; after an error every further call answers the same.
    pub fn step(&mut self) -> Result<bool> {
        match self.advance() {
            Ok(progress) => Ok(progress == Progress::More),
            Err(error) => {
                self.stage = Stage::Failed(error.clone());
                self.load.take().into_iter().for_each(Load::abandon);
                Err(error)
            }
        }
    }

    /// Makes the store, durably, and opens it.
    ///
    /// # Errors
    /// As [`import_etcd`].
    pub fn finish(mut self) -> Result<EtcdImported<S>> {
        while self.step()? {}
        let Self { load, stage, found, .. } = self;
        let (Some(load), Stage::Done { length }) = (load, stage) else {
            unreachable!("an import without an error comes to its end")
        };
        let (records, leases) = (load.records(), load.leases() - found.missing_leases);
        let compacted = found.scheduled.max(found.finished);
        // As etcd does when it starts: what is compacted has been written.
        let revision = Revision::FIRST.get().max(found.last).max(compacted.unwrap_or(0));
        let store = load.finish(length, (revision, compacted))?;
        let Found { marks, missing_leases, .. } = found;
        Ok(EtcdImported { store, records, leases, missing_leases, marks })
    }

    /// Gives up: the storage holds nothing again.
    pub fn cancel(self) {
        self.load.into_iter().for_each(Load::abandon);
    }

    fn advance(&mut self) -> Result<Progress> {
        let Self { source, load, stage, found } = self;
        let Some(load) = load else {
            return match stage {
                Stage::Failed(error) => Err(error.clone()),
                _ => Ok(Progress::Done),
            };
        };
        match stage {
            Stage::Verify(verify) => {
                if verify.step(source)? == Progress::Done {
                    *stage = Stage::Open { length: verify.length };
                }
            }
            Stage::Open { length } => *stage = open(source, *length, load, found)?,
            Stage::Records { bolt, walk, length } => match walk.next(bolt, source)? {
                Some(leaf) => take_records(&leaf, load, found)?,
                None => {
                    grant_missing(*length, load, found)?;
                    *stage = Stage::Done { length: *length };
                }
            },
            Stage::Done { .. } | Stage::Failed(_) => return Ok(Progress::Done),
        }
        Ok(Progress::More)
    }
}

/// Finds the buckets, and takes what is in the small ones.
fn open<R: ReadAt, S: Storage>(
    source: &R,
    length: u64,
    load: &mut Load<S>,
    found: &mut Found,
) -> Result<Stage> {
    let mut bolt = Bolt::open(source, length)?;
    let [keys, meta, leases] = bolt.buckets(source, [b"key", b"meta", b"lease"])?;
    let keys = keys.ok_or_else(|| Error::invalid_source(0, "it has no bucket of keys: it is not etcd's"))?;
    for_each(&mut bolt, source, meta, |offset, name, value| found.take(offset, name, value))?;
    let take_lease = |offset, key: &[u8], value: &[u8]| load.lease(offset, lease(offset, key, value)?);
    for_each(&mut bolt, source, leases, take_lease)?;
    Ok(Stage::Records { walk: Walk::new(keys), bolt, length })
}

/// Takes all that is in a bucket, with where it stands.
fn for_each<R: ReadAt>(
    bolt: &mut Bolt,
    source: &R,
    bucket: Option<Bucket>,
    mut take: impl FnMut(u64, &[u8], &[u8]) -> Result<()>,
) -> Result<()> {
    let Some(bucket) = bucket else { return Ok(()) };
    let mut walk = Walk::new(bucket);
    while let Some(FoundLeaf { offset, elements }) = walk.next(bolt, source)? {
        for (_, key, value) in elements.iter() {
            take(offset, key, value)?;
        }
    }
    Ok(())
}

impl Found {
    /// Takes what a name in the bucket `meta` says, if it is about revisions.
    fn take(&mut self, offset: u64, name: &[u8], value: &[u8]) -> Result<()> {
        let place = match name {
            b"scheduledCompactRev" => &mut self.scheduled,
            b"finishedCompactRev" => &mut self.finished,
            _ => return Ok(()),
        };
        let (position, rest) = take_position(value).map_err(|what| Error::invalid_source(offset, what))?;
        if !rest.is_empty() {
            return Err(Error::invalid_source(offset, "a compacted revision can't be read"));
        }
        *place = Some(position.main);
        Ok(())
    }
}

/// A revision in etcd's form, and what follows it.
///
/// # Errors
/// Says in words why there is none.
fn take_position(bytes: &[u8]) -> core::result::Result<(Position, &[u8]), String> {
    let (revision, rest) = bytes.split_first_chunk::<REVISION_BYTES>().ok_or("a revision is too short")?;
    let (main, after) = revision.split_first_chunk::<8>().ok_or("a revision is too short")?;
    let (separator, sub) = after.split_first_chunk::<1>().ok_or("a revision is too short")?;
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let (main, sub) = (number(main), number(sub));
    let position = u32::try_from(sub).ok().map(|sub| Position::new(main, sub));
    let is_possible = separator == b"_" && main <= Revision::LAST.get();
    let position = position.filter(|_| is_possible);
    Ok((position.ok_or_else(|| format!("{main}.{sub} is no revision that a record can have"))?, rest))
}

/// A lease of the bucket `lease`.
fn lease(offset: u64, key: &[u8], value: &[u8]) -> Result<KeptLease> {
    let message = LeaseMessage::decode(value)
        .filter(|lease| *key == lease.id.to_be_bytes())
        .ok_or_else(|| Error::invalid_source(offset, "a lease can't be read"))?;
    let ttl_seconds = message.ttl.max(MIN_LEASE_SECONDS);
    let left = if message.left == 0 { ttl_seconds } else { message.left.min(ttl_seconds) };
    Ok(KeptLease { id: message.id, ttl_seconds, left_millis: left.saturating_mul(1000) })
}

/// Takes the records of a leaf of the bucket `key`.
fn take_records<S: Storage>(leaf: &FoundLeaf, load: &mut Load<S>, found: &mut Found) -> Result<()> {
    for (kind, key, value) in leaf.elements.iter() {
        let invalid = |what: String| Error::invalid_source(leaf.offset, what);
        let (position, mark) = take_position(key).map_err(invalid)?;
        let message = KeyValue::decode(value).filter(|_| kind == Kind::Value);
        let message = message.ok_or_else(|| invalid(format!("record {position} can't be read")))?;
        let KeyValue { key, created, modified, version, value: content, lease } = message;
        found.last = position.main;
        let change = match mark {
            [] if value.is_empty() => {
                found.marks += 1;
                continue;
            }
            [] if modified == position.main => Change::Put { key, value: content, version, created, lease },
            [] => return Err(invalid(format!("record {position} says that it is of revision {modified}"))),
            b"t" => Change::Tombstone { key },
            _ => return Err(invalid(format!("record {position} is neither a value nor a tombstone"))),
        };
        load.record(leaf.offset, position, change)?;
    }
    Ok(())
}

/// Grants the leases that keys are attached to and that are not there. etcd keeps such keys for as long as nobody deletes them.
fn grant_missing<S: Storage>(offset: u64, load: &mut Load<S>, found: &mut Found) -> Result<()> {
    let missing: alloc::collections::BTreeSet<u64> = load.missing_leases().collect();
    for id in missing {
        let (ttl_seconds, left_millis) = (MAX_LEASE_SECONDS, MAX_LEASE_SECONDS * 1000);
        load.lease(offset, KeptLease { id, ttl_seconds, left_millis })?;
        found.missing_leases += 1;
    }
    Ok(())
}
