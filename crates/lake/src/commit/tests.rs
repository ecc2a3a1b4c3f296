use std::path::Path;
use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use bytes::Bytes;
use headwater_base::Micros;
use headwater_store::disk::{Disk, MemoryDisk};
use headwater_testkit::FaultyDisk;
use iceberg::spec::{DataFile, ManifestEntryRef, Operation};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use serde_json::{Value, json};

use super::{Change, Garbage, MANIFESTS_MAX, Version, compaction, orphans, snapshot, write_data};
use crate::evolution;
use crate::files::{Files, path_of};
use crate::layout::Layout;
use crate::rows::Rows;
use crate::testing::{LOCATION, batch, ids, now, spec, table};

mod bounds;
mod partition;
mod upsert;

const TIME: Micros = Micros::from_millis(1_800_000_000_000);

fn layout(columns: Value) -> Layout {
    Layout::of(&spec(json!({"stream": "s", "columns": columns}))).unwrap()
}

fn plain() -> Layout {
    layout(json!([{"name": "id", "type": "int", "required": true}, {"name": "kind", "type": "string"}]))
}

fn events(ids: std::ops::Range<i64>) -> Vec<Value> {
    ids.map(|id| json!({"id": id, "kind": format!("k{}", id % 3), "n": id, "who": {"id": id, "name": "x"}, "some": [id, 7]})).collect()
}

fn change(operation: Operation, added: Vec<DataFile>, removed: Vec<ManifestEntryRef>) -> Change {
    Change::new(operation, added, removed)
}

fn append(
    files: &Files,
    version: &Version,
    layout: &Layout,
    ids: std::ops::Range<i64>,
    keep: usize,
) -> (Version, Garbage) {
    let added = now(write_data(files, version, batch(version, layout, &events(ids)))).unwrap();
    now(snapshot(files, version, change(Operation::Append, added, Vec::new()), TIME, keep)).unwrap()
}

/// All of a table's rows in one file.
fn rewrite(
    files: &Files,
    version: &Version,
    layout: &Layout,
    all: std::ops::Range<i64>,
    keep: usize,
) -> (Version, Garbage) {
    let removed = now(version.live(files)).unwrap();
    let added = now(write_data(files, version, batch(version, layout, &events(all)))).unwrap();
    now(snapshot(files, version, change(Operation::Replace, added, removed), TIME, keep)).unwrap()
}

fn total(version: &Version, name: &str) -> String {
    version.metadata.current_snapshot().unwrap().summary().additional_properties[name].clone()
}

#[test]
fn what_is_appended_is_read_back_and_counted() {
    let files = Files::new(Arc::new(MemoryDisk::default()));
    let layout = plain();
    let mut version = table(&files, &layout);
    assert!(ids(&files, &version).is_empty());
    for at in 0..3 {
        version = append(&files, &version, &layout, at * 10..at * 10 + 10, 100).0;
    }
    assert_eq!(ids(&files, &version), (0..30).collect::<Vec<_>>());
    assert_eq!((total(&version, "total-records"), total(&version, "total-data-files")), ("30".into(), "3".into()));
    assert_eq!(version.metadata.snapshots().len(), 3);
    assert_eq!(version.metadata.last_sequence_number(), 3);
    let again = now(Version::read(&files, &version.location)).unwrap();
    assert_eq!(again.metadata, version.metadata, "the file says what memory says");
}

#[test]
fn a_rewrite_changes_files_and_no_row() {
    let files = Files::new(Arc::new(MemoryDisk::default()));
    let layout = plain();
    let mut version = table(&files, &layout);
    for at in 0..4 {
        version = append(&files, &version, &layout, at * 5..at * 5 + 5, 100).0;
    }
    let (version, _) = rewrite(&files, &version, &layout, 0..20, 100);
    assert_eq!(ids(&files, &version), (0..20).collect::<Vec<_>>());
    assert_eq!(now(version.live(&files)).unwrap().len(), 1);
    assert_eq!((total(&version, "total-records"), total(&version, "total-data-files")), ("20".into(), "1".into()));
    let (version, _) = append(&files, &version, &layout, 20..25, 100);
    assert_eq!(ids(&files, &version), (0..25).collect::<Vec<_>>(), "appending goes on behind it");
    let gone = now(version.live(&files)).unwrap();
    let (version, _) = rewrite(&files, &version, &layout, 0..25, 100);
    let twice = change(Operation::Replace, Vec::new(), gone);
    let refused = now(snapshot(&files, &version, twice, TIME, 100)).unwrap_err();
    assert!(refused.message().contains("2 of 2 files to be removed are not in the table"), "{refused}");
}

