use super::*;

/// The way back of the first of some pipelines, each with what it reads and writes.
fn check(pipelines: &[(&str, &[&str])], plain: Option<&str>, with_changes: Option<&str>) {
    let owned = |streams: &[&str]| streams.iter().map(|stream| (*stream).to_owned()).collect::<Vec<_>>();
    let mut onward = Onward::default();
    for (reads, writes) in pipelines {
        onward.add(reads, &owned(writes));
    }
    let (reads, writes) = pipelines[0];
    let way = |onward: &Onward| onward.way_back(reads, &owned(writes)).map(|way| way.join(" "));
    assert_eq!(way(&onward).as_deref(), plain);
    onward.add_changes();
    assert_eq!(way(&onward).as_deref(), with_changes);
}

#[test]
fn a_way_back_is_found_over_streams() {
    check(&[("a", &["b"]), ("b", &["c", "a"])], Some("a b a"), Some("a b a"));
    check(&[("a", &["b"]), ("b", &["c"]), ("c", &["d", "b"])], None, None);
    check(&[("a", &["x"]), ("x", &["b", "y"]), ("y", &["a"])], Some("a x y a"), Some("a x y a"));
}

#[test]
fn and_over_what_tables_tell() {
    check(&[("table.t.changes", &["table.t"])], None, Some("table.t.changes table.t table.t.changes"));
    check(&[("a", &["table.t"]), ("table.t.changes", &["a"])], None, Some("a table.t table.t.changes a"));
    check(&[("table.t", &["table.t.changes"])], None, None);
}
