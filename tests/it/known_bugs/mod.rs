//! Bugs that other stores have published, each as a test of its own; and the proof that the test would notice: on an engine that is broken
//! in that way it fails.

use std::cell::Cell;
use std::panic::{catch_unwind, set_hook, take_hook};
use std::sync::Once;

use palimpsest_kv::sabotage::{Sabotage, with};
use palimpsest_kv_tests::simulation::{Looks, simulate};

mod large;
mod panics;
mod scenarios;

/// The simulation must notice a broken engine within so many seeds.
const SEEDS: u64 = 100;

thread_local! {
    static IS_EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Whether `work` panics, without a word about it.
fn panics(work: impl FnOnce()) -> bool {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_EXPECTED.get() {
                loud(panic);
            }
        }));
    });
    IS_EXPECTED.set(true);
    let result = catch_unwind(std::panic::AssertUnwindSafe(work));
    IS_EXPECTED.set(false);
    result.is_err()
}

/// The scenario goes well on the engine as it is, and fails on one that is broken.
fn check(fault: Sabotage, scenario: fn()) {
    scenario();
    assert!(panics(|| with(fault, scenario)), "the scenario does not notice {fault:?}");
}

/// The simulation fails on an engine that is broken. That it goes well on the engine as it is, is a test of its own.
fn check_simulated(fault: Sabotage) {
    let run = |seed| {
        let _tally = simulate(seed, Looks::Sampled);
    };
    let noticed = (0..SEEDS).any(|seed| panics(|| with(fault, || run(seed))));
    assert!(noticed, "{SEEDS} seeds of the simulation do not notice {fault:?}");
}

/// etcd#14370: a write was acknowledged before it was durable, and lost.
#[test]
fn what_is_acknowledged_is_durable() {
    check_simulated(Sabotage::SyncSkipped);
    check_simulated(Sabotage::DurableTooEarly);
}

/// fjall#308; redb before 2.1.2: after a failed write the store went on, and what it acknowledged later could not be read. Rebello
/// and others, "Can Applications Recover from fsync Failures?" (2020), found no store that copes with a sync that fails once and then succeeds.
#[test]
fn nothing_is_acknowledged_after_a_failed_sync() {
    check_simulated(Sabotage::FailureForgotten);
}

/// A transaction whose second half could not read what it needed left its first half, which the next flush made durable.
#[test]
fn a_transaction_that_fails_to_read_leaves_nothing() {
    check(Sabotage::FailureForgotten, scenarios::a_read_that_fails_within_a_transaction);
}

/// The same study: a store that is opened again reads from the system's memory what the medium never got, and believes it.
#[test]
fn what_a_failed_sync_has_lost_is_written_again_when_the_store_is_opened() {
    check_simulated(Sabotage::RecoveredLogNotRewritten);
}

/// redb#885: a program that had panicked was taken for one that had closed its store.
#[test]
fn nothing_is_acknowledged_after_a_panic() {
    check(Sabotage::PanicForgotten, panics::a_medium_that_panics);
}

/// redb before 4.2.0: a crash during the recovery of a crash lost durable commits.
#[test]
fn a_crash_while_a_store_is_opened_after_a_crash_loses_nothing() {
    check_simulated(Sabotage::RecoveredLogNotSynced);
}

/// etcd#16596 (bbolt); redb 4.5: a crash while a store was created left a file that could not be opened.
#[test]
fn a_crash_during_creation_leaves_an_empty_store() {
    check_simulated(Sabotage::CreationRefused);
}

/// bbolt#778: a page was allocated twice.
#[test]
fn no_page_is_given_out_twice() {
    check_simulated(Sabotage::AllocatedTwice);
}

/// boltdb#348; SurrealDB#6872: pages were freed that something still reached.
#[test]
fn pages_of_what_is_kept_are_not_freed() {
    check_simulated(Sabotage::OverflowFreedAlive);
}

/// lmdb-js#194 and #335: pages of removed values never came back.
#[test]
fn pages_of_what_is_removed_come_back() {
    check_simulated(Sabotage::OverflowLeaked);
}

/// redb#1330: pages were used again that the last durable state still needed.
#[test]
fn pages_of_the_last_checkpoint_are_not_used_again_before_the_next() {
    check_simulated(Sabotage::PendingReusedEarly);
}

/// redb#1330; bbolt#66: the list of free pages was believed as it stood on the disk, and pages that were in use were written over.
#[test]
fn a_freelist_is_not_believed() {
    check(Sabotage::FreelistTrusted, scenarios::a_freelist_that_says_all_pages_are_free);
}

