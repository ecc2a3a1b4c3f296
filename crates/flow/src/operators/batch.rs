//! The same results from the whole list of events at once: simple, slow, and what the operators are held against.
//!
//! What it is NOT: part of the product, or incremental. It knows no watermark: every event given is taken.
//!
//! Differences from a running operator that are no errors: revisions are all 1, and a session has the id of its first
//! event, whereas a running one keeps the id of the event that arrived first.

use std::collections::BTreeMap;

use bytes::Bytes;
use headwater_base::Micros;

use crate::operators::measure::Measured;
use crate::operators::session::id;
use crate::operators::{Input, Measure, Position, SessionConfig, SessionRow, Value, WindowConfig, WindowRow};

/// An event with what its step has computed of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item<'a> {
    /// Whose event.
    pub key: Bytes,
    /// When it happened.
    pub time: Micros,
    /// Where it stood.
    pub position: Position,
    /// As in [`super::Event`].
    pub hops: u32,
    /// As in [`super::Event`].
    pub inputs: Vec<Input<'a>>,
}

/// All sessions, in order of key, then start.
pub fn sessions(config: &SessionConfig, items: &[Item<'_>]) -> Vec<SessionRow> {
    let mut rows = Vec::new();
    for (key, items) in by_key(items) {
        let apart = |a: &&Item<'_>, b: &&Item<'_>| b.time.since(a.time) <= config.gap;
        for chain in items.chunk_by(apart) {
            let (Some(first), Some(last)) = (chain.first(), chain.last()) else { continue };
            let values = |item: &&Item<'_>| item.inputs.get(config.measures.len()).and_then(Input::value);
            let pages: Vec<Value> = chain.iter().filter_map(values).collect();
            rows.push(SessionRow {
                key: key.clone(),
                session_id: id(key, (first.time, first.position)),
                revision: 1,
                closed: true,
                start: first.time,
                end: last.time,
                events: chain.len() as u64,
                hops: chain.iter().map(|item| item.hops).max().unwrap_or_default(),
                entry: config.path_max.and_then(|_| pages.first().cloned()),
                exit: config.path_max.and_then(|_| pages.last().cloned()),
                path: config.path_max.map(|max| pages.into_iter().take(max).collect()),
                measures: measure(&config.measures, chain),
            });
        }
    }
    rows
}

/// All windows that hold an event, in order of key, then start.
pub fn windows(config: &WindowConfig, items: &[Item<'_>]) -> Vec<WindowRow> {
    let mut rows = Vec::new();
    for (key, items) in by_key(items) {
        let mut windows: BTreeMap<Micros, Vec<&Item<'_>>> = BTreeMap::new();
        for item in items {
            for start in config.starts(item.time) {
                windows.entry(start).or_default().push(item);
            }
        }
        for (start, items) in windows {
            rows.push(WindowRow {
                key: key.clone(),
                start,
                end: start.plus(config.size),
                revision: 1,
                events: items.len() as u64,
                hops: items.iter().map(|item| item.hops).max().unwrap_or_default(),
                measures: measure(&config.measures, &items),
            });
        }
    }
    rows
}

/// The measures over the items that `inside` picks; what a running aggregate shows.
pub fn aggregate(measures: &[Measure], items: &[Item<'_>], inside: impl Fn(&Item<'_>) -> bool) -> Vec<Value> {
    let mut items: Vec<&Item<'_>> = items.iter().filter(|item| inside(item)).collect();
    items.sort_by_key(|item| (item.time, item.position));
    measure(measures, &items)
}

/// The items of each key, in the order of (event time, position).
fn by_key<'a, 'b>(items: &'b [Item<'a>]) -> BTreeMap<&'b Bytes, Vec<&'b Item<'a>>> {
    let mut keys: BTreeMap<&Bytes, Vec<&Item<'a>>> = BTreeMap::new();
    for item in items {
        keys.entry(&item.key).or_default().push(item);
    }
    for items in keys.values_mut() {
        items.sort_by_key(|item| (item.time, item.position));
    }
    keys
}

fn measure(measures: &[Measure], items: &[&Item<'_>]) -> Vec<Value> {
    let of = |(index, measure): (usize, &Measure)| {
        let mut measured = Measured::new(measure.kind);
        for item in items {
            measured.add(item.inputs.get(index).unwrap_or(&Input::Skip), (item.time, item.position));
        }
        measured.value()
    };
    measures.iter().enumerate().map(of).collect()
}
