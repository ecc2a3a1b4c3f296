use serde_json::json;

use super::*;
use crate::limits::Limits;

fn read(text: &str, config: Value) -> Result<Vec<Value>, Failure> {
    let config = Config::of(&json!({ "ReaderConfig": config }), &Limits::default())?;
    Rows::open(std::io::Cursor::new(text.as_bytes().to_vec()), &config)?.collect()
}

#[test]
fn rows_are_objects_by_the_first_row_or_given_headers() {
    let rows = read("\u{feff}id,name\n1,\"A, B\"\n2\n", json!({"InputType": "CSV"})).unwrap();
    assert_eq!(rows, [json!({"id": "1", "name": "A, B"}), json!({"id": "2"})]);
    let given =
        json!({"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a", "b"], "CSVDelimiter": "PIPE"});
    assert_eq!(read("1|2\n3|4", given).unwrap(), [json!({"a": "1", "b": "2"}), json!({"a": "3", "b": "4"})]);
}

#[test]
fn a_row_that_does_not_fit_is_a_failure() {
    let failure = read("a,b\n1,2\n1,2,3\n", json!({"InputType": "CSV"})).unwrap_err();
    assert_eq!(failure.cause.as_deref(), Some("line 3 has 3 fields, the headers name 2"));
}

#[test]
fn an_open_quote_does_not_gather_the_whole_file() {
    let text = format!("a\n\"{}", "x\n".repeat(1_000_000));
    let failure = read(&text, json!({"InputType": "CSV"})).unwrap_err();
    assert!(failure.cause.unwrap().contains("a row of more than 262144 bytes"));
}
