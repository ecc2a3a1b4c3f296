use serde_json::json;

use super::*;

#[test]
fn lists_are_written_in_each_format() {
    let body = json!({"a": [1, "x y"], "b": {"c": true, "d": null}});
    let written = |format| form(&body, format).unwrap();
    assert_eq!(written("INDICES"), "a%5B0%5D=1&a%5B1%5D=x+y&b%5Bc%5D=true&b%5Bd%5D=");
    assert_eq!(written("REPEAT"), "a=1&a=x+y&b%5Bc%5D=true&b%5Bd%5D=");
    assert_eq!(written("COMMAS"), "a=1%2Cx+y&b%5Bc%5D=true&b%5Bd%5D=");
    assert_eq!(written("BRACKETS"), "a%5B%5D=1&a%5B%5D=x+y&b%5Bc%5D=true&b%5Bd%5D=");
}

#[test]
fn what_is_no_form_is_refused() {
    let deep = (0..40).fold(json!(1), |inner, _| json!({ "a": inner }));
    assert!(form(&deep, "INDICES").is_err());
    assert!(form(&json!([1]), "INDICES").is_err());
    assert!(form(&json!({}), "OTHER").is_err());
}
