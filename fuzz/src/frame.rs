//! A commit in the write-ahead log whose bytes are not what this version writes: the log opens without it or refuses.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use headwater_base::{Limits, ManualClock};
use headwater_log::EmbeddedLog;
use headwater_log::embedded::Options;
use headwater_store::disk::{Disk, MemoryDisk};
use headwater_store::wal::{self, Frame, Wal};

const SEGMENT_BYTES: u64 = 64 << 10;

pub fn run(payload: &[u8]) {
    if payload.len() > 16 << 10 {
        return;
    }
    let disk = MemoryDisk::default();
    let folder = PathBuf::from("/data/wal");
    disk.create_dir(&folder).expect("a folder in memory");
    let options = wal::Options { segment_bytes: SEGMENT_BYTES, ..wal::Options::new(folder, Arc::new(|_| {})) };
    let wal = Wal::open(Arc::new(disk.clone()), options, 0, &mut |_, _| Ok(()), Box::new(|_, _| ()));
    let wal = wal.expect("an empty log opens");
    let sequence = wal.push(Frame { parts: vec![Bytes::copy_from_slice(payload)], done: () });
    assert!(wal.wait_blocking(sequence));
    wal.close();
    let options = Options { wal_segment_bytes: SEGMENT_BYTES, maintain_ms: None, ..Options::default() };
    let clock = Arc::new(ManualClock::default());
    match EmbeddedLog::open_with(Arc::new(disk), "/data", Arc::new(Limits::default()), clock, options) {
        Ok(log) => drop(log.close()),
        Err(problem) => assert!(!problem.title.is_empty()),
    }
}

/// No append; a key of a space put and another deleted, a space dropped; an append to a stream that is not there.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut state = b"\x01\0\0\0\0\x02\0\0\0\x05\0space\x02\0\0\0".to_vec();
    state.extend_from_slice(b"\x01\0\0\0\x05\0\0\0kvalue\x01\0\0\0\xff\xff\xff\xffq");
    state.extend_from_slice(b"\x04\0gone\xff\xff\xff\xff");
    let mut stream = b"\x01\0\0\0\0\x01\0\0\0\x08\0~streams\x01\0\0\0\x01\0\0\0".to_vec();
    let text = serde_json::json!({
        "name": "s", "id": 7, "extra": [], "created": 0,
        "config": {"partitions": 1, "retention_ms": null, "retention_bytes": null, "cleanup": "delete",
            "batch_bytes_max": 1000, "segment_bytes": 1000, "segment_ms": 1000, "delete_retention_ms": 1,
            "append_time": false}
    })
    .to_string();
    stream.extend_from_slice(&(text.len() as u32).to_le_bytes());
    stream.push(b's');
    stream.extend_from_slice(text.as_bytes());
    let mut append = b"\x01\x01\0\0\0".to_vec();
    append.extend_from_slice(&7_u128.to_le_bytes());
    append.extend_from_slice(b"\0\0\0\0\x03\0\0\0\0\0\0\0abc");
    vec![state, stream, append]
}
