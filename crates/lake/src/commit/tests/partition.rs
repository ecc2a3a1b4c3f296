//! Tables that are spread or sorted otherwise from some snapshot on: files stay under what they were written under, and no row
//! is lost or twice on the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use headwater_store::disk::MemoryDisk;
use iceberg::spec::{Literal, Operation, PrimitiveLiteral};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::{TIME, append, change, evolved, rewrite, total};
use crate::commit::{Version, compaction, live, snapshot, write_data};
use crate::evolution;
use crate::files::Files;
use crate::layout::Layout;
use crate::rows::Rows;
use crate::testing::{batch, ids, now, spec, table};

fn of(id: &str, more: &Value) -> Layout {
    let columns = json!([{"name": "id", "type": id}, {"name": "kind", "type": "string"}]);
    let mut whole = json!({"stream": "s", "columns": columns});
    whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Layout::of(&spec(whole)).unwrap()
}

fn spread(partition: Value) -> Layout {
    of("long", &json!({ "partition": partition }))
}

fn files() -> Files {
    Files::new(Arc::new(MemoryDisk::default()))
}

/// Rows by the id of the partition spec that their files are under.
fn by_spec(files: &Files, version: &Version) -> BTreeMap<i32, u64> {
    let mut rows = BTreeMap::new();
    for manifest in now(version.manifests(files)).unwrap() {
        let parts = version.partition_spec(manifest.partition_spec_id).unwrap().fields().len();
        for entry in now(live(files, std::slice::from_ref(&manifest))).unwrap() {
            assert_eq!(entry.data_file().partition().fields().len(), parts);
            *rows.entry(manifest.partition_spec_id).or_default() += entry.record_count();
        }
    }
    rows
}

#[test]
fn files_keep_the_partition_spec_that_they_were_written_under() {
    let (files, kind) = (files(), json!([{"column": "kind"}]));
    let both = json!([{"column": "id", "transform": "bucket[2]"}, {"column": "kind"}]);
    let finer = json!([{"column": "id", "transform": "bucket[4]"}]);
    let layouts = [json!([]), kind.clone(), both, kind, finer].map(spread);
    let mut version = table(&files, &layouts[0]);
    let mut specs = Vec::new();
    for (layout, at) in layouts.iter().zip(0_i64..) {
        version = evolved(&files, &version, layout);
        version = append(&files, &version, layout, at * 30..at * 30 + 30, 100).0;
        assert!(evolution::change("t", &version, layout).unwrap().is_none(), "it has become what it should");
        let spec = version.metadata.default_partition_spec();
        let parts: Vec<_> = spec.fields().iter().map(|part| format!("{} {}", part.name, part.field_id)).collect();
        specs.push((spec.spec_id(), parts.join(", ")));
    }
    let told: Vec<_> = specs.iter().map(|(id, parts)| (*id, parts.as_str())).collect();
    assert_eq!(
        told,
        [(0, ""), (1, "kind 1000"), (2, "id_bucket 1001, kind 1000"), (1, "kind 1000"), (3, "id_bucket_2 1002")]
    );
    assert_eq!(version.metadata.last_partition_id(), 1002);
    assert_eq!(by_spec(&files, &version), [(0, 30), (1, 60), (2, 30), (3, 30)].into());
    assert_eq!(ids(&files, &version), (0..150).collect::<Vec<_>>());
    assert_eq!(now(Version::read(&files, &version.location)).unwrap().metadata, version.metadata);

    // Files of all specs go at once, and later their snapshots.
    version = rewrite(&files, &version, &layouts[4], 0..150, 100).0;
    assert_eq!(by_spec(&files, &version), [(3, 150)].into());
    assert_eq!(total(&version, "total-records"), "150");
    for at in 5..8 {
        let (next, garbage) = append(&files, &version, &layouts[4], at * 30..at * 30 + 30, 2);
        garbage.remove(&files);
        version = next;
    }
    assert_eq!(ids(&files, &version), (0..240).collect::<Vec<_>>());
    let there = now(files.list(crate::testing::LOCATION)).unwrap();
    let there = there.iter().filter(|it| it.ends_with(".parquet")).count();
    assert_eq!(there, now(version.live(&files)).unwrap().len(), "nothing of the older specs is left");
}

