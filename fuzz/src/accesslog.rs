//! Access log lines: whatever comes in, what goes out is a JSON object or a fault inside the line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    match headwater_wire::accesslog::combined(line) {
        Ok(json) => assert!(serde_json::from_str::<serde_json::Map<_, _>>(&json).is_ok()),
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
});
