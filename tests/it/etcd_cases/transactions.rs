//! Transactions within transactions: their conditions, their limits, and the keys that they may not change twice.

use palimpsest_kv::limits::MAX_TXN_DEPTH;
use palimpsest_kv::{Error, Op, Options, Store, Transaction};
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::script::{check as check_tight, check_roomy as check};

/// A transaction that changes `k` twice, or doesn't by etcd's rule.
fn check_duplicates(rows: &[(&str, Option<&str>)]) {
    for (operations, answer) in rows {
        let answer =
            answer.map_or("DUPLICATE_KEY k".to_owned(), |answer| format!("then {answer}; revision 3"));
        let script = format!("put k 0 => revision 2\ntxn then {operations} => {answer}\n");
        check(&script);
    }
}

#[test]
fn no_key_is_changed_twice_on_one_level() {
    check_duplicates(&[
        ("put k 1; put k 2", None),
        ("put k 1; delete k", None),
        ("delete k; put k 1", None),
        ("put k 1; delete [a,z)", None),
        ("delete k..; put k 1", None),
        ("put k 1; delete [a,k)", Some("put, deleted 0")),
        ("delete k; delete k", Some("deleted 1, deleted 0")),
        ("delete *; delete k; delete [a,z)", Some("deleted 1, deleted 0, deleted 0")),
        ("put k 1; get k; put j 1", Some("put, k=1(2,3,2), put")),
    ]);
}

#[test]
fn no_key_is_changed_on_a_level_and_within_it() {
    check_duplicates(&[
        ("put k 1; { then put k 2 }", None),
        ("{ then put k 2 }; put k 1", None),
        ("put k 1; { then else put k 2 }", None),
        ("put k 1; { then delete k }", None),
        ("{ then delete k }; put k 1", None),
        ("delete k; { then put k 2 }", None),
        ("{ then put k 2 }; delete k", None),
        ("put k 1; { then { then { then put k 2 } } }", None),
        ("{ then { then delete * } }; put k 1", None),
        ("delete k; { then delete k }", Some("deleted 1, { then deleted 0 }")),
        ("put k 1; { then put j 2 }", Some("put, { then put }")),
    ]);
}

/// What etcd does with transactions side by side depends on their order, and so it is here.
#[test]
fn side_by_side_a_put_may_come_before_a_delete() {
    check_duplicates(&[
        ("{ then put k 1 }; { then put k 2 }", None),
        ("{ then put k 1 }; { then else put k 2 }", None),
        ("{ then else put k 1 }; { then else put k 2 }", None),
        ("{ then delete k }; { then put k 2 }", None),
        ("{ then put k 1 }; { then delete k }", Some("{ then put }, { then deleted 1 }")),
        ("{ then put k 1 }; { then delete * }", Some("{ then put }, { then deleted 1 }")),
        ("{ then put k 1 }; { then { then delete k } }", Some("{ then put }, { then { then deleted 1 } }")),
    ]);
}

#[test]
fn only_one_branch_happens_so_both_may_change_a_key() {
    check_duplicates(&[
        ("{ then put k 1 else put k 2 }", Some("{ then put }")),
        ("{ then put k 1 else delete k }", Some("{ then put }")),
        ("{ then delete k else put k 2 }", Some("{ then deleted 1 }")),
        ("{ then { then put k 1 } else { then put k 2 } }", Some("{ then { then put } }")),
        ("{ then put k 1 else put k 2 }; put k 3", None),
        ("{ then put k 1; put k 2 else put k 3 }", None),
        ("{ then else put k 1; delete k }", None),
    ]);
}

#[test]
fn all_conditions_see_the_state_before_the_outermost_transaction() {
    check(
        "
        put a 1                                                       => revision 2
        txn then put b 1; { version:b=0 then get b else get a }       => then put, { then b=1(3,3,1) }; revision 3
        txn then { value:a=1 then put a 2 }; { value:a=1 then get a } => then { then put }, { then a=2(2,4,2) }; revision 4
        txn value:a=1 then else { value:a=2 then { value:a=3 then else get a } } => else { then { else a=2(2,4,2) } }; revision 4
        txn then { then { then } }                                    => then { then { then } }; revision 4
        txn then get a; { then delete a }; get a                      => then a=2(2,4,2), { then deleted 1 }, nothing; revision 5
        ",
    );
}

