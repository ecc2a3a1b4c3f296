//! CloudEvents in JSON: an accepted event says the same after being written and read again.
#![no_main]

use bytes::Bytes;
use headwater_wire::cloudevents;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = Bytes::copy_from_slice(bytes);
    let _ = cloudevents::from_json_batch(&text);
    if let Ok(event) = cloudevents::from_json(&text) {
        let again = cloudevents::from_json(&Bytes::from(cloudevents::to_json(&event)));
        assert_eq!(again.as_ref(), Ok(&event));
    }
});
