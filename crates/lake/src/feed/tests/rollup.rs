//! A rollup: what files, tail and log have together adds up to the events at any moment.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use headwater_base::Name;
use headwater_log::Log;
use headwater_log::cursor::{Cursor, Pulled};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Bench, Running};
use crate::layout::Layout;
use crate::rows::Rows;
use crate::tail::Taken;
use crate::testing::{now, spec};

/// By minute and country: events, the sum of `n`, the least and the greatest.
type Totals = BTreeMap<(i64, Option<String>), (i64, i64, i64, i64)>;

const MINUTE: i64 = 60_000;

fn layout() -> Layout {
    let columns = json!([{"name": "at", "type": "timestamp", "required": true}, {"name": "country", "type": "string"},
        {"name": "n", "type": "int", "required": true}]);
    let rollup = json!({"time": {"column": "at", "grain": "minute"}, "dimensions": ["country"], "metrics": [
        {"name": "events", "type": "count"}, {"name": "n", "type": "sum", "column": "n"},
        {"name": "least", "type": "min", "column": "n"}, {"name": "most", "type": "max", "column": "n"}]});
    Layout::of(&spec(json!({"stream": "in", "columns": columns, "rollup": rollup}))).unwrap()
}

fn start(bench: &Bench, file_bytes: usize) -> Running {
    bench.start(|setup| {
        setup.layout = layout();
        setup.file_bytes = file_bytes;
    })
}

fn add(totals: &mut Totals, batch: &RecordBatch) {
    let long = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    let int = |name: &str| batch[name].as_primitive::<arrow_array::types::Int32Type>().clone();
    let times = batch["at"].as_primitive::<TimestampMicrosecondType>();
    let countries = batch["country"].as_string::<i32>();
    let (events, sums, least, most) = (long("events"), long("n"), int("least"), int("most"));
    for row in 0..batch.num_rows() {
        let country = countries.is_valid(row).then(|| countries.value(row).to_owned());
        let total = totals.entry((times.value(row), country)).or_insert((0, 0, i64::MAX, i64::MIN));
        total.0 += events.value(row);
        total.1 += sums.value(row);
        total.2 = total.2.min(i64::from(least.value(row)));
        total.3 = total.3.max(i64::from(most.value(row)));
    }
}

fn add_file(bench: &Bench, totals: &mut Totals, location: &str) -> usize {
    let bytes = now(bench.tables.files().read(location)).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    batches.map(|batch| batch.unwrap()).inspect(|batch| add(totals, batch)).map(|batch| batch.num_rows()).sum()
}

/// What is in the table's files, and in how many files and rows.
fn written(bench: &Bench) -> (Totals, usize, usize) {
    let mut totals = Totals::new();
    let live = bench.version().map(|version| now(version.live(bench.tables.files())).unwrap()).unwrap_or_default();
    let rows = live.iter().map(|entry| add_file(bench, &mut totals, entry.file_path())).sum();
    (totals, live.len(), rows)
}

/// What a query sees: the files of a snapshot, what of the tail behind it is durable, and the log behind both.
fn seen(bench: &Bench) -> Totals {
    let name = Name::new("in").unwrap();
    let look = || {
        let version = bench.version();
        let durable = [0, 1].map(|partition| bench.log.ends(&name, partition).unwrap().durable);
        let taken = match (&version, bench.tables.tail("t")) {
            (Some(version), Some(tail)) => tail.take(version, &durable),
            _ => Some(Taken::default()),
        };
        (version, durable, taken)
    };
    let (version, durable, taken) = (0..3).map(|_| look()).find(|(.., taken)| taken.is_some()).unwrap_or_else(look);
    let (mut totals, taken) = (Totals::new(), taken.unwrap_or_default());
    let live = version.iter().flat_map(|version| now(version.live(bench.tables.files())).unwrap());
    for location in live.map(|entry| entry.file_path().to_owned()) {
        add_file(bench, &mut totals, &location);
    }
    for file in &taken.files {
        add_file(bench, &mut totals, file.file_path());
    }
    taken.batches.iter().for_each(|batch| add(&mut totals, batch));
    let positions = version.as_ref().and_then(super::positions_of);
    let layout = layout();
    let schema = version.as_ref().map_or(&layout.schema, |version| version.metadata.current_schema());
    let mut rows = Rows::new(&layout, schema).unwrap();
    for (partition, durable) in (0_u32..).zip(durable) {
        let of_tail = taken.ends.as_ref().map(|ends| ends[partition as usize]);
        let of_files = positions.as_ref().map(|positions| positions[&partition][1]);
        let mut cursor = Cursor::new(name.clone(), partition, of_tail.or(of_files).unwrap_or(0), 1 << 20);
        while cursor.next() < durable {
            let Pulled::Record(record) = cursor.pull(&*bench.log, |_| None).unwrap() else { break };
            drop(rows.push(&record, partition));
        }
    }
    add(&mut totals, &rows.finish().unwrap());
    totals
}

