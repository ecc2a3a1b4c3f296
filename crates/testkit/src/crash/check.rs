//! The comparison after a recovery: what the log says against what its clients were promised.

use std::collections::{BTreeMap, BTreeSet};

use headwater_log::{Batches, Log, View};
use headwater_wire::batch;

use super::load::{Clients, Guest, Pipeline, Rows, SHORT_BYTES, Short};
use super::{Report, name};

impl Clients {
    pub fn check(&mut self, log: &dyn Log, report: &mut Report) {
        let input = all(log, "in", 0);
        self.check_producers(&input, report);
        self.pipeline.check(log, &input, report);
        self.rows.check("rows", log, report);
        self.scratch.check("scratch", log, report);
        let rows = newest(&all(log, "rows", 0));
        report.wrong("keys of a compacted stream", differ(&rows, &space(log, "rows")));
        self.short.check(log, report);
        self.guest.check(log, report);
    }

    fn check_producers(&self, input: &[batch::Record], report: &mut Report) {
        let mut seen: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for record in input {
            let value = record.value.as_deref().unwrap_or_default();
            *seen.entry((number(value.get(..8)), number(value.get(8..)))).or_default() += 1;
        }
        report.doubled("records twice in the input", seen.values().filter(|times| **times > 1).count());
        let acked = self.producers.iter().flat_map(|producer| &producer.acked);
        report.lost("acknowledged records", acked.filter(|one| !seen.contains_key(one)).count());
        let wrongly = self.producers.iter().map(|producer| producer.accepted_wrongly).sum();
        report.wrong("commits accepted that had to be refused", wrongly);
    }
}

impl Pipeline {
    fn check(&self, log: &dyn Log, input: &[batch::Record], report: &mut Report) {
        let position = position_of(log);
        report.lost("acknowledged results", usize::try_from(self.promised - position).unwrap_or(0));
        let out: Vec<i64> = all(log, "out", 0).iter().map(|record| number(record.value.as_deref()) as i64).collect();
        let distinct: BTreeSet<i64> = out.iter().copied().collect();
        let wanted: BTreeSet<i64> = (0..position).collect();
        report.doubled("results twice", out.len() - distinct.len());
        report.doubled("results of nothing", distinct.difference(&wanted).count());
        report.lost("results", wanted.difference(&distinct).count());
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        for record in input.iter().filter(|record| record.offset < position) {
            *counts.entry(number(record.key.as_deref())).or_default() += 1;
        }
        report.wrong("keys of the pipeline's state", differ(&counts, &space(log, "counts")));
        report.wrong("keys of the pipeline's table", differ(&counts, &newest(&all(log, "table", 0))));
        report.wrong("epochs handed out twice", self.epochs_repeated);
    }
}

impl Rows {
    fn check(&mut self, name: &str, log: &dyn Log, report: &mut Report) {
        let right = self.history.found(space(log, name));
        report.wrong(&format!("state `{name}` that never was"), usize::from(!right));
    }
}

impl Short {
    fn check(&mut self, log: &dyn Log, report: &mut Report) {
        let Some(ends) = name("short").and_then(|name| log.ends(&name, 0).ok()) else {
            report.lost("stream `short`", usize::from(self.acked_end > 0));
            return;
        };
        report.lost("records at the end of `short`", usize::try_from(self.acked_end - ends.durable).unwrap_or(0));
        report.doubled("trimmed records", usize::try_from(self.trimmed - ends.start).unwrap_or(0));
        let records = all(log, "short", ends.start);
        let there: Vec<i64> =
            records.iter().map(|record| number(record.value.as_deref().and_then(|v| v.get(..8))) as i64).collect();
        let wanted: Vec<i64> = (ends.start..ends.durable).collect();
        if there != wanted {
            let at = there.iter().zip(&wanted).take_while(|(one, other)| one == other).count();
            let (one, other) = (there.get(at), wanted.get(at));
            report.wrong(
                &format!("`short` from {} to {} has {one:?} in the place of {other:?}", ends.start, ends.durable),
                1,
            );
        }
        // A record with its batch is at least 160 bytes; only a trim may leave less than retention keeps.
        let too_few = ends.start > self.wanted && (ends.durable - ends.start) * 200 < SHORT_BYTES;
        report.lost("records that retention keeps", usize::from(too_few));
        // What was asked for and has come true is true from now on.
        self.acked_end = ends.durable;
        self.trimmed = ends.start;
    }
}

impl Guest {
    fn check(&mut self, log: &dyn Log, report: &mut Report) {
        let stream = log.stream("guest");
        let mut strange = 0;
        let there = stream.map(|stream| {
            let mut generation = None;
            let mut counts = Vec::new();
            for index in 0..stream.config.partitions {
                let records = read(log, "guest", index, 0);
                for record in &records {
                    let of = number(record.value.as_deref().and_then(|value| value.get(..8)));
                    strange += usize::from(*generation.get_or_insert(of) != of);
                }
                counts.push(records.len() as u64);
            }
            (generation, counts)
        });
        report.doubled("records of a deleted stream", strange);
        // A stream without records does not say which generation it is.
        let state = there.map(|(generation, counts)| (generation.unwrap_or(self.generation), counts));
        let right = self.history.found(state);
        report.wrong("stream `guest` as it never was", usize::from(!right));
        report.doubled("producer ids handed out twice", self.ids_repeated);
    }
}

pub(super) fn position_of(log: &dyn Log) -> i64 {
    number(log.get("position", b"in", View::Durable).as_deref()) as i64
}

pub(super) fn number(bytes: Option<&[u8]>) -> u64 {
    bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

pub(super) fn records(batches: &Batches) -> Vec<batch::Record> {
    let mut found = Vec::new();
    for (_, bytes) in batches.each().flatten() {
        found.extend(batch::records(&bytes, 1 << 24).into_iter().flatten().flatten());
    }
    found
}

fn all(log: &dyn Log, stream: &str, from: i64) -> Vec<batch::Record> {
    read(log, stream, 0, from)
}

/// All durable records of a partition from an offset on.
fn read(log: &dyn Log, stream: &str, partition: u32, from: i64) -> Vec<batch::Record> {
    let mut found: Vec<batch::Record> = Vec::new();
    let Some(stream) = name(stream) else { return found };
    let mut from = from;
    while let Ok(read) = log.read(&stream, partition, from, 10_000, View::Durable) {
        let Some(last) = read.batches.each().flatten().last() else { break };
        found.extend(records(&read.batches).into_iter().filter(|record| record.offset >= from));
        from = last.0.last_offset() + 1;
    }
    found
}

fn space(log: &dyn Log, name: &str) -> BTreeMap<u64, u64> {
    let mut found = BTreeMap::new();
    log.for_each(name, &mut |key, value| {
        found.insert(number(Some(key)), number(Some(value)));
    });
    found
}

/// The newest value of each key.
fn newest(records: &[batch::Record]) -> BTreeMap<u64, u64> {
    let mut rows = BTreeMap::new();
    for record in records {
        let key = number(record.key.as_deref());
        match &record.value {
            Some(value) => rows.insert(key, number(Some(value))),
            None => rows.remove(&key),
        };
    }
    rows
}

/// Keys with different values, or with one only.
fn differ(one: &BTreeMap<u64, u64>, other: &BTreeMap<u64, u64>) -> usize {
    let keys: BTreeSet<&u64> = one.keys().chain(other.keys()).collect();
    keys.into_iter().filter(|key| one.get(key) != other.get(key)).count()
}
