//! Record batches as a hostile client or a damaged disk would give them: never a panic, never more memory than
//! allowed, and what is accepted counts as many records as it says.
#![no_main]

use bytes::Bytes;
use headwater_wire::batch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for found in batch::split(bytes) {
        let Ok((header, range)) = found else { break };
        let _ = header.verify(&bytes[range.clone()]);
        let whole = Bytes::copy_from_slice(&bytes[range]);
        if let Ok(records) = batch::records(&whole, 1 << 20) {
            let read = records.take_while(|record| record.is_ok()).count();
            assert!(read <= usize::try_from(header.count).unwrap_or(0));
        }
    }
});
