use serde_json::json;

use super::Path;

#[test]
fn a_path_leads_through_objects_and_arrays() {
    let event = json!({"a": {"b c": [null, {"d": 7}]}, "e": null, "f.g": 1});
    let find = |text: &str| Path::parse(text).unwrap().find(&event).cloned();
    assert_eq!(find(".a.\"b c\"[1].d"), Some(json!(7)));
    assert_eq!(find(".a.\"b c\"[0]"), None, "null is nothing");
    assert_eq!(find(".a.\"b c\"[9]"), None);
    assert_eq!(find(".e"), None);
    assert_eq!(Path::field("f.g").find(&event), Some(&json!(1)), "a column's name is taken as it is");
}

#[test]
fn a_path_has_the_name_of_its_last_field() {
    let name = |text: &str| Path::parse(text).unwrap().name().map(str::to_owned);
    assert_eq!(name(".measures.country").as_deref(), Some("country"));
    assert_eq!(name(".items[0]"), None);
}

#[test]
fn what_is_no_path_is_refused() {
    for text in ["", ".", "a", ".a.", "[0]", ".a[x]", ".a[-1]", ".a[", ".\"a", "..a", "$offset"] {
        assert!(Path::parse(text).is_err(), "{text}");
    }
}
