use super::*;

#[test]
fn stabbing_finds_what_a_scan_finds() {
    let mut entries = Vec::new();
    for low in -6_i64..6 {
        for high in -6_i64..6 {
            entries.push((low, high, u32::try_from(entries.len()).unwrap()));
        }
    }
    entries.push((i64::MIN, i64::MAX, 999));
    entries.push((3, i64::MAX, 1_000));
    let tree = Intervals::build(&entries, |number| number.checked_add(1));
    for number in (-8..8).chain([i64::MIN, i64::MAX]) {
        let mut found = Vec::new();
        tree.stab(number, |entry| found.push(entry));
        found.sort_unstable();
        let scan: Vec<u32> =
            entries.iter().filter(|(low, high, _)| (*low..=*high).contains(&number)).map(|e| e.2).collect();
        assert_eq!(found, scan, "{number}");
    }
}
