//! Signs of life of tasks: the newest of each, and the one that is written down.
//!
//! Invariant: a task has a place here only while somebody waits for its signs.

use std::collections::BTreeMap;

use ahash::HashMap;
use headwater_base::Micros;

use crate::engine::rows::Key;
use crate::execution::Attempt;

#[derive(Clone, Copy)]
struct Beat {
    last: Micros,
    logged: Micros,
}

/// See the file's head.
#[derive(Default)]
pub(super) struct Beats(HashMap<Key, BTreeMap<Attempt, Beat>>);

impl Beats {
    /// Takes a sign. Whether it is to be written down, which is at most every quarter of the time they may take.
    pub(super) fn take(&mut self, key: &Key, attempt: Attempt, now: Micros, span_us: i64) -> bool {
        let beats = self.0.entry(*key).or_default();
        let beat = beats.entry(attempt).or_insert(Beat { last: now, logged: Micros::MIN });
        beat.last = now;
        let is_due = now.0.saturating_sub(beat.logged.0) >= span_us / 4;
        if is_due {
            beat.logged = now;
        }
        is_due
    }

    /// The newest sign of a task, if that is not the one written down.
    pub(super) fn unwritten(&self, key: &Key, attempt: &Attempt) -> Option<Micros> {
        let beat = self.0.get(key)?.get(attempt)?;
        (beat.last > beat.logged).then_some(beat.last)
    }

    /// Nobody waits for signs of a task any more.
    pub(super) fn forget(&mut self, key: &Key, attempt: &Attempt) {
        if let Some(beats) = self.0.get_mut(key) {
            beats.remove(attempt);
            if beats.is_empty() {
                self.0.remove(key);
            }
        }
    }

    /// Nor of any task of an execution.
    pub(super) fn forget_all(&mut self, key: &Key) {
        self.0.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_signs_is_written_down_and_nothing_stays_of_a_task_that_is_over() {
        let (mut beats, key) = (Beats::default(), [1; 16]);
        let attempt = |number| Attempt { thread: 0, visit: 0, number };
        let times = [0, 9, 10, 15, 19, 20, 29, 31];
        let written: Vec<i64> =
            times.into_iter().filter(|now| beats.take(&key, attempt(0), Micros(*now), 40)).collect();
        assert_eq!(written, [0, 10, 20, 31]);
        assert_eq!(beats.unwritten(&key, &attempt(0)), None);
        assert!(!beats.take(&key, attempt(0), Micros(32), 40));
        assert_eq!(beats.unwritten(&key, &attempt(0)), Some(Micros(32)));
        assert!(beats.take(&key, attempt(1), Micros(32), 40));
        (0..3).for_each(|number| beats.forget(&key, &attempt(number)));
        assert!(beats.0.is_empty());
        assert!(beats.take(&key, attempt(2), Micros(32), 40));
        beats.forget_all(&key);
        assert!(beats.0.is_empty());
    }
}
