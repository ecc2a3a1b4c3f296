//! A disk that is full or slow, or whose syncs fail.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as expected")]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::FutureExt;
use headwater_base::{Clock, Limits, ManualClock, Micros, Name};
use headwater_log::embedded::{Options, Tail, tail};
use headwater_log::groups::{Committed, Groups, Identity, OffsetEntry};
use headwater_log::{Append, Commit, Delta, EmbeddedLog, Log, LogError, View};
use headwater_store::blobs::{Blobs, Named};
use headwater_store::disk::Disk;
use headwater_store::state::{Snapshots, State};
use headwater_testkit::FaultyDisk;
use headwater_testkit::conformance::{batch, config};

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
        match log.append(&mut commit(number)) {
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
        match log.append(&mut commit(number)) {
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

/// A log in which no more than 1 MiB waits to be synced.
fn narrow(disk: &FaultyDisk) -> Arc<EmbeddedLog> {
    let options = Options { wal_segment_bytes: 4 << 20, maintain_ms: None, ..Options::default() };
    let limits = Arc::new(Limits { unsynced_bytes: 1 << 20, ..Limits::default() });
    let (clock, folder) = (Arc::new(ManualClock::default()), std::path::Path::new("/data"));
    EmbeddedLog::open_with(Arc::new(disk.clone()), folder, limits, clock, options).unwrap()
}

/// A commit of about so many KiB.
fn large(kib: usize) -> Commit {
    let delta = Delta { key: Bytes::from_static(b"large"), value: Some(Bytes::from(vec![7; kib << 10])) };
    Commit { deltas: vec![(Arc::from("space"), vec![delta])], ..Commit::default() }
}

#[test]
fn a_large_commit_that_does_not_fit_waits_until_it_does() {
    let disk = FaultyDisk::default();
    let log = narrow(&disk);
    // The log has its first segment.
    let ticket = log.append(&mut commit(0)).unwrap();
    block_on(log.durable(ticket.sequence)).unwrap();
    let held = disk.hold_syncs();
    log.append(&mut large(400)).unwrap();
    assert!(log.room(&[]).now_or_never().is_some(), "there is room for most commits");
    assert!(matches!(log.append(&mut large(800)), Err(LogError::Full(_))));
    assert!(log.room(&[]).now_or_never().is_none(), "there is none for what is wanted");
    drop(held);
    block_on(log.room(&[]));
    let ticket = log.append(&mut large(800)).unwrap();
    block_on(log.durable(ticket.sequence)).unwrap();
}

/// The groups of a log, as they are after a start.
fn groups(log: &Arc<EmbeddedLog>) -> Arc<Groups> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    Groups::open(Arc::clone(log) as Arc<dyn Log>, clock, Arc::new(Limits::default()))
}

/// How far somebody without a member is in partition 0.
fn at(offset: i64) -> OffsetEntry {
    let committed = Committed { offset, leader_epoch: 0, metadata: String::new(), at: Micros(0) };
    OffsetEntry { topic: "orders".into(), partition: 0, committed }
}

#[test]
fn an_offset_under_way_goes_with_its_group() {
    let disk = FaultyDisk::default();
    let log = open(&disk, &Arc::default());
    let groups_now = groups(&log);
    let nobody = Identity::default();
    block_on(groups_now.commit("g", &nobody, -1, &[at(1)])).unwrap();
    let held = disk.hold_syncs();
    let later = [OffsetEntry { partition: 1, ..at(2) }];
    let mut both =
        std::pin::pin!(futures::future::join(groups_now.commit("g", &nobody, -1, &later), groups_now.delete("g")));
    assert!(both.as_mut().now_or_never().is_none(), "the offset is not durable yet");
    drop(held);
    let (committed, deleted) = block_on(both);
    assert_eq!(committed.unwrap(), [Ok(())]);
    deleted.unwrap();
    assert_eq!((groups_now.list(), groups(&log).list()), (vec![], vec![]), "nothing of it is left");
}

#[test]
fn what_the_log_writes_for_itself_waits_for_room() {
    let disk = FaultyDisk::default();
    let log = narrow(&disk);
    let [orders, old, new] = ["orders", "old", "new"].map(|name| Name::new(name).unwrap());
    for name in [&orders, &old] {
        block_on(log.create(name.clone(), config(1), Vec::new())).unwrap();
    }
    let append = Append { stream: orders.clone(), partition: 0, batches: batch(3) };
    let ticket = log.append(&mut Commit { appends: vec![append], ..Commit::default() }).unwrap();
    block_on(log.durable(ticket.sequence)).unwrap();
    let held = disk.hold_syncs();
    for kib in [400, 3, 0] {
        while log.append(&mut large(kib)).is_ok() {}
    }
    let streams = futures::future::join4(
        log.create(new.clone(), config(1), Vec::new()),
        log.alter(&orders, config(2), Vec::new()),
        log.trim(&orders, 0, 2),
        log.delete(&old),
    );
    let others = futures::future::join3(log.fence(&orders), log.producer_id(), log.drop_space("space"));
    let mut all = std::pin::pin!(futures::future::join(streams, others));
    assert!(all.as_mut().now_or_never().is_none(), "there is no room");
    assert!(log.stream("new").is_none() && log.stream("old").is_some(), "nothing has happened");
    drop(held);
    let ((created, altered, trimmed, deleted), (epoch, producer, dropped)) = block_on(all);
    assert_eq!((created.unwrap().name.clone(), altered.unwrap().config.partitions), (new, 2));
    assert_eq!((trimmed, deleted, epoch, dropped), (Ok(2), Ok(()), Ok(1), Ok(())));
    producer.unwrap();
}

#[test]
fn an_offset_that_waits_for_room_while_its_group_goes_is_of_a_group_even_so() {
    let disk = FaultyDisk::default();
    let log = narrow(&disk);
    let groups_now = groups(&log);
    let nobody = Identity::default();
    block_on(groups_now.commit("g", &nobody, -1, &[at(1)])).unwrap();
    let held = disk.hold_syncs();
    let mut last = 0;
    for kib in [400, 3, 0] {
        while let Ok(ticket) = log.append(&mut large(kib)) {
            last = ticket.sequence;
        }
    }
    let later = [at(2)];
    let mut both =
        std::pin::pin!(futures::future::join(groups_now.delete("g"), groups_now.commit("g", &nobody, -1, &later)));
    assert!(both.as_mut().now_or_never().is_none(), "there is no room for either");
    drop(held);
    block_on(log.durable(last)).unwrap();
    block_on(log.room(&[]));
    let (deleted, committed) = block_on(both);
    deleted.unwrap();
    assert_eq!(committed.unwrap(), [Ok(())]);
    let after = groups(&log);
    assert_eq!((groups_now.list(), groups_now.all_committed("g")), (after.list(), after.all_committed("g")));
}

#[test]
fn a_failed_sync_is_fatal_and_acknowledges_nothing() {
    let disk = FaultyDisk::default();
    let fatal = Arc::new(AtomicBool::new(false));
    let log = open(&disk, &fatal);
    disk.fail_syncs(true);
    let ticket = log.append(&mut commit(1)).unwrap();
    assert_eq!(block_on(log.durable(ticket.sequence)), Err(LogError::Closed));
    assert!(fatal.load(Ordering::SeqCst));
    assert_eq!(log.append(&mut commit(2)).unwrap_err(), LogError::Closed);
    assert_eq!(log.get("space", &1u64.to_le_bytes(), View::Durable), None);
}

/// As it is without a test's own end: this test runs once more, as a process of its own.
#[test]
fn a_failed_sync_ends_the_process() {
    const AGAIN: &str = "HEADWATER_TEST_FAILED_SYNC";
    if std::env::var_os(AGAIN).is_some() {
        let disk = FaultyDisk::default();
        let options = Options { wal_segment_bytes: 64 << 10, maintain_ms: None, ..Options::default() };
        let (clock, folder) = (Arc::new(ManualClock::default()), std::path::Path::new("/data"));
        let log = EmbeddedLog::open_with(Arc::new(disk.clone()), folder, Arc::default(), clock, options).unwrap();
        disk.fail_syncs(true);
        let ticket = log.append(&mut commit(1)).unwrap();
        let told = block_on(log.durable(ticket.sequence));
        // The thread that ends the process may be on its way, and who is parked may be woken by nobody.
        let begun = std::time::Instant::now();
        while let Some(left) = std::time::Duration::from_secs(60).checked_sub(begun.elapsed()) {
            std::thread::park_timeout(left);
        }
        panic!("it goes on and says {told:?}");
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "a_failed_sync_ends_the_process", "--nocapture"]).env(AGAIN, "1");
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // SIGABRT
    assert_eq!(output.status.signal(), Some(6), "{}: {said}", output.status);
}

