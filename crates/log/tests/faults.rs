//! A disk that is full, or whose syncs fail.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as expected")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use headwater_base::{Limits, ManualClock};
use headwater_log::embedded::Options;
use headwater_log::{Commit, Delta, EmbeddedLog, Log, LogError, View};
use headwater_testkit::FaultyDisk;

fn open(disk: &FaultyDisk, fatal: &Arc<AtomicBool>) -> Arc<EmbeddedLog> {
    let fatal = fatal.clone();
    let fatal: headwater_store::wal::Fatal = Arc::new(move |_| fatal.store(true, Ordering::SeqCst));
    let options = Options { wal_segment_bytes: 64 << 10, maintain_ms: None, fatal, ..Options::default() };
    let clock = Arc::new(ManualClock::default());
    EmbeddedLog::open_with(
        Arc::new(disk.clone()),
        std::path::Path::new("/data"),
        Arc::new(Limits::default()),
        clock,
        options,
    )
    .unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn commit(number: u64) -> Commit {
    let delta = Delta { key: Bytes::copy_from_slice(&number.to_le_bytes()), value: Some(Bytes::from(vec![7; 3_000])) };
    Commit { deltas: vec![(Arc::from("space"), vec![delta])], ..Commit::default() }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let disk = FaultyDisk::default();
    let fatal = Arc::new(AtomicBool::new(false));
    let log = open(&disk, &fatal);
    disk.set_full(true);
    let mut number = 0;
    let refused = loop {
        match log.append(&commit(number)) {
            Ok(ticket) => {
                block_on(log.durable(ticket.sequence)).unwrap();
                number += 1;
            }
            Err(LogError::Full(_)) => std::thread::yield_now(),
            Err(error) => break error,
        }
        assert!(number < 1_000);
    };
    assert!(matches!(refused, LogError::Disk(_)), "{refused}");
    disk.set_full(false);
    let ticket = loop {
        match log.append(&commit(number)) {
            Ok(ticket) => break ticket,
            Err(LogError::Disk(_) | LogError::Full(_)) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    block_on(log.durable(ticket.sequence)).unwrap();
    drop(log);
    disk.cut();
    disk.power_on(1);
    let log = open(&disk, &fatal);
    for number in 0..=number {
        assert!(log.get("space", &number.to_le_bytes(), View::Durable).is_some(), "commit {number}");
    }
    assert!(!fatal.load(Ordering::SeqCst));
}

#[test]
fn a_failed_sync_is_fatal_and_acknowledges_nothing() {
    let disk = FaultyDisk::default();
    let fatal = Arc::new(AtomicBool::new(false));
    let log = open(&disk, &fatal);
    disk.fail_syncs(true);
    let ticket = log.append(&commit(1)).unwrap();
    assert_eq!(block_on(log.durable(ticket.sequence)), Err(LogError::Closed));
    assert!(fatal.load(Ordering::SeqCst));
    assert_eq!(log.append(&commit(2)).unwrap_err(), LogError::Closed);
    assert_eq!(log.get("space", &1u64.to_le_bytes(), View::Durable), None);
}
