//! Reads and deletes of a store, each of them by itself and within a transaction; compaction seen from there.

use palimpsest_kv_tests::script::check_roomy as check;

const THREE: &str = "
    put foo bar       => revision 2
    put foo1 bar1     => revision 3
    put foo2 bar2     => revision 4
";
const FOO: &str = "foo=bar(2,2,1)";
const FOO1: &str = "foo1=bar1(3,3,1)";
const FOO2: &str = "foo2=bar2(4,4,1)";

/// A read by itself and in a transaction, where it answers the same.
fn both_ways(history: &str, reads: &[(&str, String)]) {
    for (read, answer) in reads {
        let direct = format!("range {read} => {answer}; revision 4\n");
        let within = format!("txn then get {read} => then {answer}; revision 4\n");
        let nested = format!("txn then {{ then get {read} }} => then {{ then {answer} }}; revision 4\n");
        check(&[history, &direct, &within, &nested].concat());
    }
}

fn all(found: &[&str]) -> String {
    if found.is_empty() { "nothing".to_owned() } else { found.join(" ") }
}

#[test]
fn a_range_reads_one_key_or_an_interval() {
    both_ways(
        THREE,
        &[
            ("[foo,foo3)", all(&[FOO, FOO1, FOO2])),
            ("[foo,foo1)", all(&[FOO])),
            ("[foo,foo2)", all(&[FOO, FOO1])),
            ("foo", all(&[FOO])),
            ("foo4", all(&[])),
            ("[doo,foo)", all(&[])),
            ("[foo3,foo)", all(&[])),
            ("[foo2,foo3)", all(&[FOO2])),
            ("foo1..", all(&[FOO1, FOO2])),
            ("*", all(&[FOO, FOO1, FOO2])),
        ],
    );
}

#[test]
fn a_range_reads_a_revision() {
    both_ways(
        THREE,
        &[
            ("* at 0", all(&[FOO, FOO1, FOO2])),
            ("* at 1", all(&[])),
            ("* at 2", all(&[FOO])),
            ("* at 3", all(&[FOO, FOO1])),
            ("* at 4", all(&[FOO, FOO1, FOO2])),
        ],
    );
}

#[test]
fn a_limit_cuts_a_range_and_not_its_count() {
    both_ways(
        THREE,
        &[
            ("* limit 1", format!("{FOO} more")),
            ("* limit 1 counted", format!("{FOO} more of 3")),
            ("* limit 2 counted", format!("{FOO} {FOO1} more of 3")),
            ("* limit 3 counted", format!("{FOO} {FOO1} {FOO2} of 3")),
            ("* limit 100 counted", format!("{FOO} {FOO1} {FOO2} of 3")),
            ("* limit 1 at 3 counted", format!("{FOO} more of 2")),
            ("* limit 1 at 2 counted", format!("{FOO} of 1")),
            ("* only", "nothing of 3".to_owned()),
            ("* limit 1 at 3 only", "nothing of 2".to_owned()),
        ],
    );
}

#[test]
fn a_revision_that_is_gone_or_not_there_yet_can_t_be_read() {
    let history = [THREE, "compact 4 => compacted 4\n"].concat();
    let rows = [
        (1, Some("COMPACTED 1, compacted 4")),
        (2, Some("COMPACTED 2, compacted 4")),
        (3, Some("COMPACTED 3, compacted 4")),
        (0, None),
        (4, None),
        (5, Some("FUTURE_REVISION 5, current 4")),
        (100, Some("FUTURE_REVISION 100, current 4")),
    ];
    for (at, error) in rows {
        let direct = error.map_or(format!("{FOO}; revision 4"), str::to_owned);
        let within = error.map_or(format!("then {FOO}; revision 4"), str::to_owned);
        for work in ["", "run => idle\n", "reopen => revision 4\n"] {
            let reads = format!("range foo at {at} => {direct}\ntxn then get foo at {at} => {within}\n");
            check(&[&history, work, &reads].concat());
        }
    }
}

#[test]
fn a_delete_takes_the_keys_that_there_are() {
    let rows = [
        ("[foo,foo3)", 3, 5),
        ("[foo,foo2)", 2, 5),
        ("[foo,foo1)", 1, 5),
        ("foo", 1, 5),
        ("foo3", 0, 4),
        ("[foo3,foo4)", 0, 4),
        ("[foo3,foo)", 0, 4),
    ];
    for (keys, deleted, revision) in rows {
        let direct = format!("delete {keys} => revision {revision}, deleted {deleted}\n");
        let within = format!("txn then delete {keys} => then deleted {deleted}; revision {revision}\n");
        let left = format!("count * => {}\ncount * at 4 => 3\n", 3 - deleted);
        check(&[THREE, &direct, &left].concat());
        check(&[THREE, &within, &left].concat());
    }
}

/// Puts and deletes of one key by turns: each finds what the one before it has left.
#[test]
fn puts_and_deletes_by_turns() {
    let mut script = String::new();
    for round in 0..10 {
        let (first, second, third) = (2 + round * 3, 3 + round * 3, 4 + round * 3);
        script
            .push_str(&format!("put foo bar0 => revision {first}\nget foo => foo=bar0({first},{first},1)\n"));
        script.push_str(&format!(
            "put foo bar1 => revision {second}\nget foo => foo=bar1({first},{second},2)\n"
        ));
        script.push_str(&format!("delete foo => revision {third}, deleted 1\nget foo => none\n"));
        script.push_str(&format!("delete foo => revision {third}, deleted 0\n"));
    }
    check(&script);
}

/// A transaction answers each operation with what it sees then.
#[test]
fn operations_of_a_transaction_see_each_other() {
    check(
        "
        txn then put foo bar; get foo; get foo at 1                   => then put, foo=bar(2,2,1), nothing; revision 2
        txn then get foo; delete foo; get foo; get foo at 2           => then foo=bar(2,2,1), deleted 1, nothing, foo=bar(2,2,1); revision 3
        txn then put foo bar2; get foo                                => then put, foo=bar2(4,4,1); revision 4
        txn then put a 1; put b 1; delete foo                         => then put, put, deleted 1; revision 5
        range *                                                       => a=1(5,5,1) b=1(5,5,1); revision 5
        ",
    );
}

#[test]
fn compaction_keeps_the_last_value_of_a_key() {
    let history = "
        put foo bar0      => revision 2
        put foo bar1      => revision 3
        delete foo        => revision 4, deleted 1
        put foo bar2      => revision 5
    ";
    let rows = [(2, "foo=bar0(2,2,1)"), (3, "foo=bar1(2,3,2)"), (4, "none"), (5, "foo=bar2(5,5,1)")];
    let mut script = history.to_owned();
    for (revision, found) in rows {
        let work = format!(
            "compact {revision} => compacted {revision}\nrun => idle\nget foo at {revision} => {found}\n"
        );
        script.push_str(&format!("{work}get foo => foo=bar2(5,5,1)\n"));
    }
    check(&script);
}

#[test]
fn compaction_is_refused_where_it_was_done_and_where_nothing_is_yet() {
    let rows: [(u64, &str); 6] = [
        (0, "compacted 0"),
        (1, "compacted 1"),
        (1, "COMPACTED 1, compacted 1"),
        (4, "compacted 4"),
        (5, "FUTURE_REVISION 5, current 4"),
        (100, "FUTURE_REVISION 100, current 4"),
    ];
    let lines: String = rows.map(|(revision, answer)| format!("compact {revision} => {answer}\n")).concat();
    check(&[THREE, &lines].concat());
}