#[test]
fn what_a_killed_process_left_in_memory_survives_the_power_cut_behind_it() {
    for operations in 1..60 {
        let disk = FaultyDisk::default();
        let fatal = Arc::new(AtomicBool::new(false));
        let log = open(&disk, &fatal);
        disk.cut_after(operations);
        let mut number = 0;
        while let Ok(ticket) = log.append(&mut commit(number)) {
            if block_on(log.durable(ticket.sequence)).is_err() {
                break;
            }
            number += 1;
        }
        drop(log);
        // What was written and not synced is still there, is read, and counts as durable from then on.
        disk.power_on_whole();
        let log = open(&disk, &fatal);
        let there = |log: &EmbeddedLog, number: u64| log.get("space", &number.to_le_bytes(), View::Durable).is_some();
        let found = (0..100).take_while(|number| there(&log, *number)).count() as u64;
        assert!(found >= number, "operation {operations}");
        let ticket = log.append(&mut commit(found)).unwrap();
        block_on(log.durable(ticket.sequence)).unwrap();
        disk.cut();
        drop(log);
        disk.power_on(operations);
        let log = open(&disk, &fatal);
        let missing: Vec<u64> = (0..=found).filter(|number| !there(&log, *number)).collect();
        assert!(
            missing.is_empty(),
            "operation {operations}: {number} acknowledged, {found} found, then {missing:?} missing"
        );
    }
}

