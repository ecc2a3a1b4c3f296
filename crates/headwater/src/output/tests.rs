use serde_json::json;

use super::*;

const COLUMNS: &[Column] = &[
    Column::new("NAME", |row| row["metadata"]["name"].as_str().unwrap_or_default().to_owned()),
    Column::new("READY", |row| row["ready"].to_string()),
    Column::wide("NOTE", |row| row["note"].as_str().unwrap_or_default().to_owned()),
];

fn shown(format: Format) -> String {
    let rows = [
        json!({ "kind": "Stream", "metadata": { "name": "orders.raw" }, "ready": true, "note": "a,\"b\"\nc" }),
        json!({ "kind": "Stream", "metadata": { "name": "x" }, "ready": false }),
    ];
    let mut out = Vec::new();
    write(&mut out, &rows, COLUMNS, format, false).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn every_form_of_the_same_rows() {
    expect_test::expect![[r#"
        NAME         READY
        orders.raw   true
        x            false
    "#]]
    .assert_eq(&shown(Format::Table));
    expect_test::expect![[r#"
        NAME         READY   NOTE
        orders.raw   true    a,"b"\nc
        x            false   -
    "#]]
    .assert_eq(&shown(Format::Wide).replace("\\\"", "\""));
    expect_test::expect![[r#"
        name,ready,note
        orders.raw,true,"a,""b""
        c"
        x,false,
    "#]]
    .assert_eq(&shown(Format::Csv));
    expect_test::expect![[r#"
        stream/orders.raw
        stream/x
    "#]]
    .assert_eq(&shown(Format::Name));
    expect_test::expect![[r#"
        kind: Stream
        metadata:
          name: orders.raw
        ready: true
        note: |-
          a,"b"
          c
        ---
        kind: Stream
        metadata:
          name: x
        ready: false
    "#]]
    .assert_eq(&shown(Format::Yaml));
    assert_eq!(shown(Format::Ndjson).lines().count(), 2);
    assert!(shown(Format::Json).starts_with("[\n"));
}

#[test]
fn no_form_rounds_a_number() {
    let columns = [
        Column::new("KEY", |row| row["key"].as_str().unwrap_or_default().to_owned()),
        Column::new("VALUE", |row| row["value"].as_str().map_or_else(|| row["value"].to_string(), str::to_owned)),
    ];
    let rows = [r#"{"key":"a","value":{"n":12345678901234567890.10}}"#, r#"{"key":"b","value":{"n":1.5}}"#]
        .map(|row| Exact::read(row.as_bytes()).unwrap());
    let shown = |format: Format, rows: &[Exact], one: bool| {
        let mut out = Vec::new();
        write_exact(&mut out, rows, &columns, format, one).unwrap();
        String::from_utf8(out).unwrap()
    };
    for format in [Format::Table, Format::Wide, Format::Json, Format::Yaml, Format::Ndjson, Format::Csv] {
        let shown = shown(format, &rows, false);
        assert!(shown.contains("12345678901234567890.10") && shown.contains("1.5"), "{format:?}: {shown}");
    }
    assert_eq!(shown(Format::Name, &rows, false), "a\nb\n");
    assert_eq!(shown(Format::Yaml, &rows[1..], false), "key: b\nvalue:\n  \"n\": 1.5\n");
    let one: Value = serde_json::from_str(&shown(Format::Json, &rows[1..], true)).unwrap();
    assert_eq!(one, json!({"key": "b", "value": {"n": 1.5}}));
}
