use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::{ALL_SORTS, Found, TARGETS, event, last_of_keys, text};

fn places() -> HashMap<u64, usize> {
    (0..ALL_SORTS).zip(0..).collect()
}

fn of_kind_b() -> Vec<u64> {
    (0..ALL_SORTS).filter(|number| event(*number).kind == "b").collect()
}

/// Lost, doubled, out of order, excluded.
fn faults(once: bool, numbers: &[u64]) -> [u64; 4] {
    let mut found = Found::default();
    found.compare("b", |event| event.kind == "b", once, numbers, &places());
    assert_eq!(found.notes.is_empty(), found.lost + found.doubled + found.wrong() == 0);
    [found.lost, found.doubled, found.out_of_order, found.excluded]
}

#[test]
fn each_fault_of_a_target_is_counted_as_what_it_is() {
    let all = of_kind_b();
    assert_eq!(faults(true, &all), [0, 0, 0, 0]);
    assert_eq!(faults(true, &all[2..]), [2, 0, 0, 0]);
    let twice = [&all[..], &all[3..5]].concat();
    assert_eq!(faults(true, &twice), [0, 2, 0, 0]);
    assert_eq!(faults(false, &twice), [0, 0, 0, 0], "at least once is enough outside");
    let mut swapped = all.clone();
    // The same key, seven events of the kind later.
    swapped.swap(0, 7);
    assert_eq!(faults(true, &swapped), [0, 0, 1, 0]);
    let others = [&all[..], &[2, 1_000]].concat();
    assert_eq!(faults(true, &others), [0, 0, 0, 2], "of another kind, and in no stream");
}

#[test]
fn events_in_a_row_are_of_all_sorts() {
    let sorts: BTreeSet<_> = (100..100 + ALL_SORTS)
        .map(|number| {
            let event = event(number);
            (event.kind, event.key, event.amount)
        })
        .collect();
    assert_eq!(sorts.len() as u64, ALL_SORTS);
    let event: Value = serde_json::from_str(&text(101)).unwrap();
    assert_eq!(event, json!({"n": 101, "kind": "b", "key": "k4", "amount": 90}));
}

#[test]
fn numbers_are_found_in_what_comes_of_events() {
    let number = |stream: &str, row: Value| {
        let target = TARGETS.iter().find(|target| target.stream == stream).unwrap();
        (target.number)(&row)
    };
    assert_eq!(number("crash.large", json!({"value": {"n": 7}})), Some(7));
    assert_eq!(number("crash.piped", json!({"value": {"n": "7", "key": "k1"}})), Some(7));
    assert_eq!(number("crash.dead", json!({"value": {"data": text(7)}})), Some(7));
    assert_eq!(number("table.crash.docs.changes", json!({"key": "7", "value": {"eventName": "INSERT"}})), Some(7));
    assert_eq!(number("crash.enriched", json!({"value": {"n": 7, "key": "k1", "twice": 14}})), Some(7));
    assert_eq!(
        number("crash.enriched", json!({"value": {"n": 7, "key": "k1", "twice": 16}})),
        None,
        "of another event"
    );
    assert_eq!(number("crash.large", json!({"value": null})), None);
}

#[test]
fn the_last_document_of_a_key_follows_the_stream_not_the_numbers() {
    // Both have the key `k0`; 29 stands before 1.
    let places = HashMap::from([(29, 0), (1, 1), (2, 2)]);
    assert_eq!(last_of_keys(&places).into_iter().collect::<Vec<_>>(), [("k0".to_owned(), 1)]);
}
