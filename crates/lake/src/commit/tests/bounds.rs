//! What manifests say of files' columns holds for every value, whatever Parquet says of the row groups.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Float64Array, RecordBatch};
use headwater_store::disk::MemoryDisk;
use iceberg::spec::{DataFile, Datum, ManifestEntryRef, Operation, PrimitiveLiteral};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{TIME, change, layout};
use crate::commit::{Version, believed, snapshot, write_in_groups};
use crate::files::Files;
use crate::layout::Layout;
use crate::testing::{batch, now, table};

fn texts() -> Layout {
    layout(json!([
        {"name": "id", "type": "long"},
        {"name": "text", "type": "string"},
        {"name": "deep", "type": "struct", "fields": [{"name": "text", "type": "string"}]},
        {"name": "tags", "type": "list", "items": {"type": "string"}},
        {"name": "number", "type": "double"},
    ]))
}

/// A table with these rows in one file, and that file as the manifest has it.
fn written(rows: &[(Option<String>, Option<String>, f64)], group_rows: usize) -> (Version, ManifestEntryRef) {
    let (files, layout) = (Files::new(Arc::new(MemoryDisk::default())), texts());
    let version = table(&files, &layout);
    let events: Vec<Value> = (0_i64..)
        .zip(rows)
        .map(|(id, (text, deep, _))| json!({"id": id, "text": text, "deep": {"text": deep}, "tags": [deep, text]}))
        .collect();
    // JSON has no number that is none.
    let (schema, mut columns, _) = batch(&version, &layout, &events).into_parts();
    columns[schema.index_of("number").unwrap()] =
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|(_, _, number)| *number)));
    let batch = RecordBatch::try_new(schema, columns).unwrap();
    let spec = version.metadata.default_partition_spec();
    let added = now(write_in_groups(&files, &version, spec, batch, group_rows)).unwrap();
    let version = now(snapshot(&files, &version, change(Operation::Append, added, Vec::new()), TIME, 100)).unwrap().0;
    let entry = now(version.live(&files)).unwrap().remove(0);
    (version, entry)
}

fn bounds<'a>(version: &Version, file: &'a DataFile, column: &str) -> (Option<&'a Datum>, Option<&'a Datum>) {
    let id = version.metadata.current_schema().field_id_by_name(column).unwrap();
    (file.lower_bounds().get(&id), file.upper_bounds().get(&id))
}

#[test]
fn bounds_are_of_all_row_groups_also_of_those_that_parquet_cuts() {
    let of = |texts: &[&str]| {
        let rows: Vec<_> = texts.iter().map(|text| (Some((*text).to_owned()), None, 0.0)).collect();
        let (version, entry) = written(&rows, 1);
        let (lower, upper) = bounds(&version, entry.data_file(), "text");
        assert_eq!(entry.data_file().split_offsets().unwrap().len(), texts.len(), "a row group for each");
        let text = |bound: Option<&Datum>| match bound.map(Datum::literal) {
            Some(PrimitiveLiteral::String(text)) => Some(text.clone()),
            None => None,
            other => panic!("{other:?}"),
        };
        assert!(believed(entry.data_file(), lower).is_some());
        (text(lower).unwrap(), text(upper))
    };
    let x = |count: usize, end: &str| format!("{}{end}", "x".repeat(count));
    assert_eq!(of(&[&x(70, "a"), "y", &x(70, "b")]), (x(64, ""), Some("y".to_owned())));
    assert_eq!(of(&["m", &x(70, "a"), "n"]), ("m".to_owned(), Some(x(63, "y"))));
    assert_eq!(of(&[&x(64, ""), ""]), (String::new(), Some(x(64, ""))), "as much as a bound has");
    assert_eq!(of(&[&x(63, "é"), "a"]), ("a".to_owned(), Some(x(62, "y"))), "a character is in it whole or not at all");
    assert_eq!(of(&[&x(62, "\u{10ffff}")]), (x(62, ""), Some(x(61, "y"))));
    assert_eq!(of(&[&x(60, "\u{d7ff}\u{d7ff}")]), (x(60, "\u{d7ff}"), Some(x(60, "\u{e000}"))));
    assert_eq!(of(&["a", &"\u{10ffff}".repeat(17)]), ("a".to_owned(), None), "nothing is behind the last character");
}

#[test]
fn a_file_of_iceberg_itself_is_not_believed_about_its_texts() {
    let rows = [(Some("m".to_owned()), None, 1.0), (Some("n".to_owned()), None, 2.0)];
    let (version, entry) = written(&rows, 1);
    let mut file = iceberg::spec::DataFileBuilder::default();
    let ours = entry.data_file();
    file.content(ours.content_type()).file_path(ours.file_path().to_owned()).file_format(ours.file_format());
    file.record_count(2).file_size_in_bytes(ours.file_size_in_bytes());
    file.lower_bounds(ours.lower_bounds().clone()).split_offsets(Some(vec![4, 8]));
    let file = file.build().unwrap();
    assert!(believed(&file, bounds(&version, &file, "text").0).is_none());
    assert!(believed(&file, bounds(&version, &file, "id").0).is_some());
}

/// Texts about as long as a bound, which often begin alike.
fn text() -> impl Strategy<Value = Option<String>> {
    let one = prop_oneof![Just('x'), Just('é'), Just('\u{d7ff}'), Just('\u{10ffff}')];
    let long = (one, 0_usize..70, prop::collection::vec(any::<char>(), 0..4))
        .prop_map(|(one, count, end)| std::iter::repeat_n(one, count).chain(end).collect::<String>());
    prop::option::weighted(0.8, long)
}

proptest! {
    #[test]
    fn each_value_is_within_the_bounds_of_its_file(
        rows in prop::collection::vec((text(), text(), prop::num::f64::ANY), 1..30), group_rows in 1_usize..12,
    ) {
        let (version, entry) = written(&rows, group_rows);
        let file = entry.data_file();
        let known: HashMap<&str, _> = ["text", "deep.text", "tags.element", "number"]
            .map(|column| (column, bounds(&version, file, column)))
            .into();
        for (text, deep, number) in &rows {
            let texts = [("text", text), ("deep.text", deep), ("tags.element", deep), ("tags.element", text)];
            for (column, value) in texts {
                let Some(value) = value.as_ref().map(Datum::string) else { continue };
                let (lower, upper) = known[column];
                prop_assert!(lower.is_some_and(|lower| *lower <= value), "{} {:?} {:?}", column, lower, value);
                prop_assert!(upper.is_none_or(|upper| *upper >= value), "{} {:?} {:?}", column, upper, value);
            }
            if !number.is_nan() {
                let (lower, upper) = known["number"];
                prop_assert!(lower.is_some_and(|lower| *lower <= Datum::double(*number)), "{:?} {}", lower, number);
                prop_assert!(upper.is_some_and(|upper| *upper >= Datum::double(*number)), "{:?} {}", upper, number);
            }
        }
    }
}