#[test]
fn manifests_are_merged_before_they_are_too_many() {
    let files = Files::new(Arc::new(MemoryDisk::default()));
    let layout = plain();
    let mut version = table(&files, &layout);
    let count = i64::try_from(MANIFESTS_MAX).unwrap() * 2 + 10;
    for at in 0..count {
        version = append(&files, &version, &layout, at..at + 1, 3).0;
        assert!(now(version.manifests(&files)).unwrap().len() <= MANIFESTS_MAX);
    }
    assert_eq!(ids(&files, &version), (0..count).collect::<Vec<_>>());
    assert_eq!(total(&version, "total-records"), count.to_string());
}

#[test]
fn old_snapshots_go_with_the_files_that_only_they_have() {
    let files = Files::new(Arc::new(MemoryDisk::default()));
    let layout = plain();
    let mut version = table(&files, &layout);
    let current = |(version, garbage): (Version, Garbage)| {
        garbage.remove(&files);
        version
    };
    for at in 0..5 {
        version = current(append(&files, &version, &layout, at..at + 1, 2));
    }
    assert_eq!(version.metadata.snapshots().len(), 2);
    version = current(rewrite(&files, &version, &layout, 0..5, 2));
    let data = |files: &Files| now(files.list(LOCATION)).unwrap().iter().filter(|it| it.ends_with(".parquet")).count();
    assert_eq!(data(&files), 6, "the snapshot before the rewrite is kept");
    version = current(append(&files, &version, &layout, 5..6, 2));
    assert_eq!(data(&files), 2, "nobody knows the small files any more");
    assert_eq!(ids(&files, &version), (0..6).collect::<Vec<_>>());
    let left = now(orphans(&files, &version)).unwrap();
    assert!(left.0.is_empty(), "{left:?}");
    now(files.write(&format!("{LOCATION}/data/stray.parquet"), Bytes::from_static(b"x"))).unwrap();
    assert_eq!(now(orphans(&files, &version)).unwrap().0, [format!("{LOCATION}/data/stray.parquet")]);
}

fn narrow() -> Layout {
    layout(json!([
        {"name": "id", "type": "int", "required": true},
        {"name": "who", "type": "struct", "fields": [{"name": "id", "type": "int"}]},
        {"name": "some", "type": "list", "items": {"type": "int"}},
    ]))
}

fn wide() -> Layout {
    layout(json!([
        {"name": "n", "type": "double"},
        {"name": "id", "type": "long", "required": true},
        {"name": "who", "type": "struct", "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": "string"}]},
        {"name": "some", "type": "list", "items": {"type": "long"}},
    ]))
}

/// The table as `layout` says from now on.
fn evolved(files: &Files, version: &Version, layout: &Layout) -> Version {
    match evolution::change("t", version, layout).unwrap() {
        Some(change) => now(snapshot(files, version, change, TIME, 100)).unwrap().0,
        None => version.clone(),
    }
}

/// As their footers say, of files that were appended and of one that took their place.
#[test]
fn every_column_of_a_file_is_packed_by_zstd() {
    let files = Files::new(Arc::new(MemoryDisk::default()));
    let layout = wide();
    let (appended, _) = append(&files, &table(&files, &layout), &layout, 0..1_000, 100);
    let (rewritten, _) = rewrite(&files, &appended, &layout, 0..1_000, 100);
    for version in [&appended, &rewritten] {
        let live = now(version.live(&files)).unwrap();
        assert_eq!(live.len(), 1);
        let bytes = now(files.read(live[0].file_path())).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let groups = reader.metadata().row_groups().iter();
        let packed: Vec<Compression> = groups.flat_map(|group| group.columns()).map(|it| it.compression()).collect();
        assert_eq!(packed.len(), 5, "with those in the struct and in the list");
        assert!(packed.iter().all(|codec| matches!(codec, Compression::ZSTD(_))), "{packed:?}");
    }
}

