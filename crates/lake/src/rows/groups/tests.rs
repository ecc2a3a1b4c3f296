use arrow_array::RecordBatch;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::layout::Layout;
use crate::rows::Rows;
use crate::testing::{record, spec};

/// A rollup with dimensions and metrics of all types that there are.
fn rows() -> Rows {
    let types = ["boolean", "int", "long", "float", "double", "date", "timestamp", "string", "json"];
    let mut columns: Vec<Value> = types.iter().map(|of| json!({"name": of, "type": of})).collect();
    columns.push(json!({"name": "decimal", "type": "decimal", "precision": 38, "scale": 2}));
    let ordered = ["int", "long", "float", "double", "decimal", "date", "timestamp", "string"];
    let mut metrics = vec![json!({"name": "events", "type": "count"})];
    for of in ordered {
        metrics.push(json!({"name": format!("least_{of}"), "type": "min", "column": of}));
        metrics.push(json!({"name": format!("most_{of}"), "type": "max", "column": of}));
    }
    for of in ["int", "long", "float", "double", "decimal"] {
        metrics.push(json!({"name": format!("sum_{of}"), "type": "sum", "column": of}));
    }
    let rollup = json!({"time": {"column": "timestamp", "grain": "second"}, "metrics": metrics,
        "dimensions": ["boolean", "float", "json", "string"]});
    let layout = Layout::of(&spec(json!({"stream": "s", "columns": columns, "rollup": rollup}))).unwrap();
    Rows::new(&layout, &layout.schema).unwrap()
}

fn one_of(values: Vec<Value>) -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 3 => prop::sample::select(values)]
}

/// Few dimensions, and numbers of which some go together into no sum.
fn event() -> impl Strategy<Value = Value> {
    let most = "999999999999999999999999999999999999.99";
    let dimensions = (
        one_of(vec![json!(true), json!(false)]),
        one_of(vec![json!(0.0), json!(-0.0), json!(1.5)]),
        one_of(vec![json!({"a": 1}), json!("x")]),
        one_of(vec![json!("x"), json!(""), json!("xy"), json!("\u{e9}\n")]),
        one_of(vec![json!(1), json!(999), json!(1_000), json!(-1)]),
    );
    let values = (
        one_of(vec![json!(1), json!(-7), json!(i32::MAX)]),
        one_of(vec![json!(1), json!(i64::MAX), json!(i64::MIN), json!(0)]),
        one_of(vec![json!(0.1), json!(-0.0), json!(0), json!(1.5e308)]),
        one_of(vec![json!(0.25), json!(most), json!("-0.75")]),
        one_of(vec![json!("2026-01-01"), json!("1969-12-31")]),
    );
    (dimensions, values).prop_map(|((boolean, float, any, string, timestamp), (int, long, double, decimal, date))| {
        json!({"boolean": boolean, "float": float, "json": any, "string": string, "timestamp": timestamp,
            "int": int, "long": long, "double": double, "decimal": decimal, "date": date})
    })
}

fn rolled(rows: &mut Rows, events: &[Value]) -> RecordBatch {
    events.iter().for_each(|event| rows.push(&record(0, event), 0).unwrap());
    rows.finish().unwrap()
}

proptest! {
    /// The rows of events are those of batches of one event each, put together; and one batch leaves nothing to the next.
    #[test]
    fn groups_are_what_merged_rows_are(events in prop::collection::vec(event(), 1..40)) {
        let mut rows = rows();
        let alone: Vec<RecordBatch> = events.iter().map(|event| rolled(&mut rows, std::slice::from_ref(event))).collect();
        let merged = rows.merge().of(&alone).unwrap();
        prop_assert_eq!(&rolled(&mut rows, &events), &merged);
        prop_assert_eq!(&rolled(&mut rows, &events), &merged);
        prop_assert_eq!(rolled(&mut rows, &[]).num_rows(), 0);
    }
}
