//! Which versions stay whatever is compacted, by the prefixes of their keys.

use alloc::format;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use crate::error::{Error, Result};
use crate::limits::MAX_RETAINED_VERSIONS;
use crate::scheduler::WallTime;
use crate::times::Times;

/// What compaction leaves of the keys that begin with a prefix, besides what it always does. Of several rules that of the longest prefix decides,
/// so that one that keeps nothing more exempts its keys from another.
///
/// What a rule keeps lies below the compacted revision: [`Store::history`](crate::Store::history) shows it, and reads at pinned revisions
/// do, and every other read in the past is refused as without rules.
///
/// Rules are not written down in the store: they are those of who has it open, like the policy of automatic compaction. Opened without them,
/// [`Store::run`](crate::Store::run) removes what they have kept. A copy has the versions that rules keep when it is made, and not the rules.
///
/// ```
/// use core::time::Duration;
/// use palimpsest_kv::{Options, RetentionRule};
///
/// let rules = vec![
///     RetentionRule::of("config/").newest(10),
///     RetentionRule::of("config/secrets/"),
///     RetentionRule::of("audit/").for_at_least(Duration::from_hours(24)),
/// ];
/// let options = Options { retention: rules, ..Options::default() };
/// options.validate()?;
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    prefix: Vec<u8>,
    versions: u64,
    time: Duration,
}

impl RetentionRule {
    /// Keys that begin with `prefix`; nothing more is kept of them.
    pub fn of(prefix: impl AsRef<[u8]>) -> Self {
        Self { prefix: prefix.as_ref().to_vec(), versions: 1, time: Duration::ZERO }
    }

    /// Keeps the newest so many versions of each key, the present one among them, while the key exists: once it is deleted, and compaction has
    /// reached that, none. A put costs a look at so many positions of its key.
    #[must_use]
    pub fn newest(mut self, versions: u64) -> Self {
        self.versions = versions;
        self
    }

    /// Keeps what compaction would remove for so long after it was replaced, deleted, or no longer among the newest versions that are kept. It
    /// needs a [`Clock`](crate::Clock) that knows the calendar, and goes by the times of revisions that the store knows: see
    /// [`Store::revision_at`](crate::Store::revision_at).
    #[must_use]
    pub fn for_at_least(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }
}

/// Which of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuleId(pub(super) usize);

/// All rules, and how far time has gone for each. Invariant: longer prefixes come before shorter ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<RetentionRule>,
    /// Of each rule: only what died by this revision is old enough for it.
    bounds: Vec<u64>,
}

impl Rules {
    /// The rules, where so much is known of times.
    pub(crate) fn new(rules: &[RetentionRule], times: &Times) -> Self {
        let mut rules = rules.to_vec();
        rules.sort_by_key(|rule| Reverse(rule.prefix.len()));
        let bound = |rule: &RetentionRule| if rule.time.is_zero() { u64::MAX } else { 0 };
        let bounds = rules.iter().map(bound).collect();
        let mut rules = Self { rules, bounds };
        // It is at least as late as it was then.
        if let Some(last) = times.last() {
            rules.look_at_times(times, WallTime::from_millis(last.millis));
        }
        rules
    }

    /// # Errors
    /// [`Error::InvalidOption`].
    pub(crate) fn validate(rules: &[RetentionRule]) -> Result<()> {
        let invalid = |reason| Err(Error::InvalidOption { option: "retention", reason });
        for (place, rule) in rules.iter().enumerate() {
            if !(1..=MAX_RETAINED_VERSIONS).contains(&rule.versions) {
                return invalid(format!("{} is not between 1 and {MAX_RETAINED_VERSIONS}", rule.versions));
            }
            if rules.iter().take(place).any(|other| other.prefix == rule.prefix) {
                return invalid(format!("there are two rules of one prefix, {:?}", rule.prefix));
            }
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Each of them.
    pub(super) fn ids(&self) -> impl Iterator<Item = RuleId> + use<> {
        (0..self.rules.len()).map(RuleId)
    }

    /// Looks up what is old enough for the rules that count time, at a moment. It never becomes less.
    pub(crate) fn look_at_times(&mut self, times: &Times, now: WallTime) {
        for (rule, bound) in self.rules.iter().zip(&mut self.bounds).filter(|(rule, _)| !rule.time.is_zero())
        {
            if let Some(revision) = times.revision_at(now.before(rule.time)) {
                *bound = revision.max(*bound);
            }
        }
    }

    /// Up to which revision a compaction to `revision` removes what has died of a key that the rule is about.
    pub(crate) fn reach(&self, rule: Option<RuleId>, revision: u64) -> u64 {
        let bound = rule.and_then(|RuleId(place)| self.bounds.get(place));
        bound.map_or(revision, |bound| revision.min(*bound))
    }

    /// The rule of a key. O(rules).
    #[inline]
    pub(crate) fn of(&self, key: &[u8]) -> Option<RuleId> {
        if self.rules.is_empty() {
            return None;
        }
        self.rules.iter().position(|rule| key.starts_with(&rule.prefix)).map(RuleId)
    }

    /// How many versions of a key are kept.
    pub(crate) fn versions(&self, rule: Option<RuleId>) -> usize {
        let versions = rule.and_then(|RuleId(place)| self.rules.get(place)).map_or(1, |rule| rule.versions);
        usize::try_from(versions).unwrap_or(usize::MAX)
    }

    /// How long a rule keeps what is given up otherwise; `None` if it does not.
    pub(crate) fn time(&self, rule: Option<RuleId>) -> Option<Duration> {
        let time = rule.and_then(|RuleId(place)| self.rules.get(place)).map(|rule| rule.time);
        time.filter(|time| !time.is_zero())
    }

    /// How far back they need the times of revisions.
    pub(crate) fn longest(&self) -> Duration {
        self.times().max().unwrap_or_default()
    }

    /// How long the rules keep something that do so for a while.
    pub(crate) fn times(&self) -> impl Iterator<Item = Duration> + '_ {
        self.rules.iter().map(|rule| rule.time).filter(|time| !time.is_zero())
    }
}
