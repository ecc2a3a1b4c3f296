use super::*;

/// Keeps `a`, and says what it is told of what comes.
#[derive(Default)]
struct Told(std::cell::RefCell<Vec<String>>);

impl Kept for Told {
    fn look(&self, space: &str, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        One.look(space, key, seen);
    }

    fn foresee(&self, keys: &[(&str, &[u8])]) {
        let text = |(space, key): &(&str, &[u8])| format!("{space}/{}", String::from_utf8_lossy(key));
        self.0.borrow_mut().extend(keys.iter().map(text));
    }

    fn for_part(&self, _: &str, _: u32, _: &mut dyn FnMut(&[u8], &[u8])) {}
}

#[test]
fn several_keys_are_foreseen_in_the_operators_space() {
    let (kept, mut changes) = (Told::default(), Changes::default());
    let state = Overlay { kept: &kept, space: "s", changes: &mut changes };
    let keys: [Box<[u8]>; 2] = [b"a", b"b"].map(|key| Box::from(&key[..]));
    state.foresee(&keys);
    state.foresee(&keys[..1]);
    assert_eq!(*kept.0.borrow(), ["s/a", "s/b"], "one key has nothing to wait together with");
}

/// Keeps `a`.
struct One;

impl Kept for One {
    fn look(&self, space: &str, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        seen((space == "s" && key == b"a").then_some(b"kept".as_slice()));
    }

    fn for_part(&self, _: &str, _: u32, _: &mut dyn FnMut(&[u8], &[u8])) {}
}

#[test]
fn a_change_sees_what_is_kept_then_what_it_made_of_it() {
    let mut changes = Changes::default();
    let mut state = Overlay { kept: &One, space: "s", changes: &mut changes };
    let mut seen = Vec::new();
    for (key, value) in [("a", "1"), ("a", "2"), ("b", "3"), ("b", "4")] {
        let mut change = |before: Option<&[u8]>| {
            seen.push(before.map(|before| String::from_utf8(before.to_vec()).unwrap()));
            Ok(Change::Put(Bytes::from_static(value.as_bytes())))
        };
        state.change(key.as_bytes(), &mut change).unwrap();
    }
    assert_eq!(seen, [Some("kept"), Some("1"), None, Some("3")].map(|text| text.map(str::to_owned)));
    state.delete(b"a");
    assert_eq!((state.get(b"a"), state.get(b"b")), (None, Some(Bytes::from_static(b"4"))));
    state.change(b"a", &mut |before| Ok(Change::Put(Bytes::from(before.is_none().to_string())))).unwrap();
    assert_eq!(state.get(b"a"), Some(Bytes::from_static(b"true")), "what was deleted is not what is kept below");
}

#[test]
fn a_change_may_leave_a_key_alone_or_delete_it() {
    let mut changes = Changes::default();
    let mut state = Overlay { kept: &One, space: "s", changes: &mut changes };
    for key in [b"a", b"b"] {
        state.change(key, &mut |_| Ok(Change::Keep)).unwrap();
    }
    assert_eq!(state.changes.len(), 0, "what stays is no change");
    state.put(b"b", Bytes::from_static(b"1"));
    state.change(b"b", &mut |_| Ok(Change::Keep)).unwrap();
    assert_eq!((state.get(b"a"), state.get(b"b")), (Some(Bytes::from_static(b"kept")), Some(Bytes::from_static(b"1"))));
    for key in [b"a", b"b"] {
        state.change(key, &mut |_| Ok(Change::Delete)).unwrap();
        assert_eq!(state.get(key), None);
    }
    assert!(drain(&mut changes).iter().all(|delta| delta.value.is_none()));
}

#[test]
fn a_change_that_fails_leaves_everything_as_it_was() {
    let mut changes = Changes::default();
    let mut state = Overlay { kept: &One, space: "s", changes: &mut changes };
    let mut fail = |_: Option<&[u8]>| Err(Corrupt { what: "anything" });
    assert!(state.change(b"a", &mut fail).is_err());
    assert_eq!(state.get(b"a"), Some(Bytes::from_static(b"kept")));
    state.put(b"a", Bytes::from_static(b"1"));
    assert!(state.change(b"a", &mut fail).is_err());
    assert_eq!(state.get(b"a"), Some(Bytes::from_static(b"1")));
    assert_eq!(drain(&mut changes).len(), 1);
}
