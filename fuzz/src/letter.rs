//! Copies on a pipeline's retry stream, where any client may write: read, or taken for something else.

use bytes::Bytes;
use headwater_base::Name;
use headwater_flow::runtime::letters::Retry;

pub fn run(bytes: &[u8]) {
    let Some((retry, event)) = Retry::decode(&Bytes::copy_from_slice(bytes)) else { return };
    let again = retry.encode(&Name::new("p").expect("a name"), "s", &event);
    let (retry_again, event_again) = Retry::decode(&again).expect("what was written is read");
    assert_eq!((retry_again, event_again), (retry, event));
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        r#"{"id":"a","attempt":1,"failed":["geo"],"position":{"partition":0,"offset":7},"record_time_ms":5,"kept":{"x":{"a":1}},"event":{"b":2}}"#,
    ])
}