#[derive(Clone, Debug)]
enum Step {
    Send(u32, Vec<(i64, Option<u8>, Option<i32>)>),
    Minute,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let event = (0_i64..4, prop::option::of(0_u8..3), prop::option::weighted(0.9, -1_000..1_000));
    prop_oneof![
        6 => (0_u32..2, prop::collection::vec(event, 1..60)).prop_map(|(partition, events)| Step::Send(partition, events)),
        3 => Just(Step::Minute),
        1 => Just(Step::Restart),
    ]
}

/// Sends events, and adds them to what is expected; those without a number do not fit.
fn send(bench: &Bench, expected: &mut Totals, partition: u32, events: &[(i64, Option<u8>, Option<i32>)]) {
    let one = |(minute, country, n): &(i64, Option<u8>, Option<i32>)| json!({"at": minute * MINUTE + 7, "country": country.map(|it| it.to_string()), "n": n});
    assert!(bench.send(partition, &events.iter().map(one).collect::<Vec<Value>>()));
    for (minute, country, n) in events {
        let Some(n) = n.map(i64::from) else { continue };
        let key = (minute * MINUTE * 1_000, country.map(|it| it.to_string()));
        let total = expected.entry(key).or_insert((0, 0, i64::MAX, i64::MIN));
        *total = (total.0 + 1, total.1 + n, total.2.min(n), total.3.max(n));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn what_is_seen_adds_up_to_the_events_at_any_moment(steps in prop::collection::vec(step(), 1..24)) {
        let bench = Bench::new();
        let (mut dataset, mut expected, mut letters) = (start(&bench, 8 * 1024), Totals::new(), 0);
        for step in steps {
            match step {
                Step::Send(partition, events) => {
                    send(&bench, &mut expected, partition, &events);
                    letters += events.iter().filter(|(_, _, n)| n.is_none()).count();
                }
                Step::Minute => bench.minute(),
                Step::Restart => {
                    dataset.stop().unwrap();
                    prop_assert_eq!(&seen(&bench), &expected);
                    dataset = start(&bench, 8 * 1024);
                }
            }
            prop_assert_eq!(&seen(&bench), &expected);
        }
        // A thread that has not begun yet is not behind either: what it has to write tells.
        let is_written = || written(&bench).0 == expected && bench.letters().len() >= letters;
        bench.in_time("all of it is in files", || is_written() && dataset.figures.lag() == 0);
        dataset.stop().unwrap();
        prop_assert_eq!(bench.letters().len(), letters);
    }
}

#[test]
fn what_counts_for_a_file_is_what_events_are_rolled_up_to() {
    let (bench, mut expected) = (Bench::new(), Totals::new());
    let few: Vec<_> = (0..100).map(|n| (0, Some(1), Some(n))).collect();
    (0..60).for_each(|_| send(&bench, &mut expected, 0, &few));
    let dataset = start(&bench, 64 * 1024);
    bench.until("few rows", || written(&bench) == (expected.clone(), 1, 1));
    for at in 0..40 {
        let many: Vec<_> = (0..100).map(|minute| (1 + at * 100 + minute, None, Some(1))).collect();
        send(&bench, &mut expected, 0, &many);
    }
    bench.in_time("many rows", || written(&bench).0 == expected);
    let (_, files, rows) = written(&bench);
    assert!((3..100).contains(&files) && rows == 4_001, "{rows} rows in {files} files");
    dataset.stop().unwrap();
}

#[test]
fn rows_of_one_minute_are_merged_with_their_files() {
    let (bench, mut expected) = (Bench::new(), Totals::new());
    let dataset = start(&bench, 1 << 20);
    for at in 0..20 {
        send(&bench, &mut expected, 0, &[(at % 2, Some(1), Some(1)), (at % 2, None, Some(2))]);
        bench.minute();
        bench.until("the rows are there", || {
            // A compaction takes a turn.
            bench.clock.advance(std::time::Duration::from_secs(5));
            written(&bench).0 == expected
        });
    }
    let (_, files, rows) = written(&bench);
    assert!(files < 10 && rows < 20, "{rows} rows in {files} files");
    assert_eq!(bench.positions()[&0][1], 40);
    dataset.stop().unwrap();
}
