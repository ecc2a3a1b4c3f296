use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::operators::batch::{self, Item};
use crate::operators::state::PARTS;
use crate::operators::tests::inputs;
use crate::operators::{Kind, MemoryState, Value};

const SECOND: Duration = Duration::from_secs(1);
/// After every pane; the end of the input itself deletes nothing.
const END: Micros = Micros(i64::MAX - 1);
const MINUTE: Duration = Duration::from_secs(60);
/// So long that no key of a test is idle for it.
const YEARS: Duration = Duration::from_secs(3_650 * 86_400);

fn config(all: bool) -> AggregateConfig {
    AggregateConfig {
        windows: vec![
            ("1m".to_owned(), MINUTE),
            ("10m".to_owned(), 10 * MINUTE),
            ("1h".to_owned(), 60 * MINUTE),
            ("24h".to_owned(), 1_440 * MINUTE),
        ],
        all: all.then_some(YEARS),
        measures: vec![
            Measure::new("events", Kind::Count),
            Measure::new("spend", Kind::Sum),
            Measure::new("least", Kind::Min),
            Measure::new("most", Kind::Max),
            Measure::new("mean", Kind::Mean),
            Measure::new("devices", Kind::Distinct),
            Measure::new("pages", Kind::Last { n: 3 }),
            Measure::new("page", Kind::Last { n: 1 }),
            Measure::new("entry", Kind::First),
        ],
    }
}

fn fields(json: &[u8]) -> BTreeMap<String, serde_json::Value> {
    serde_json::from_slice(json).unwrap()
}

