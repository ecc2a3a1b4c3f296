use iceberg::spec::{PrimitiveType, StructType, Type};
use serde_json::{Value, json};

use super::{Column, ColumnSpec, Data, Scalar, Source, evolve, read, schema};

fn specs(value: Value) -> Vec<ColumnSpec> {
    serde_json::from_value(value).unwrap()
}

fn columns(value: Value) -> Vec<Column> {
    read(&specs(value)).unwrap()
}

fn faults(value: Value) -> Vec<String> {
    let faults = read(&specs(value)).unwrap_err();
    faults.into_iter().map(|(at, problem)| format!("{at}: {}", problem.title)).collect()
}

fn evolved(old: Value, new: Value) -> Result<StructType, Vec<String>> {
    let old = schema(&columns(old)).unwrap();
    let fields = evolve(old.as_struct(), &columns(new), old.highest_field_id());
    fields
        .map(StructType::new)
        .map_err(|faults| faults.into_iter().map(|(at, problem)| format!("{at}: {}", problem.title)).collect())
}

#[test]
fn columns_hold_values_structs_and_lists() {
    let read = columns(json!([
        {"name": "id", "type": "string", "required": true},
        {"name": "at", "type": "timestamp", "path": ".meta.time"},
        {"name": "offset", "type": "long", "path": "$offset"},
        {"name": "items", "type": "list", "items": {"type": "struct", "fields": [{"name": "price", "type": "double"}]}},
    ]));
    assert!(read[0].required);
    assert_eq!(read[2].source, Source::Offset);
    let Data::List(items) = &read[3].data else { panic!("no list") };
    let Data::Struct(fields) = &**items else { panic!("no struct") };
    assert_eq!(fields[0].data, Data::One(Scalar::Double));
}

#[test]
fn each_fault_is_told_with_its_place() {
    let found = faults(json!([
        {"name": "a.b", "type": "string"},
        {"name": "x", "type": "struct"},
        {"name": "X", "type": "list"},
        {"name": "o", "type": "string", "path": "$offset"},
        {"name": "s", "type": "struct", "fields": [{"name": "t", "type": "long", "path": "$offset"}]},
        {"name": "p", "type": "int", "path": "a.b"},
        {"name": "i", "type": "int", "fields": [{"name": "t", "type": "long"}]},
        {"name": "d", "type": "decimal", "precision": 4},
        {"name": "e", "type": "decimal", "precision": 2, "scale": 3},
        {"name": "f", "type": "double", "scale": 3},
    ]));
    let places: Vec<&str> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "/0/name",
            "/1",
            "/2/name",
            "/2",
            "/3/path",
            "/4/fields/0/path",
            "/5/path",
            "/6/fields",
            "/7",
            "/8",
            "/9/scale"
        ]
    );
    let deep = (0..30).fold(json!({"type": "json"}), |items, _| json!({"type": "list", "items": items}));
    let mut outer = deep;
    outer["name"] = json!("deep");
    assert!(faults(json!([outer]))[0].contains("16 deep at most"));
}

#[test]
fn columns_may_come_and_numbers_become_wider() {
    let old = json!([
        {"name": "n", "type": "int", "required": true},
        {"name": "f", "type": "float"},
        {"name": "who", "type": "struct", "fields": [{"name": "id", "type": "int"}]},
        {"name": "paid", "type": "decimal", "precision": 10, "scale": 2},
    ]);
    let new = json!([
        {"name": "first", "type": "string"},
        {"name": "who", "type": "struct", "fields": [{"name": "country", "type": "string"}, {"name": "id", "type": "long"}]},
        {"name": "f", "type": "double"},
        {"name": "n", "type": "long"},
        {"name": "paid", "type": "decimal", "precision": 12, "scale": 2},
    ]);
    let fields = evolved(old.clone(), new).unwrap();
    let shown: Vec<(String, i32)> = fields.fields().iter().map(|field| (field.name.clone(), field.id)).collect();
    let kept = [("n".into(), 1), ("f".into(), 2), ("who".into(), 3), ("paid".into(), 5)];
    assert_eq!(shown[..4], kept, "what is there stays in place");
    assert_eq!(shown[4].0, "first");
    assert!(!fields.fields()[0].required);
    assert_eq!(*fields.fields()[0].field_type, Type::Primitive(PrimitiveType::Long));
    let Type::Struct(who) = &*fields.fields()[2].field_type else { panic!("no struct") };
    let inner: Vec<(&str, i32)> = who.fields().iter().map(|field| (field.name.as_str(), field.id)).collect();
    assert_eq!(inner[0], ("id", 4));
    let ids: std::collections::BTreeSet<i32> = [1, 2, 3, 4, 5, inner[1].1, shown[4].1].into();
    assert_eq!(ids.len(), 7, "no id comes twice");
    let same = evolved(old.clone(), old.clone()).unwrap();
    assert_eq!(&same, schema(&columns(old)).unwrap().as_struct());
}

#[test]
fn everything_else_is_refused() {
    let old = json!([{"name": "a", "type": "long"}, {"name": "b", "type": "string"}]);
    let cases = [
        (json!([{"name": "a", "type": "long"}]), ": the column `b` is not there any more"),
        (
            json!([{"name": "a", "type": "int"}, {"name": "b", "type": "string"}]),
            "/0: `a` cannot change from long to int",
        ),
        (
            json!([{"name": "a", "type": "long"}, {"name": "b", "type": "long"}]),
            "/1: `b` cannot change from string to long",
        ),
        (
            json!([{"name": "a", "type": "long", "required": true}, {"name": "b", "type": "string"}]),
            "/0: `a` cannot become required: there may be rows without it",
        ),
        (
            json!([{"name": "a", "type": "long"}, {"name": "b", "type": "string"}, {"name": "c", "type": "int", "required": true}]),
            "/2: the new column `c` cannot be required: older rows have none",
        ),
        (
            json!([{"name": "a", "type": "long"}, {"name": "b", "type": "list", "items": {"type": "string"}}]),
            "/1: `b` cannot change from string to a list",
        ),
    ];
    for (new, fault) in cases {
        assert_eq!(evolved(old.clone(), new).unwrap_err(), [fault]);
    }
}
