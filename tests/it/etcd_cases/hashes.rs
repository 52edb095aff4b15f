//! Hashes of histories, computed apart by etcd's rule: a hash says nothing of background work, and of compaction only what it took.

use palimpsest_kv_tests::script::check_roomy as check;

/// After how far a compaction the hash at a revision is what.
type Row = (u64, u64, u32);

/// The hashes of a history that is compacted further and further, before the work, after it, and opened again.
fn check_hashes(history: &str, whole: &[u32], compacted: &[Row]) {
    let hash = |(revision, hash): (u64, u32)| format!("hash {revision} => {hash}\n");
    let newest = whole.len() as u64;
    let wholes: String = (1..).zip(whole.iter().copied()).map(hash).collect();
    let mut script = format!("{history}{wholes}reopen => revision {newest}\n{wholes}");
    let mut horizons: Vec<u64> = compacted.iter().map(|row| row.0).collect();
    horizons.dedup();
    for horizon in horizons {
        let rows = compacted.iter().filter(|row| row.0 == horizon);
        let hashes: String = rows.map(|(_, revision, found)| hash((*revision, *found))).collect();
        script.push_str(&format!("compact {horizon} => compacted {horizon}\n{hashes}"));
        script.push_str(&format!("run => idle\n{hashes}reopen => revision {newest}\n{hashes}"));
        if horizon > 1 {
            script.push_str(&format!(
                "hash {} => COMPACTED {}, compacted {horizon}\n",
                horizon - 1,
                horizon - 1
            ));
        }
    }
    script.push_str(&format!("hash {} => FUTURE_REVISION {}, current {newest}\n", newest + 1, newest + 1));
    check(&script);
}

#[test]
fn of_transactions_with_several_changes() {
    check_hashes(
        "
        txn then put a 1; put b 2; put c 3     => then put, put, put; revision 2
        txn then put a 2; delete b             => then put, deleted 1; revision 3
        delete *                               => revision 4, deleted 2
        put a 3                                => revision 5
        ",
        &[1_084_519_789, 1_529_813_694, 654_823_956, 2_106_234_338, 3_350_806_161],
        &[
            (2, 2, 1_529_813_694),
            (2, 3, 1_190_363_039),
            (2, 4, 2_106_234_338),
            (2, 5, 2_810_062_911),
            (3, 3, 2_536_451_561),
            (3, 4, 2_645_637_337),
            (3, 5, 280_245_730),
            (4, 4, 1_084_519_789),
            (4, 5, 2_526_485_364),
            (5, 5, 2_526_485_364),
        ],
    );
}

#[test]
fn of_leases() {
    check_hashes(
        "
        grant 7 60           => lease 7 for 60
        grant 300 60         => lease 300 for 60
        put k 1 lease 7      => revision 2
        put k 2 lease =      => revision 3
        put k =              => revision 4
        put j '' lease 300   => revision 5
        ",
        &[1_084_519_789, 385_236_762, 65_270_577, 3_561_136_055, 2_411_740_746],
        &[
            (3, 3, 991_398_682),
            (3, 4, 1_199_395_306),
            (3, 5, 3_582_703_483),
            (4, 4, 1_199_395_306),
            (5, 5, 3_582_703_483),
        ],
    );
}

/// Where no key is left at the hashed revision, etcd leaves out nothing that is there.
#[test]
fn of_what_is_all_deleted() {
    check_hashes(
        "
        put a 1      => revision 2
        put b 1      => revision 3
        delete a     => revision 4, deleted 1
        delete b     => revision 5, deleted 1
        ",
        &[1_084_519_789, 2_587_454_935, 2_143_169_314, 3_105_699_308, 1_785_112_597],
        &[
            (2, 3, 2_143_169_314),
            (2, 4, 3_397_199_720),
            (2, 5, 1_785_112_597),
            (3, 4, 3_397_199_720),
            (3, 5, 1_785_112_597),
            (4, 4, 943_091_523),
            (4, 5, 2_368_373_210),
            (5, 5, 1_084_519_789),
        ],
    );
}

#[test]
fn of_empty_values() {
    check_hashes(
        "
        put k ''     => revision 2
        put k ''     => revision 3
        ",
        &[1_084_519_789, 3_417_322_274, 435_918_661],
        &[(2, 2, 3_417_322_274), (2, 3, 3_298_434_639), (3, 3, 3_298_434_639)],
    );
}