/// What the windows of a key should show at `at`, from all its events.
fn truth(shape: &Shape, items: &[Item<'_>], at: Micros) -> BTreeMap<String, serde_json::Value> {
    let mut json = Vec::from(*b"{");
    let windows = shape.config().windows.iter().map(|(name, _)| name.as_str()).chain(shape.config().all.map(|_| "all"));
    for window in windows {
        let since = shape.since(window, at).unwrap_or(Micros::MIN);
        let values: Vec<Value> = batch::aggregate(&shape.config().measures, items, |item| item.time >= since);
        for (measure, value) in shape.config().measures.iter().zip(values) {
            if json.len() > 1 {
                json.push(b',');
            }
            json.extend_from_slice(format!("\"{}_{window}\":", measure.name).as_bytes());
            value.render(&mut json);
        }
    }
    json.push(b'}');
    fields(&json)
}

/// (key, step in seconds, jitter in seconds, seed); a restart and a sweep with each `true`.
type Steps = Vec<(u8, u32, i32, u8, bool)>;

fn steps() -> impl Strategy<Value = Steps> {
    let step = prop_oneof![4 => Just(0_u32), 5 => 0_u32..8, 2 => 0_u32..400, 1 => 0_u32..20_000];
    let jitter = prop_oneof![3 => Just(0), 2 => -30_i32..30, 1 => -4_000_i32..0, 1 => -200_000_i32..0];
    prop::collection::vec((0_u8..3, step, jitter, any::<u8>(), prop::bool::weighted(0.1)), 1..80)
}

fn check(config: AggregateConfig, steps: &Steps) {
    let mut operator = Aggregate::new(config.clone()).unwrap();
    let mut state = MemoryState::default();
    let (mut quiet, mut unseen) = (Aggregate::new(config.clone()).unwrap(), MemoryState::default());
    let mut items: BTreeMap<u8, Vec<Item<'_>>> = BTreeMap::new();
    let mut heads: BTreeMap<u8, Micros> = BTreeMap::new();
    let mut now = Micros::from_millis(1_700_000_000_000);
    let mut out = Vec::new();
    for (offset, (key, step, jitter, seed, sweep)) in steps.iter().enumerate() {
        now = now.plus(*step * SECOND);
        let item = Item {
            key: vec![*key].into(),
            time: Micros(now.0 + i64::from(*jitter) * 1_000_000),
            position: (0, offset as i64),
            hops: 0,
            inputs: inputs(*seed),
        };
        if *sweep {
            operator = Aggregate::new(config.clone()).unwrap();
            for (key, value) in &state.entries {
                operator.restore(key, value).unwrap();
            }
            while operator.advance(&mut state, now.minus(3_600 * SECOND)).unwrap() == Advance::More {}
            unseen = state.clone();
            // A key that was deleted starts anew.
            items.retain(|key, _| state.get(&[*key]).is_some());
            heads.retain(|key, _| state.get(&[*key]).is_some());
        }
        let shape = operator.shape();
        if heads.get(key).is_some_and(|head| shape.is_over(shape.tick(*head), shape.tick(item.time))) {
            items.remove(key);
            heads.remove(key);
        }
        out.clear();
        operator.event(&mut state, &item.key, item.time, item.position, &item.inputs, Some(&mut out)).unwrap();
        // Whoever does not look at the values changes the state in the same way, and finds them there afterwards.
        quiet.event(&mut unseen, &item.key, item.time, item.position, &item.inputs, None).unwrap();
        assert_eq!(unseen.get(&item.key), state.get(&item.key), "after event {offset}");
        let mut found = Vec::new();
        quiet.values(&unseen, &item.key, item.time, &mut found).unwrap();
        assert_eq!(String::from_utf8(found), String::from_utf8(out.clone()), "after event {offset}");
        let items = items.entry(*key).or_default();
        let head = heads.entry(*key).or_insert(item.time);
        *head = (*head).max(item.time);
        items.push(item);
        assert_eq!(fields(&out), truth(&shape, items, *head), "after event {offset}");
        assert_eq!(fields(&out).keys().len(), shape.fields().len());
    }
    // Reading later sees the windows slide on.
    let shape = operator.shape();
    for (key, value) in &state.entries {
        for minutes in [0, 1, 7, 45, 600, 2_000] {
            let at = now.plus(200_000 * SECOND).minus(2_000 * MINUTE).plus(minutes * MINUTE).max(heads[&key[0]]);
            out.clear();
            shape.render(value, at, &mut out).unwrap();
            let is_over = shape.is_over(shape.tick(heads[&key[0]]), shape.tick(at));
            let items: &[Item<'_>] = if is_over { &[] } else { &items[&key[0]] };
            assert_eq!(fields(&out), truth(&shape, items, at));
        }
    }
    while operator.advance(&mut state, END).unwrap() == Advance::More {}
    assert!(state.entries.is_empty(), "no key is kept for ever");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn values_equal_the_batch(steps in steps()) {
        check(config(false), &steps);
    }

    #[test]
    fn values_with_all_time_equal_the_batch(steps in steps()) {
        check(config(true), &steps);
    }

    #[test]
    fn values_of_keys_that_are_idle_for_a_while_equal_the_batch(steps in steps(), minutes in 1_u32..200) {
        let all = Some(minutes * MINUTE);
        let windows = vec![("1m".to_owned(), MINUTE)];
        check(AggregateConfig { windows, all, ..config(true) }, &steps);
        check(AggregateConfig { windows: Vec::new(), all, ..config(true) }, &steps);
    }

    #[test]
    fn any_windows_that_are_accepted_work(
        sizes in prop::collection::btree_set(1_u32..4_000, 1..5), steps in steps(),
    ) {
        let windows = sizes.iter().map(|size| (format!("{size}s"), *size * SECOND)).collect();
        let config = AggregateConfig { windows, ..config(false) };
        if Aggregate::new(config.clone()).is_ok() {
            check(config, &steps);
        }
    }

    #[test]
    fn nonsense_in_the_state_is_an_error_and_never_a_panic(bytes: Vec<u8>, all: bool, version in any::<bool>()) {
        let bytes = if version { [vec![1], bytes].concat() } else { bytes };
        let mut operator = Aggregate::new(config(all)).unwrap();
        let _ = operator.restore(b"key", &bytes);
        let mut state = MemoryState::default();
        state.put(b"key", &bytes);
        let mut out = Vec::new();
        let _ = operator.shape().render(&bytes, Micros(77), &mut out);
        let _ = operator.event(&mut state, b"key", Micros(5), (0, 1), &inputs(3), Some(&mut out));
        state.put(b"key", &bytes);
        for offset in 0..3 {
            let _ = operator.event(&mut state, b"key", Micros(offset), (0, offset), &inputs(3), None);
            let _ = operator.values(&state, b"key", Micros(77), &mut out);
        }
        let _ = operator.advance(&mut state, END);
    }
}

/// Events of one key, so many seconds apart, some of them out of order, whose values nobody looks at but now and then.
fn steadily(apart: i64, count: i64, values: i64) {
    let measures = vec![
        Measure::new("events", Kind::Count),
        Measure::new("spend", Kind::Sum),
        Measure::new("devices", Kind::Distinct),
        Measure::new("pages", Kind::Last { n: 3 }),
    ];
    let config = AggregateConfig { measures, ..config(false) };
    let (mut loud, mut quiet) = (Aggregate::new(config.clone()).unwrap(), Aggregate::new(config).unwrap());
    let (mut seen, mut unseen) = (MemoryState::default(), MemoryState::default());
    let mut out = Vec::new();
    for n in 0..count {
        let back = if n % 11 == 3 { n % 97 * apart } else { 0 };
        let time = Micros((1_700_000_000 + n * apart - back) * 1_000_000);
        let value = (n * 7_919) % values;
        let inputs =
            [Input::Unit, Input::Int(n), Input::Int(value), if n % 5 == 0 { Input::Skip } else { Input::Text("/") }];
        out.clear();
        loud.event(&mut seen, b"key", time, (0, n), &inputs, Some(&mut out)).unwrap();
        quiet.event(&mut unseen, b"key", time, (0, n), &inputs, None).unwrap();
        assert_eq!(unseen, seen, "{apart} s apart, after event {n}");
    }
    let mut found = Vec::new();
    quiet.values(&unseen, b"key", Micros(0), &mut found).unwrap();
    assert_eq!(fields(&found), fields(&out));
}

#[test]
fn panes_that_nobody_reads_are_the_same_across_every_bound() {
    // Each grain is crossed with and without others; few values are counted exactly, many in a sketch.
    for (apart, count, values) in [(1, 4_000, 3), (7, 3_000, 40), (31, 3_000, 500), (301, 1_000, 5), (3_601, 200, 90)] {
        steadily(apart, count, values);
    }
}

#[test]
fn grains_are_what_a_person_would_choose() {
    let shape = Aggregate::new(config(false)).unwrap().shape();
    let grains = shape.windows.iter().map(|window| window.ratio * shape.tick);
    assert_eq!(grains.collect::<Vec<i64>>(), [5_000_000, 30_000_000, 300_000_000, 3_600_000_000]);
}

#[test]
fn an_event_leaves_a_window_within_one_grain_of_its_length() {
    let mut operator = Aggregate::new(config(false)).unwrap();
    let mut state = MemoryState::default();
    let shape = operator.shape();
    for start in 0..5 {
        let start = Micros(1_000_000_000 + start * 1_300_000);
        let key = start.0.to_be_bytes();
        operator.event(&mut state, &key, start, (0, 1), &inputs(3), None).unwrap();
        let events = |after: u64, name: &str| {
            let mut out = Vec::new();
            shape.render(&state.get(&key).unwrap(), start.plus(Duration::from_millis(after)), &mut out).unwrap();
            fields(&out)[name].as_i64().unwrap()
        };
        assert_eq!((events(0, "events_1m"), events(55_000, "events_1m"), events(60_000, "events_1m")), (1, 1, 0));
        assert_eq!((events(570_000, "events_10m"), events(600_000, "events_10m")), (1, 0));
        assert_eq!((events(3_300_000, "events_1h"), events(3_600_000, "events_1h")), (1, 0));
        assert_eq!((events(82_800_000, "events_24h"), events(86_400_000, "events_24h")), (1, 0));
    }
}

#[test]
fn states_stay_small() {
    let measures = vec![
        Measure::new("events", Kind::Count),
        Measure::new("failures", Kind::Count),
        Measure::new("spend", Kind::Sum),
        Measure::new("devices", Kind::Distinct),
    ];
    let mut operator = Aggregate::new(AggregateConfig { measures, ..config(false) }).unwrap();
    let mut state = MemoryState::default();
    let bytes = |operator: &mut Aggregate, state: &mut MemoryState, events: i64, apart: i64, values: i64| {
        let key = [events, apart, values].map(i64::to_be_bytes).concat();
        for n in 0..events {
            let time = Micros(1_700_000_000_000_000 + n * apart * 1_000_000);
            let inputs = [Input::Unit, Input::Skip, Input::Int(1_999), Input::Int(n % values)];
            operator.event(state, &key, time, (0, n), &inputs, None).unwrap();
        }
        state.get(&key).unwrap().len()
    };
    assert!(bytes(&mut operator, &mut state, 1, 1, 1) <= 25);
    assert!(bytes(&mut operator, &mut state, 5, 600, 2) <= 80);
    assert!(bytes(&mut operator, &mut state, 100_000, 1, 2) <= 600);
    assert!(bytes(&mut operator, &mut state, 100_000, 1, 20_000) <= 20_000);
}

#[test]
fn an_event_without_inputs_changes_nothing() {
    let mut operator = Aggregate::new(config(false)).unwrap();
    let mut state = MemoryState::default();
    let mut out = Vec::new();
    operator.event(&mut state, b"a", Micros(1), (0, 1), &[Input::Skip; 9], Some(&mut out)).unwrap();
    assert_eq!(state.entries.len(), 0);
    assert_eq!(fields(&out)["events_1m"], 0);
    assert_eq!(fields(&out)["pages_1m"], serde_json::json!([]));
    assert_eq!(fields(&out)["page_1m"], serde_json::Value::Null);
}

#[test]
fn sweeping_is_bounded_and_deletes_only_what_is_empty() {
    const HOUR: i64 = 3_600_000_000;
    let mut operator = Aggregate::new(config(false)).unwrap();
    let mut state = MemoryState::default();
    for key in 0..3_000_u32 {
        let time = Micros(i64::from(key) * 40_000_000);
        operator.event(&mut state, &key.to_be_bytes(), time, (0, 1), &inputs(3), None).unwrap();
    }
    assert_eq!(operator.advance(&mut state, Micros(24 * HOUR - 1)).unwrap(), Advance::Done, "nothing can be due yet");
    // The longest window has 24 panes of an hour: the keys of the first three hours are in none any more.
    while operator.advance(&mut state, Micros(26 * HOUR)).unwrap() == Advance::More {}
    assert_eq!(state.entries.len(), 3_000 - 270);
    assert_eq!(operator.advance(&mut state, Micros(27 * HOUR - 1)).unwrap(), Advance::Done, "once in a pane");
    assert_eq!(operator.advance(&mut state, Micros::MAX).unwrap(), Advance::Done);
    assert_eq!(state.entries.len(), 3_000 - 270);
    assert_eq!(operator.advance(&mut state, END).unwrap(), Advance::More);
    assert_eq!(state.entries.len(), 3_000 - 270 - SWEPT_MAX);
    while operator.advance(&mut state, END).unwrap() == Advance::More {}
    assert_eq!(state.entries.len(), 0);
}

/// A state whose parts show what the last commit left.
#[derive(Default)]
struct Committed {
    now: MemoryState,
    shown: MemoryState,
    /// Whether the first byte of a key says which part it is in; else all are in the first one.
    spread: bool,
    /// Entries shown in all.
    looks: Cell<usize>,
}

impl Committed {
    fn commit(&mut self) {
        self.shown = self.now.clone();
    }
}

impl State for Committed {
    fn look(&self, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        self.now.look(key, seen);
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.now.put(key, value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.now.delete(key);
    }

    fn for_part(&self, part: u32, each: &mut dyn FnMut(&[u8], &[u8])) {
        for (key, value) in &self.shown.entries {
            let of_key = key.first().filter(|_| self.spread).map_or(0, |byte| u32::from(*byte) % PARTS);
            if of_key == part {
                self.looks.set(self.looks.get() + 1);
                each(key, value);
            }
        }
    }
}

#[test]
fn sweeping_misses_no_key_that_came_or_changed_since_the_last_commit() {
    let hours = |hours: i64| Micros(hours * 3_600_000_000);
    // What has an event at 25 hours stays, though no part of the state shows that when it is looked through.
    for second in [&["new"][..], &["again", "new"][..], &["again"][..]] {
        let mut operator = Aggregate::new(config(false)).unwrap();
        let mut state = Committed::default();
        for (hour, events, left) in
            [(0, &["again", "over"][..], &["again", "over"][..]), (25, second, second), (50, &[][..], &[][..])]
        {
            for (offset, key) in events.iter().enumerate() {
                operator.event(&mut state, key.as_bytes(), hours(hour), (0, offset as i64), &inputs(3), None).unwrap();
            }
            loop {
                let advance = operator.advance(&mut state, hours(hour)).unwrap();
                state.commit();
                if advance == Advance::Done {
                    break;
                }
            }
            let keys: Vec<_> = state.now.entries.keys().map(|key| String::from_utf8_lossy(key)).collect();
            assert_eq!(keys, left, "at {hour} hours");
        }
    }
}

#[test]
fn keys_that_are_over_together_are_looked_for_once() {
    let hours = |hours: i64| Micros(hours * 3_600_000_000);
    let mut operator = Aggregate::new(config(false)).unwrap();
    let mut state = Committed::default();
    for key in 0..4_000_u32 {
        operator.event(&mut state, &key.to_be_bytes(), hours(0), (0, 1), &inputs(3), None).unwrap();
    }
    state.commit();
    let mut calls = 0;
    while operator.advance(&mut state, hours(24)).unwrap() == Advance::More {
        state.commit();
        calls += 1;
        if calls == 1 {
            // One that is listed already is written again, and one that was deleted is there anew.
            let mut write = |key: u32| {
                operator.event(&mut state, &key.to_be_bytes(), hours(24), (0, 2), &inputs(3), None).unwrap();
            };
            write(0);
            write(3_999);
        }
    }
    assert_eq!(state.looks.get(), 4_000);
    let left: Vec<_> = state.now.entries.keys().map(|key| u32::from_be_bytes(key[..].try_into().unwrap())).collect();
    assert_eq!(left, [0, 3_999]);
    state.commit();
    while operator.advance(&mut state, hours(48)).unwrap() == Advance::More {
        state.commit();
    }
    assert_eq!(state.now.entries.len(), 0);
}

#[test]
fn sweeping_keeps_up_with_a_new_key_in_every_record() {
    const RECORDS: i64 = 1_024;
    let windows = vec![("1m".to_owned(), MINUTE)];
    let config = AggregateConfig { windows, all: None, measures: vec![Measure::new("events", Kind::Count)] };
    let mut operator = Aggregate::new(config).unwrap();
    let mut state = MemoryState::default();
    let mut most = 0;
    for second in 0..400 {
        let time = Micros(second * 1_000_000);
        for offset in second * RECORDS..(second + 1) * RECORDS {
            operator.event(&mut state, &offset.to_be_bytes(), time, (0, offset), &[Input::Unit], None).unwrap();
        }
        operator.advance(&mut state, time).unwrap();
        most = most.max(state.entries.len());
    }
    // The keys of a minute and a pane, and those that come during one sweep.
    assert!(most < 200_000, "{most} keys");
}

/// What happens between two commits.
#[derive(Clone, Debug)]
struct Round {
    /// Keys, and minutes from the watermark to their events.
    events: Vec<(u8, i64)>,
    /// Minutes by which the watermark moves.
    minutes: i64,
    restart: bool,
}

fn round() -> impl Strategy<Value = Round> {
    let event = (any::<u8>(), prop_oneof![4 => -90_i64..600, 1 => -3_000_i64..0]);
    let events = prop_oneof![1 => Just(Vec::new()), 2 => prop::collection::vec(event, 0..20)];
    let minutes = prop_oneof![4 => Just(0_i64), 4 => 0_i64..90, 1 => 0_i64..3_000, 1 => Just(1_000_000_i64)];
    (events, minutes, prop::bool::weighted(0.03)).prop_map(|(events, minutes, restart)| Round {
        events,
        minutes,
        restart,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever comes while a sweep is under way, no key goes that any window still shows something of, and no other stays
    /// for longer than a pane.
    #[test]
    fn sweeping_deletes_what_is_over_and_nothing_else(
        rounds in prop::collection::vec(round(), 1..150), spread: bool,
    ) {
        let mut operator = Aggregate::new(config(false)).unwrap();
        let shape = operator.shape();
        let due = |head: i64| shape.due(head).unwrap();
        let mut state = Committed { spread, ..Committed::default() };
        let mut heads: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
        let mut watermark = Micros::from_millis(1_700_000_000_000);
        let minutes = |minutes: i64| minutes * 60_000_000;
        let mut offset = 0;
        for round in rounds {
            if round.restart {
                operator = Aggregate::new(config(false)).unwrap();
                for (key, value) in &state.shown.entries {
                    operator.restore(key, value).unwrap();
                }
            }
            for (key, away) in round.events {
                let time = Micros(watermark.0 + minutes(away));
                offset += 1;
                operator.event(&mut state, &[key], time, (0, offset), &inputs(key), None).unwrap();
                let head = heads.entry(vec![key]).or_insert(i64::MIN);
                *head = (*head).max(shape.tick(time));
            }
            watermark = Micros(watermark.0 + minutes(round.minutes));
            operator.advance(&mut state, watermark).unwrap();
            state.commit();
            heads.retain(|key, head| state.now.entries.contains_key(key) || due(*head) > watermark);
            prop_assert_eq!(state.now.entries.keys().collect::<Vec<_>>(), heads.keys().collect::<Vec<_>>());
        }
        // Nothing comes any more. A sweep that is under way ends, and another begins in the next pane.
        for _ in 0..2 {
            watermark = Micros(watermark.0 + minutes(60));
            while operator.advance(&mut state, watermark).unwrap() == Advance::More {
                state.commit();
            }
            state.commit();
        }
        heads.retain(|_, head| due(*head) > watermark);
        prop_assert_eq!(state.now.entries.keys().collect::<Vec<_>>(), heads.keys().collect::<Vec<_>>());
    }
}

#[test]
fn configurations_that_cannot_be_are_refused() {
    let of = |windows: &[(&str, u64)], measures: bool| {
        let windows = windows.iter().map(|(name, ms)| ((*name).to_owned(), Duration::from_millis(*ms))).collect();
        let measures = if measures { vec![Measure::new("events", Kind::Count)] } else { vec![] };
        Aggregate::new(AggregateConfig { windows, all: None, measures }).map(|_| ()).map_err(|error| error.0)
    };
    assert_eq!(of(&[("1s", 1_000)], true), Ok(()));
    assert_eq!(of(&[], true), Err("an aggregate needs at least one window".to_owned()));
    assert_eq!(of(&[("1s", 1_000)], false), Err("an aggregate needs at least one measure".to_owned()));
    assert_eq!(of(&[("0s", 0)], true), Err("window `0s` is shorter than a millisecond".to_owned()));
    assert_eq!(
        of(&[("2s", 2_000), ("1s", 1_000)], true),
        Err("window `1s` is not longer than the one before it".to_owned())
    );
    assert!(of(&[("1s", 1_000), ("1y", 365 * 86_400_000)], true).is_err());
    let idle = |windows: Vec<(String, Duration)>, idle: Duration| {
        let config = AggregateConfig { windows, all: Some(idle), ..config(true) };
        Aggregate::new(config).map(|_| ()).map_err(|error| error.0)
    };
    let hour = || vec![("1h".to_owned(), 60 * MINUTE)];
    assert_eq!(idle(hour(), 60 * MINUTE), Ok(()));
    assert_eq!(idle(hour(), 59 * MINUTE), Err("`idle` is shorter than the window `1h`".to_owned()));
    assert_eq!(idle(Vec::new(), Duration::MAX), Ok(()), "as good as for ever");
    assert_eq!(idle(Vec::new(), Duration::ZERO), Err("`idle` is shorter than a millisecond".to_owned()));
}

#[test]
fn a_key_begins_anew_when_it_was_idle_whether_it_was_deleted_or_not() {
    let measures = vec![Measure::new("events", Kind::Count), Measure::new("page", Kind::Last { n: 1 })];
    let config = AggregateConfig { windows: Vec::new(), all: Some(60 * MINUTE), measures };
    let told = |sweeps: bool| {
        let mut operator = Aggregate::new(config.clone()).unwrap();
        let (mut state, mut told) = (MemoryState::default(), Vec::new());
        for (offset, (minutes, page)) in [(0_i64, "a"), (50, "b"), (100, "c"), (170, "d")].into_iter().enumerate() {
            let time = Micros(minutes * 60_000_000);
            while sweeps && operator.advance(&mut state, time).unwrap() == Advance::More {}
            told.push(state.entries.len());
            let (mut out, inputs) = (Vec::new(), [Input::Unit, Input::Text(page)]);
            operator.event(&mut state, b"u", time, (0, offset as i64), &inputs, Some(&mut out)).unwrap();
            let fields = fields(&out);
            assert_eq!(fields["page_all"], page);
            told.push(usize::try_from(fields["events_all"].as_u64().unwrap()).unwrap());
        }
        told
    };
    assert_eq!(told(false), [0, 1, 1, 2, 1, 3, 1, 1]);
    assert_eq!(told(true), [0, 1, 1, 2, 1, 3, 0, 1], "it was gone, and nothing shows it");
}
