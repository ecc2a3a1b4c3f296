//! Bodies that events are sent in over HTTP, in all formats: items or a problem, and plain events stay JSON.

use bytes::Bytes;
use headwater_api::http::ingest::decode::{Format, Hints, decode};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

const FORMATS: [Format; 5] = [Format::Structured, Format::Batch, Format::Binary, Format::Json, Format::Lines];

/// A byte for the format; lines of headers up to an empty one; the body.
pub fn run(bytes: &[u8]) {
    let Some((format, mut rest)) = bytes.split_first() else { return };
    let format = FORMATS[usize::from(*format) % FORMATS.len()];
    let mut headers = HeaderMap::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = rest.split_at(end);
        rest = &after[1..];
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { break };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&line[colon + 1..])) {
            headers.append(name, value);
        }
    }
    let hints = Hints { key: Some(".k.l".into()), id: Some(".id".to_owned()) };
    for hints in [Hints::default(), hints] {
        let Ok(items) = decode(format, &headers, &Bytes::copy_from_slice(rest), &hints) else { continue };
        for event in items.into_iter().filter_map(|item| item.event.ok()) {
            if matches!(format, Format::Json | Format::Lines) {
                assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&event.value).is_ok());
            }
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "\0\n{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"data\":{}}",
        "\u{1}\n[{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"data\":{}}]",
        "\u{2}ce-specversion:1.0\nce-id:%31\nce-source:s\nce-type:t\ncontent-type:text/plain\n\nhello",
        "\u{3}\n[{\"id\":1,\"k\":{\"l\":\"x\"}},{\"id\":2}]",
        "\u{4}\n{\"id\":1}\n\n{\"id\":2,\"k\":{\"l\":3}}\nno",
    ])
}
