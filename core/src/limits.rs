//! Every limit and default of the engine in one place, with the relations between them checked at compile time.

/// The smallest page size, in bytes.
pub const MIN_PAGE_BYTES: usize = 512;
/// The largest page size, in bytes. Offsets within a page are stored in 16 bits.
pub const MAX_PAGE_BYTES: usize = 64 * 1024;
/// The page size of a store that did not ask for another, in bytes.
pub const DEFAULT_PAGE_BYTES: usize = 4096;
/// The longest key by default, in bytes.
pub const DEFAULT_MAX_KEY_BYTES: usize = 64 * 1024;
/// The longest key that can be allowed, in bytes.
pub const MAX_KEY_BYTES: usize = 1 << 20;
/// The longest value by default, in bytes: etcd's limit of a request.
pub const DEFAULT_MAX_VALUE_BYTES: usize = 3 * 512 * 1024;
/// The longest value that can be allowed, in bytes.
pub const MAX_VALUE_BYTES: usize = 1 << 30;
/// Operations in one branch of a transaction by default, as in etcd (`--max-txn-ops`).
pub const DEFAULT_MAX_TXN_OPS: usize = 128;
/// Operations in one branch of a transaction at most.
pub const MAX_TXN_OPS: usize = 1 << 20;
/// Depth of operations that are transactions themselves, at most. etcd bounds them by the operations that are left, 128 by default.
pub const MAX_TXN_DEPTH: usize = 128;
/// Memory for pages read from the storage by default, in bytes.
pub const DEFAULT_CACHE_BYTES: usize = 64 * 1024 * 1024;
/// Records removed by one chunk of a compaction by default, as in etcd (`--compaction-batch-limit`).
pub const DEFAULT_COMPACTION_BATCH_LIMIT: usize = 1000;
/// Pause after each chunk of a compaction by default, in microseconds, as in etcd (`--compaction-sleep-interval`).
pub const DEFAULT_COMPACTION_PAUSE_MICROS: u64 = 10_000;
/// How long a relaxed write may stay in memory before it is made durable, by default, in microseconds.
pub const DEFAULT_FLUSH_INTERVAL_MICROS: u64 = 100_000;
/// The shortest life of a lease, in seconds: what etcd makes of shorter ones, with its default election timeout
/// (`server/lease/lessor.go`).
pub const MIN_LEASE_SECONDS: u64 = 2;
/// The longest life of a lease, in seconds, as in etcd (`server/lease/lessor.go`).
pub const MAX_LEASE_SECONDS: u64 = 9_000_000_000;
/// Versions of a key that a rule of retention may keep at most, in records.
pub const MAX_RETAINED_VERSIONS: u64 = 10_000;
/// The longest name of a pin, in bytes.
pub const MAX_PIN_NAME_BYTES: usize = 255;
/// Events after which a watcher's batch ends, at the end of a revision, as in etcd (`server/storage/mvcc/watcher_group.go`).
pub const WATCH_BATCH_EVENTS: usize = 1000;
/// Bytes of keys and values after which a watcher's batch ends, at the end of a revision: etcd's limit of a request.
pub const WATCH_BATCH_BYTES: usize = 3 * 512 * 1024;

/// Free bytes from which on the storage is made shorter by itself, if they are a quarter of it.
pub const SHRINK_LEAST_BYTES: u64 = 1 << 20;
/// Pages that a compaction or a shrinking writes before they are synced: else the next commit's sync, or a checkpoint's, would wait for all
/// of them at once.
pub(crate) const BACKGROUND_SYNC_PAGES: usize = 128;
/// Bytes that are cut off the storage's end in one step: file systems take the time to free each block. A quarter of it is what ends a step that
/// moves long values.
pub(crate) const SHRINK_STEP_BYTES: u64 = 2 << 20;
/// Free pages that are left at the storage's end at least when it is made shorter.
pub(crate) const SHRINK_SPARE_PAGES: u32 = 8;

/// The version of the format that this build writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Damaged pages, and lost records or stretches of them, that a report lists one by one.
pub const MAX_LISTED: usize = 1000;

/// Dead records that are worth a look while a watcher holds others, in records.
pub(crate) const SWEEP_LEAST_RECORDS: usize = 1024;
/// Changes that a watcher's list holds. One that falls further behind reads on from the records instead.
pub(crate) const MAX_WATCH_LIST: usize = 256;
/// Records that are looked at for one watcher at once.
pub(crate) const WATCH_SCAN_RECORDS: usize = 4096;
/// Bytes that a put is taken to need besides its key and value, to tell whether the quota allows it, as in etcd
/// (`server/storage/quota.go`).
pub(crate) const PUT_OVERHEAD_BYTES: u64 = 256;
/// Bytes that a lease is taken to need, as in etcd.
pub(crate) const LEASE_BYTES: u64 = 64;
/// What puts leave free of the quota, for what frees space to work in: this part of it, but at most so many bytes.
pub(crate) const QUOTA_RESERVE_PART: u64 = 8;
/// The reserve at most, in bytes.
pub(crate) const QUOTA_RESERVE_MOST_BYTES: u64 = 8 << 20;
/// Leaves that wait in memory for the next commit before one is written out without a sync.
pub(crate) const MAX_UNWRITTEN_LEAVES: usize = 64;
/// Pages of the log between two checkpoints: bounds what opening must follow (16 MiB with the default page).
pub(crate) const CHECKPOINT_LOG_PAGES: usize = 4096;
/// Superseded versions of edge leaves between two checkpoints: bounds what many small commits waste. A quarter of a small
/// file, if that is less.
pub(crate) const CHECKPOINT_SUPERSEDED_PAGES: usize = 256;
/// Pages freed and waiting for a checkpoint before compaction asks for one: bounds how far the file grows while a
/// compaction copies what it keeps. A twenty-fourth of a small file, if that is less.
pub(crate) const CHECKPOINT_PENDING_PAGES: usize = 1024;

const _: () = assert!(MIN_PAGE_BYTES.is_power_of_two() && MAX_PAGE_BYTES.is_power_of_two());
const _: () = assert!(MAX_PAGE_BYTES <= 1 << 16, "offsets within a page are 16 bits");
const _: () = assert!(DEFAULT_MAX_KEY_BYTES <= MAX_KEY_BYTES && DEFAULT_MAX_VALUE_BYTES <= MAX_VALUE_BYTES);
const _: () = assert!(MAX_KEY_BYTES + MAX_VALUE_BYTES < u32::MAX as usize, "lengths are stored in 32 bits");
const _: () =
    assert!(MIN_LEASE_SECONDS >= 1 && MAX_LEASE_SECONDS < u64::MAX / 1_000_000, "times are microseconds");
const _: () = assert!(MAX_PIN_NAME_BYTES < MIN_PAGE_BYTES / 2, "a pin's record fits the smallest leaf");
const _: () = assert!(CHECKPOINT_SUPERSEDED_PAGES <= CHECKPOINT_LOG_PAGES);
