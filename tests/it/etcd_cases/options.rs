//! The options of reads, puts and deletes.

use palimpsest_kv_tests::script::check_roomy as check;

/// Keys whose orders by key, version, create revision, mod revision and value all differ.
const HISTORY: &str = "
    put a 5       => revision 2
    put c 3       => revision 3
    put b 4       => revision 4
    put a 1       => revision 5
    put c 9       => revision 6
    put c 2       => revision 7
";
const A: &str = "a=1(2,5,2)";
const B: &str = "b=4(4,4,1)";
const C: &str = "c=2(3,7,3)";

/// A range in this form, directly and in a transaction.
fn check_read(words: &str, found: &[&str]) {
    let answer = if found.is_empty() { "nothing".to_owned() } else { found.join(" ") };
    let direct = format!("range * {words} => {answer}; revision 7\n");
    let within = format!("txn then get * {words} => then {answer}; revision 7\n");
    check(&[HISTORY, &direct, &within].concat());
}

#[test]
fn a_range_comes_in_the_order_that_is_asked_for() {
    let rows: [(&str, [&str; 3]); 5] = [
        ("key", [A, B, C]),
        ("version", [B, A, C]),
        ("create", [A, C, B]),
        ("mod", [B, A, C]),
        ("value", [A, C, B]),
    ];
    for (by, ascending) in rows {
        let mut descending = ascending;
        descending.reverse();
        check_read(&format!("by {by}"), &ascending);
        check_read(&format!("by {by} down"), &descending);
        check_read(&format!("by {by} limit 3"), &ascending);
        check_read(&format!("by {by} limit 2"), &[ascending[0], ascending[1], "more"]);
        check_read(&format!("by {by} down limit 1"), &[descending[0], "more"]);
        check_read(&format!("by {by} limit 1 counted"), &[ascending[0], "more of 3"]);
    }
}

#[test]
fn an_order_is_that_of_the_revision_that_is_read() {
    check_read("at 5 by value", &[A, "c=3(3,3,1)", B]);
    check_read("at 4 by value down", &["a=5(2,2,1)", B, "c=3(3,3,1)"]);
    check_read("at 3 by create down", &["c=3(3,3,1)", "a=5(2,2,1)"]);
}

/// Bounds are included, and 0 is none. The count is of all keys.
#[test]
fn bounds_on_revisions_leave_entries_out_and_no_count() {
    let rows: [(&str, &[&str]); 14] = [
        ("modified 4-", &[A, B, C]),
        ("modified 5-", &[A, C]),
        ("modified 7-", &[C]),
        ("modified 8-", &[]),
        ("modified -5", &[A, B]),
        ("modified -3", &[]),
        ("modified 5-5", &[A]),
        ("modified 6-5", &[]),
        ("created 3-", &[B, C]),
        ("created -2", &[A]),
        ("created 3-3", &[C]),
        ("created 3- modified -6", &[B]),
        ("created 2-4 modified 4-7 at 4", &[B]),
        ("modified 0-0 created 0-0", &[A, B, C]),
    ];
    for (words, found) in rows {
        check_read(words, found);
        let count = "of 3";
        let counted: Vec<&str> =
            if found.is_empty() { vec!["nothing", count] } else { [found, &[count]].concat() };
        check_read(&format!("{words} counted"), &counted);
    }
    check_read("modified 5- limit 1", &[A, "more"]);
    check_read("modified 7- limit 1", &[C]);
    check_read("modified 5- limit 1 counted", &[A, "more of 3"]);
    check_read("modified 5- by value down limit 1", &[C, "more"]);
}

#[test]
fn keys_only_leaves_values_out_whatever_the_order() {
    let bare = ["a=''(2,5,2)", "b=''(4,4,1)", "c=''(3,7,3)"];
    check_read("keys", &bare);
    check_read("keys limit 1", &[bare[0], "more"]);
    check_read("keys by value", &[bare[0], bare[2], bare[1]]);
    check_read("keys by mod down limit 2", &[bare[2], bare[0], "more"]);
    check_read("keys modified 5- counted", &[bare[0], bare[2], "of 3"]);
}

#[test]
fn a_count_alone_has_no_entries() {
    check_read("only", &["nothing of 3"]);
    check_read("only limit 1", &["nothing of 3"]);
    check_read("only modified 7-", &["nothing of 3"]);
    check_read("only at 3", &["nothing of 2"]);
}

/// Values that are equal come in key order.
#[test]
fn equal_entries_come_in_key_order() {
    check(
        "
        put c 1                 => revision 2
        put a 1                 => revision 3
        put b 1                 => revision 4
        range * by value        => a=1(3,3,1) b=1(4,4,1) c=1(2,2,1); revision 4
        range * by value down   => a=1(3,3,1) b=1(4,4,1) c=1(2,2,1); revision 4
        range * by version      => a=1(3,3,1) b=1(4,4,1) c=1(2,2,1); revision 4
        ",
    );
}

#[test]
fn a_put_can_keep_the_value_or_the_lease_of_a_key_that_there_is() {
    check(
        "
        put k =                         => KEY_NOT_FOUND k
        put k 1 lease =                 => KEY_NOT_FOUND k
        put k = lease =                 => KEY_NOT_FOUND k
        grant 7 60                      => lease 7 for 60
        put k 1 lease 7                 => revision 2
        put k = lease 7                 => revision 3
        get k                           => k=1(2,3,2,lease 7)
        put k 2 lease =                 => revision 4
        get k                           => k=2(2,4,3,lease 7)
        put k = lease =                 => revision 5
        get k                           => k=2(2,5,4,lease 7)
        put k =                         => revision 6
        get k                           => k=2(2,6,5)
        put k 3 lease =                 => revision 7
        get k                           => k=3(2,7,6)
        get k at 3                      => k=1(2,3,2,lease 7)
        delete k                        => revision 8, deleted 1
        put k =                         => KEY_NOT_FOUND k
        put k 1 lease 8                 => LEASE_NOT_FOUND 8
        txn then put k =                => KEY_NOT_FOUND k
        txn then put j 1; put k 1 lease = => KEY_NOT_FOUND k
        txn then put j 1; put k 1 lease 9 => LEASE_NOT_FOUND 9
        # A branch that is not taken needs nothing.
        txn then put j 1 else put k = lease 9 => then put; revision 9
        txn version:j=1 then put j = lease 7; get j => then put, j=1(9,10,2,lease 7); revision 10
        ",
    );
}

#[test]
fn a_put_and_a_delete_tell_what_was_there_before() {
    check(
        "
        put k 1 previous                            => revision 2
        put k 2 previous                            => revision 3, before k=1(2,2,1)
        put j 1                                     => revision 4
        delete x previous                           => revision 4, deleted 0
        delete * previous                           => revision 5, deleted 2, before j=1(4,4,1) k=2(2,3,2)
        delete * previous                           => revision 5, deleted 0
        put k 3 previous                            => revision 6
        txn then put k 4 previous; delete j previous => then put, before k=3(6,6,1), deleted 0; revision 7
        txn then delete k previous; get k           => then deleted 1, before k=4(6,7,2), nothing; revision 8
        ",
    );
}
