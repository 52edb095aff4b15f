//! How a store is opened: one plain struct, validated once.

use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use crate::compaction::{AutoCompaction, RetentionRule, Rules, Thinning};
use crate::error::{Error, Result};
use crate::limits;

/// When a write is made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// Before the call returns.
    #[default]
    Strict,
    /// Within [`Options::flush_interval`], by [`Store::run`](crate::Store::run), or at once by
    /// [`Store::flush`](crate::Store::flush). After a crash the newest of these writes may be gone, whole
    /// transactions only and never an older one without the newer ones.
    Relaxed,
}

/// How a store is opened. Every field has a default.
///
/// ```
/// use palimpsest_kv::{Durability, Options};
/// let options = Options { durability: Durability::Relaxed, ..Options::default() };
/// options.validate()?;
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes in a page, for a store that is created now: a power of two from 512 to 65,536. An existing store keeps its own.
    pub page_bytes: usize,
    /// Memory for pages read from the storage, in bytes.
    pub cache_bytes: usize,
    /// When a write is made durable.
    pub durability: Durability,
    /// How long a relaxed write may wait before it is made durable.
    pub flush_interval: Duration,
    /// Records after which one chunk of a compaction ends. A page that was begun is finished, so that it is not copied twice.
    pub compaction_batch_limit: usize,
    /// Pause after each chunk of a compaction, counted from the chunk's end.
    pub compaction_pause: Duration,
    /// Which history the store gives up by itself; [`Store::set_auto_compaction`](crate::Store::set_auto_compaction) changes it later.
    pub auto_compaction: AutoCompaction,
    /// Which versions stay whatever is compacted; [`Store::set_retention`](crate::Store::set_retention) changes it later.
    pub retention: Vec<RetentionRule>,
    /// How history gets thinner with age, if it does; [`Store::set_thinning`](crate::Store::set_thinning) changes it later. It needs a
    /// [`Clock`](crate::Clock) that knows the calendar.
    pub thinning: Option<Thinning>,
    /// The longest key, in bytes.
    pub max_key_bytes: usize,
    /// The longest value, in bytes.
    pub max_value_bytes: usize,
    /// Operations in one branch of a transaction at most.
    pub max_txn_ops: usize,
    /// How many bytes of pages may be in use: a put, a transaction with puts or a grant of a lease that may need more is refused with
    /// [`Error::NoSpace`], while reads, deletes and compaction go on. An eighth of the quota, but at most 8 MiB, is not for puts: in it
    /// a full store deletes, compacts and gets shorter. `None` sets no bound;
    /// [`Store::set_quota`](crate::Store::set_quota) changes it later.
    pub quota_bytes: Option<u64>,
    /// A random number that tells a new store from every other, so that no page of one verifies in another. `None` takes one from
    /// the operating system where there is `std`; a host without one should give it.
    pub store_id: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            page_bytes: limits::DEFAULT_PAGE_BYTES,
            cache_bytes: limits::DEFAULT_CACHE_BYTES,
            durability: Durability::Strict,
            flush_interval: Duration::from_micros(limits::DEFAULT_FLUSH_INTERVAL_MICROS),
            compaction_batch_limit: limits::DEFAULT_COMPACTION_BATCH_LIMIT,
            compaction_pause: Duration::from_micros(limits::DEFAULT_COMPACTION_PAUSE_MICROS),
            auto_compaction: AutoCompaction::Off,
            retention: Vec::new(),
            thinning: None,
            max_key_bytes: limits::DEFAULT_MAX_KEY_BYTES,
            max_value_bytes: limits::DEFAULT_MAX_VALUE_BYTES,
            max_txn_ops: limits::DEFAULT_MAX_TXN_OPS,
            quota_bytes: None,
            store_id: None,
        }
    }
}

impl Options {
    /// Checks every field; [`Store::open`](crate::Store::open) does so too.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] names the first field that is out of its range.
    pub fn validate(&self) -> Result<()> {
        if !self.page_bytes.is_power_of_two() {
            let reason = format!("{} is not a power of two", self.page_bytes);
            return Err(Error::InvalidOption { option: "page_bytes", reason });
        }
        let ranges = [
            ("page_bytes", self.page_bytes, limits::MIN_PAGE_BYTES, limits::MAX_PAGE_BYTES),
            ("compaction_batch_limit", self.compaction_batch_limit, 1, usize::MAX),
            ("max_key_bytes", self.max_key_bytes, 1, limits::MAX_KEY_BYTES),
            ("max_value_bytes", self.max_value_bytes, 0, limits::MAX_VALUE_BYTES),
            ("max_txn_ops", self.max_txn_ops, 1, limits::MAX_TXN_OPS),
        ];
        for (option, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                let reason = format!("{value} is not between {least} and {most}");
                return Err(Error::InvalidOption { option, reason });
            }
        }
        Rules::validate(&self.retention)?;
        self.thinning.as_ref().map_or(Ok(()), Thinning::validate)
    }
}