/// redb before 4.1.0, savepoints: pages were used again that an older view still read.
#[test]
fn pages_that_a_snapshot_reads_are_not_used_again() {
    check(Sabotage::SnapshotIgnored, scenarios::a_snapshot_outlives_compactions);
}

/// ReOpenLDAP#1: the meta page reached the disk before the data. SurrealKV#390: a table was named before it was synced.
#[test]
fn a_checkpoint_is_named_after_its_pages_are_durable() {
    check_simulated(Sabotage::MetaBeforeData);
}

/// libmdbx#217: a meta page that was not valid was chosen because its number was greater.
#[test]
fn a_damaged_meta_slot_is_never_chosen() {
    check(Sabotage::MetaChecksumUnchecked, scenarios::every_bit_of_a_meta_slot_flipped);
}

/// bbolt#241: a checksum of zero was taken for none.
#[test]
fn a_checksum_of_zero_is_compared_as_any_other() {
    check(Sabotage::ZeroChecksumAccepted, scenarios::every_byte_of_a_meta_slot_changed_and_its_checksum_zero);
}

/// redb#620: a full disk, and then the store could not be opened any more.
#[test]
fn a_store_on_a_full_medium_can_be_opened_and_has_everything() {
    check(Sabotage::GrownWhenOpened, scenarios::a_medium_that_runs_full);
}

/// redb#515 and #516, wa-sqlite#258: beyond some gigabytes what was written came to another place.
#[test]
fn a_store_of_more_than_four_gigabytes_is_as_good_as_any() {
    check(Sabotage::OffsetIn32Bits, large::a_store_of_more_than_four_gigabytes);
}

/// bbolt#1005: a meta page was unprotected while it was being written.
#[test]
fn the_only_good_meta_slot_is_not_written_over() {
    check(Sabotage::TrustedSlotOverwritten, scenarios::a_crash_in_a_checkpoint_beside_a_damaged_slot);
}

/// SurrealKV#264: only the last segment of the log was replayed.
#[test]
fn the_whole_log_is_followed() {
    check_simulated(Sabotage::LogFollowedOnce);
}

/// The reason for which every store has a log: half a transaction.
#[test]
fn a_transaction_of_many_pages_is_there_whole_or_not_at_all() {
    check_simulated(Sabotage::CommitEndIgnored);
}

/// fjall#311: decay in the middle of the journal could not be told from a torn end, and what came after was lost.
#[test]
fn decay_in_the_middle_of_the_log_is_no_torn_end() {
    check(Sabotage::LostCommitIgnored, scenarios::decay_in_the_log);
}

/// fjall#241: what had been undone came back when the journal was replayed.
#[test]
fn what_a_crash_has_undone_does_not_come_back() {
    check(Sabotage::PredecessorUnchecked, scenarios::undone_commits_stay_undone);
}

/// PGlite#327 and others: a file that was cut off was opened as if that were all.
#[test]
fn a_storage_that_was_cut_off_is_refused() {
    check(Sabotage::LengthUnchecked, scenarios::a_storage_cut_off);
}

/// redb 4.5: of the flipped bits that mattered 87 in 100 gave wrong answers.
#[test]
fn damaged_pages_are_not_believed() {
    check_simulated(Sabotage::ChecksumUnchecked);
    check_simulated(Sabotage::OverflowUnverified);
}

/// Bairavasundaram and others, "An Analysis of Data Corruption in the Storage Stack" (2008): writes that a disk acknowledges and loses, so
/// that an older version of the page is found. Two things tell it here, the parent's reference and the order of the records; an engine without one of
/// them would still notice.
#[test]
fn a_lost_write_is_seen() {
    scenarios::every_page_replaced_by_an_older_version();
}

/// etcd#18089 and #19179: a tombstone at exactly the compacted revision was dropped, and who followed from there missed the delete.
#[test]
fn a_tombstone_at_the_compacted_revision_is_kept() {
    check_simulated(Sabotage::TombstoneDropped);
}

/// etcd#6567 and #6633: after a restart the current revision was less than the compacted one.
#[test]
fn a_compaction_that_was_acknowledged_is_not_forgotten() {
    check_simulated(Sabotage::ScheduledForgotten);
}

/// etcd#17780: a crash during compaction left a store that differed from its copies.
#[test]
fn a_compaction_that_was_interrupted_goes_on() {
    check_simulated(Sabotage::FinishedTooEarly);
}

