//! What an outbox gathers stands in its streams as it was put, in batches that small readers get along with.

use headwater_base::Name;
use headwater_log::outbox::Outbox;
use headwater_log::{Cleanup, Commit, Log, StreamConfig, View, append_durable};
use headwater_wire::batch;

fn config(partitions: u32) -> StreamConfig {
    StreamConfig {
        partitions,
        retention_ms: None,
        retention_bytes: None,
        cleanup: Cleanup::Delete,
        batch_bytes_max: 1 << 20,
        segment_bytes: 64 << 20,
        segment_ms: 3_600_000,
        delete_retention_ms: 1_000,
        append_time: false,
    }
}

#[tokio::test]
async fn commits_of_many_batches_keep_the_order_of_their_records() {
    const COMMITS: usize = 3;
    const RECORDS: usize = 2_000;
    let (log, _) = headwater_testkit::memory_log();
    let name = Name::new("s").unwrap();
    log.create(name.clone(), config(2), Vec::new()).await.unwrap();
    let mut outbox = Outbox::open(&*log, std::slice::from_ref(&name)).unwrap();
    for commit in 0..COMMITS {
        for record in 0..RECORDS {
            // Keys of both partitions, by turns or not.
            let key = (record % 7).to_le_bytes();
            let mut value = vec![0; 500];
            value[..8].copy_from_slice(&(commit * RECORDS + record).to_le_bytes());
            outbox.put(0, 1, Some(&key), Some(&value), &[]).unwrap();
        }
        assert_eq!(outbox.records(), RECORDS);
        let mut commit = Commit { appends: outbox.take(), ..Commit::default() };
        assert!(commit.appends.len() > 2, "several batches for a partition");
        append_durable(&*log, &mut commit).await.unwrap();
        assert_eq!((outbox.records(), outbox.take().len()), (0, 0));
    }
    let mut found = Vec::new();
    for partition in 0..2 {
        let fetched = log.read(&name, partition, 0, usize::MAX, View::Durable).unwrap();
        let (mut next, before) = (0, found.len());
        for batch in fetched.batches.each() {
            let (header, bytes) = batch.unwrap();
            assert!(bytes.len() <= 257 << 10, "{} bytes", bytes.len());
            assert_eq!(header.base_offset, next);
            next = header.last_offset() + 1;
            for record in batch::records(&bytes, 1 << 20).unwrap() {
                let value = record.unwrap().value.unwrap();
                found.push(usize::from_le_bytes(value[..8].try_into().unwrap()));
            }
        }
        assert!(found[before..].is_sorted(), "as they were put");
    }
    found.sort_unstable();
    assert_eq!(found, (0..COMMITS * RECORDS).collect::<Vec<_>>());
}
