//! Array consistency: the leaves that satisfy a rule must not come from different elements of one array.
//!
//! What it is NOT: needed for events whose named fields stand in no array of objects; `ruleset` asks only then.
//!
//! Tests are taken in the order of their paths, and `exists: false` asks whether a field is missing from the elements
//! that the tests *before* it have committed to; that order is the service's. The search jumps over values of
//! elements it is not committed to, and when a test fails it returns straight to the last commitment the failure
//! depends on (conflict-directed backjumping), so that sibling arrays are searched one after the other, not as their
//! product. What is left for a hostile rule and event is cut off at [`limits::ARRAY_STEPS_MAX`].

use crate::limits;
use crate::reading::{NONE, Reading};
use crate::test::Test;

/// The search gave up at [`limits::ARRAY_STEPS_MAX`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooManySteps;

/// Buffers of the search, kept from event to event.
#[derive(Debug, Default)]
pub(crate) struct Arrays {
    /// Indexes of values by field, within a field by place.
    sorted: Vec<u32>,
    /// For each present field, sorted: where its values end in `sorted`.
    ends: Vec<(u32, u32)>,
    /// For each place that is an array: the element committed to and by which test; 0 is none.
    committed: Vec<(u32, u32)>,
    /// Arrays committed to, newest last.
    trail: Vec<u32>,
    /// Taken so far for this event.
    steps: usize,
    /// Whether `sorted` belongs to the event at hand.
    ready: bool,
}

/// A set of tests of one branch, at most [`limits::FIELDS_MAX`].
#[derive(Clone, Copy, Default)]
struct Levels([u64; limits::FIELDS_MAX / 64]);

impl Levels {
    fn add(&mut self, level: usize) {
        if let Some(word) = self.0.get_mut(level / 64) {
            *word |= 1 << (level % 64);
        }
    }

    fn has(&self, level: usize) -> bool {
        self.0.get(level / 64).is_some_and(|word| word >> (level % 64) & 1 == 1)
    }

    fn join(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, more)| *word |= more);
    }
}

impl Arrays {
    /// Forgets the last event.
    pub fn reset(&mut self) {
        self.ready = false;
        self.steps = 0;
    }

    /// Whether one consistent choice of leaves satisfies all tests, which are in the order of their paths.
    pub fn consistent<'t>(
        &mut self,
        event: &[u8],
        reading: &Reading,
        tests: &'t dyn Fn(usize) -> Option<&'t Test>,
    ) -> Result<bool, TooManySteps> {
        if !self.ready {
            self.sort(reading);
        }
        let failed = Search { arrays: self, event, reading, tests }.solve(0)?;
        for array in std::mem::take(&mut self.trail) {
            self.release(array);
        }
        Ok(failed.is_none())
    }

    fn sort(&mut self, reading: &Reading) {
        self.ready = true;
        self.sorted.clear();
        self.ends.clear();
        self.trail.clear();
        self.committed.clear();
        self.committed.resize(reading.places.len(), (0, 0));
        let mut fields = reading.present.clone();
        fields.sort_unstable();
        for field in fields {
            let from = self.sorted.len();
            self.sorted.extend(reading.of(field).map(|(index, _)| index));
            if let Some(own) = self.sorted.get_mut(from..) {
                own.sort_by_key(|index| reading.values.get(*index as usize).map(|value| value.place));
            }
            self.ends.push((field, u32::try_from(self.sorted.len()).unwrap_or(NONE)));
        }
    }

    /// Where a field's values are in `sorted`.
    fn span(&self, field: u32) -> (usize, usize) {
        let Ok(at) = self.ends.binary_search_by_key(&field, |(field, _)| *field) else { return (0, 0) };
        let end = |at: usize| self.ends.get(at).map_or(0, |(_, end)| *end as usize);
        (at.checked_sub(1).map_or(0, end), end(at))
    }

    fn release(&mut self, array: u32) {
        if let Some(entry) = self.committed.get_mut(array as usize) {
            *entry = (0, 0);
        }
    }
}

struct Search<'a, 't> {
    arrays: &'a mut Arrays,
    event: &'a [u8],
    reading: &'a Reading,
    tests: &'t dyn Fn(usize) -> Option<&'t Test>,
}

/// How a place stands to the commitments.
enum Fit {
    Yes,
    /// The test that committed to another element, and the first place worth looking at again.
    No {
        level: usize,
        resume: u32,
    },
}

