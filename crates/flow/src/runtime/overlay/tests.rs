use std::collections::BTreeMap;

use headwater_log::Commit;
use headwater_testkit::memory_log;
use proptest::prelude::*;

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
        let mut change = |before: Option<&[u8]>, made: &mut Vec<u8>| {
            seen.push(before.map(|before| String::from_utf8(before.to_vec()).unwrap()));
            made.extend_from_slice(value.as_bytes());
            Ok(Change::Put)
        };
        state.change(key.as_bytes(), &mut change).unwrap();
    }
    assert_eq!(seen, [Some("kept"), Some("1"), None, Some("3")].map(|text| text.map(str::to_owned)));
    state.delete(b"a");
    assert_eq!((state.get(b"a"), state.get(b"b")), (None, Some(Bytes::from_static(b"4"))));
    let mut change = |before: Option<&[u8]>, made: &mut Vec<u8>| {
        made.extend_from_slice(before.is_none().to_string().as_bytes());
        Ok(Change::Put)
    };
    state.change(b"a", &mut change).unwrap();
    assert_eq!(state.get(b"a"), Some(Bytes::from_static(b"true")), "what was deleted is not what is kept below");
}

#[test]
fn a_change_may_leave_a_key_alone_or_delete_it() {
    let mut changes = Changes::default();
    let mut state = Overlay { kept: &One, space: "s", changes: &mut changes };
    for key in [b"a", b"b"] {
        state.change(key, &mut |_, _| Ok(Change::Keep)).unwrap();
    }
    assert!(state.changes.is_empty(), "what stays is no change");
    state.put(b"b", b"1");
    state.change(b"b", &mut |_, _| Ok(Change::Keep)).unwrap();
    assert_eq!((state.get(b"a"), state.get(b"b")), (Some(Bytes::from_static(b"kept")), Some(Bytes::from_static(b"1"))));
    for key in [b"a", b"b"] {
        state.change(key, &mut |_, _| Ok(Change::Delete)).unwrap();
        assert_eq!(state.get(key), None);
    }
    assert!(drain(&mut changes).iter().all(|delta| delta.value.is_none()));
}

#[test]
fn a_change_that_fails_leaves_everything_as_it_was() {
    let mut changes = Changes::default();
    let mut state = Overlay { kept: &One, space: "s", changes: &mut changes };
    let mut fail = |_: Option<&[u8]>, made: &mut Vec<u8>| {
        made.push(b'?');
        Err(Corrupt { what: "anything" })
    };
    assert!(state.change(b"a", &mut fail).is_err());
    assert_eq!(state.get(b"a"), Some(Bytes::from_static(b"kept")));
    state.put(b"a", b"1");
    assert!(state.change(b"a", &mut fail).is_err());
    assert_eq!(state.get(b"a"), Some(Bytes::from_static(b"1")));
    assert_eq!(drain(&mut changes).len(), 1);
}

#[test]
fn a_key_that_changes_again_and_again_is_one_delta_with_the_last_value() {
    let mut changes = Changes::default();
    let mut held = Vec::new();
    for round in 0..4 {
        let mut state = Overlay { kept: &One, space: "s", changes: &mut changes };
        // Longer, and shorter again, beside another key.
        for length in (0..200_usize).chain([3]) {
            state.put(b"a", &vec![b'a'; length]);
            state.put(b"b", &length.to_le_bytes());
        }
        let delta = |key: &'static [u8], value: Vec<u8>| Delta { key: key.into(), value: Some(value.into()) };
        let wanted = [delta(b"a", vec![b'a'; 3]), delta(b"b", 3_usize.to_le_bytes().to_vec())];
        let deltas = drain(&mut changes);
        assert_eq!(deltas, wanted, "of commit {round}, in the order in which they came");
        assert!(changes.is_empty());
        // Those of a commit that takes its time are not written over.
        assert!(held.iter().all(|before| *before == deltas));
        if round % 2 > 0 {
            held.push(deltas);
        }
    }
}

#[test]
fn a_space_that_was_dropped_is_looked_for_again() {
    let log: Arc<dyn Log> = memory_log().0;
    let kept = Appended::new(Arc::clone(&log));
    let shown = |space: &str| {
        let mut shown = Vec::new();
        kept.look(space, b"k", &mut |value| shown.push(value.map(<[u8]>::to_vec)));
        shown
    };
    let put = |space: &str, value: &'static [u8]| {
        let delta = Delta { key: Bytes::from_static(b"k"), value: Some(Bytes::from_static(value)) };
        log.append(&mut Commit { deltas: vec![(Arc::from(space), vec![delta])], ..Commit::default() }).unwrap();
    };
    assert_eq!(shown("s"), [None::<Vec<u8>>]);
    put("s", b"1");
    put("t", b"2");
    for _ in 0..2 {
        assert_eq!((shown("s"), shown("t")), (vec![Some(b"1".to_vec())], vec![Some(b"2".to_vec())]));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(log.drop_space("s")).unwrap();
    assert_eq!(shown("s"), [None::<Vec<u8>>]);
    put("s", b"3");
    for _ in 0..2 {
        assert_eq!((shown("s"), shown("t")), (vec![Some(b"3".to_vec())], vec![Some(b"2".to_vec())]));
    }
}

/// Nothing is kept.
struct Nothing;

impl Kept for Nothing {
    fn look(&self, _: &str, _: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        seen(None);
    }

    fn for_part(&self, _: &str, _: u32, _: &mut dyn FnMut(&[u8], &[u8])) {}
}

proptest! {
    #[test]
    fn changes_are_what_a_map_says(
        steps in prop::collection::vec((0..4_u8, 0..12_u8, prop::collection::vec(any::<u8>(), 0..40)), 0..200),
    ) {
        let mut changes = Changes::default();
        let mut model: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        for (what, key, value) in steps {
            let key = vec![b'k'; usize::from(key)];
            let mut state = Overlay { kept: &Nothing, space: "s", changes: &mut changes };
            match what {
                0 => state.put(&key, &value),
                1 => state.delete(&key),
                2 => {
                    let mut append = |before: Option<&[u8]>, made: &mut Vec<u8>| {
                        made.extend_from_slice(before.unwrap_or_default());
                        made.extend_from_slice(&value);
                        Ok(Change::Put)
                    };
                    state.change(&key, &mut append).unwrap();
                }
                _ => {
                    let deltas = drain(state.changes).into_iter();
                    let shown = deltas.map(|delta| (delta.key.to_vec(), delta.value.map(|value| value.to_vec())));
                    prop_assert_eq!(shown.collect::<BTreeMap<_, _>>(), std::mem::take(&mut model));
                    continue;
                }
            }
            prop_assert_eq!(state.get(&key).map(|value| value.to_vec()), match what {
                0 => Some(value.clone()),
                1 => None,
                _ => Some([model.get(&key).cloned().flatten().unwrap_or_default(), value.clone()].concat()),
            });
            let now = state.get(&key).map(|value| value.to_vec());
            model.insert(key, now);
        }
    }
}
