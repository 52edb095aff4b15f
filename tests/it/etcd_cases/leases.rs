//! Leases: granted, attached, detached, renewed, revoked, ended by time, and kept over closing and opening.

use palimpsest_kv_tests::script::check_roomy as check;

#[test]
fn a_grant_takes_no_revision_and_no_number_twice() {
    check(
        "
        grant 1 10                      => lease 1 for 10
        grant 1 20                      => LEASE_EXISTS 1
        grant 2 0                       => lease 2 for 2
        grant 3 1                       => lease 3 for 2
        grant 4 9000000000              => lease 4 for 9000000000
        grant 5 9000000001              => LEASE_TTL_TOO_LARGE
        grant 9223372036854775807 5     => lease 9223372036854775807 for 5
        revisions                       => current 1, compacted -, finished -
        lease 1                         => 10
        lease 5                         => none
        revoke 5                        => LEASE_NOT_FOUND 5
        renew 5                         => LEASE_NOT_FOUND 5
        revoke 1                        => revision 1, deleted 0
        lease 1                         => none
        grant 1 7                       => lease 1 for 7
        ",
    );
}

#[test]
fn a_revocation_deletes_all_keys_in_one_revision() {
    check(
        "
        grant 1 10              => lease 1 for 10
        grant 2 10              => lease 2 for 10
        put c 1 lease 1         => revision 2
        put a 1 lease 1         => revision 3
        put b 1 lease 2         => revision 4
        put d 1                 => revision 5
        lease 1                 => 10 a c
        watch w *               => watching
        revoke 1                => revision 6, deleted 2
        poll w                  => a!6 c!6; up to 6
        range *                 => b=1(4,4,1,lease 2) d=1(5,5,1); revision 6
        range * at 5 keys       => a=''(3,3,1,lease 1) b=''(4,4,1,lease 2) c=''(2,2,1,lease 1) d=''(5,5,1); revision 6
        revoke 1                => LEASE_NOT_FOUND 1
        put a 1 lease 1         => LEASE_NOT_FOUND 1
        ",
    );
}

#[test]
fn a_key_has_one_lease_or_none() {
    check(
        "
        grant 1 10              => lease 1 for 10
        grant 2 10              => lease 2 for 10
        put a 1 lease 1         => revision 2
        put b 1 lease 1         => revision 3
        put c 1 lease 1         => revision 4
        put d 1 lease 1         => revision 5
        put a 2                 => revision 6
        put b 2 lease 2         => revision 7
        delete c                => revision 8, deleted 1
        lease 1                 => 10 d
        lease 2                 => 10 b
        put c 2                 => revision 9
        revoke 1                => revision 10, deleted 1
        range *                 => a=2(2,6,2) b=2(3,7,2,lease 2) c=2(9,9,1); revision 10
        revoke 2                => revision 11, deleted 1
        ",
    );
}

#[test]
fn a_lease_ends_with_its_time() {
    check(
        "
        grant 1 10              => lease 1 for 10
        grant 2 20              => lease 2 for 20
        put a 1 lease 1         => revision 2
        put b 1 lease 2         => revision 3
        pass 4                  => revision 3
        lease 1                 => 6 a
        renew 1                 => 10
        lease 1                 => 10 a
        pass 9                  => revision 3
        lease 1                 => 1 a
        pass 2                  => revision 4
        lease 1                 => none
        get a                   => none
        get a at 3              => a=1(2,2,1,lease 1)
        lease 2                 => 5 b
        pass 5                  => revision 5
        range *                 => nothing; revision 5
        renew 2                 => LEASE_NOT_FOUND 2
        ",
    );
}

/// Those that end together end one after the other, each with a revision of its own if it has keys.
#[test]
fn leases_end_in_order() {
    check(
        "
        grant 1 9               => lease 1 for 9
        grant 2 8               => lease 2 for 8
        grant 3 7               => lease 3 for 7
        put a 1 lease 1         => revision 2
        put c 1 lease 3         => revision 3
        put d 1 lease 3         => revision 4
        watch w *               => watching
        pass 30                 => revision 6
        poll w                  => c!5 d!5 a!6; up to 6
        ",
    );
}

#[test]
fn leases_keys_and_times_outlive_a_closed_store() {
    check(
        "
        grant 1 10              => lease 1 for 10
        grant 2 2               => lease 2 for 2
        grant 3 10              => lease 3 for 10
        put a 1 lease 1         => revision 2
        put b 1 lease 1         => revision 3
        put b 2                 => revision 4
        put c 1 lease 3         => revision 5
        pass 4                  => revision 5
        renew 3                 => 10
        lease 1                 => 6 a
        reopen                  => revision 5
        lease 1                 => 6 a
        lease 2                 => none
        lease 3                 => 10 c
        put d 1 lease =         => KEY_NOT_FOUND d
        put a 2 lease =         => revision 6
        pass 5                  => revision 6
        reopen                  => revision 6
        lease 1                 => 1 a
        pass 2                  => revision 7
        get a                   => none
        lease 3                 => 3 c
        compact 7               => compacted 7
        run                     => idle
        reopen                  => revision 7
        lease 3                 => 3 c
        revoke 3                => revision 8, deleted 1
        reopen                  => revision 8
        lease 3                 => none
        ",
    );
}

#[test]
fn the_quota_refuses_what_needs_room_and_nothing_else() {
    check(
        "
        put a 1                                  => revision 2
        grant 1 10                               => lease 1 for 10
        put b 1 lease 1                          => revision 3
        quota 1                                  => set
        put a 2                                  => NO_SPACE
        put a =                                  => NO_SPACE
        txn then put a 2                         => NO_SPACE
        txn then get a else put a 2              => NO_SPACE
        txn then { then else { then put a 2 } }  => NO_SPACE
        grant 2 10                               => NO_SPACE
        txn then get a                           => then a=1(2,2,1); revision 3
        txn then get a; delete x                 => then a=1(2,2,1), deleted 0; revision 3
        renew 1                                  => 10
        revoke 1                                 => revision 4, deleted 1
        delete a                                 => revision 5, deleted 1
        compact 5                                => compacted 5
        run                                      => idle
        reopen                                   => revision 5
        quota 1000000                            => set
        put a 3                                  => revision 6
        ",
    );
}
