//! Rows by key: whatever is put, deleted, written and merged, the table has the last row of each key.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use bytes::Bytes;
use headwater_store::disk::MemoryDisk;
use headwater_wire::batch::Record;
use iceberg::spec::Operation;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{TIME, total};
use crate::commit::{Version, compaction, snapshot, upsert};
use crate::files::Files;
use crate::layout::Layout;
use crate::rows::Rows;
use crate::testing::{now, spec, table};

/// Records that make a file as large as this are merged with others.
const BYTES: u64 = 1 << 20;

struct Table {
    spec: Value,
    files: Files,
    layout: Layout,
    version: Version,
}

impl Table {
    fn new(key: &Value, partition: &Value) -> Self {
        let columns = json!([{"name": "id", "type": "string", "path": "$key", "required": true},
            {"name": "part", "type": "int", "path": "$partition", "required": true},
            {"name": "n", "type": "long", "required": true}, {"name": "kind", "type": "string"}]);
        let of = json!({"stream": "s", "columns": columns, "key": key, "partition": partition});
        let (files, layout) = (Files::new(Arc::new(MemoryDisk::default())), Layout::of(&spec(of.clone())).unwrap());
        let version = table(&files, &layout);
        Self { spec: of, files, layout, version }
    }

    /// Spreads what comes otherwise.
    fn spread(&mut self, partition: &Value) {
        self.spec["partition"] = partition.clone();
        self.layout = Layout::of(&spec(self.spec.clone())).unwrap();
        if let Some(change) = crate::evolution::change("t", &self.version, &self.layout).unwrap() {
            self.commit(change);
        }
    }

    /// Puts what has a number, and deletes what has none.
    fn upsert(&mut self, changes: &[(String, Option<i64>)]) {
        let mut rows = Rows::new(&self.layout, self.version.metadata.current_schema()).unwrap();
        for (key, n) in changes {
            let value = n.map(|n| Bytes::from(json!({"n": n, "kind": format!("k{}", n % 3)}).to_string()));
            let key = Some(Bytes::from(key.clone()));
            rows.push(&Record { offset: 0, timestamp: 0, key, value, headers: Vec::new() }, 0).unwrap();
        }
        let batch = rows.finish().unwrap();
        let changes = rows.merge().changes().unwrap();
        let change = now(upsert(&self.files, &self.version, changes, &batch)).unwrap();
        self.commit(change);
    }

    fn compact(&mut self) {
        let rows = Rows::new(&self.layout, self.version.metadata.current_schema()).unwrap();
        if let Some(change) = now(compaction(&self.files, &self.version, &rows.merge().of_files(), BYTES)).unwrap() {
            self.commit(change);
        }
    }

    fn commit(&mut self, change: crate::commit::Change) {
        let (version, garbage) = now(snapshot(&self.files, &self.version, change, TIME, 2)).unwrap();
        garbage.remove(&self.files);
        self.version = version;
    }

    fn files(&self) -> Vec<String> {
        let live = now(self.version.live(&self.files)).unwrap();
        live.iter().map(|entry| entry.file_path().to_owned()).collect()
    }

    /// All rows of the files, each key once.
    fn rows(&self) -> BTreeMap<String, i64> {
        let (mut found, mut count) = (BTreeMap::new(), 0);
        for location in self.files() {
            let bytes = now(self.files.read(&location)).unwrap();
            for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
                let batch = batch.unwrap();
                let (ids, numbers) = (batch["id"].as_string::<i32>(), batch["n"].as_primitive::<Int64Type>());
                assert_eq!(ids.null_count() + numbers.null_count(), 0);
                count += batch.num_rows();
                found.extend((0..batch.num_rows()).map(|row| (ids.value(row).to_owned(), numbers.value(row))));
            }
        }
        assert_eq!(found.len(), count, "a key comes twice");
        found
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, i64),
    Delete(u8),
    Snapshot,
    Compact,
    Spread(usize),
}

