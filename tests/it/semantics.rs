//! The rules of the model, one worked case each.

use palimpsest_kv_tests::script::check;

#[test]
fn an_empty_store_is_at_revision_1_and_its_first_write_is_2() {
    check(
        "
        revisions      => current 1, compacted -, finished -
        numbers        => live 0, keys 0, records 0, dead 0
        get a          => none
        range *        => nothing; revision 1
        put a 1        => revision 2
        revisions      => current 2, compacted -, finished -
        ",
    );
}

#[test]
fn what_changes_nothing_takes_no_revision() {
    check(
        "
        put a 1                         => revision 2
        delete b                        => revision 2, deleted 0
        delete [x,z)                    => revision 2, deleted 0
        delete [z,a)                    => revision 2, deleted 0
        txn then                        => then ; revision 2
        txn then get a                  => then a=1(2,2,1); revision 2
        txn then delete b; get a        => then deleted 0, a=1(2,2,1); revision 2
        txn version:a=9 then put a 2    => else ; revision 2
        put a 1                         => revision 3
        delete a                        => revision 4, deleted 1
        delete a                        => revision 4, deleted 0
        ",
    );
}

#[test]
fn a_read_names_a_revision_and_gets_what_was_there() {
    check(
        "
        put a 1                  => revision 2
        put b 2                  => revision 3
        put a 3                  => revision 4
        delete b                 => revision 5, deleted 1
        range * at 0             => a=3(2,4,2); revision 5
        range *                  => a=3(2,4,2); revision 5
        range * at 5             => a=3(2,4,2); revision 5
        range * at 4             => a=3(2,4,2) b=2(3,3,1); revision 5
        range * at 3             => a=1(2,2,1) b=2(3,3,1); revision 5
        range * at 2             => a=1(2,2,1); revision 5
        range * at 1             => nothing; revision 5
        range * at 6             => FUTURE_REVISION 6, current 5
        count * at 6             => FUTURE_REVISION 6, current 5
        get a at 6               => FUTURE_REVISION 6, current 5
        get a at 0               => a=3(2,4,2)
        get a at 3               => a=1(2,2,1)
        get b at 5               => none
        ",
    );
}

#[test]
fn a_range_is_a_key_an_interval_a_prefix_or_everything() {
    check(
        "
        txn then put a 1; put ab 2; put b 3   => then put, put, put; revision 2
        txn then put ba 4; put c 5            => then put, put; revision 3
        range a              => a=1(2,2,1); revision 3
        range aa             => nothing; revision 3
        range [a,b)          => a=1(2,2,1) ab=2(2,2,1); revision 3
        range [aa,bb)        => ab=2(2,2,1) b=3(2,2,1) ba=4(3,3,1); revision 3
        range [b,b)          => nothing; revision 3
        range [c,a)          => nothing; revision 3
        range a*             => a=1(2,2,1) ab=2(2,2,1); revision 3
        range b..            => b=3(2,2,1) ba=4(3,3,1) c=5(3,3,1); revision 3
        range *              => a=1(2,2,1) ab=2(2,2,1) b=3(2,2,1) ba=4(3,3,1) c=5(3,3,1); revision 3
        range ['',b)         => a=1(2,2,1) ab=2(2,2,1); revision 3
        range * keys         => a=''(2,2,1) ab=''(2,2,1) b=''(2,2,1) ba=''(3,3,1) c=''(3,3,1); revision 3
        ",
    );
}