impl Search<'_, '_> {
    /// Satisfies the tests from `level` on; otherwise says which earlier tests' choices are to blame.
    fn solve(&mut self, level: usize) -> Result<Option<Levels>, TooManySteps> {
        let Some(test) = (self.tests)(level) else { return Ok(None) };
        let (start, end) = self.arrays.span(test.field);
        let mut blame = Levels::default();
        if test.absent && self.is_absent(start, end, level, &mut blame)? {
            let failed = self.solve(level + 1)?;
            return Ok(failed.map(|mut levels| {
                levels.join(blame);
                levels
            }));
        }
        let mut at = start;
        while at < end {
            let Some((index, place)) = self.value(at) else { break };
            self.step()?;
            match self.fit(place) {
                Fit::No { level, resume } => {
                    blame.add(level);
                    at = self.resume(at, end, resume);
                }
                Fit::Yes if self.accepts(test, index) => {
                    let mark = self.arrays.trail.len();
                    self.commit(place, level);
                    let Some(failed) = self.solve(level + 1)? else { return Ok(None) };
                    while self.arrays.trail.len() > mark {
                        if let Some(array) = self.arrays.trail.pop() {
                            self.arrays.release(array);
                        }
                    }
                    if !failed.has(level) {
                        return Ok(Some(failed));
                    }
                    blame.join(failed);
                    at = self.resume(at, end, place + 1);
                }
                Fit::Yes => at += 1,
            }
        }
        if let Some(word) = blame.0.get_mut(level / 64) {
            *word &= !(1 << (level % 64));
        }
        Ok(Some(blame))
    }

    /// Whether no value of `start..end` stands in the elements committed to.
    fn is_absent(&mut self, start: usize, end: usize, level: usize, blame: &mut Levels) -> Result<bool, TooManySteps> {
        let mut at = start;
        while let Some((_, place)) = self.value(at).filter(|_| at < end) {
            self.step()?;
            match self.fit(place) {
                Fit::No { level, resume } => {
                    blame.add(level);
                    at = self.resume(at, end, resume);
                }
                Fit::Yes => {
                    if place != 0 {
                        (0..level).for_each(|earlier| blame.add(earlier));
                    }
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn value(&self, at: usize) -> Option<(u32, u32)> {
        let index = *self.arrays.sorted.get(at)?;
        Some((index, self.reading.values.get(index as usize)?.place))
    }

    fn accepts(&self, test: &Test, index: u32) -> bool {
        let value = self.reading.values.get(index as usize);
        value.is_some_and(|value| test.accepts(self.reading.leaf(self.event, *value)))
    }

    /// The first position behind `at` whose place is at least `place`.
    fn resume(&self, at: usize, end: usize, place: u32) -> usize {
        let next = at + 1;
        let rest = self.arrays.sorted.get(next..end).unwrap_or_default();
        let reading = self.reading;
        next + rest.partition_point(|index| reading.values.get(*index as usize).is_some_and(|v| v.place < place))
    }

    /// Element and array above a place, or above the array: `None` at the event itself.
    fn above(&self, element: u32) -> Option<(u32, u32)> {
        if element == 0 {
            return None;
        }
        let array = self.reading.places.get(element as usize)?.parent;
        Some((array, self.reading.places.get(array as usize)?.parent))
    }

    fn fit(&self, place: u32) -> Fit {
        let mut fit = Fit::Yes;
        let mut element = place;
        // The outermost contradiction is found last and skips furthest.
        while let Some((array, outer)) = self.above(element) {
            let (committed, level) = self.arrays.committed.get(array as usize).copied().unwrap_or_default();
            if committed != 0 && committed != element {
                let behind = self.reading.places.get(array as usize).map_or(NONE, |place| place.end);
                let resume = if element < committed { committed } else { behind };
                fit = Fit::No { level: level as usize, resume };
            }
            element = outer;
        }
        fit
    }

    fn commit(&mut self, place: u32, level: usize) {
        let mut element = place;
        while let Some((array, outer)) = self.above(element) {
            if let Some(entry) = self.arrays.committed.get_mut(array as usize).filter(|entry| entry.0 == 0) {
                *entry = (element, u32::try_from(level).unwrap_or(NONE));
                self.arrays.trail.push(array);
            }
            element = outer;
        }
    }

    fn step(&mut self) -> Result<(), TooManySteps> {
        self.arrays.steps += 1;
        if self.arrays.steps > limits::ARRAY_STEPS_MAX { Err(TooManySteps) } else { Ok(()) }
    }
}