#[test]
fn files_of_older_schemas_are_merged_into_the_current_one() {
    let files = Files::new(Arc::new(MemoryDisk::default()));
    let (old, new) = (narrow(), wide());
    let mut version = table(&files, &old);
    for at in 0..5 {
        version = append(&files, &version, &old, at * 2..at * 2 + 2, 100).0;
    }
    version = evolved(&files, &version, &new);
    for at in 5..10 {
        version = append(&files, &version, &new, at * 2..at * 2 + 2, 100).0;
    }
    let rows = Rows::new(&new, version.metadata.current_schema()).unwrap();
    let change = now(compaction(&files, &version, rows.merge(), 1 << 20)).unwrap().unwrap();
    assert_eq!((change.removed.len(), change.added.len()), (10, 1));
    let (version, _) = now(snapshot(&files, &version, change, TIME, 100)).unwrap();
    assert_eq!(ids(&files, &version), (0..20).collect::<Vec<_>>());

    let live = now(version.live(&files)).unwrap();
    let bytes = now(files.read(live[0].file_path())).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let rows = reader.build().unwrap().next().unwrap().unwrap();
    let (who, some) = (rows["who"].as_struct(), rows["some"].as_list::<i32>());
    let numbers = |values: &arrow_array::ArrayRef| values.as_primitive::<Int64Type>().values().to_vec();
    for (row, id) in numbers(&rows["id"]).into_iter().enumerate() {
        assert_eq!(who.column(0).as_primitive::<Int64Type>().value(row), id);
        assert_eq!(numbers(&some.value(row)), [id, 7]);
        let later = id >= 10;
        assert_eq!(who.column(1).is_valid(row), later, "row {id}");
        assert_eq!(rows["n"].is_valid(row), later, "row {id}");
    }
}

#[test]
fn rows_that_compress_to_nothing_are_merged_a_few_at_a_time() {
    let files = Files::new(Arc::new(MemoryDisk::default()));
    let layout = plain();
    let mut version = table(&files, &layout);
    let text = "x".repeat(64 << 10);
    for at in 0..40 {
        let events: Vec<Value> = (0..8).map(|id| json!({"id": at * 8 + id, "kind": text})).collect();
        let added = now(write_data(&files, &version, batch(&version, &layout, &events))).unwrap();
        let change = change(Operation::Append, added, Vec::new());
        version = now(snapshot(&files, &version, change, TIME, 100)).unwrap().0;
    }
    let rows = Rows::new(&layout, version.metadata.current_schema()).unwrap();
    let change = now(compaction(&files, &version, rows.merge(), 1 << 20)).unwrap().unwrap();
    // Half a mebibyte each, of eight.
    assert!((8..=17).contains(&change.removed.len()), "{} files at once", change.removed.len());
    let (version, _) = now(snapshot(&files, &version, change, TIME, 100)).unwrap();
    assert_eq!(ids(&files, &version), (0..320).collect::<Vec<_>>());
}

#[test]
fn equal_rows_of_a_rollup_are_merged_into_one() {
    let files = Files::new(Arc::new(MemoryDisk::default()));
    let spec = spec(
        json!({"stream": "s", "columns": [{"name": "at", "type": "timestamp"}, {"name": "kind", "type": "string"},
            {"name": "n", "type": "long"}],
        "rollup": {"time": {"column": "at", "grain": "day"}, "dimensions": ["kind"], "metrics": [
            {"name": "events", "type": "count"}, {"name": "id", "type": "sum", "column": "n"}]},
        "partition": [{"column": "kind"}], "sort": [{"column": "at"}]}),
    );
    let layout = Layout::of(&spec).unwrap();
    let mut version = table(&files, &layout);
    for at in 0..9 {
        version = append(&files, &version, &layout, at * 6..at * 6 + 6, 100).0;
    }
    assert_eq!(ids(&files, &version).len(), 27, "each file has three rows of two events");
    for _ in 0..3 {
        let rows = Rows::new(&layout, version.metadata.current_schema()).unwrap();
        let change = now(compaction(&files, &version, rows.merge(), 1 << 20)).unwrap().unwrap();
        assert_eq!((change.removed.len(), change.added.len()), (9, 1));
        version = now(snapshot(&files, &version, change, TIME, 100)).unwrap().0;
    }
    let of = |kind: i64| (0..54).filter(|id| id % 3 == kind).sum::<i64>();
    assert_eq!(ids(&files, &version), [of(0), of(1), of(2)]);
    assert_eq!(total(&version, "total-records"), "3");
}

