//! A dataset with a key: its table is the last event of each key, through snapshots, restarts and compactions.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use headwater_base::Name;
use headwater_log::{Append, Commit, Log};
use headwater_wire::batch::{Builder, Compression};
use iceberg::spec::Operation;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Bench, Running, events};
use crate::layout::Layout;
use crate::testing::{now, spec};

type Rows = BTreeMap<String, i64>;

fn layout() -> Layout {
    let columns = json!([{"name": "id", "type": "string", "path": "$key", "required": true},
        {"name": "n", "type": "long", "required": true}]);
    Layout::of(&spec(json!({"stream": "in", "columns": columns, "key": ["id"]}))).unwrap()
}

fn start(bench: &Bench, file_bytes: usize) -> Running {
    bench.start(|setup| {
        setup.layout = layout();
        setup.file_bytes = file_bytes;
        setup.snapshots = 3;
    })
}

impl Bench {
    /// Sends events by key, and deletes keys without a number; `rows` is what there is afterwards.
    fn put(&self, rows: &mut Rows, changes: &[(i64, Option<i64>)]) {
        for partition in 0..2 {
            // A key has its partition.
            let mut builder = Builder::new(Compression::None);
            let mut count = 0;
            for (key, n) in changes.iter().filter(|(key, _)| key % 2 == i64::from(partition)) {
                let name = format!("k{key:04}");
                let value = n.map(|n| json!({ "n": n }).to_string());
                builder.push(1_000, Some(name.as_bytes()), value.as_ref().map(String::as_bytes), &[]);
                match n {
                    Some(n) => rows.insert(name, *n),
                    None => rows.remove(&name),
                };
                count += 1;
            }
            if count > 0 {
                let append = Append { stream: Name::new("in").unwrap(), partition, batches: builder.finish() };
                let sent = self.log.append(&mut Commit { appends: vec![append], ..Commit::default() }).unwrap();
                self.wait(self.log.durable(sent.sequence)).unwrap();
            }
        }
    }

    /// All rows of the table's files, each key once.
    fn keyed_rows(&self) -> Rows {
        let mut found = Rows::new();
        let Some(version) = self.version() else { return found };
        for entry in now(version.live(self.tables.files())).unwrap() {
            let bytes = now(self.tables.files().read(entry.file_path())).unwrap();
            for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
                let batch = batch.unwrap();
                let (ids, numbers) = (batch["id"].as_string::<i32>(), batch["n"].as_primitive::<Int64Type>());
                for row in 0..batch.num_rows() {
                    let before = found.insert(ids.value(row).to_owned(), numbers.value(row));
                    assert!(before.is_none(), "{} comes twice", ids.value(row));
                }
            }
        }
        found
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// Rounds of changes with a snapshot or a restart between them.
    #[test]
    fn the_table_is_the_last_event_of_each_key(
        rounds in prop::collection::vec((prop::collection::vec((0_i64..20, prop::option::weighted(0.8, 0_i64..1_000)), 1..30), any::<bool>()), 1..8),
    ) {
        let bench = Bench::new();
        let mut dataset = start(&bench, 1 << 20);
        let mut rows = Rows::new();
        for (changes, restarts) in rounds {
            bench.put(&mut rows, &changes);
            if restarts {
                dataset.stop().unwrap();
                dataset = start(&bench, 1 << 20);
                continue;
            }
            bench.in_time("all is in the table", || dataset.figures.lag() == 0 && bench.keyed_rows() == rows);
        }
        bench.in_time("all is in the table", || dataset.figures.lag() == 0 && bench.keyed_rows() == rows);
        dataset.stop().unwrap();
    }
}

#[test]
fn small_files_are_merged_while_their_rows_are_replaced() {
    let bench = Bench::new();
    let dataset = start(&bench, 1 << 20);
    let mut rows = Rows::new();
    for round in 0..24 {
        bench.put(&mut rows, &[(round, Some(1)), (round / 2, Some(round)), (round / 3, None)]);
        bench.in_time("the round is in the table", || bench.keyed_rows() == rows);
    }
    let version = bench.version().unwrap();
    let live = now(version.live(bench.tables.files())).unwrap().len();
    assert!(live < 20, "{live} files");
    dataset.stop().unwrap();
}

/// What does not fit in memory does not wait for its time.
#[test]
fn a_snapshot_comes_early_when_changes_are_many() {
    let bench = Bench::new();
    let mut rows = Rows::new();
    bench.put(&mut rows, &(0..4_000).map(|key| (key, Some(key))).collect::<Vec<_>>());
    let dataset = start(&bench, 16 << 10);
    bench.until("more than one snapshot in a moment", || bench.snapshots() == 3);
    bench.in_time("all is in the table", || bench.keyed_rows() == rows);
    dataset.stop().unwrap();
}

/// A key that stands in the value is found in no tombstone.
#[test]
fn a_record_without_a_value_deletes_what_its_key_names_or_is_a_dead_letter() {
    let bench = Bench::new();
    let columns = json!([{"name": "id", "type": "int", "required": true}]);
    let layout = Layout::of(&spec(json!({"stream": "in", "columns": columns, "key": ["id"]}))).unwrap();
    bench.send(0, &events(0..4));
    bench.put(&mut Rows::new(), &[(0, None)]);
    bench.send(0, &events(2..6));
    let dataset = bench.start(|setup| setup.layout = layout);
    bench.until("the snapshot", || bench.ids() == (0..6).collect::<Vec<_>>());
    let letters: Vec<Value> = bench.letters();
    let said =
        "the record has no value, and the row to be deleted is not found without: `id` of its key is read of the value";
    assert_eq!((letters.len(), &letters[0]["reason"]), (1, &json!(said)));
    dataset.stop().unwrap();
    let summary = bench.version().unwrap().metadata.current_snapshot().unwrap().summary().clone();
    assert_eq!(summary.operation, Operation::Append);
}
