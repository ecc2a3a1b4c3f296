use std::sync::Arc;

use headwater_base::Micros;
use headwater_kernel::port::workflows::ExecutionState;
use serde_json::{Value, json};

use super::*;
use crate::engine::Unknown;
use crate::engine::rows::{self, Head};
use crate::execution::{Begin, Execution, Identity};
use crate::{Definition, Flavor, Limits};

fn turn(name: &str, input: Value) -> Turn {
    let text = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}).to_string();
    let definition = Definition::load(&text, Flavor::Standard, &Limits::default()).unwrap();
    let begin = Begin { identity: Identity::default(), flavor: Flavor::Standard, machine: 0, input, item: None };
    let execution = Execution::idle(&definition, begin, Micros(0));
    let head = Head {
        workflow: "w".to_owned(),
        name: name.to_owned(),
        version: None,
        definition: definition.hash,
        machine: 0,
        express: false,
        state: ExecutionState::Running,
        started: Micros(0),
        stopped: None,
        input: [0; 16],
        first: -1,
        last: -1,
        events: 0,
        threads: Vec::new(),
        parent: None,
        map_run: None,
        maps: Vec::new(),
        unknown: Unknown::Retry,
        retention_s: 0,
        redrives: 0,
        redriven: None,
        redrive_tokens: Vec::new(),
        cause: None,
        parked: None,
        blobs: 0,
        alias: None,
    };
    Turn::over(rows::key_of("w", name), head, execution, Arc::new(definition), false)
}

fn list(length: u32) -> Value {
    json!((0..length).collect::<Vec<u32>>())
}

/// Those that are there, the one used least lately first.
fn names(cache: &Cache) -> Vec<&str> {
    assert_eq!(cache.order.len(), cache.turns.len());
    cache.order.values().map(|key| cache.turns[key].turn.head.name.as_str()).collect()
}

#[test]
fn those_used_least_lately_go_until_the_others_fit() {
    let bytes = turn("x", list(10_000)).bytes();
    assert!(bytes > 10_000 * size_of::<Value>(), "{bytes} bytes");
    let mut cache = Cache::within(bytes * 7 / 2);
    for name in ["a", "b", "c"] {
        cache.put(turn(name, list(10_000)));
    }
    let used = cache.take(&rows::key_of("w", "a")).unwrap();
    cache.put(used);
    cache.put(turn("d", list(10_000)));
    assert_eq!(names(&cache), ["c", "a", "d"]);
    // The same one, which has grown.
    cache.put(turn("c", list(20_000)));
    assert_eq!(names(&cache), ["d", "c"]);
    for name in ["b", "c", "d"] {
        cache.take(&rows::key_of("w", name));
    }
    assert_eq!((cache.bytes, names(&cache).len()), (0, 0));
}

#[test]
fn one_that_is_larger_than_the_bound_stays_until_another_one_is_used() {
    let mut cache = Cache::within(turn("x", list(10)).bytes() * 2);
    for name in ["small", "other"] {
        cache.put(turn(name, list(10)));
    }
    cache.put(turn("large", list(100_000)));
    assert_eq!(names(&cache), ["large"]);
    cache.put(turn("small", list(10)));
    assert_eq!(names(&cache), ["small"]);
}

#[test]
fn so_many_stay_however_small_they_are() {
    let mut cache = Cache::within(usize::MAX);
    for number in 0..COUNT_MAX + 10 {
        cache.put(turn(&number.to_string(), json!(null)));
    }
    let names = names(&cache);
    assert_eq!((names.len(), names[0]), (COUNT_MAX, "10"));
}
