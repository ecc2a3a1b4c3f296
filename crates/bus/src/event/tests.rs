#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use headwater_wire::batch::Record;
use serde_json::{Value, json};

use super::{Headers, attributes, cause, header, view};

fn record(headers: Headers, value: &'static str) -> Record {
    let headers = headers.into_iter().map(|(name, value)| (Bytes::from(name), Some(value))).collect();
    Record {
        offset: 7,
        timestamp: 1_767_225_600_123,
        key: None,
        value: Some(Bytes::from_static(value.as_bytes())),
        headers,
    }
}

fn seen(record: &Record) -> Value {
    serde_json::from_slice(&view(record, &mut Vec::new())).unwrap()
}

#[test]
fn attributes_make_an_envelope() {
    let time = headwater_base::Micros(1_767_225_600_123_000);
    let mut headers = attributes("i\"1", "shop", "Order placed", time);
    headers.push((header::SUBJECT.to_owned(), Bytes::from_static(b"orders/1")));
    headers.push((header::REPLAY.to_owned(), Bytes::from_static(b"again")));
    let expected = json!({
        "version": "0", "id": "i\"1", "detail-type": "Order placed", "source": "shop", "account": "000000000000",
        "time": "2026-01-01T00:00:00Z", "region": "local", "resources": ["orders/1"], "replay-name": "again",
        "detail": {"total": 3.0},
    });
    assert_eq!(seen(&record(headers, "{\"total\": 3.0}")), expected);
}

#[test]
fn a_change_of_a_table_is_the_detail_of_an_event() {
    let time = headwater_base::Micros(1_767_225_600_123_000);
    let headers = attributes("runs-0-2", "headwater.tables/runs", "headwater.table.changed", time);
    let seen = seen(&record(headers, "{\"eventName\": \"INSERT\", \"newImage\": {\"id\": \"a\"}}"));
    assert_eq!(
        (&seen["detail-type"], &seen["source"]),
        (&json!("headwater.table.changed"), &json!("headwater.tables/runs"))
    );
    assert_eq!((&seen["detail"]["newImage"]["id"], seen.get("newImage")), (&json!("a"), None));
}

#[test]
fn a_record_without_attributes_is_its_own_event() {
    let plain = record(Vec::new(), "{\"a\": 1}");
    assert_eq!(seen(&plain), json!({"a": 1}));
    assert_eq!(cause(&plain, || "in-0-7".to_owned()).id, "in-0-7");
}
