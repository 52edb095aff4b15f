//! What a store finds when it is opened again: every value, tombstones whose puts are gone, versions, and compactions in the middle.

use palimpsest_kv_tests::script::check;

/// Histories, and what is there at some revision.
const HISTORIES: [&str; 4] = [
    "
    put foo bar0      => revision 2
    put foo bar1      => revision 3
    put foo bar2      => revision 4
    put foo2 bar0     => revision 5
    put foo3 bar0     => revision 6
    ",
    "
    put foo bar0      => revision 2
    delete foo        => revision 3, deleted 1
    put foo bar1      => revision 4
    delete foo        => revision 5, deleted 1
    put foo2 bar0     => revision 6
    ",
    "
    put foo bar0      => revision 2
    put foo bar1      => revision 3
    compact 3         => compacted 3
    put foo bar2      => revision 4
    delete foo        => revision 5, deleted 1
    put foo bar3      => revision 6
    ",
    "
    txn then put foo bar; put foo2 bar   => then put, put; revision 2
    put foo bar1                         => revision 3
    txn then delete foo; put foo3 1      => then deleted 1, put; revision 4
    txn then put foo 2; delete foo2      => then put, deleted 1; revision 5
    put foo4 1                           => revision 6
    ",
];

/// What is there at revision 6 and before: the same before and after the store is opened again, twice, and compacted meanwhile.
#[test]
fn a_store_is_opened_as_it_was() {
    let reads: [&[&str]; 4] = [
        &[
            "range * at 4 => foo=bar2(2,4,3); revision 6",
            "range * => foo=bar2(2,4,3) foo2=bar0(5,5,1) foo3=bar0(6,6,1); revision 6",
        ],
        &["range * at 4 => foo=bar1(4,4,1); revision 6", "range * => foo2=bar0(6,6,1); revision 6"],
        &["range * at 4 => foo=bar2(2,4,3); revision 6", "range * => foo=bar3(6,6,1); revision 6"],
        &[
            "range * at 4 => foo2=bar(2,2,1) foo3=1(4,4,1); revision 6",
            "range * => foo=2(5,5,1) foo3=1(4,4,1) foo4=1(6,6,1); revision 6",
        ],
    ];
    for (history, reads) in HISTORIES.into_iter().zip(reads) {
        let reads = format!("{}\n", reads.join("\n"));
        let reopened = format!("reopen => revision 6\n{reads}");
        check(&[history, &reads, &reopened, &reopened, "run => idle\n", &reads, &reopened].concat());
        let compacted = format!("compact 4 => compacted 4\n{reads}{reopened}run => idle\n{reads}{reopened}");
        check(&[history, &compacted].concat());
    }
}

/// The puts before it are compacted, and the tombstone is all that is left of a key: it is there for the next compaction, and the key's
/// next life begins anew.
#[test]
fn a_tombstone_alone_is_found_again() {
    check(
        "
        put a 1           => revision 2
        put a 2           => revision 3
        delete a          => revision 4, deleted 1
        put b 1           => revision 5
        compact 4         => compacted 4
        run               => idle
        numbers           => live 1, keys 2, records 2, dead 1
        reopen            => revision 5
        numbers           => live 1, keys 2, records 2, dead 1
        get a at 4        => none
        watch w a from 4  => watching
        poll w            => a!4; up to 5
        delete a          => revision 5, deleted 0
        put a 3           => revision 6
        get a             => a=3(6,6,1)
        reopen            => revision 6
        get a             => a=3(6,6,1)
        put a 4           => revision 7
        get a             => a=4(6,7,2)
        compact 6         => compacted 6
        run               => idle
        numbers           => live 2, keys 2, records 3, dead 1
        ",
    );
}

/// A revision that only a compacted tombstone had is not given out again.
#[test]
fn the_revision_never_goes_back() {
    check(
        "
        put a 1           => revision 2
        delete a          => revision 3, deleted 1
        compact 3         => compacted 3
        run               => idle
        reopen            => revision 3
        revisions         => current 3, compacted 3, finished 3
        put b 1           => revision 4
        delete b          => revision 5, deleted 1
        compact 5         => compacted 5
        reopen            => revision 5
        run               => idle
        reopen            => revision 5
        numbers           => live 0, keys 1, records 1, dead 1
        put c 1           => revision 6
        compact 6         => compacted 6
        run               => idle
        numbers           => live 1, keys 1, records 1, dead 0
        reopen            => revision 6
        put c 2           => revision 7
        ",
    );
}

#[test]
fn versions_and_create_revisions_outlive_compaction_and_closing() {
    check(
        "
        put a 1           => revision 2
        put a 2           => revision 3
        put a 3           => revision 4
        compact 4         => compacted 4
        run               => idle
        reopen            => revision 4
        get a             => a=3(2,4,3)
        put a 4           => revision 5
        get a             => a=4(2,5,4)
        reopen            => revision 5
        get a             => a=4(2,5,4)
        ",
    );
}
