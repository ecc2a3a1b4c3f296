use std::path::Path;
use std::sync::mpsc;

use proptest::prelude::*;

use super::*;
use crate::disk::MemoryDisk;

const SEGMENT: u64 = 64 * 1024;

fn options() -> Options {
    let fatal: Fatal = Arc::new(|why| panic!("fatal: {why}"));
    Options { segment_bytes: SEGMENT, group_bytes: 16 * 1024, ..Options::new("/wal".into(), fatal) }
}

fn open(disk: &MemoryDisk, after: u64) -> Result<(Wal<u64>, Vec<(u64, Vec<u8>)>), Problem> {
    let mut found = Vec::new();
    let mut each = |sequence, payload: &[u8]| {
        found.push((sequence, payload.to_vec()));
        Ok(())
    };
    let wal = Wal::open(Arc::new(disk.clone()), options(), after, &mut each, Box::new(|_, _| ()))?;
    Ok((wal, found))
}

fn payload(sequence: u64, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at as u64).wrapping_mul(31).wrapping_add(sequence) as u8).collect()
}

fn frame(sequence: u64, bytes: usize) -> Frame<u64> {
    let mut payload = Bytes::from(payload(sequence, bytes));
    let head = payload.split_to(bytes / 3);
    Frame { parts: vec![head, payload], done: sequence }
}

fn push(wal: &Wal<u64>, bytes: usize) -> u64 {
    let next = wal.pushed() + 1;
    while wal.room_for(bytes) != Ok(()) {
        assert!(matches!(wal.room_for(bytes), Ok(()) | Err(Refused::Full(_))));
        std::thread::yield_now();
    }
    let got = wal.push(frame(next, bytes));
    assert_eq!(got, next);
    next
}

#[test]
fn what_was_pushed_is_read_back_in_order() {
    let disk = MemoryDisk::default();
    let sizes = [0, 1, 100, 4096, 4072, 4068, 16_000, 3, 16_384, 12_345];
    {
        let (wal, found) = open(&disk, 0).unwrap();
        assert_eq!(found, []);
        for bytes in sizes {
            let sequence = push(&wal, bytes);
            assert!(wal.wait_blocking(sequence));
        }
        wal.close();
        assert_eq!(wal.room_for(1), Err(Refused::Closed));
    }
    let (wal, found) = open(&disk, 0).unwrap();
    let wanted: Vec<_> = (1..).zip(sizes).map(|(sequence, bytes)| (sequence, payload(sequence, bytes))).collect();
    assert_eq!(found, wanted);
    assert_eq!(wal.durable(), sizes.len() as u64);
    push(&wal, 7);
    drop(wal);
    let (_, found) = open(&disk, 9).unwrap();
    assert_eq!(found, [(10, payload(10, 12_345)), (11, payload(11, 7))]);
}

#[test]
fn durable_is_told_once_per_frame_and_in_order() {
    let disk = MemoryDisk::default();
    let (tell, told) = mpsc::channel();
    let on_durable: OnDurable<u64> = Box::new(move |last, done| {
        assert_eq!(done.last(), Some(&last));
        done.drain(..).for_each(|sequence| tell.send(sequence).unwrap());
    });
    let wal = Wal::open(Arc::new(disk), options(), 0, &mut |_, _| Ok(()), on_durable).unwrap();
    for _ in 0..500 {
        push(&wal, 300);
    }
    wal.close();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), (1..=500).collect::<Vec<_>>());
}

#[test]
fn released_segments_are_used_again_and_never_pass_for_new() {
    let disk = MemoryDisk::default();
    let mut after = 0;
    for round in 0..6 {
        let (wal, found) = open(&disk, after).unwrap();
        assert_eq!(found.first().map(|(sequence, _)| *sequence).unwrap_or(after + 1), after + 1, "round {round}");
        for _ in 0..40 {
            let sequence = push(&wal, 9_000);
            assert!(wal.wait_blocking(sequence));
            if sequence.is_multiple_of(10) {
                after = sequence - 5;
                wal.release(after);
            }
        }
    }
    let files = disk.files(Path::new("/wal")).unwrap().len();
    assert!(files <= 8, "{files} files");
}

#[test]
fn a_frame_over_the_limit_is_refused_and_names_it() {
    let (wal, _) = open(&MemoryDisk::default(), 0).unwrap();
    let limit = options().frame_bytes_max();
    assert_eq!(wal.room_for(limit), Ok(()));
    assert_eq!(wal.room_for(limit + 1), Err(Refused::TooLarge(limit + 1, limit)));
}

#[test]
fn what_frees_space_is_accepted_where_the_rest_is_refused() {
    let (wal, _) = open(&MemoryDisk::default(), 0).unwrap();
    // As on a full disk: no spare is made.
    wal.shared.slots.stop();
    let mut count = 0;
    while wal.room_for(1_000) == Ok(()) {
        count += 1;
        assert!(wal.wait_blocking(wal.push(frame(count, 1_000))));
    }
    assert!(count > 10, "{count} frames");
    assert_eq!(wal.room_for(1_000), Err(Refused::Full(0)));
    assert_eq!(wal.room_in_reserve(1_000), Ok(()));
    assert!(wal.wait_blocking(wal.push(frame(count + 1, 1_000))));
    assert_eq!(wal.room_in_reserve(1_000), Err(Refused::Full(0)));
}