/// A pin holds all that is visible at its revision and nothing else, and a key that was deleted then does not come back to life.
#[test]
fn a_pin_holds_what_was_visible_and_nothing_else() {
    check_simulated(Sabotage::PinEndsEarly);
    check_simulated(Sabotage::UnpinnedForgotten);
    check_simulated(Sabotage::TombstoneBeforeElder);
    check_simulated(Sabotage::PinsNotCheckpointed);
}

/// A rule keeps as many versions as it says.
#[test]
fn a_rule_of_retention_keeps_what_it_says() {
    check_simulated(Sabotage::OneVersionLess);
}

/// redb before 4.3.0: an iterator left out entries after an error.
#[test]
fn a_range_ends_with_its_first_error() {
    check(Sabotage::RangeGoesOnAfterError, scenarios::a_read_that_fails_within_a_range);
}

/// etcd#15919: the hash of a history depended on whether compaction had done its work.
#[test]
fn a_hash_does_not_depend_on_background_work() {
    check_simulated(Sabotage::DeadHashed);
}

/// A lease is revoked with its keys, or not at all: else a crash leaves a lease whose keys are gone.
#[test]
fn a_revocation_is_whole() {
    check(Sabotage::RevocationSplit, scenarios::a_revocation_that_a_crash_interrupts);
}

/// etcd#9395 and #9888: a restart gave each lease its whole time once more. A crash neither gives nor takes any.
#[test]
fn leases_and_their_times_outlive_the_process() {
    check_simulated(Sabotage::LeasesNotCheckpointed);
    check_simulated(Sabotage::LeaseTimeForgotten);
    check(Sabotage::RenewalForgotten, scenarios::a_renewal_before_a_crash);
    check_simulated(Sabotage::LeaseOrderIgnored);
}

/// Times that are forgotten, or that go back with the calendar, make history look younger than it is, or older.
#[test]
fn when_a_revision_was_there_outlives_the_process_and_the_calendar() {
    check_simulated(Sabotage::TimesNotCheckpointed);
    check_simulated(Sabotage::CalendarTrusted);
    check(Sabotage::TimesNotLogged, scenarios::a_time_before_a_crash);
}

/// A history that depends on how far background work is tells two readers two things.
#[test]
fn a_history_has_nothing_that_compaction_is_to_remove() {
    check_simulated(Sabotage::DeadShown);
}

/// A watcher that was told of what a crash then undid is at a revision that there will be once more, with other content.
#[test]
fn a_watcher_knows_nothing_that_a_crash_can_undo() {
    check_simulated(Sabotage::WatcherToldTooEarly);
}

/// etcd#17529: a watcher that did not keep up lost events.
#[test]
fn a_slow_watcher_misses_nothing() {
    check(Sabotage::WatchListForgetful, scenarios::a_watcher_that_does_not_keep_up);
}

/// etcd#20221: a watcher of a future revision was told of earlier events.
#[test]
fn a_watcher_of_the_future_is_not_told_of_the_past() {
    check(Sabotage::FutureWatcherToldOfThePast, scenarios::watchers_at_the_edges);
}

/// etcd#10681: what was there before an event was silently missing when compaction had removed it. A watcher that has lost events is told so.
#[test]
fn a_watcher_is_told_what_compaction_took() {
    check_simulated(Sabotage::WatcherLossHidden);
    check(Sabotage::PreviousMissing, scenarios::watchers_at_the_edges);
}

/// A watcher that compaction is to wait for loses nothing.
#[test]
fn compaction_waits_for_watchers_that_hold() {
    check_simulated(Sabotage::HoldIgnored);
}

/// Events of one revision come together.
#[test]
fn a_revision_is_told_whole() {
    check(Sabotage::RevisionTornApart, scenarios::watchers_at_the_edges);
}

/// etcd#22139: puts in nested transactions passed the quota.
#[test]
fn nested_transactions_are_checked_as_others() {
    check(Sabotage::NestedPutsCostNothing, scenarios::watchers_at_the_edges);
    check_simulated(Sabotage::NestedDuplicatesAllowed);
}

/// A storage that is made shorter while the durable checkpoint still counts on all of it can't be opened after a crash.
#[test]
fn a_storage_is_not_made_shorter_too_early() {
    check_simulated(Sabotage::CutTooEarly);
}

/// etcd#9992, etcd#14595: a full store could not be emptied, since that needs room too.
#[test]
fn a_full_store_gets_room_again() {
    check(Sabotage::ReserveIgnored, crate::quota::full_stores_get_room_again);
    check(Sabotage::ReserveIgnored, scenarios::a_full_medium_gets_room_again);
}
