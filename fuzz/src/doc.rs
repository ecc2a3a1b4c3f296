//! Lazy JSON documents: what is accepted writes back byte for byte.
#![no_main]

use bytes::Bytes;
use headwater_flow::doc::Doc;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = Bytes::copy_from_slice(bytes);
    if let Ok(doc) = Doc::new(text.clone()) {
        assert_eq!(doc.encode(), text);
    }
});
