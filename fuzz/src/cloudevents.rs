//! CloudEvents in JSON: an accepted event says the same after being written and read again.
#![no_main]

use headwater_wire::cloudevents;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = cloudevents::from_json_batch(bytes);
    if let Ok(event) = cloudevents::from_json(bytes) {
        let again = cloudevents::from_json(cloudevents::to_json(&event).as_bytes());
        assert_eq!(again.as_ref(), Ok(&event));
    }
});