/// What a table can be spread by: nothing, the key, or something that a key can change.
fn spreads() -> [Value; 5] {
    [
        json!([]),
        json!([{"column": "id", "transform": "bucket[3]"}]),
        json!([{"column": "kind"}]),
        json!([{"column": "id", "transform": "truncate[70]"}]),
        json!([{"column": "kind"}, {"column": "id", "transform": "bucket[2]"}]),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u8..40, 0_i64..1_000).prop_map(|(key, n)| Step::Put(key, n)),
        2 => (0_u8..40).prop_map(Step::Delete),
        3 => Just(Step::Snapshot),
        1 => Just(Step::Compact),
        1 => (0..spreads().len()).prop_map(Step::Spread),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Keys are short or longer than a bound that the manifests keep, in tables that are spread by nothing, by the key, by
    /// something that a key can change, or with a key of two columns, and by something else from some time on.
    #[test]
    fn the_table_is_a_map(steps in steps(), long: bool, layout in 0_usize..4) {
        let (key, partition) = [
            (json!(["id"]), json!([])),
            (json!(["id"]), json!([{"column": "id", "transform": "bucket[3]"}])),
            (json!(["id"]), json!([{"column": "kind"}])),
            (json!(["part", "id"]), json!([{"column": "id", "transform": "truncate[70]"}])),
        ][layout].clone();
        let mut table = Table::new(&key, &partition);
        let name = |key: u8| format!("{}{key:02}", if long { "x".repeat(80) } else { String::new() });
        let (mut model, mut pending) = (BTreeMap::new(), Vec::new());
        for step in steps.into_iter().chain([Step::Snapshot]) {
            match step {
                Step::Put(key, n) => {
                    model.insert(name(key), n);
                    pending.push((name(key), Some(n)));
                }
                Step::Delete(key) => {
                    model.remove(&name(key));
                    pending.push((name(key), None));
                }
                Step::Snapshot => {
                    table.upsert(&pending);
                    pending.clear();
                    prop_assert_eq!(&table.rows(), &model);
                    prop_assert_eq!(total(&table.version, "total-records"), model.len().to_string());
                    prop_assert_eq!(total(&table.version, "total-data-files"), table.files().len().to_string());
                }
                Step::Compact => {
                    let before = table.rows();
                    table.compact();
                    prop_assert_eq!(table.rows(), before);
                }
                Step::Spread(of) => {
                    table.spread(&spreads()[of]);
                    let spec = table.version.metadata.default_partition_spec();
                    prop_assert_eq!(spec.fields().len(), spreads()[of].as_array().unwrap().len());
                }
            }
        }
        let data = now(table.files.list(crate::testing::LOCATION)).unwrap();
        let data = data.iter().filter(|it| it.ends_with(".parquet")).count();
        prop_assert!(data <= table.files().len() + 40, "{} files are on the disk", data);
    }
}

fn keys(range: std::ops::Range<i64>) -> Vec<(String, Option<i64>)> {
    range.map(|n| (format!("{n:03}"), Some(n))).collect()
}

#[test]
fn files_that_have_none_of_the_keys_stay() {
    let mut table = Table::new(&json!(["id"]), &json!([]));
    let operation = |table: &Table| table.version.metadata.current_snapshot().unwrap().summary().operation.clone();
    for at in 0..5 {
        table.upsert(&keys(at * 10..at * 10 + 10));
        assert_eq!(operation(&table), Operation::Append);
    }
    let before = table.files();
    table.upsert(&[("015".to_owned(), Some(-1)), ("049".to_owned(), None), ("050".to_owned(), Some(50))]);
    assert_eq!(operation(&table), Operation::Overwrite);
    let after = table.files();
    assert_eq!(before.iter().filter(|file| after.contains(file)).count(), 3);
    assert_eq!(after.len(), 6, "what is left of two files, and the new rows");
    let rows = table.rows();
    assert_eq!((rows.len(), rows["015"], rows.get("049"), rows["050"]), (50, -1, None, 50));
    // Files whose bounds let them have a key are read, and stay when they have none.
    table.upsert(&[("0155".to_owned(), None)]);
    assert_eq!(table.files(), after);
    table.upsert(&keys(0..10).into_iter().map(|(key, _)| (key, None)).collect::<Vec<_>>());
    assert_eq!(table.files().len(), 5, "a file of which nothing is left is gone");
}

#[test]
fn a_key_that_was_widened_is_found_in_older_files() {
    let (files, mut version, mut layouts) = (Files::new(Arc::new(MemoryDisk::default())), None, Vec::new());
    for of in ["int", "long"] {
        let columns = json!([{"name": "id", "type": of, "required": true}, {"name": "n", "type": "long"}]);
        layouts.push(Layout::of(&spec(json!({"stream": "s", "columns": columns, "key": ["id"]}))).unwrap());
    }
    for (layout, ids) in layouts.iter().zip([0..20_i64, 10..12]) {
        let from = version.unwrap_or_else(|| table(&files, layout));
        assert!(layouts[0].followed_by(layout).is_ok());
        let from = super::evolved(&files, &from, layout);
        assert_eq!(from.metadata.current_schema().identifier_field_ids().len(), 1);
        let mut rows = Rows::new(layout, from.metadata.current_schema()).unwrap();
        for id in ids {
            rows.push(&crate::testing::record(0, &json!({"id": id, "n": 1})), 0).unwrap();
        }
        let batch = rows.finish().unwrap();
        let change = now(upsert(&files, &from, rows.merge().changes().unwrap(), &batch)).unwrap();
        version = Some(now(snapshot(&files, &from, change, TIME, 9)).unwrap().0);
    }
    assert_eq!(crate::testing::ids(&files, &version.unwrap()), (0..20).collect::<Vec<_>>());
}
