//! Which event belongs to which target, and what is found there instead.
//!
//! What an event is follows from its number alone, so that a target needs to show nothing but numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

/// The archive that is replayed.
pub(super) const KEPT: &str = "archive.crash-kept";

/// So many events in a row are one of each kind, key and amount.
pub(super) const ALL_SORTS: u64 = 56;

/// An event.
pub(super) struct Event {
    pub(super) kind: &'static str,
    /// Events of one key have an order.
    pub(super) key: u64,
    pub(super) amount: u64,
}

/// A stream that gets events, each once.
pub(super) struct Target {
    pub(super) stream: &'static str,
    pub(super) takes: fn(&Event) -> bool,
    /// The number of the event that a record came of.
    pub(super) number: fn(&Value) -> Option<u64>,
}

/// All streams that are compared with the one that everything comes of.
pub(super) const TARGETS: [Target; 14] = [
    Target { stream: "crash.large", takes: |event| event.kind == "a" && event.amount >= 50, number: of_value },
    Target { stream: "crash.shaped", takes: |event| event.kind == "b", number: of_value },
    // Each document is written once, so that each has one change.
    Target { stream: "table.crash.docs.changes", takes: in_table, number: of_key },
    Target { stream: "crash.piped", takes: |event| event.kind == "b", number: of_value },
    Target { stream: "crash.dead", takes: |event| event.kind == "c", number: of_letter },
    Target { stream: "archive.crash", takes: |event| matches!(event.kind, "a" | "c"), number: of_value },
    Target { stream: "crash.enriched", takes: |event| event.kind == "c" && event.amount >= 50, number: of_answer },
    // Each execution publishes once.
    Target {
        stream: "crash.ran",
        takes: |event| event.kind == "d" && event.amount >= 50 && event.key < 2,
        number: of_value,
    },
    // What a replay gives out of it does not come into it again.
    Target { stream: KEPT, takes: |event| event.kind == "a" && event.amount < 50, number: of_value },
    Target { stream: "bus.crash", takes: |event| event.kind == "d", number: of_value },
    Target { stream: "crash.hopped", takes: |event| event.kind == "d" && event.amount >= 50, number: of_value },
    Target { stream: "crash.none", takes: |_| false, number: of_value },
    Target { stream: "crash-kept.dead", takes: |_| false, number: of_letter },
    Target { stream: "crash.unexpected", takes: |_| false, number: of_letter },
];

/// The event of a number.
pub(super) fn event(number: u64) -> Event {
    let kind = match number % 4 {
        0 => "a",
        1 => "b",
        2 => "c",
        _ => "d",
    };
    let amount = if (number / 28).is_multiple_of(2) { 10 } else { 90 };
    Event { kind, key: number / 4 % 7, amount }
}

/// Its JSON.
pub(super) fn text(number: u64) -> String {
    let Event { kind, key, amount } = event(number);
    format!("{{\"n\":{number},\"kind\":\"{kind}\",\"key\":\"k{key}\",\"amount\":{amount}}}")
}

/// Whether it becomes a document.
pub(super) fn in_table(event: &Event) -> bool {
    matches!(event.kind, "a" | "b")
}

/// Whether it is delivered outside.
pub(super) fn goes_out(event: &Event) -> bool {
    event.kind == "d" && event.amount < 50
}

/// The number in a record's value; the numbers of a change are texts.
pub(super) fn of_value(row: &Value) -> Option<u64> {
    let number = &row["value"]["n"];
    number.as_u64().or_else(|| number.as_str()?.parse().ok())
}

/// The number in an answer about the event, if it is that.
fn of_answer(row: &Value) -> Option<u64> {
    of_value(row).filter(|number| row["value"]["twice"] == number * 2)
}

fn of_key(row: &Value) -> Option<u64> {
    row["key"].as_str()?.parse().ok()
}