#[test]
fn a_full_disk_holds_segments_and_checkpoints_back_and_loses_nothing() {
    let disk = FaultyDisk::default();
    let fatal = Arc::new(AtomicBool::new(false));
    let log = open(&disk, &fatal);
    let stream = Name::new("s").unwrap();
    block_on(log.create(stream.clone(), config(1), Vec::new())).unwrap();
    let append = || {
        let batches = batch(3);
        let appends = vec![Append { stream: stream.clone(), partition: 0, batches }];
        log.append(&mut Commit { appends, ..Commit::default() })
    };
    block_on(log.durable(append().unwrap().sequence)).unwrap();
    disk.set_full(true);
    // The log has its space already: it takes records, while nothing can be filed and no checkpoint be written.
    block_on(log.durable(append().unwrap().sequence)).unwrap();
    assert!(log.maintain_now().is_err());
    assert_eq!(log.ends(&stream, 0).unwrap().durable, 6);
    disk.set_full(false);
    log.maintain_now().unwrap();
    block_on(log.durable(append().unwrap().sequence)).unwrap();
    assert!(!fatal.load(Ordering::SeqCst));
    disk.cut();
    drop(log);
    disk.power_on(1);
    let log = open(&disk, &fatal);
    assert_eq!(log.ends(&stream, 0).unwrap().durable, 9);
}