#[test]
fn a_wider_schema_leaves_older_files_as_they_are() {
    let files = Files::new(Arc::new(MemoryDisk::default()));
    let (old, new) = (narrow(), wide());
    let version = table(&files, &old);
    let (version, _) = append(&files, &version, &old, 0..5, 100);
    let version = evolved(&files, &version, &new);
    assert_eq!(version.metadata.current_schema_id(), 1);
    assert_eq!(version.metadata.current_snapshot().unwrap().schema_id(), Some(1));
    assert_eq!(ids(&files, &version), (0..5).collect::<Vec<_>>());
    let (version, _) = append(&files, &version, &new, 5..10, 100);
    assert_eq!(ids(&files, &version), (0..10).collect::<Vec<_>>());
    assert_eq!(version.metadata.schemas_iter().len(), 2);
    let (version, _) = rewrite(&files, &version, &new, 0..10, 100);
    assert_eq!(ids(&files, &version), (0..10).collect::<Vec<_>>());
}

#[test]
fn rows_are_spread_by_partition_and_sorted() {
    let files = Files::new(Arc::new(MemoryDisk::default()));
    let spread = spec(
        json!({"stream": "s", "columns": [{"name": "id", "type": "long"}, {"name": "kind", "type": "string"}],
        "partition": [{"column": "kind"}, {"column": "id", "transform": "bucket[2]"}], "sort": [{"column": "id", "order": "desc"}]}),
    );
    let layout = Layout::of(&spread).unwrap();
    let version = table(&files, &layout);
    let (version, _) = append(&files, &version, &layout, 0..30, 100);
    let live = now(version.live(&files)).unwrap();
    assert_eq!(live.len(), 6);
    for entry in &live {
        let bytes = now(files.read(entry.file_path())).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let batch = reader.build().unwrap().next().unwrap().unwrap();
        let ids = batch["id"].as_primitive::<Int64Type>().values().to_vec();
        assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "{ids:?}");
    }
    assert_eq!(ids(&files, &version), (0..30).collect::<Vec<_>>());
}

#[test]
fn whatever_is_current_is_whole_after_a_power_cut_at_any_step() {
    let layout = plain();
    for cut in 1..60 {
        let disk = FaultyDisk::default();
        let files = Files::new(Arc::new(disk.clone()));
        let mut version = table(&files, &layout);
        for at in 0..3 {
            version = append(&files, &version, &layout, at..at + 1, 100).0;
        }
        disk.cut_after(cut);
        let added = now(write_data(&files, &version, batch(&version, &layout, &events(0..3))));
        let live = now(version.live(&files));
        let next = match (added, live) {
            (Ok(added), Ok(live)) => {
                now(snapshot(&files, &version, change(Operation::Replace, added, live), TIME, 1)).map(|(next, _)| next)
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
        disk.power_on(cut);
        let current = next.as_ref().unwrap_or(&version);
        let current = now(Version::read(&files, &current.location)).unwrap();
        assert_eq!(ids(&files, &current), [0, 1, 2], "cut {cut}");
        now(orphans(&files, &current)).unwrap().remove(&files);
        let there = disk.files(&path_of(LOCATION).join("data")).unwrap().len();
        assert_eq!(there, now(current.live(&files)).unwrap().len(), "cut {cut}");
        assert!(disk.folders(Path::new("/data/lake/datasets")).unwrap().contains(&"t".to_owned()));
        if next.is_ok() {
            return;
        }
    }
    panic!("the power was cut every time");
}
