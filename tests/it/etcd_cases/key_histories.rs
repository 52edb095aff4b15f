//! One key's history: puts, tombstones and generations, read at every revision, compacted to every revision, opened again at every point.

use palimpsest_kv_tests::script::check;

/// The history that etcd's table walks: three generations, the last with two changes in one transaction, deleted in the end. Other keys take
/// the revisions between.
const HISTORY: &str = "
    put k 1                                      => revision 2
    put x 0                                      => revision 3
    put k 2                                      => revision 4
    put x 0                                      => revision 5
    delete k                                     => revision 6, deleted 1
    put x 0                                      => revision 7
    put k 3                                      => revision 8
    put x 0                                      => revision 9
    put k 4                                      => revision 10
    put x 0                                      => revision 11
    delete k                                     => revision 12, deleted 1
    put x 0                                      => revision 13
    put k 5                                      => revision 14
    put x 0                                      => revision 15
    delete k                                     => revision 16, deleted 1
    put x 0                                      => revision 17
";

/// What a read of the key finds at each revision from 1 on.
const FOUND: [&str; 17] = [
    "none",
    "k=1(2,2,1)",
    "k=1(2,2,1)",
    "k=2(2,4,2)",
    "k=2(2,4,2)",
    "none",
    "none",
    "k=3(8,8,1)",
    "k=3(8,8,1)",
    "k=4(8,10,2)",
    "k=4(8,10,2)",
    "none",
    "none",
    "k=5(14,14,1)",
    "k=5(14,14,1)",
    "none",
    "none",
];

/// Reads of the key at all revisions from one on.
fn reads(from: usize) -> String {
    let line = |(place, found): (usize, &&str)| format!("get k at {} => {found}\n", place + 1);
    FOUND.iter().enumerate().skip(from.max(1) - 1).map(line).collect()
}

#[test]
fn each_revision_finds_its_generation_s_newest_value_or_nothing() {
    check(&[HISTORY, &reads(1)].concat());
}

#[test]
fn compaction_to_any_revision_changes_no_later_read() {
    for revision in 1..=17 {
        let reads = reads(revision);
        let work = format!("compact {revision} => compacted {revision}\n{reads}run => idle\n{reads}");
        let reopened = format!("reopen => revision 17\n{reads}");
        check(&[HISTORY, &work, &reopened].concat());
    }
}

/// What is kept of the key alone, in records: everything newer, and the newest not newer unless it is an older tombstone.
#[test]
fn compaction_step_by_step_leaves_what_one_leap_leaves() {
    // Records of `k` and of `x` that are left after a compaction to each revision.
    let left =
        [(1, 8, 8), (2, 8, 8), (3, 8, 8), (4, 7, 8), (5, 7, 7), (6, 6, 7), (7, 5, 6), (8, 5, 6), (9, 5, 5)];
    let rest =
        [(10, 4, 5), (11, 4, 4), (12, 3, 4), (13, 2, 3), (14, 2, 3), (15, 2, 2), (16, 1, 2), (17, 0, 1)];
    let numbers = |k: u64, x: u64| {
        let keys = if k > 0 { 2 } else { 1 };
        format!("numbers => live 1, keys {keys}, records {}, dead {}\n", k + x, k + x - 1)
    };
    let mut steps = HISTORY.to_owned();
    for (revision, k, x) in left.into_iter().chain(rest) {
        let work = format!("compact {revision} => compacted {revision}\nrun => idle\n{}", numbers(k, x));
        check(&[HISTORY, &work].concat());
        steps.push_str(&work);
    }
    check(&steps);
}

#[test]
fn a_key_is_made_anew_after_its_delete_and_a_second_delete_finds_nothing() {
    check(
        "
        delete k                    => revision 1, deleted 0
        put k 1                     => revision 2
        put k 2                     => revision 3
        delete k                    => revision 4, deleted 1
        delete k                    => revision 4, deleted 0
        put k 3                     => revision 5
        get k                       => k=3(5,5,1)
        delete k                    => revision 6, deleted 1
        numbers                     => live 0, keys 1, records 5, dead 5
        reopen                      => revision 6
        delete k                    => revision 6, deleted 0
        get k at 3                  => k=2(2,3,2)
        get k at 5                  => k=3(5,5,1)
        numbers                     => live 0, keys 1, records 5, dead 5
        ",
    );
}

/// The last change of a transaction is the one that its revision shows.
#[test]
fn of_two_changes_in_one_revision_the_later_is_seen() {
    palimpsest_kv_tests::script::check_roomy(
        "
        put k 0                                                     => revision 2
        txn then { then put k 1 }; { then delete k }                => then { then put }, { then deleted 1 }; revision 3
        get k at 2                                                  => k=0(2,2,1)
        get k at 3                                                  => none
        put k 2                                                     => revision 4
        get k                                                       => k=2(4,4,1)
        numbers                                                     => live 1, keys 1, records 4, dead 3
        compact 3                                                   => compacted 3
        run                                                         => idle
        numbers                                                     => live 1, keys 1, records 2, dead 1
        get k at 3                                                  => none
        reopen                                                      => revision 4
        compact 4                                                   => compacted 4
        run                                                         => idle
        numbers                                                     => live 1, keys 1, records 1, dead 0
        ",
    );
}
