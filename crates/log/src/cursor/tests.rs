use std::path::Path;

use headwater_base::ManualClock;
use headwater_store::disk::MemoryDisk;
use headwater_wire::batch::{Builder, Compression};

use super::*;
use crate::embedded::Options;
use crate::{Append, Cleanup, Commit, EmbeddedLog, StreamConfig};

/// Meets a bug with a record that says so.
pub(super) fn meet(record: &Record) {
    assert_ne!(record.value.as_deref(), Some(&b"bug"[..]), "a bug, made by a test");
}

#[tokio::test]
async fn a_batch_that_meets_a_bug_is_passed_over_and_says_where_it_is() {
    let clock = Arc::new(ManualClock::at(Micros::from_millis(1_000_000)));
    let options = Options { wal_segment_bytes: 1 << 20, maintain_ms: None, ..Options::default() };
    let disk = Arc::new(MemoryDisk::default());
    let log = EmbeddedLog::open_with(disk, Path::new("/data"), Arc::default(), clock, options).unwrap();
    let config = StreamConfig {
        partitions: 1,
        retention_ms: None,
        retention_bytes: None,
        cleanup: Cleanup::Delete,
        batch_bytes_max: 1 << 20,
        segment_bytes: 1 << 20,
        segment_ms: 1_000_000,
        delete_retention_ms: 1_000,
        append_time: false,
    };
    let stream = Name::new("in").unwrap();
    log.create(stream.clone(), config, Vec::new()).await.unwrap();
    for values in [&["a", "b"][..], &["c", "bug", "d"][..], &["e"][..]] {
        let mut builder = Builder::new(Compression::None);
        for value in values {
            builder.push(1_000_000, None, Some(value.as_bytes()), &[]);
        }
        let append = Append { stream: stream.clone(), partition: 0, batches: builder.finish() };
        log.append(&mut Commit { appends: vec![append], ..Commit::default() }).unwrap();
    }
    let mut cursor = Cursor::new(stream, 0, 0, 1 << 20);
    let mut seen = Vec::new();
    loop {
        match cursor.pull(&*log, |_| None).unwrap() {
            Pulled::Record(record) => seen.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap()),
            Pulled::Corrupt { offset, last, fault, .. } => {
                assert!(fault.contains("a bug, made by a test"), "{fault}");
                seen.push(format!("{offset}-{last}"));
            }
            Pulled::End => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, ["a", "b", "c", "3-4", "e"]);
    assert_eq!(cursor.next(), 6);
}
