//! Record batches as a hostile client or a damaged disk would give them: never a panic, never more memory than
//! allowed, and what is accepted counts as many records as it says.

use bytes::Bytes;
use headwater_wire::batch::{self, Builder, Compression};

const DECOMPRESSED_BYTES_MAX: usize = 1 << 20;

pub fn run(bytes: &[u8]) {
    read(bytes);
    // The same with length and checksum put right, or no input would get past them.
    let mut whole = bytes.to_vec();
    if whole.len() > 61 {
        whole[8..12].copy_from_slice(&(bytes.len() as i32 - 12).to_be_bytes());
        whole[16] = 2;
        let crc = crc32c::crc32c(&whole[21..]);
        whole[17..21].copy_from_slice(&crc.to_be_bytes());
        read(&whole);
    }
}

fn read(bytes: &[u8]) {
    for found in batch::split(bytes) {
        let Ok((header, range)) = found else { break };
        let _ = header.verify(&bytes[range.clone()]);
        let _ = batch::check_shape(&header, &bytes[range.clone()], 1 << 20);
        let whole = Bytes::copy_from_slice(&bytes[range]);
        if let Ok(records) = batch::records(&whole, DECOMPRESSED_BYTES_MAX) {
            let mut read = 0;
            for record in records.take_while(Result::is_ok).flatten() {
                read += 1;
                let held = record.key.map_or(0, |key| key.len()) + record.value.map_or(0, |value| value.len());
                assert!(held <= DECOMPRESSED_BYTES_MAX.max(whole.len()));
            }
            assert!(read <= usize::try_from(header.count).unwrap_or(0));
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let kinds = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let batch = |kind| {
        let mut builder = Builder::new(kind);
        for number in 0..5 {
            builder.push(number, Some(b"key"), Some(b"a value, a value, a value"), &[("h", b"x")]);
        }
        builder.finish().to_vec()
    };
    kinds.map(batch).to_vec()
}