#[test]
fn a_limit_says_whether_there_is_more_and_a_count_ignores_it() {
    check(
        "
        txn then put a 1; put b 2; put c 3    => then put, put, put; revision 2
        range * limit 2          => a=1(2,2,1) b=2(2,2,1) more; revision 2
        range * limit 3          => a=1(2,2,1) b=2(2,2,1) c=3(2,2,1); revision 2
        range b.. limit 1        => b=2(2,2,1) more; revision 2
        range * limit 1 keys     => a=''(2,2,1) more; revision 2
        count *                  => 3
        count * limit 1          => 3
        count [b,d)              => 2
        count x*                 => 0
        delete b                 => revision 3, deleted 1
        range * limit 2          => a=1(2,2,1) c=3(2,2,1); revision 3
        range * limit 2 at 2     => a=1(2,2,1) b=2(2,2,1) more; revision 3
        count *                  => 2
        count * at 2             => 3
        count * at 1             => 0
        ",
    );
}

#[test]
fn a_version_counts_from_the_key_s_creation() {
    check(
        "
        put a 1        => revision 2
        put a 2        => revision 3
        put a ''       => revision 4
        get a          => a=''(2,4,3)
        delete a       => revision 5, deleted 1
        get a          => none
        put a 3        => revision 6
        get a          => a=3(6,6,1)
        put a 3        => revision 7
        get a          => a=3(6,7,2)
        get a at 4     => a=''(2,4,3)
        ",
    );
}

#[test]
fn a_transaction_s_changes_share_one_revision() {
    check(
        "
        txn then put a 1; put b 2; put c 3     => then put, put, put; revision 2
        range *                                => a=1(2,2,1) b=2(2,2,1) c=3(2,2,1); revision 2
        txn then put a 4; delete b; delete c   => then put, deleted 1, deleted 1; revision 3
        range *                                => a=4(2,3,2); revision 3
        range * at 2                           => a=1(2,2,1) b=2(2,2,1) c=3(2,2,1); revision 3
        put b 5                                => revision 4
        get b                                  => b=5(4,4,1)
        ",
    );
}

#[test]
fn a_read_in_a_transaction_sees_what_the_transaction_wrote() {
    check(
        "
        put a 1                                    => revision 2
        txn then get a; put a 2; get a             => then a=1(2,2,1), put, a=2(2,3,2); revision 3
        txn then put b 1; get a at 2; get *        => then put, a=1(2,2,1), a=2(2,3,2) b=1(4,4,1); revision 4
        txn then delete *; get *; get * limit 1    => then deleted 2, nothing, nothing; revision 5
        txn then put a 1; put b 2; get * limit 1   => then put, put, a=1(6,6,1) more; revision 6
        txn then put a 2; get a at 6               => then put, a=1(6,6,1); revision 7
        txn then put a 3; get a at 8               => FUTURE_REVISION 8, current 7
        txn then delete [a,b); delete *            => then deleted 1, deleted 1; revision 8
        ",
    );
}

#[test]
fn the_branch_that_runs_is_chosen_by_the_state_before_the_transaction() {
    check(
        "
        put a 1                                                  => revision 2
        txn version:a=1 create:a=2 mod:a=2 then get a else       => then a=1(2,2,1); revision 2
        txn value:a=1 then put a 2; get a else put b 1           => then put, a=2(2,3,2); revision 3
        txn value:a=1 then put a 3 else put b 1; get *           => else put, a=2(2,3,2) b=1(4,4,1); revision 4
        txn value:a>1 value:a<3 value:a!5 then get a             => then a=2(2,3,2); revision 4
        txn version:a>1 mod:a!2 create:a<3 then get b            => then b=1(4,4,1); revision 4
        txn version:a=2 version:b=2 then get b else get a        => else a=2(2,3,2); revision 4
        ",
    );
}

#[test]
fn a_compare_on_a_missing_key_sees_zeros_and_no_value() {
    check(
        "
        put a 1                               => revision 2
        txn version:x=0 then else get a       => then ; revision 2
        txn create:x=0 mod:x=0 then           => then ; revision 2
        txn version:x!0 then                  => else ; revision 2
        txn version:x<1 then                  => then ; revision 2
        txn mod:x>0 then                      => else ; revision 2
        txn value:x='' then                   => else ; revision 2
        txn value:x!1 then                    => else ; revision 2
        txn value:x<1 then                    => else ; revision 2
        delete a                              => revision 3, deleted 1
        txn version:a=0 create:a=0 then       => then ; revision 3
        txn value:a=1 then                    => else ; revision 3
        ",
    );
}

