use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn read_back(text: &str, expected: Expect) {
    let shown = match document(&Exact::read(text.as_bytes()).unwrap()) {
        Ok(plain) => plain.to_string(),
        Err(problem) => problem.to_string(),
    };
    expected.assert_eq(&shown);
}

#[test]
fn a_document_becomes_an_item_and_comes_back() {
    let plain =
        r#"{"status":"COMPLETE","n":12345678901234567890.10,"ok":true,"none":null,"l":[1,"a",[]],"m":{"x":{}}}"#;
    let item = item(plain.as_bytes()).unwrap();
    expect![[r#"{"status":{"S":"COMPLETE"},"n":{"N":"12345678901234567890.10"},"ok":{"BOOL":true},"none":{"NULL":true},"l":{"L":[{"N":"1"},{"S":"a"},{"L":[]}]},"m":{"M":{"x":{"M":{}}}}}"#]]
    .assert_eq(&item.to_string());
    assert_eq!(document(&item).unwrap().to_string(), plain);
}

#[test]
fn sets_and_bytes_become_lists_and_text() {
    read_back(
        r#"{"b":{"B":"AAE="},"ss":{"SS":["x","y"]},"ns":{"NS":["1","+2.50",".5","5.","007","-0"]},"bs":{"BS":["AA=="]}}"#,
        expect![[r#"{"b":"AAE=","ss":["x","y"],"ns":[1,2.50,0.5,5,7,-0],"bs":["AA=="]}"#]],
    );
}

#[test]
fn what_is_no_attribute_value_is_named() {
    for (text, expected) in [
        (r#"{"a":"x"}"#, "`a` is no object such as `{\"S\": \"text\"}`"),
        (r#"{"a":{"S":"x","N":"1"}}"#, "`a` has 2 types; an attribute value has one"),
        (r#"{"a":{"M":{"b":{"L":[{"N":1}]}}}}"#, "`a.b.0` has a value that is no `N`"),
        (r#"{"a":{"N":"one"}}"#, "`a` has an `N` that is no number"),
        (r#"{"a":{"N":"."}}"#, "`a` has an `N` that is no number"),
        (r#"{"a":{"N":"+-5"}}"#, "`a` has an `N` that is no number"),
        (r#"{"a":{"B":"???"}}"#, "`a` has a `B` that is no Base64"),
        (r#"{"a":{"NULL":false}}"#, "`a` has a value that is no `NULL`"),
        (r#"{"a":{"T":"x"}}"#, "`a` is of the unknown type `T`"),
        (r#"{"a":{"SS":[]}}"#, "`a` is an empty set"),
        (r#"{"a":{"NS":["1","1.0"]}}"#, "`a` is a set with an element that comes twice"),
    ] {
        let problem = document(&Exact::read(text.as_bytes()).unwrap()).unwrap_err();
        assert_eq!((problem.code.as_str(), problem.title.as_str()), ("HW-KERNEL-035", expected), "{text}");
    }
}

#[test]
fn a_change_is_a_record_of_a_stream_and_passes_the_articles_filter() {
    let text = br#"{"eventName":"MODIFY","table":"runs","keyField":"run_id","key":"r7","version":12,
        "time":"2026-11-28T09:00:00.5Z","images":"newAndOldImages",
        "oldImage":{"run_id":"r7","status":"RUNNING"},"newImage":{"run_id":"r7","status":"COMPLETE","n":1.5}}"#;
    let change = Change::read(text).unwrap();
    let origin = Origin {
        region: "us-east-1",
        arn: "arn:aws:dynamodb:us-east-1:000000000000:table/runs/stream/1",
        partition: 0,
        offset: 41,
    };
    let record = record(&change, origin).unwrap();
    expect![[r#"{"eventID":"runs-0-41","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{"ApproximateCreationDateTime":1795856400,"Keys":{"run_id":{"S":"r7"}},"NewImage":{"run_id":{"S":"r7"},"status":{"S":"COMPLETE"},"n":{"N":"1.5"}},"OldImage":{"run_id":{"S":"r7"},"status":{"S":"RUNNING"}},"SequenceNumber":"100000000000000000041","SizeBytes":54,"StreamViewType":"NEW_AND_OLD_IMAGES"},"eventSourceARN":"arn:aws:dynamodb:us-east-1:000000000000:table/runs/stream/1"}"#]]
    .assert_eq(&record);
    assert_eq!(change.to_json(), Change::read(&change.to_json()).unwrap().to_json());
    assert_eq!(Change::read(b"{}").unwrap_err().code, "HW-KERNEL-035");
}

proptest! {
    #[test]
    fn any_item_is_read_or_refused(text in r#"(\{"[a-c]":)?\{"(S|N|B|L|M|SS|NS|BOOL|NULL)":("x"|"1"|true|\[("1",?)?\]|\{\}|[0-9]{1,3})\}\}?"#) {
        if let Ok(value) = Exact::read(text.as_bytes())
            && let Ok(plain) = document(&value)
        {
            let again = item(plain.to_string().as_bytes()).unwrap();
            prop_assert_eq!(document(&again).unwrap(), plain);
        }
    }
}
