//! For this crate's tests: tables in memory, and a reader that believes nothing but the files.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use futures::FutureExt;
use headwater_base::{Limits, Problem};
use headwater_kernel::Registry;
use headwater_kernel::kind::{Kind, View};
use headwater_kernel::port::Context;
use headwater_kernel::resource::Draft;
use headwater_wire::batch::Record;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::commit::{self, Version};
use crate::files::Files;
use crate::kinds::dataset::DatasetSpec;
use crate::layout::Layout;
use crate::rows::Rows;

pub const LOCATION: &str = "file:///data/lake/datasets/t";

/// The answer of a future that waits for nothing.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

pub fn spec(spec: Value) -> DatasetSpec {
    serde_json::from_value(spec).unwrap()
}

/// The resource of a file.
pub fn draft(kind: Kind, yaml: &str) -> Draft {
    Registry::new(&[kind]).read("test.yaml", yaml.as_bytes(), &Limits::default()).unwrap().remove(0)
}

/// What a kind says about the resource of a file by itself.
pub fn problems(kind: Kind, yaml: &str) -> Vec<Problem> {
    let view = View {
        registry: &Registry::new(&[kind]),
        context: &Context::without_node("."),
        drafts: &HashMap::new(),
        stored: &|_, _| None,
    };
    (kind.validate)(&draft(kind, yaml), &view)
}

/// A new table of a spec.
pub fn table(files: &Files, layout: &Layout) -> Version {
    files.create_folders(LOCATION, std::path::Path::new("/")).unwrap();
    let (schema, partition, sort) = (layout.schema.clone(), layout.partition.clone(), layout.sort.clone());
    now(commit::create(files, LOCATION, schema, partition, sort, HashMap::new())).unwrap()
}

pub fn record(offset: i64, event: &Value) -> Record {
    let value = Some(Bytes::from(event.to_string()));
    Record { offset, timestamp: 1_000, key: None, value, headers: Vec::new() }
}

/// Events as rows of a table.
pub fn batch(version: &Version, layout: &Layout, events: &[Value]) -> RecordBatch {
    let mut rows = Rows::new(layout, version.metadata.current_schema()).unwrap();
    events.iter().zip(0..).for_each(|(event, offset)| rows.push(&record(offset, event), 0).unwrap());
    rows.finish().unwrap()
}

/// The values of the column `id` of all files that are in the table, sorted.
pub fn ids(files: &Files, version: &Version) -> Vec<i64> {
    let mut found = Vec::new();
    for entry in now(version.live(files)).unwrap() {
        let bytes = now(files.read(entry.file_path())).unwrap();
        assert_eq!(bytes.len() as u64, entry.file_size_in_bytes());
        let mut rows = 0;
        for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            rows += batch.num_rows() as u64;
            let column = Arc::clone(batch.column_by_name("id").unwrap());
            assert_eq!(column.null_count(), 0);
            match column.as_primitive_opt::<Int64Type>() {
                Some(longs) => found.extend(longs.values().iter().copied()),
                None => found.extend(column.as_primitive::<Int32Type>().values().iter().map(|id| i64::from(*id))),
            }
        }
        assert_eq!(rows, entry.record_count());
    }
    found.sort_unstable();
    found
}
