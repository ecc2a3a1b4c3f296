use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[test]
fn a_block_takes_less_than_an_eighth_more_than_its_bytes_in_units() {
    let mut last = 0;
    for length in 0..=BLOCK_BYTES_MAX - 2 {
        let exact = (length + 2).div_ceil(UNIT);
        let units = units(length).unwrap();
        assert!(units >= exact && (units - exact) * 8 < exact, "{length} bytes take {units} units");
        // Classes are numbered without gaps, and all of a class are of one size.
        let class = class(units);
        assert!(class == last || class == last + 1, "{length} bytes are of class {class} behind {last}");
        assert_eq!(super::units(units * UNIT - 2), Some(units));
        last = class;
    }
    assert_eq!(units(BLOCK_BYTES_MAX - 1), None);
    assert_eq!(units(usize::MAX), None);
}

fn free(arena: &mut Arena, place: Place) {
    arena.free(place, arena.size(place));
}

#[test]
fn a_small_arena_is_small_and_an_empty_one_nothing() {
    let mut arena = Arena::default();
    assert_eq!(arena.bytes(), 0);
    let places: Vec<_> = (0..3u8).map(|number| arena.add(&[&[number; 100]])).collect();
    assert!(arena.bytes() < 400, "{} bytes", arena.bytes());
    places.into_iter().for_each(|place| free(&mut arena, place));
    let place = arena.add(&[&[7; 100_000]]);
    free(&mut arena, place);
    assert!(arena.bytes() < 100, "{} bytes", arena.bytes());
}

#[test]
fn what_is_freed_is_used_again() {
    let mut arena = Arena::default();
    let mut places: Vec<_> = (0..1_000u16).map(|number| arena.add(&[&number.to_le_bytes(), &[1; 70]])).collect();
    let held = arena.bytes();
    for round in 0..20 {
        let freed: Vec<_> = places.drain(..500).collect();
        freed.into_iter().for_each(|place| free(&mut arena, place));
        places.extend((0..500u16).map(|number| arena.add(&[&number.to_le_bytes(), &[round; 70]])));
    }
    // The first few were large blocks, and are in pages now.
    assert!(arena.bytes() < held + held / 16, "{held} bytes have become {}", arena.bytes());
}

#[test]
fn more_blocks_than_there_are_places_in_pages_are_kept_all_the_same() {
    let mut arena = Arena { pages: vec![Vec::new(); PAGES_MAX], held: 1 << 20, ..Arena::default() };
    let places: Vec<_> = (0..100u8).map(|number| arena.add(&[&[number; 20]])).collect();
    for (number, place) in places.iter().enumerate() {
        assert_eq!(arena.get(*place), [number as u8; 20]);
    }
    assert!(!arena.set(places[7], &[b"shorter"]), "it has a place of its own then");
    for place in places {
        free(&mut arena, place);
    }
    assert_eq!(arena.large_bytes, 0);
}

#[derive(Clone, Debug)]
enum Step {
    Add(usize),
    Set(prop::sample::Index, usize),
    Free(prop::sample::Index),
    /// Frees most.
    FreeMany(u8),
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        10 => 0..200_usize,
        3 => 0..3_000_usize,
        2 => BLOCK_BYTES_MAX - 9..BLOCK_BYTES_MAX + 9,
        1 => 0..100_000_usize,
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => length().prop_map(Step::Add),
        6 => (any::<prop::sample::Index>(), length()).prop_map(|(which, length)| Step::Set(which, length)),
        4 => any::<prop::sample::Index>().prop_map(Step::Free),
        1 => any::<u8>().prop_map(Step::FreeMany),
    ]
}

/// An arena beside what it must have.
#[derive(Default)]
struct Both {
    arena: Arena,
    model: BTreeMap<u32, (Place, Vec<u8>)>,
    next: u32,
}

impl Both {
    fn content(&mut self, length: usize) -> Vec<u8> {
        self.next += 1;
        self.next.to_le_bytes().into_iter().cycle().take(length).collect()
    }

    fn nth(&self, which: prop::sample::Index) -> Option<u32> {
        let keys: Vec<_> = self.model.keys().collect();
        (!keys.is_empty()).then(|| **which.get(&keys))
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Add(length) => {
                let content = self.content(*length);
                let (head, tail) = content.split_at(length / 3);
                let place = self.arena.add(&[head, &[], tail]);
                self.model.insert(self.next, (place, content));
            }
            Step::Set(which, length) => {
                let Some(number) = self.nth(*which) else { return };
                let content = self.content(*length);
                let (place, old) = self.model.get_mut(&number).unwrap();
                if self.arena.set(*place, &[&content]) {
                    assert!(units(old.len()) == units(*length));
                } else {
                    assert!(old.len() != *length);
                    free(&mut self.arena, *place);
                    *place = self.arena.add(&[&content]);
                }
                *old = content;
            }
            Step::Free(which) => {
                let Some(number) = self.nth(*which) else { return };
                free(&mut self.arena, self.model.remove(&number).unwrap().0);
            }
            Step::FreeMany(seed) => {
                let many = self.model.extract_if(.., |number, _| !(number ^ u32::from(*seed)).is_multiple_of(5));
                many.for_each(|(_, (place, _))| free(&mut self.arena, place));
            }
        }
        if self.arena.is_sparse() {
            self.arena.compact(self.model.values_mut().map(|(place, _)| place));
            assert!(!self.arena.is_sparse());
        }
    }

    fn check(&mut self) {
        let (mut used, mut large) = (0, 0);
        for (place, content) in self.model.values() {
            assert!(self.arena.get(*place) == content, "a block of {} bytes", content.len());
            match place.large() {
                Some(_) => large += content.len(),
                None => used += units(content.len()).unwrap() * UNIT,
            }
        }
        assert_eq!((self.arena.used, self.arena.large_bytes), (used, large));
        assert_eq!(self.arena.held, self.arena.pages.iter().map(Vec::capacity).sum::<usize>());
        let (all, wanted) = (self.arena.held + large, used + large);
        assert!(all <= wanted * 2 + SPARE_BYTES, "{all} bytes for {wanted}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Blocks keep what they were given whatever happens around them, and what is free is bounded.
    #[test]
    fn blocks_match_a_model(steps in prop::collection::vec(step(), 1..300)) {
        let mut both = Both::default();
        for step in &steps {
            both.take(step);
            both.check();
        }
        for place in std::mem::take(&mut both.model).into_values() {
            both.arena.get_mut(place.0).fill(0);
            free(&mut both.arena, place.0);
        }
        if both.arena.is_sparse() {
            both.arena.compact(std::iter::empty());
        }
        both.check();
    }
}
