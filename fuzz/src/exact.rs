//! JSON whose numbers keep their digits, and DynamoDB's attribute values: what is read is written as what is read, what the
//! other reader takes this one takes as well, and a document comes back out of its item.

use headwater_wire::change::Change;
use headwater_wire::dynamodb::{self, Origin};
use headwater_wire::exact::Exact;
use serde_json::Value;

/// Levels of attribute values; each is two of JSON.
const LEVELS: usize = 64;

pub fn run(bytes: &[u8]) {
    if let Ok(change) = Change::read(bytes) {
        let origin = Origin { region: "r", arn: "arn", partition: 0, offset: 7 };
        let _ = dynamodb::record(&change, origin);
        assert!(Change::read(&change.to_json()).is_ok());
    }
    let read = Exact::read(bytes);
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        let exact = read.as_ref().expect("what one reader takes the other takes as well");
        // None where digits would be lost.
        assert!(exact.to_value().is_none_or(|same| same == value));
    }
    let Ok(exact) = read else { return };
    assert_eq!(Exact::read(exact.to_string().as_bytes()).as_ref(), Ok(&exact));
    let _ = (dynamodb::plain(&exact), dynamodb::document(&exact));
    match dynamodb::plain(&dynamodb::attribute(&exact)) {
        Ok(again) => assert_eq!(again, exact),
        Err(problem) => assert!(exact.depth() >= LEVELS, "{problem}"),
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "{\"a\":[1.50,-0,12345678901234567890.1,1e400],\"b\\u00e9\":{\"\":null},\"a\":true}",
        "{\"M\":{\"a\":{\"L\":[{\"N\":\"+.5\"},{\"B\":\"AAE=\"}]},\"s\":{\"NS\":[\"1\",\"2.0\"]},\"z\":{\"NULL\":true}}}",
        "{\"eventName\":\"MODIFY\",\"table\":\"t\",\"key\":\"k\",\"version\":2,\"time\":\"2026-01-01T00:00:00Z\",\"images\":\"newImage\",\"newImage\":{\"a\":1}}",
    ])
}
