//! The index of all keys: intervals read and counted at every revision, and what compaction takes out of it.

use palimpsest_kv_tests::script::check;

/// Three keys, each put and deleted, one after the other.
const HISTORY: &str = "
    put a 1       => revision 2
    put b 1       => revision 3
    put c 1       => revision 4
    delete a      => revision 5, deleted 1
    delete b      => revision 6, deleted 1
    delete c      => revision 7, deleted 1
";

const A: &str = "a=1(2,2,1)";
const B: &str = "b=1(3,3,1)";
const C: &str = "c=1(4,4,1)";

#[test]
fn an_interval_has_the_keys_that_live_at_a_revision() {
    let rows: [(&str, u64, &[&str]); 26] = [
        ("*", 1, &[]),
        ("*", 2, &[A]),
        ("*", 3, &[A, B]),
        ("*", 4, &[A, B, C]),
        ("*", 5, &[B, C]),
        ("*", 6, &[C]),
        ("*", 7, &[]),
        ("a", 1, &[]),
        ("a", 2, &[A]),
        ("a", 4, &[A]),
        ("a", 5, &[]),
        ("c", 3, &[]),
        ("c", 6, &[C]),
        ("[a,b)", 3, &[A]),
        ("[a,b)", 5, &[]),
        ("[a,c)", 4, &[A, B]),
        ("[a,c)", 5, &[B]),
        ("[b,d)", 4, &[B, C]),
        ("[b,d)", 6, &[C]),
        ("[b,b)", 4, &[]),
        ("[c,a)", 4, &[]),
        ("b..", 4, &[B, C]),
        ("b..", 7, &[]),
        ("d..", 4, &[]),
        ("b*", 4, &[B]),
        ("d*", 4, &[]),
    ];
    for (keys, at, found) in rows {
        let words = if found.is_empty() { "nothing".to_owned() } else { found.join(" ") };
        let read = format!("range {keys} at {at} => {words}; revision 7\n");
        let count = format!("count {keys} at {at} => {}\n", found.len());
        let limited = match found {
            [first, _, ..] => format!(
                "range {keys} at {at} limit 1 counted => {first} more of {}; revision 7\n",
                found.len()
            ),
            _ => format!("range {keys} at {at} limit 1 counted => {words} of {}; revision 7\n", found.len()),
        };
        check(&[HISTORY, &read, &count, &limited, "reopen => revision 7\n", &read, &count].concat());
    }
}

#[test]
fn compaction_takes_a_key_out_once_nothing_of_it_is_left() {
    let rows = [(1, 3, 6), (2, 3, 6), (4, 3, 6), (5, 3, 5), (6, 2, 3), (7, 1, 1)];
    for (revision, keys, records) in rows {
        let work = format!(
            "compact {revision} => compacted {revision}\nrun => idle
             numbers => live 0, keys {keys}, records {records}, dead {records}\n"
        );
        check(&[HISTORY, &work].concat());
    }
    check(&[HISTORY, "put d 1 => revision 8\ncompact 8 => compacted 8\nrun => idle\nnumbers => live 1, keys 1, records 1, dead 0"].concat());
}

/// The longest keys that begin alike stay apart.
#[test]
fn keys_that_begin_alike_are_kept_apart() {
    check(
        "
        put a 1             => revision 2
        put aa 2            => revision 3
        put aaa 3           => revision 4
        delete aa           => revision 5, deleted 1
        range a             => a=1(2,2,1); revision 5
        range aa            => nothing; revision 5
        range aa*           => aaa=3(4,4,1); revision 5
        range aa* at 4      => aa=2(3,3,1) aaa=3(4,4,1); revision 5
        range [a,aaa)       => a=1(2,2,1); revision 5
        compact 5           => compacted 5
        run                 => idle
        compact 6           => FUTURE_REVISION 6, current 5
        delete *            => revision 6, deleted 2
        range * at 5        => a=1(2,2,1) aaa=3(4,4,1); revision 6
        count *             => 0
        ",
    );
}