/// Nine small files, two rows each, then the partition spec of `layout`, and what a compaction makes of that.
fn compacted(files: &Files, layout: &Layout) -> (Version, [usize; 3]) {
    let plain = spread(json!([]));
    let mut version = table(files, &plain);
    for at in 0..9 {
        version = append(files, &version, &plain, at * 2..at * 2 + 2, 100).0;
    }
    version = evolved(files, &version, layout);
    let rows = Rows::new(layout, version.metadata.current_schema()).unwrap();
    let change = now(compaction(files, &version, rows.merge(), 1 << 20)).unwrap().unwrap();
    let counts = [change.removed.len(), change.added.len(), change.older.len()];
    let version = now(snapshot(files, &version, change, TIME, 100)).unwrap().0;
    assert_eq!(ids(files, &version), (0..18).collect::<Vec<_>>());
    assert!(now(compaction(files, &version, rows.merge(), 1 << 20)).unwrap().is_none(), "it is done");
    (version, counts)
}

#[test]
fn small_files_of_an_older_spec_are_merged_into_the_current_one_if_that_makes_them_fewer() {
    let store = files();
    let (version, counts) = compacted(&store, &spread(json!([{"column": "kind"}])));
    assert_eq!(counts, [9, 3, 0]);
    assert_eq!(by_spec(&store, &version), [(1, 18)].into());
    let store = files();
    let (version, counts) = compacted(&store, &spread(json!([{"column": "id"}])));
    assert_eq!(counts, [9, 0, 1], "there would be eighteen of them");
    assert_eq!(by_spec(&store, &version), [(0, 18)].into());
    assert_eq!(total(&version, "total-data-files"), "1");
}

#[test]
fn a_rollup_that_is_spread_otherwise_adds_up_as_before() {
    let rollup = |partition: Value| {
        let whole = json!({"stream": "s", "columns": [{"name": "at", "type": "timestamp"},
            {"name": "kind", "type": "string"}, {"name": "n", "type": "long"}],
        "rollup": {"time": {"column": "at", "grain": "day"}, "dimensions": ["kind"], "metrics": [
            {"name": "events", "type": "count"}, {"name": "id", "type": "sum", "column": "n"}]},
        "partition": partition});
        Layout::of(&spec(whole)).unwrap()
    };
    let (store, by_kind, plain) = (files(), rollup(json!([{"column": "kind"}])), rollup(json!([])));
    let mut version = table(&store, &by_kind);
    for at in 0..9 {
        version = append(&store, &version, &by_kind, at * 6..at * 6 + 6, 100).0;
    }
    version = evolved(&store, &version, &plain);
    let rows = Rows::new(&plain, version.metadata.current_schema()).unwrap();
    for _ in 0..3 {
        let change = now(compaction(&store, &version, rows.merge(), 1 << 20)).unwrap().unwrap();
        assert_eq!((change.removed.len(), change.added.len(), change.older.len()), (9, 1, 0));
        version = now(snapshot(&store, &version, change, TIME, 100)).unwrap().0;
    }
    let of = |kind: i64| (0..54).filter(|id| id % 3 == kind).sum::<i64>();
    assert_eq!(ids(&store, &version), [of(0), of(1), of(2)]);
    assert_eq!(by_spec(&store, &version), [(1, 3)].into());
}

#[test]
fn what_rows_are_spread_by_may_become_wider() {
    for transform in ["identity", "truncate[10]"] {
        let store = files();
        let more = json!({"partition": [{"column": "id", "transform": transform}]});
        let (narrow, wide) = (of("int", &more), of("long", &more));
        let mut version = table(&store, &narrow);
        version = append(&store, &version, &narrow, 0..20, 100).0;
        version = evolved(&store, &version, &wide);
        assert_eq!(version.metadata.default_partition_spec_id(), 0);
        version = append(&store, &version, &wide, 20..40, 100).0;
        // One file of each type goes, the others stay.
        let all = now(version.live(&store)).unwrap();
        let removed = vec![all[0].clone(), all[all.len() - 1].clone()];
        let left = 40 - removed.iter().map(|entry| entry.record_count()).sum::<u64>();
        let gone = change(Operation::Overwrite, Vec::new(), removed);
        version = now(snapshot(&store, &version, gone, TIME, 100)).unwrap().0;
        assert_eq!(ids(&store, &version).len() as u64, left, "{transform}");
        version = rewrite(&store, &version, &wide, 0..40, 100).0;
        assert_eq!(ids(&store, &version), (0..40).collect::<Vec<_>>(), "{transform}");
    }
}

