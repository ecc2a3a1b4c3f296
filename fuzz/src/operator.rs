//! Operator state as a damaged or foreign log would give it: read, or called corrupt; what was read is written as what
//! is read.

use std::sync::Arc;
use std::time::Duration;

use headwater_base::Micros;
use headwater_flow::operators::codec::Reader as StateReader;
use headwater_flow::operators::distinct::Distinct;
use headwater_flow::operators::measure::{Kind, Measured};
use headwater_flow::operators::seen::Seen;
use headwater_flow::operators::session::{Emit, Path, SessionConfig, Sessions};
use headwater_flow::operators::state::{MemoryState, State};
use headwater_flow::operators::time::{WatermarkConfig, Watermarks};
use headwater_flow::operators::value::Value;
use headwater_flow::operators::window::{WindowConfig, Windows};
use headwater_flow::operators::{Event, Operator};
use headwater_flow::runtime::positions::{Open, Positions};
use headwater_kernel::path::Path as DocPath;
use headwater_watch::cohorts::{Cohorts, Taken};
use headwater_watch::holidays::Holidays;
use headwater_watch::reader::Reader;
use headwater_watch::shape::{Missing, Shape, Side};
use headwater_watch::state::{self, Restored};
use serde_json::json;

const MEASURES: [Kind; 8] =
    [Kind::Count, Kind::Sum, Kind::Min, Kind::Max, Kind::Mean, Kind::Distinct, Kind::Last { n: 3 }, Kind::First];
const BASE: Micros = Micros(1_767_225_600_000_000);
const HOUR: i64 = 3_600_000_000;

/// A byte for the kind; the state.
pub fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let mut reader = StateReader::new(bytes);
    match kind % 9 {
        0 => {
            if let Ok(positions) = Positions::decode(bytes) {
                let again = Positions::decode(&positions.encode()).expect("what was written is read");
                assert_eq!(again, positions);
                assert!(positions.first() <= positions.next());
            }
        }
        1 => {
            let second = Duration::from_secs(1);
            let config = WatermarkConfig { disorder: second, idle: second, ..WatermarkConfig::default() };
            if let Ok(mut watermarks) = Watermarks::decode(config, bytes) {
                let _ = watermarks.encode();
                let _ = watermarks.advance();
            }
        }
        2 => {
            let Some((measure, bytes)) = bytes.split_first() else { return };
            measured(MEASURES[usize::from(*measure) % MEASURES.len()], bytes);
        }
        3 => {
            if let Ok(path) = Path::read(&mut reader, BASE) {
                let mut out = Vec::new();
                path.put(&mut out, BASE);
                assert!(Path::read(&mut StateReader::new(&out), BASE).is_ok());
                let _ = (path.values(), path.exit());
            }
        }
        4 => {
            if let Ok(distinct) = Distinct::read(&mut reader) {
                let mut out = Vec::new();
                distinct.put(&mut out);
                assert_eq!(Distinct::read(&mut StateReader::new(&out)).as_ref(), Ok(&distinct));
                let mut merged = distinct.clone();
                merged.merge(&distinct);
                assert_eq!(merged.count(), distinct.count(), "a set with itself is itself");
            }
        }
        5 => {
            let mut seen = Seen::default();
            if seen.read(&mut reader, 1_000, 1_010, 500).is_ok() {
                let mut counts = Vec::new();
                seen.counts(1_010, &[1, 60, 500], &mut counts);
                seen.add(7, 1_010, 3);
                seen.put(&mut Vec::new());
            }
        }
        6 => forecast(bytes),
        7 => restored(&mut sessions(), bytes),
        _ => restored(&mut windows(), bytes),
    }
}

/// Entries, each a byte for the key's length, the key, two for the value's length and the value: a forecast that takes them
/// up goes on.
fn forecast(mut bytes: &[u8]) {
    let mut restored = Restored::default();
    while let Some((key, value, rest)) = entry(bytes) {
        if restored.take(key, value).is_err() {
            return;
        }
        bytes = rest;
    }
    let (shape, mut cohorts) = cohorts();
    if restored.give(&shape, &mut cohorts).is_ok() {
        for hour in [0, 1, 500] {
            while cohorts.take(0, record(hour).as_bytes(), Micros(i64::MAX / 2)) == Ok(Taken::More) {
                let changed = cohorts.drain();
                let _ = (state::encode(&cohorts, &changed), cohorts.told());
            }
        }
    }
}

fn entry(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (key, rest) = rest.split_at_checked(usize::from(*length))?;
    let (length, rest) = rest.split_first_chunk()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    Some((key, value, rest))
}

