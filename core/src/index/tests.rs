use super::*;
fn p(main: u64) -> Position {
    Position::new(main, 0)
}
#[test]
fn quick() {
    let mut index = Index::default();
    for i in 1..5000 {
        index.put(b"hot", p(i));
        if i % 7 == 0 {
            index.delete(b"hot", Position::new(i, 1));
        }
        index.check().unwrap_or_else(|e| panic!("{i} {e}"));
    }
    let all = index.history(b"hot");
    for r in 0..5000 {
        let mut i = index.clone();
        i.compact_key(b"hot", r);
        i.check().unwrap();
        let cut = all.iter().rposition(|s| s.position.main <= r);
        let want: Vec<Step> = match cut {
            None => all.clone(),
            Some(c) => {
                let c =
                    if all[c].change == Change::Tombstone && all[c].position.main < r { c + 1 } else { c };
                all[c..].to_vec()
            }
        };
        assert_eq!(i.history(b"hot"), want, "{r}");
    }
}