#[test]
fn a_compare_over_an_interval_holds_if_it_holds_for_every_key() {
    check(
        "
        txn then put a 1; put b 2             => then put, put; revision 2
        put b 3                               => revision 3
        txn create:*=2 then                   => then ; revision 3
        txn version:*=1 then                  => else ; revision 3
        txn version:*>0 value:*>0 then        => then ; revision 3
        txn mod:[a,b)=2 then                  => then ; revision 3
        txn mod:[a,c)=2 then                  => else ; revision 3
        txn value:*!1 then                    => else ; revision 3
        # An interval without keys is compared like a key that does not exist.
        txn version:[x,z)=0 then              => then ; revision 3
        txn version:[x,z)=1 then              => else ; revision 3
        txn value:[x,z)!1 then                => else ; revision 3
        ",
    );
}

#[test]
fn a_refused_transaction_changes_nothing() {
    check(
        "
        put a 1                                          => revision 2
        txn then put b 1; put b 2                        => DUPLICATE_KEY b
        txn then put b 1; delete b                       => DUPLICATE_KEY b
        txn then delete *; put b 1                       => DUPLICATE_KEY b
        txn version:a=9 then put b 1; put b 2            => DUPLICATE_KEY b
        txn then put b 1 else put c 1; delete [a,d)      => DUPLICATE_KEY c
        txn then put b 1 else put b 1                    => then put; revision 3
        txn then put c 1; put '' 1                       => EMPTY_KEY
        txn then put c 1; get ''                         => EMPTY_KEY
        txn version:''=0 then put c 1                    => EMPTY_KEY
        txn then put c 1; delete ''                      => EMPTY_KEY
        txn then put c 1; put keykeykey 1                => KEY_TOO_LARGE 9, limit 8
        txn then put c 1; put d 123456789                => VALUE_TOO_LARGE 9, limit 8
        txn then put c 1; get a at 4                     => FUTURE_REVISION 4, current 3
        txn then get a; get a; get a; get a              => TOO_MANY_OPERATIONS 4, limit 3
        txn then else get a; get a; get a; get a         => TOO_MANY_OPERATIONS 4, limit 3
        txn mod:a=2 mod:a=2 mod:a=2 mod:a=2 then         => TOO_MANY_OPERATIONS 4, limit 3
        range *                                          => a=1(2,2,1) b=1(3,3,1); revision 3
        ",
    );
}

#[test]
fn compaction_to_0_succeeds_once_on_a_fresh_store() {
    check(
        "
        compact 0      => compacted 0
        compact 0      => COMPACTED 0, compacted 0
        compact 2      => FUTURE_REVISION 2, current 1
        put a 1        => revision 2
        get a at 1     => none
        compact 1      => compacted 1
        compact 1      => COMPACTED 1, compacted 1
        compact 0      => COMPACTED 0, compacted 1
        run            => idle
        revisions      => current 2, compacted 1, finished 1
        get a          => a=1(2,2,1)
        ",
    );
}

#[test]
fn reads_at_the_compacted_revision_and_later_go_on_and_earlier_ones_are_refused() {
    check(
        "
        put a 1                       => revision 2
        put a 2                       => revision 3
        put a 3                       => revision 4
        compact 5                     => FUTURE_REVISION 5, current 4
        compact 3                     => compacted 3
        get a at 2                    => COMPACTED 2, compacted 3
        range * at 1                  => COMPACTED 1, compacted 3
        count * at 2                  => COMPACTED 2, compacted 3
        snapshot s at 2               => COMPACTED 2, compacted 3
        txn then get a at 2           => COMPACTED 2, compacted 3
        get a at 3                    => a=2(2,3,2)
        get a at 0                    => a=3(2,4,3)
        run                           => idle
        get a at 2                    => COMPACTED 2, compacted 3
        get a at 3                    => a=2(2,3,2)
        range * at 4                  => a=3(2,4,3); revision 4
        compact 3                     => COMPACTED 3, compacted 3
        compact 4                     => compacted 4
        run                           => idle
        get a at 3                    => COMPACTED 3, compacted 4
        range *                       => a=3(2,4,3); revision 4
        revisions                     => current 4, compacted 4, finished 4
        ",
    );
}