fn cohorts() -> (Arc<Shape>, Cohorts) {
    let path = |text: &str| DocPath::parse(text).expect("a path");
    let shape = Arc::new(Shape {
        interval_micros: HOUR,
        seasons: vec![4, 24],
        cycles: 3,
        horizon: 2,
        width: 2.0,
        tolerance: 0.0,
        sustain: 2,
        side: Side::Both,
        missing: Missing::Zero,
        holidays: Holidays::default(),
    });
    let reader = Reader { time: path(".time"), cohort: vec![("who".to_owned(), path(".who"))], value: path(".value") };
    (Arc::clone(&shape), Cohorts::new(shape, reader, 10))
}

fn record(hour: i64) -> String {
    json!({"who": "a", "time": Micros(BASE.0 + hour * HOUR).to_string(), "value": hour % 5}).to_string()
}

/// What a forecast keeps, as [`forecast`] takes it.
fn watched() -> Vec<u8> {
    let (_, mut cohorts) = cohorts();
    for hour in 0..80 {
        let taken = cohorts.take(0, record(hour).as_bytes(), Micros(i64::MAX / 2));
        assert_eq!(taken, Ok(Taken::Done));
    }
    cohorts.pass(0, 80);
    let changed = cohorts.drain();
    let mut seed = vec![6];
    for delta in state::encode(&cohorts, &changed) {
        let value = delta.value.unwrap_or_default();
        seed.push(delta.key.len() as u8);
        seed.extend_from_slice(&delta.key);
        seed.extend_from_slice(&(value.len() as u16).to_le_bytes());
        seed.extend_from_slice(&value);
    }
    seed
}

fn sessions() -> Sessions {
    let (gap, lateness) = (Duration::from_secs(60), Duration::from_secs(1));
    let config = SessionConfig { gap, lateness, measures: Vec::new(), path_max: Some(3), emit: Emit::Update };
    Sessions::new(config).expect("a session step")
}

fn windows() -> Windows {
    let (size, every, lateness) = (Duration::from_secs(60), Duration::from_secs(20), Duration::from_secs(1));
    Windows::new(WindowConfig { size, every, lateness, measures: Vec::new() }).expect("a window step")
}

/// A byte for the key's length, the key, the entry: what a step takes up again when it begins it can go on with.
fn restored(step: &mut dyn Operator, bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else { return };
    let Some((key, value)) = rest.split_at_checked(usize::from(*length)) else { return };
    if step.restore(key, value).is_err() {
        return;
    }
    let mut state = MemoryState::default();
    state.put(key, value);
    for watermark in [BASE, Micros(i64::MAX / 2)] {
        let advanced = step.advance(&mut state, watermark, &mut Vec::new());
        assert!(advanced.is_ok(), "{advanced:?}");
    }
}

/// Floats that are no numbers are equal to nothing, so bytes are compared.
fn measured(kind: Kind, bytes: &[u8]) {
    let Ok(found) = Measured::read(kind, &mut StateReader::new(bytes), BASE) else { return };
    let written = |measured: &Measured| {
        let mut out = Vec::new();
        measured.put(&mut out, BASE);
        out
    };
    let out = written(&found);
    let again = Measured::read(kind, &mut StateReader::new(&out), BASE).expect("what was written is read");
    assert_eq!(written(&again), out);
    let mut text = Vec::new();
    found.value().render(&mut text);
    // What came as JSON goes out as it came, whatever it is.
    if !matches!(found.value(), Value::Json(_) | Value::List(_)) {
        assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok());
    }
    let mut merged = found;
    merged.merge(again);
}

/// What a step keeps of an event, as [`restored`] takes it.
fn kept(kind: u8, step: &mut dyn Operator) -> Vec<u8> {
    let mut state = MemoryState::default();
    let event = Event { key: b"k", time: BASE, position: (0, 7), hops: 0, inputs: &[] };
    step.event(&mut state, &event, &mut Vec::new()).expect("an empty state");
    step.advance(&mut state, BASE, &mut Vec::new()).expect("its own state");
    let (key, value) = state.entries.first_key_value().expect("an event is kept");
    [&[kind, key.len() as u8][..], key, value].concat()
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![vec![0; 24], vec![1; 40], vec![5, 4, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]];
    for (number, _) in (0_u8..).zip(MEASURES) {
        seeds.push(vec![2, number, 1, 2, 0, 4, 5, 1, b'x', 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    seeds.push(vec![3, 1, 0, 0, 0, 5, 2, 0, 2, 3, 8, 0]);
    seeds.push(vec![4, 2, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
    seeds.push(vec![4, 33, 1, 7, 3]);
    seeds.push([&[6, 5, b'p', 0, 0, 0, 0, 16, 0][..], &[1; 16]].concat());
    seeds.push(watched());
    let mut positions = Positions::at(40);
    positions.hold(31, Open::Waits(Some(BASE)));
    positions.hold(7, Open::Waits(None));
    seeds.push([&[0][..], &positions.encode()].concat());
    positions.hold(12, Open::Owed);
    seeds.push([&[0][..], &positions.encode()].concat());
    seeds.extend([kept(7, &mut sessions()), kept(8, &mut windows())]);
    seeds
}