#[test]
fn a_log_that_closes_without_a_file_for_what_it_has_tells_those_who_wait() {
    let (wal, _) = open(&MemoryDisk::default(), 0).unwrap();
    assert!(wal.shared.slots.rotate(None, 0).is_some(), "the only file");
    wal.shared.slots.stop();
    let sequence = wal.push(frame(1, 100));
    assert!(!wal.wait_blocking(sequence));
    assert_eq!(wal.room_for(1), Err(Refused::Closed));
}

#[test]
fn missing_segments_are_an_error() {
    let disk = MemoryDisk::default();
    let (wal, _) = open(&disk, 0).unwrap();
    for _ in 0..40 {
        let sequence = push(&wal, 9_000);
        assert!(wal.wait_blocking(sequence));
    }
    drop(wal);
    disk.remove(Path::new("/wal/000001.wal")).unwrap();
    assert_eq!(open(&disk, 0).unwrap_err().code, "HW-STORE-003");
    let disk = MemoryDisk::default();
    assert_eq!(open(&disk, 5).unwrap_err().code, "HW-STORE-003");
}

/// Writes `sizes`, each synced by itself, and answers the disk and where each group lies in the first segment.
fn written(sizes: &[usize]) -> (MemoryDisk, Vec<u64>) {
    let disk = MemoryDisk::default();
    let (wal, _) = open(&disk, 0).unwrap();
    let mut at = PAGE_BYTES as u64;
    let mut places = Vec::new();
    for bytes in sizes {
        let sequence = push(&wal, *bytes);
        assert!(wal.wait_blocking(sequence));
        places.push(at);
        at += layout::reserved(*bytes);
    }
    // As after a crash: no closing group. The threads end, lest the spare one writes beside the next opening.
    wal.shared.queue.lock().dead = true;
    drop(wal);
    (disk, places)
}

#[test]
fn damage_in_the_middle_refuses_and_a_torn_tail_does_not() {
    let (disk, places) = written(&[500, 5_000, 700]);
    let file = disk.open(Path::new("/wal/000000.wal"), false).unwrap();
    file.write_at(b"damage", places[1] + 4_800).unwrap();
    let problem = open(&disk, 0).unwrap_err();
    assert_eq!(problem.code, "HW-STORE-001");
    assert!(problem.title.contains("frame `2`"), "{problem}");

    let (disk, places) = written(&[500, 5_000, 700]);
    let file = disk.open(Path::new("/wal/000000.wal"), false).unwrap();
    file.write_at(b"damage", places[2] + 400).unwrap();
    let (wal, found) = open(&disk, 0).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(push(&wal, 10), 3, "the sequence of the torn frame is given again");
    drop(wal);
    let (_, found) = open(&disk, 0).unwrap();
    assert_eq!(found.last(), Some(&(3, payload(3, 10))));
}

#[test]
fn a_damaged_header_refuses_if_more_than_one_group_stands_behind_it() {
    let (disk, _) = written(&[500, 5_000, 700]);
    disk.open(Path::new("/wal/000000.wal"), false).unwrap().write_at(b"damage", 10).unwrap();
    let problem = open(&disk, 0).unwrap_err();
    assert_eq!(problem.code, "HW-STORE-001");
    assert!(problem.title.contains("frame `1`"), "{problem}");

    // A header that was never synced, with the group that was written with it.
    let (disk, _) = written(&[500]);
    disk.open(Path::new("/wal/000000.wal"), false).unwrap().write_at(b"damage", 10).unwrap();
    let (wal, found) = open(&disk, 0).unwrap();
    assert_eq!(found, []);
    assert_eq!(push(&wal, 10), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Cut anywhere behind what was synced, every frame before is read back and none is made up.
    #[test]
    fn any_tail_is_survived(
        sizes in prop::collection::vec(0usize..6_000, 1..7),
        cut in 0usize..8,
        garbage in prop::collection::vec(any::<u8>(), 0..9_000),
    ) {
        let (disk, places) = written(&sizes);
        let cut = cut.min(sizes.len() - 1);
        let file = disk.open(Path::new("/wal/000000.wal"), false).unwrap();
        file.write_at(&vec![0; (SEGMENT - places[cut]) as usize], places[cut]).unwrap();
        file.write_at(&garbage, places[cut]).unwrap();
        file.set_len(SEGMENT).unwrap();
        let (_, found) = open(&disk, 0).unwrap();
        prop_assert_eq!(found.len(), cut);
        for (sequence, bytes) in found {
            prop_assert_eq!(bytes, payload(sequence, sizes[sequence as usize - 1]));
        }
    }

    /// No bytes make the parsers panic.
    #[test]
    fn arbitrary_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..5_000), magic in any::<bool>()) {
        let mut bytes = bytes;
        if magic {
            bytes.splice(..0, *b"HWGR");
        }
        let _ = layout::SegmentHeader::decode(&bytes);
        if let Some(header) = layout::GroupHeader::decode(&bytes, bytes.len() as u64) {
            let _ = layout::intact(&header, &bytes, 1);
            let _ = layout::frames(&header, &bytes);
        }
    }
}
