use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::operators::Input;
use crate::operators::distinct::hash;

fn hash_of(value: i64) -> u64 {
    hash(&Input::Int(value)).unwrap()
}

/// Adds (value, tick) in this order, storing and reading in between, and counts for the reaches.
fn counts(events: &[(i64, i64)], reaches: &[i64], store: bool) -> Vec<u64> {
    let last = *reaches.last().unwrap();
    let mut seen = Seen::default();
    let mut head = events.first().map_or(0, |(_, tick)| *tick);
    for (value, tick) in events {
        let now = head.max(*tick);
        if store || now > head {
            let mut bytes = Vec::new();
            seen.put(&mut bytes);
            let mut reader = Reader::new(&bytes);
            seen.read(&mut reader, head, now, last).unwrap();
            reader.end().unwrap();
        }
        head = now;
        if head - tick <= last {
            seen.add(hash_of(*value), head, head - tick);
        }
    }
    let mut counts = Vec::new();
    seen.counts(head, reaches, &mut counts);
    counts
}

fn truth(events: &[(i64, i64)], reaches: &[i64]) -> Vec<u64> {
    let head = events.iter().map(|(_, tick)| *tick).max().unwrap_or(0);
    let mut last: HashMap<i64, i64> = HashMap::new();
    for (value, tick) in events {
        let slot = last.entry(*value).or_insert(*tick);
        *slot = (*slot).max(*tick);
    }
    reaches.iter().map(|reach| last.values().filter(|tick| head - **tick <= *reach).count() as u64).collect()
}

proptest! {
    #[test]
    fn few_are_exact_in_any_order(events in prop::collection::vec((0_i64..60, -500_i64..500), 0..200), base in any::<i32>()) {
        let events: Vec<_> = events.iter().map(|(value, tick)| (*value, tick + i64::from(base))).collect();
        let reaches = [10, 100, 300];
        prop_assert_eq!(counts(&events, &reaches, true), truth(&events, &reaches));
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic(bytes: Vec<u8>, head: i64, ahead in 0_i64..100) {
        let mut seen = Seen::default();
        if seen.read(&mut Reader::new(&bytes), head, head.saturating_add(ahead), 50).is_ok() {
            seen.add(hash_of(1), head, 0);
            seen.counts(head, &[1, 50], &mut Vec::new());
        }
    }
}

#[test]
fn a_time_long_after_is_not_mistaken_for_now() {
    // A whole turn of the stored ticks later.
    let turn = 1 << TICK_BITS;
    assert_eq!(counts(&[(1, 5), (2, 5 + turn)], &[10, 100], false), [1, 1]);
}

#[test]
fn many_are_within_their_error_in_every_window() {
    // Standard error 4.6 %; many sets, so that a bias would show as well.
    let reaches = [9, 99, 999];
    let mut bias = [0.0; 3];
    for set in 0..20 {
        // Ten values a tick, each once; a tenth of them out of order.
        let events: Vec<_> =
            (0..20_000_i64).map(|n| (set * 100_000 + n, n / 10 - if n % 10 == 7 { 5 } else { 0 })).collect();
        let (got, want) = (counts(&events, &reaches, false), truth(&events, &reaches));
        for ((got, want), bias) in got.iter().zip(want).zip(&mut bias) {
            let error = *got as f64 / want as f64 - 1.0;
            assert!(error.abs() < 0.046 * 4.0, "set {set}: {got} for {want}");
            *bias += error / 20.0;
        }
    }
    assert!(bias.iter().all(|bias| bias.abs() < 0.046), "{bias:?}");
}

#[test]
fn values_that_come_again_cost_nothing() {
    let mut seen = Seen::default();
    for round in 0..50 {
        for value in 0..3_000 {
            seen.add(hash_of(value), round, 0);
        }
    }
    assert!(seen.entries.len() < 3_000, "{}", seen.entries.len());
    let mut counts = Vec::new();
    seen.counts(49, &[0, 10, 49], &mut counts);
    assert!(counts.iter().all(|count| (2_500..3_500).contains(count)), "{counts:?}");
}

/// The same counts, one window after the other.
fn slowly(seen: &Seen, head: i64, reaches: &[i64]) -> Vec<u64> {
    let of = |reach: &i64| {
        let mut ranks = [0_u32; 64];
        for register in seen.entries.chunk_by(|a, b| a >> (TICK_BITS + 6) == b >> (TICK_BITS + 6)) {
            let inside = register.iter().filter(|entry| age(**entry, head) <= *reach);
            ranks[inside.map(|entry| entry >> TICK_BITS & 63).max().unwrap_or(0) as usize] += 1;
        }
        ranks[0] += (1 << PRECISION) - ranks.iter().sum::<u32>();
        estimate(&ranks, PRECISION)
    };
    reaches.iter().map(of).collect()
}

proptest! {
    #[test]
    fn one_pass_counts_as_a_pass_for_each_window_would(
        events in prop::collection::vec((0_i64..3_000, 0_i64..300), 65..600), later in 0_i64..50,
    ) {
        let mut seen = Seen::default();
        for (value, age) in events {
            seen.add(hash_of(value), 300, age);
        }
        prop_assume!(seen.sketch);
        let reaches = [5, 50, 150, 280];
        let mut counts = Vec::new();
        seen.counts(300 + later, &reaches, &mut counts);
        prop_assert_eq!(counts, slowly(&seen, 300 + later, &reaches));
    }
}

proptest! {
    #[test]
    fn what_changes_nothing_is_known_before_it_is_read(
        events in prop::collection::vec((0_i64..90, 0_i64..300), 1..200), value in 0_i64..90, since in 0_i64..300,
    ) {
        let mut seen = Seen::default();
        for (value, age) in events {
            seen.add(hash_of(value), 300, age);
        }
        let (mut before, mut after) = (Vec::new(), Vec::new());
        seen.put(&mut before);
        seen.add(hash_of(value), 300, since);
        seen.put(&mut after);
        let mut reader = Reader::new(&before);
        let same = Seen::unchanged(&mut reader, 300, Some((hash_of(value), since))).unwrap();
        reader.end().unwrap();
        prop_assert_eq!(same.is_some(), before == after);
        prop_assert!(same.is_none_or(|same| same == before));
        prop_assert_eq!(Seen::unchanged(&mut Reader::new(&before), 300, None).unwrap(), Some(&before[..]));
    }
}