/// Commits until the disk refuses; how many were taken.
fn fill(log: &EmbeddedLog) -> u64 {
    let mut number = 0;
    loop {
        match log.append(&mut commit(number)) {
            Ok(ticket) => block_on(log.durable(ticket.sequence)).unwrap(),
            Err(LogError::Full(_)) => {
                std::thread::yield_now();
                continue;
            }
            Err(LogError::Disk(_)) => return number,
            Err(error) => panic!("{error}"),
        }
        number += 1;
    }
}

#[test]
fn a_full_disk_says_so_and_still_takes_a_deletion() {
    let disk = FaultyDisk::default();
    let fatal = Arc::new(AtomicBool::new(false));
    let log = open(&disk, &fatal);
    let stream = Name::new("s").unwrap();
    block_on(log.create(stream.clone(), config(1), Vec::new())).unwrap();
    assert_eq!(log.fault(), None);
    disk.set_full(true);
    let taken = fill(&log);
    assert!(log.fault().unwrap().contains("write-ahead log"), "{:?}", log.fault());
    let other = Name::new("other").unwrap();
    assert!(matches!(block_on(log.create(other, config(1), Vec::new())), Err(LogError::Disk(_))));
    block_on(log.delete(&stream)).unwrap();
    assert_eq!(log.stream("s"), None);
    disk.set_full(false);
    log.maintain_now().unwrap();
    while log.fault().is_some() {
        std::thread::yield_now();
    }
    let ticket = loop {
        match log.append(&mut commit(taken)) {
            Ok(ticket) => break ticket,
            Err(LogError::Disk(_) | LogError::Full(_)) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    block_on(log.durable(ticket.sequence)).unwrap();
    assert!(!fatal.load(Ordering::SeqCst));
}

#[test]
fn a_checkpoint_that_does_not_fit_leaves_nothing_behind() {
    let disk = FaultyDisk::default();
    let fatal = Arc::new(AtomicBool::new(false));
    let log = open(&disk, &fatal);
    disk.set_full(true);
    let taken = fill(&log);
    assert!(log.maintain_now().is_err());
    let snapshots = || disk.image().into_keys().filter(|path| path.extension().is_some_and(|it| it == "kv")).count();
    assert_eq!(snapshots(), 0);
    disk.set_full(false);
    log.maintain_now().unwrap();
    assert_eq!(snapshots(), 1);
    drop(log);
    disk.cut();
    disk.power_on(1);
    let log = open(&disk, &fatal);
    assert!((0..taken).all(|number| log.get("space", &number.to_le_bytes(), View::Durable).is_some()));
    assert!(!fatal.load(Ordering::SeqCst));
}

#[test]
fn a_snapshot_without_room_for_its_manifest_leaves_nothing_behind() {
    let disk = FaultyDisk::default();
    let state = State::default();
    let folder = std::path::Path::new("/state");
    let mut snapshots = Snapshots::open(Arc::new(disk.clone()), folder.into(), &state).unwrap();
    state.space_or_new("space").put_durable(b"key", Some(b"value"));
    // It takes the last space itself.
    let fills = || {
        disk.set_full(true);
        true
    };
    assert!(snapshots.write(&state, 1, &fills).is_err());
    let files = || disk.image().into_keys().filter(|path| path.extension().is_some_and(|it| it == "kv")).count();
    assert_eq!(files(), 0);
    disk.set_full(false);
    snapshots.write(&state, 2, &|| true).unwrap();
    assert_eq!(files(), 1);
    let read = State::default();
    Snapshots::open(Arc::new(disk.clone()), folder.into(), &read).unwrap();
    assert!(read.space_or_new("space").get(b"key").is_some());
}

#[test]
fn a_start_on_a_full_disk_is_refused_and_says_so() {
    let disk = FaultyDisk::default();
    let clock = Arc::new(ManualClock::default());
    disk.set_full(true);
    let limits = Arc::new(Limits::default());
    let opened = EmbeddedLog::open_with(Arc::new(disk), "/data", limits, clock, Options::default());
    let problem = opened.unwrap_err();
    assert_eq!(problem.code, "HW-STORE-006", "{problem}");
}

/// Makes a stream of three durable records.
fn three_records(log: &EmbeddedLog) -> Name {
    let stream = Name::new("s").unwrap();
    block_on(log.create(stream.clone(), config(1), Vec::new())).unwrap();
    let appends = vec![Append { stream: stream.clone(), partition: 0, batches: batch(3) }];
    let ticket = log.append(&mut Commit { appends, ..Commit::default() }).unwrap();
    block_on(log.durable(ticket.sequence)).unwrap();
    stream
}

#[test]
fn a_failed_sync_of_a_segment_is_fatal() {
    let disk = FaultyDisk::default();
    let fatal = Arc::new(AtomicBool::new(false));
    let log = open(&disk, &fatal);
    let stream = three_records(&log);
    disk.fail_syncs(true);
    // The system may have dropped what it could not write, so that the next sync would succeed without it.
    assert!(log.maintain_now().is_err());
    assert!(fatal.load(Ordering::SeqCst));
    drop(log);
    disk.fail_syncs(false);
    disk.cut();
    disk.power_on(1);
    let log = open(&disk, &fatal);
    assert_eq!(log.ends(&stream, 0).unwrap().durable, 3);
}

#[test]
fn a_failed_sync_of_a_folder_is_fatal_and_one_that_cannot_be_opened_is_tried_again() {
    let disk = FaultyDisk::default();
    let fatal = Arc::new(AtomicBool::new(false));
    let log = open(&disk, &fatal);
    let stream = three_records(&log);
    disk.refuse_folders(true);
    assert!(log.maintain_now().is_err());
    assert!(!fatal.load(Ordering::SeqCst));
    disk.refuse_folders(false);
    disk.fail_folder_syncs(true);
    assert!(log.maintain_now().is_err());
    assert!(fatal.load(Ordering::SeqCst));
    drop(log);
    disk.fail_folder_syncs(false);
    disk.cut();
    disk.power_on(1);
    let log = open(&disk, &fatal);
    assert_eq!(log.ends(&stream, 0).unwrap().durable, 3);
}

#[test]
fn the_tail_of_a_log_that_nobody_has_open_is_looked_at_without_changing_it() {
    let (disk, folder) = (FaultyDisk::default(), std::path::Path::new("/data"));
    assert_eq!(tail(&disk, folder), Ok(None));
    let fatal = Arc::new(AtomicBool::new(false));
    let log = open(&disk, &fatal);
    block_on(log.durable(log.append(&mut commit(0)).unwrap().sequence)).unwrap();
    log.close().unwrap();
    drop(log);
    assert_eq!(tail(&disk, folder), Ok(Some(Tail::default())));
    let log = open(&disk, &fatal);
    for number in 1..4 {
        block_on(log.durable(log.append(&mut commit(number)).unwrap().sequence)).unwrap();
    }
    drop(log);
    let before = disk.image();
    let found = tail(&disk, folder).unwrap().unwrap();
    assert!(found.commits == 3 && found.bytes > 9_000, "{found:?}");
    assert!(disk.image() == before, "nothing was changed");
}

#[test]
fn a_blobs_name_survives_in_a_folder_that_a_killed_process_made() {
    let named = Named { key: "key".into(), blob: "blob".into(), bytes: 4, written: Micros(0) };
    let bucket = Name::new("bucket").unwrap();
    for seed in 0..20 {
        let disk = FaultyDisk::default();
        let open = || Blobs::open(Arc::new(disk.clone()), "/blobs".into()).unwrap();
        drop(open());
        // It ended before it had made the folder's name durable.
        disk.create_dir(std::path::Path::new("/blobs/names/bucket")).unwrap();
        disk.power_on_whole();
        open().name(&bucket, &named).unwrap();
        disk.cut();
        disk.power_on(seed);
        assert_eq!(open().find(&bucket, "key").unwrap().as_ref(), Some(&named), "seed {seed}");
    }
}
