//! The small texts of resources and requests: names, times, spans, sizes, bytes in Base64. What is read is written as what
//! is read.

use headwater_base::{Micros, Name, Size, Span};
use headwater_wire::base64;

pub fn run(bytes: &[u8]) {
    assert_eq!(base64::decode(&base64::encode(bytes)).as_deref(), Some(bytes));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(name) = Name::new(text) {
        assert_eq!(name.as_str(), text);
    }
    if let Some(time) = Micros::parse_rfc3339(text) {
        assert_eq!(Micros::parse_rfc3339(&time.to_string()), Some(time), "{time}");
    }
    if let Ok(span) = Span::try_from(text.to_owned()) {
        assert_eq!(Span::try_from(span.to_string()), Ok(span));
    }
    // Bytes have one text.
    if let Some(decoded) = base64::decode(text) {
        assert_eq!(base64::encode(&decoded), text);
    }
    if let Ok(size) = Size::try_from(text.to_owned()) {
        assert_eq!(Size::try_from(size.to_string()), Ok(size));
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "orders.v1",
        "2026-01-01T00:00:00.000001Z",
        "2015-05-17 10:05:03+05:30",
        "1h",
        "250ms",
        "10 GiB",
        "64KiB",
        "aGVsbG8+/w==",
    ])
}