#[test]
fn files_are_sorted_as_the_table_is_when_they_are_written() {
    let store = files();
    let sorted = |sort: Value| of("long", &json!({ "sort": sort }));
    let descending = sorted(json!([{"column": "id", "order": "desc"}]));
    let orders = [sorted(json!([])), descending, sorted(json!([])), sorted(json!([{"column": "kind"}]))];
    let mut version = table(&store, &orders[0]);
    for (layout, at) in orders.iter().zip(0_i64..) {
        version = evolved(&store, &version, layout);
        version = append(&store, &version, layout, at * 10..at * 10 + 10, 100).0;
    }
    let found = now(version.live(&store)).unwrap();
    let found = found.iter().map(|entry| {
        let bytes = now(store.read(entry.file_path())).unwrap();
        let rows = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap().next().unwrap().unwrap();
        let ids = rows["id"].as_primitive::<Int64Type>().values().to_vec();
        (ids[0] / 10, (entry.data_file().sort_order_id(), ids.is_sorted(), ids.iter().rev().is_sorted()))
    });
    let found: BTreeMap<i64, _> = found.collect();
    let expected = [(Some(0), true, false), (Some(1), false, true), (Some(0), true, false), (Some(2), false, false)];
    assert_eq!(found.into_values().collect::<Vec<_>>(), expected);
}

#[test]
fn a_column_is_not_called_like_a_part_of_an_older_spec() {
    let files = files();
    let bucket = json!([{"column": "id", "transform": "bucket[2]"}]);
    let version = evolved(&files, &table(&files, &spread(bucket)), &spread(json!([])));
    let columns = json!([{"name": "id", "type": "long"}, {"name": "kind", "type": "string"},
        {"name": "id_bucket", "type": "int"}]);
    let clash = Layout::of(&spec(json!({"stream": "s", "columns": columns}))).unwrap();
    let problem = evolution::change("t", &version, &clash).unwrap_err();
    assert_eq!(
        (problem.code.as_str(), problem.title.as_str()),
        ("HW-LAKE-064", "the new column `id_bucket` is called like what older files are spread by")
    );
}

/// A reader that looks for a day opens the files of that day alone.
#[test]
fn a_row_is_of_its_day_also_before_1970() {
    let columns = json!([{"name": "id", "type": "long"}, {"name": "at", "type": "timestamp"}]);
    let by_day = json!({"stream": "s", "columns": columns, "partition": [{"column": "at", "transform": "day"}]});
    let (store, layout) = (files(), Layout::of(&spec(by_day)).unwrap());
    let version = table(&store, &layout);
    let times = [
        "1969-12-30T00:00:00Z",
        "1969-12-30T23:59:59.5Z",
        "1969-12-31T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00.5Z",
    ];
    let mut events: Vec<Value> = times.iter().zip(0..).map(|(at, id)| json!({"id": id, "at": at})).collect();
    events.push(json!({"id": 5}));
    let written = now(write_data(&store, &version, batch(&version, &layout, &events))).unwrap();
    let days = written.iter().map(|file| {
        let day = match file.partition().fields() {
            [Some(Literal::Primitive(PrimitiveLiteral::Int(day)))] => Some(*day),
            _ => None,
        };
        (day, file.record_count())
    });
    let days: BTreeMap<Option<i32>, u64> = days.collect();
    assert_eq!(days, [(None, 1), (Some(-2), 2), (Some(-1), 2), (Some(0), 1)].into());
}

#[test]
fn a_transform_whose_number_others_cannot_read_is_refused() {
    let of = |transform: &str| {
        let partition = json!([{"column": "id", "transform": transform}]);
        let columns = json!([{"name": "id", "type": "int"}]);
        Layout::of(&spec(json!({"stream": "s", "columns": columns, "partition": partition}))).is_ok()
    };
    assert!(of("bucket[2147483647]") && of("truncate[2147483647]"));
    assert!(!of("bucket[2147483648]") && !of("truncate[2147483648]") && !of("bucket[0]"));
}
