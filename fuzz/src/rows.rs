//! Events that become rows: one is taken if a full parse finds an object in it, and a column holds what that one gives.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use bytes::Bytes;
use headwater_kernel::path::Path;
use headwater_lake::kinds::dataset::DatasetSpec;
use headwater_lake::layout::Layout;
use headwater_lake::rows::Rows;
use headwater_wire::batch::Record;
use serde_json::{Value, json};

const PATHS: [&str; 5] = [".a", ".a.b", ".a.b.c", ".l[1]", ".\"x y\""];

/// Events with a zero byte between them: each is read in the memory of those before.
pub fn run(bytes: &[u8]) {
    let columns = PATHS.iter().enumerate();
    let columns = columns.map(|(at, path)| json!({"name": at.to_string(), "type": "json", "path": path}));
    let spec = json!({"stream": "s", "columns": columns.collect::<Vec<Value>>()});
    let spec: DatasetSpec = serde_json::from_value(spec).expect("a spec");
    let layout = Layout::of(&spec).expect("columns");
    let mut rows = Rows::new(&layout, &layout.schema).expect("a schema");
    let mut expected = Vec::new();
    for event in bytes.split(|byte| *byte == 0) {
        let value = Some(Bytes::copy_from_slice(event));
        let record = Record { offset: 0, timestamp: 0, key: None, value, headers: Vec::new() };
        let taken = rows.push(&record, 0).is_ok();
        let whole = serde_json::from_slice::<Value>(event).ok().filter(Value::is_object);
        assert_eq!(taken, whole.is_some());
        expected.extend(whole);
    }
    let batch = rows.finish().expect("rows of their schema");
    assert_eq!(batch.num_rows(), expected.len());
    for (row, whole) in expected.iter().enumerate() {
        for (at, path) in PATHS.iter().enumerate() {
            let found = Path::parse(path).expect("a path").find(whole).map(Value::to_string);
            assert_eq!(held(&batch, at, row), found.as_deref(), "{path}");
        }
    }
}

fn held(batch: &RecordBatch, at: usize, row: usize) -> Option<&str> {
    batch[at.to_string().as_str()].as_string::<i32>().iter().nth(row).flatten()
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "{\"a\":{\"b\":{\"c\":1.50}},\"l\":[1,{\"a\":\"\\u00e9\\ud83d\\ude00\"}],\"x y\":-0}\0[1]\0{\"\\u0061\":null}",
        "{\"a\":{\"b\":1},\"a\":{\"b\":{\"c\":[18446744073709551616]},\"b\":\"x\"}} \0{\"z\":1e400}\0{\"z\":\"\\ud800\"}\0{}",
    ])
}
