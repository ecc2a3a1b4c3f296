use super::*;

fn put(key: &str, version: u64, value: &str) -> Change {
    indexed(key, version, value, Vec::new())
}

fn indexed(key: &str, version: u64, value: &str, entries: Vec<Entry>) -> Change {
    let updated_us = i64::try_from(version).unwrap() * 10;
    Change::Put(Row { key: key.to_owned(), version, updated_us, value: value.into() }, entries)
}

fn keys(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.key.as_str()).collect()
}

#[test]
fn documents_and_their_offset_change_together_and_survive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tables.db");
    {
        let (view, damage) = View::open(&path).unwrap();
        assert_eq!(damage, None);
        let users = view.table("users", 7).unwrap();
        assert_eq!(view.applied(users, 0).unwrap(), 0);
        view.apply(
            users,
            0,
            &[put("b", 1, "1"), put("a", 2, "2"), put("c", 3, "3"), Change::Delete("b".into())],
            4,
            false,
        )
        .unwrap();
        assert_eq!(keys(&view.list(users, None, 10).unwrap()), ["a", "c"]);
    }
    let (view, damage) = View::open(&path).unwrap();
    assert_eq!(damage, None);
    let users = view.table("users", 7).unwrap();
    assert_eq!(view.applied(users, 0).unwrap(), 4);
    assert_eq!(view.applied(users, 1).unwrap(), 0);
    let row = view.get(users, "a").unwrap().unwrap();
    assert_eq!((row.version, row.updated_us, row.value.as_slice()), (2, 20, b"2".as_slice()));
    assert_eq!(view.get(users, "b").unwrap(), None);
    assert_eq!(keys(&view.list(users, Some("a"), 10).unwrap()), ["c"]);
    assert_eq!(view.count(users).unwrap(), 2);
}

#[test]
fn a_stream_made_anew_under_the_same_name_starts_from_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (view, _) = View::open(&folder.path().join("tables.db")).unwrap();
    let old = view.table("users", 1).unwrap();
    view.apply(old, 0, &[put("a", 1, "1")], 1, false).unwrap();
    let new = view.table("users", 2).unwrap();
    assert_eq!((view.applied(new, 0).unwrap(), view.get(new, "a").unwrap()), (0, None));
    view.apply(new, 0, &[put("a", 1, "2")], 1, false).unwrap();
    view.drop_table("users").unwrap();
    assert!(matches!(view.get(new, "a"), Err(ViewError::Damaged(_))), "an id outlives its table only as an error");
}

#[test]
fn a_damaged_file_is_replaced_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tables.db");
    std::fs::write(&path, vec![0x5a; 8192]).unwrap();
    let (view, damage) = View::open(&path).unwrap();
    assert!(damage.unwrap().contains("not a database"));
    let users = view.table("users", 1).unwrap();
    assert_eq!(view.applied(users, 0).unwrap(), 0);
}

#[test]
fn a_page_damaged_later_is_found_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tables.db");
    {
        let (view, _) = View::open(&path).unwrap();
        let users = view.table("users", 1).unwrap();
        let rows: Vec<Change> = (0..5_000).map(|n| put(&format!("key{n:05}"), n + 1, &"x".repeat(100))).collect();
        view.apply(users, 0, &rows, 5_000, false).unwrap();
    }
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xee);
    std::fs::write(&path, bytes).unwrap();
    let (view, _) = View::open(&path).unwrap();
    let users = view.table("users", 1).unwrap();
    assert!(matches!(view.list(users, None, 10_000), Err(ViewError::Damaged(_))));
}

#[test]
fn old_documents_are_found_in_steps() {
    let folder = tempfile::tempdir().unwrap();
    let (view, _) = View::open(&folder.path().join("tables.db")).unwrap();
    let users = view.table("users", 1).unwrap();
    view.apply(users, 0, &[put("a", 1, "1"), put("b", 9, "2"), put("c", 2, "3"), put("d", 3, "4")], 9, false).unwrap();
    let first = view.older(users, 25, None, 2).unwrap();
    assert_eq!(first, Aged { keys: vec![("a".into(), 1)], last: Some("b".into()) });
    let second = view.older(users, 25, Some("b"), 3).unwrap();
    assert_eq!(second, Aged { keys: vec![("c".into(), 2)], last: None });
}

#[test]
fn documents_are_found_in_the_order_of_their_entries() {
    let folder = tempfile::tempdir().unwrap();
    let (view, _) = View::open(&folder.path().join("tables.db")).unwrap();
    let users = view.table("users", 1).unwrap();
    view.apply(users, 0, &[put("a", 1, "3"), put("b", 2, "1"), put("c", 3, "2"), put("d", 4, "")], 4, false).unwrap();
    let declared = view.indexes(users, &["by value"]).unwrap();
    assert_eq!(declared.len(), 1);
    let (index, complete) = declared[0];
    assert!(!complete, "there are documents already");
    let entries = |row: &Row| match row.value.is_empty() {
        true => Vec::new(),
        false => vec![Entry { index, order: row.value.clone() }],
    };
    let mut after = None;
    loop {
        after = view.backfill(users, &[index], after.as_deref(), 3, &entries).unwrap();
        if after.is_none() {
            break;
        }
    }
    assert_eq!(view.indexes(users, &["by value"]).unwrap(), [(index, true)]);
    let found = |from: &[u8], below: Option<&[u8]>, after: Option<(&[u8], &str)>, descending| {
        let range = Range { from, below, after, descending, count: 10 };
        let rows = view.find(users, index, &range).unwrap();
        rows.into_iter().map(|(_, row)| row.key).collect::<String>()
    };
    assert_eq!(found(b"", None, None, false), "bca");
    assert_eq!(found(b"", None, None, true), "acb");
    assert_eq!(found(b"1", Some(b"3"), None, false), "bc");
    assert_eq!(found(b"", None, Some((b"1", "b")), false), "ca");
    assert_eq!(found(b"", None, Some((b"3", "a")), true), "cb");
    // A changed document leaves its old place.
    let changed = indexed("b", 5, "9", vec![Entry { index, order: b"9".to_vec() }]);
    view.apply(users, 0, &[changed, Change::Delete("c".into())], 6, true).unwrap();
    assert_eq!(found(b"", None, None, false), "ab");
    assert_eq!(keys(&view.range(users, (Some("a"), Some("b")), None, true, 10).unwrap()), ["b", "a"]);
    assert_eq!(keys(&view.range(users, (None, None), Some("a"), false, 10).unwrap()), ["b", "d"]);
    // What is not declared any more goes; what is new is not complete.
    let (other, complete) = view.indexes(users, &["other"]).unwrap()[0];
    assert!(other != index && !complete);
    assert_eq!(found(b"", None, None, false), "");
}
