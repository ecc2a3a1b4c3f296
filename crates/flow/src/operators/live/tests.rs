use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::operators::{MemoryState, codec};

fn read(bytes: &[u8]) -> Result<u64, Corrupt> {
    codec::Reader::new(bytes).u64()
}

fn read_or_new(bytes: Option<&[u8]>) -> Result<u64, Corrupt> {
    bytes.map_or(Ok(0), read)
}

fn write(value: &u64, out: &mut Vec<u8>) {
    codec::put_u64(out, *value);
}

/// A state that counts how often it is asked.
#[derive(Default)]
struct Counted {
    inner: MemoryState,
    looks: Cell<usize>,
    puts: usize,
}

impl State for Counted {
    fn look(&self, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        self.looks.set(self.looks.get() + 1);
        self.inner.look(key, seen);
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.puts += 1;
        self.inner.put(key, value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.inner.delete(key);
    }

    fn for_part(&self, part: u32, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.inner.for_part(part, each);
    }
}

#[test]
fn a_key_is_read_once_and_written_once_for_each_settle() {
    let (mut live, mut state) = (Live::default(), Counted::default());
    for _ in 0..2 {
        for _ in 0..100 {
            *live.change(&state, b"key", read_or_new).unwrap() += 1;
        }
        live.settle(&mut state, write);
    }
    assert_eq!((state.looks.get(), state.puts), (1, 2));
    assert_eq!(read(&state.get(b"key").unwrap()), Ok(200));
}

#[test]
fn a_key_that_does_not_come_back_is_not_kept() {
    let (mut live, mut state) = (Live::default(), Counted::default());
    for key in 0..100_u8 {
        *live.change(&state, &[key], read_or_new).unwrap() += 1;
    }
    *live.change(&state, &[0], read_or_new).unwrap() += 1;
    live.settle(&mut state, write);
    assert_eq!((live.kept.len(), state.puts), (1, 100));
    // Who only looks at a key, as a timer does, keeps nothing either, and puts back what was kept.
    for key in [0, 1] {
        let taken = live.take(&state, &[key], read).unwrap().unwrap();
        live.put([key].into(), taken);
    }
    live.settle(&mut state, write);
    assert_eq!((live.kept.len(), state.puts), (1, 100));
    let looks = state.looks.get();
    assert_eq!(*live.change(&state, &[0], read_or_new).unwrap(), 2);
    assert_eq!(state.looks.get(), looks);
    assert_eq!(*live.change(&state, &[1], read_or_new).unwrap(), 1);
    assert_eq!(state.looks.get(), looks + 1);
}

#[test]
fn what_cannot_be_read_is_an_error_and_stays_as_it_is() {
    let (mut live, mut state) = (Live::default(), Counted::default());
    state.put(b"key", b"\xff");
    assert!(live.change(&state, b"key", read_or_new).is_err());
    assert!(live.take(&state, b"key", read).is_err());
    live.settle(&mut state, write);
    assert_eq!(state.get(b"key").as_deref(), Some(&b"\xff"[..]));
}

#[test]
fn what_is_kept_is_bounded_and_read_again_beyond_that() {
    let (mut live, mut state) = (Live::default(), Counted::default());
    let copy = |value: &Vec<u8>, out: &mut Vec<u8>| out.extend_from_slice(value);
    let mut most = 0;
    for key in 0..40_u8 {
        for _ in 0..2 {
            let value = live.change(&state, &[key], |bytes| Ok(bytes.unwrap_or_default().to_vec())).unwrap();
            *value = vec![key; 1 << 20];
        }
        live.settle(&mut state, copy);
        assert!(live.kept_bytes <= KEPT_BYTES_MAX);
        most = most.max(live.kept.len());
    }
    assert_eq!(most, 3, "each takes twice its megabyte");
    let value = live.change(&state, &[0], |bytes| Ok(bytes.unwrap_or_default().to_vec())).unwrap();
    assert_eq!(value.len(), 1 << 20);
}

proptest! {
    #[test]
    fn whatever_is_done_to_it_a_settled_state_holds_what_a_map_holds(
        steps in proptest::collection::vec((0_u8..5, 0_u8..4, 0_u64..1_000), 0..200),
    ) {
        let (mut live, mut state) = (Live::default(), MemoryState::default());
        let mut model: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for (what, key, add) in steps {
            let key = [key];
            match what {
                0 | 1 => {
                    *live.change(&state, &key, read_or_new).unwrap() += add;
                    *model.entry(key.to_vec()).or_default() += add;
                }
                2 => {
                    if let Some(mut taken) = live.take(&state, &key, read).unwrap() {
                        if add.is_multiple_of(2) {
                            taken.value += add;
                            taken.changed = true;
                            *model.entry(key.to_vec()).or_default() += add;
                        }
                        prop_assert_eq!(Some(&taken.value), model.get(&key[..]));
                        live.put(key.into(), taken);
                    } else {
                        prop_assert_eq!(model.get(&key[..]), None);
                    }
                }
                3 => {
                    let _ = live.take(&state, &key, read).unwrap();
                    state.delete(&key);
                    model.remove(&key[..]);
                }
                _ => live.settle(&mut state, write),
            }
        }
        live.settle(&mut state, write);
        let held: BTreeMap<Vec<u8>, u64> =
            state.entries.iter().map(|(key, value)| (key.clone(), read(value).unwrap())).collect();
        prop_assert_eq!(held, model);
    }
}