#[test]
fn a_condition_can_be_about_a_lease() {
    check(
        "
        grant 7 60                           => lease 7 for 60
        put a 1 lease 7                      => revision 2
        put b 1                              => revision 3
        txn lease:a=7 lease:b=0 then         => then ; revision 3
        txn lease:a!7 then                   => else ; revision 3
        txn lease:a>6 lease:a<8 then         => then ; revision 3
        txn lease:*=7 then                   => else ; revision 3
        txn lease:x=0 then                   => then ; revision 3
        txn lease:x>0 then                   => else ; revision 3
        put a 2                              => revision 4
        txn lease:*=0 then                   => then ; revision 4
        ",
    );
}

/// As many operations as an outer transaction has left: its longest list counts.
#[test]
fn inner_transactions_have_the_operations_that_outer_ones_leave() {
    check_tight(
        "
        put a 1                                           => revision 2
        txn then { then get a; get a }                    => then { then a=1(2,2,1), a=1(2,2,1) }; revision 2
        txn then { then get a; get a; get a }             => TOO_MANY_OPERATIONS 3, limit 2
        txn then { then else get a; get a; get a }        => TOO_MANY_OPERATIONS 3, limit 2
        txn then get a; { then get a }                    => then a=1(2,2,1), { then a=1(2,2,1) }; revision 2
        txn then get a; { then get a; get a }             => TOO_MANY_OPERATIONS 2, limit 1
        txn mod:a=2 mod:a=2 then { then get a; get a }    => TOO_MANY_OPERATIONS 2, limit 1
        txn then { then { then get a } }                  => then { then { then a=1(2,2,1) } }; revision 2
        txn then { then { then { then } } }               => then { then { then { then } } }; revision 2
        txn then { then { then { then get a } } }         => TOO_MANY_OPERATIONS 1, limit 0
        txn then { mod:a=2 mod:a=2 mod:a=2 then }         => TOO_MANY_OPERATIONS 3, limit 2
        ",
    );
}

#[test]
fn transactions_are_nested_so_deep_and_no_deeper() {
    let options = Options { max_txn_ops: 1_000, ..Options::default() };
    let mut store = Store::open(FaultyStorage::new(), options).unwrap();
    let nested = |depth: usize| {
        let innermost = Transaction::new().then([Op::put("k", "1")]);
        (0..depth).fold(innermost, |inner, _| Transaction::new().then([Op::from(inner)]))
    };
    assert!(store.commit(&nested(MAX_TXN_DEPTH)).is_ok());
    let refused = Error::TooManyOperations { operations: MAX_TXN_DEPTH + 1, limit: MAX_TXN_DEPTH };
    assert_eq!(store.commit(&nested(MAX_TXN_DEPTH + 1)), Err(refused));
    assert_eq!(store.revision().get(), 2);
}

#[test]
fn a_refused_inner_transaction_refuses_the_outer_one() {
    check(
        "
        put a 1                                          => revision 2
        txn then put b 1; { then put '' 1 }              => EMPTY_KEY
        txn then put b 1; { then get a at 9 }            => FUTURE_REVISION 9, current 2
        # What is not done needs no revision.
        txn then put b 1; { then else get a at 9 }       => then put, { then }; revision 3
        txn then put c 1; { then put c = }               => DUPLICATE_KEY c
        txn then put c 1; { then put d = }               => KEY_NOT_FOUND d
        txn then put c 1; { then put a 2 lease 5 }       => LEASE_NOT_FOUND 5
        txn then put c 1; { version:''=0 then }                  => EMPTY_KEY
        range *                                          => a=1(2,2,1) b=1(3,3,1); revision 3
        ",
    );
}