/// etcd's own example of a key's history: put, put, delete, put, delete.
const HISTORY: &str = "
    put a 1        => revision 2
    put a 2        => revision 3
    delete a       => revision 4, deleted 1
    put a 3        => revision 5
    delete a       => revision 6, deleted 1
    put z 0        => revision 7
    numbers        => live 1, keys 2, records 6, dead 5
";

#[track_caller]
fn check_history_after(script: &str) {
    check(&[HISTORY, script].concat());
}

#[test]
fn compaction_keeps_the_newest_record_not_newer_than_its_revision() {
    check_history_after(
        "
        compact 2      => compacted 2
        run            => idle
        numbers        => live 1, keys 2, records 6, dead 5
        ",
    );
    check_history_after(
        "
        compact 3      => compacted 3
        run            => idle
        numbers        => live 1, keys 2, records 5, dead 4
        get a at 3     => a=2(2,3,2)
        get a at 5     => a=3(5,5,1)
        ",
    );
}

#[test]
fn a_tombstone_at_the_compacted_revision_stays_until_the_next_compaction() {
    check_history_after(
        "
        compact 4      => compacted 4
        run            => idle
        numbers        => live 1, keys 2, records 4, dead 3
        get a at 4     => none
        compact 5      => compacted 5
        run            => idle
        numbers        => live 1, keys 2, records 3, dead 2
        get a at 5     => a=3(5,5,1)
        compact 6      => compacted 6
        run            => idle
        numbers        => live 1, keys 2, records 2, dead 1
        compact 7      => compacted 7
        run            => idle
        numbers        => live 1, keys 1, records 1, dead 0
        ",
    );
    check_history_after(
        "
        compact 7      => compacted 7
        run            => idle
        numbers        => live 1, keys 1, records 1, dead 0
        put a 4        => revision 8
        get a          => a=4(8,8,1)
        ",
    );
}

#[test]
fn a_snapshot_reads_what_was_there_whatever_comes() {
    check(
        "
        put a 1               => revision 2
        snapshot s            => revision 2
        put a 2               => revision 3
        delete a              => revision 4, deleted 1
        put b 1               => revision 5
        snapshot t at 3       => revision 3
        compact 5             => compacted 5
        run                   => idle
        from s get a          => a=1(2,2,1)
        from s get b          => none
        from t get a          => a=2(2,3,2)
        from s count *        => 1
        get a                 => none
        drop s                => dropped
        run                   => idle
        from t get a          => a=2(2,3,2)
        ",
    );
}

#[test]
fn a_closed_store_comes_back_as_it_was() {
    check(
        "
        put a 1               => revision 2
        put a 2               => revision 3
        delete a              => revision 4, deleted 1
        put b 12345678        => revision 5
        reopen                => revision 5
        range *               => b=12345678(5,5,1); revision 5
        range * at 3          => a=2(2,3,2); revision 5
        compact 4             => compacted 4
        reopen                => revision 5
        get a at 3            => COMPACTED 3, compacted 4
        run                   => idle
        revisions             => current 5, compacted 4, finished 4
        reopen                => revision 5
        revisions             => current 5, compacted 4, finished 4
        numbers               => live 1, keys 2, records 2, dead 1
        compact 4             => COMPACTED 4, compacted 4
        put a 9               => revision 6
        get a                 => a=9(6,6,1)
        ",
    );
}