fn of_letter(row: &Value) -> Option<u64> {
    let event: Value = serde_json::from_str(row["value"]["data"].as_str()?).ok()?;
    event["n"].as_u64()
}

/// What was found after the last crash.
#[derive(Default)]
pub(super) struct Found {
    /// Events that were acknowledged.
    pub(super) acked: u64,
    /// Events in the stream that everything comes of: those, and some whose acknowledgement was lost.
    pub(super) events: u64,
    /// What came of them, over all targets, and what replays gave out again.
    pub(super) delivered: u64,
    /// Replays that were begun, each of which has come to its end.
    pub(super) replays: u64,
    /// Acknowledged and gone, or not at a target that takes them.
    pub(super) lost: u64,
    /// More than once at a target that takes each once.
    pub(super) doubled: u64,
    /// Behind an event of the same key that came later.
    pub(super) out_of_order: u64,
    /// At a target whose pattern excludes them.
    pub(super) excluded: u64,
    /// Documents that are not what the last event of their key made them, deliveries of one event under two keys, and
    /// replays that say something else than they have given out.
    pub(super) differing: u64,
    /// Where.
    pub(super) notes: Vec<String>,
}

impl Found {
    /// Adds what was found in another folder, but for where.
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.acked, other.acked),
            (&mut self.events, other.events),
            (&mut self.delivered, other.delivered),
            (&mut self.replays, other.replays),
            (&mut self.lost, other.lost),
            (&mut self.doubled, other.doubled),
            (&mut self.out_of_order, other.out_of_order),
            (&mut self.excluded, other.excluded),
            (&mut self.differing, other.differing),
        ] {
            *sum += more;
        }
    }

    /// What is neither lost nor doubled, and yet not as it was promised.
    pub(super) fn wrong(&self) -> u64 {
        self.out_of_order + self.excluded + self.differing
    }

    /// Compares a target, as its records follow each other, with the places of all events in their stream.
    pub(super) fn compare(
        &mut self,
        name: &str,
        takes: fn(&Event) -> bool,
        once: bool,
        numbers: &[u64],
        places: &HashMap<u64, usize>,
    ) {
        let [mut doubled, mut out_of_order, mut excluded] = [0_u64; 3];
        let mut seen: BTreeSet<u64> = BTreeSet::new();
        let mut newest: HashMap<u64, usize> = HashMap::new();
        for number in numbers {
            let event = event(*number);
            let Some(place) = places.get(number).filter(|_| takes(&event)) else {
                excluded += 1;
                continue;
            };
            if !seen.insert(*number) {
                doubled += u64::from(once);
                continue;
            }
            let before = newest.entry(event.key).or_insert(*place);
            out_of_order += u64::from(*place < *before);
            *before = (*before).max(*place);
        }
        let wanted = places.keys().filter(|number| takes(&event(**number)));
        let mut lost: Vec<u64> = wanted.filter(|number| !seen.contains(*number)).copied().collect();
        lost.sort_unstable();
        if !lost.is_empty() || doubled + out_of_order + excluded > 0 {
            let first: Vec<u64> = lost.iter().take(5).copied().collect();
            self.notes.push(format!(
                "{name}: {} lost {first:?}, {doubled} doubled, {out_of_order} out of order, {excluded} excluded",
                lost.len()
            ));
        }
        self.delivered += seen.len() as u64;
        self.lost += lost.len() as u64;
        self.doubled += doubled;
        self.out_of_order += out_of_order;
        self.excluded += excluded;
    }
}

/// The newest event of each key that becomes a document.
pub(super) fn last_of_keys(places: &HashMap<u64, usize>) -> BTreeMap<String, u64> {
    let mut newest: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for (number, place) in places {
        let event = event(*number);
        if in_table(&event) {
            let last = newest.entry(format!("k{}", event.key)).or_default();
            *last = (*last).max((*place, *number));
        }
    }
    newest.into_iter().map(|(key, (_, number))| (key, number)).collect()
}

#[cfg(test)]
mod tests;
