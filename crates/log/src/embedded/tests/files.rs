//! What happens to segment files, and a stop before the next checkpoint.

use super::*;

/// The files of a stream's partition 0, by name.
fn files(house: &House, stream: &Name) -> Vec<String> {
    let partition = house.log.core.partition(stream, 0).unwrap();
    let mut names = house.disk.files(&partition.folder).unwrap();
    names.sort();
    names
}

#[test]
fn a_stream_deleted_behind_the_checkpoint_stays_deleted() {
    let house = House::new();
    let stream = house.stream("s", |_| ());
    house.put(&stream, "k", Some("v"));
    house.log.maintain_now().unwrap();
    block_on(house.log.delete(&stream)).unwrap();
    let house = house.restart();
    assert!(house.log.stream("s").is_none());
}

#[test]
fn segments_removed_behind_the_checkpoint_are_not_missed() {
    let house = House::new();
    let stream = house.stream("s", |config| config.retention_bytes = Some(0));
    for _ in 0..4 {
        house.put(&stream, "k", Some("value"));
    }
    house.log.maintain_now().unwrap();
    for _ in 0..60 {
        house.put(&stream, "k", Some("value"));
    }
    // All but the checkpoint: the segment that the last one names goes.
    house.log.core.filer.barrier().unwrap();
    house.log.core.maintain(false).unwrap();
    let start = house.log.ends(&stream, 0).unwrap().start;
    assert!(start > 10, "start {start}");
    let house = house.restart();
    assert_eq!(offsets(&house.all(&stream)), (start..64).collect::<Vec<_>>());
}

#[test]
fn compaction_leaves_the_segment_that_the_checkpoint_names() {
    let house = House::new();
    let stream = house.stream("table", |config| config.cleanup = Cleanup::Compact);
    for _ in 0..4 {
        house.put(&stream, "k", Some("v"));
    }
    house.log.maintain_now().unwrap();
    // The segment is closed by age, without any commit that would make the next checkpoint another one.
    house.clock.advance(Duration::from_secs(2_000));
    for _ in 0..3 {
        house.log.maintain_now().unwrap();
    }
    assert_eq!(offsets(&house.all(&stream)), [3]);
    let house = house.restart();
    assert_eq!(offsets(&house.all(&stream)), [3]);
}

#[test]
fn small_segments_become_one() {
    let house = House::new();
    let stream = house.stream("table", |config| {
        config.cleanup = Cleanup::Compact;
        config.segment_bytes = 1 << 20;
        config.segment_ms = 10;
    });
    for number in 0..20 {
        house.put(&stream, &format!("key{number}"), Some("v"));
        // Files the record and closes the segment by its age, without a checkpoint.
        house.log.core.filer.barrier().unwrap();
        house.clock.advance(Duration::from_millis(20));
        house.log.core.maintain(false).unwrap();
    }
    assert!(files(&house, &stream).len() > 30, "{:?}", files(&house, &stream));
    for _ in 0..3 {
        house.log.maintain_now().unwrap();
    }
    let merged = files(&house, &stream);
    assert!(merged.len() <= 4, "{merged:?}");
    assert_eq!(house.all(&stream).len(), 20);
    let house = house.restart();
    assert_eq!(house.all(&stream).len(), 20);
    assert_eq!(files(&house, &stream), merged);
}

#[test]
fn what_an_interrupted_compaction_leaves_is_removed() {
    let house = House::new();
    let stream = house.stream("s", |_| ());
    house.put(&stream, "k", Some("v"));
    house.log.maintain_now().unwrap();
    let folder = house.log.core.partition(&stream, 0).unwrap().folder.clone();
    for left in ["00000000000000000000.new", "00000000000000000007.idx", "00000000000000000009.log"] {
        house.disk.open(&folder.join(left), true).unwrap();
    }
    let house = house.restart();
    assert_eq!(files(&house, &stream), ["00000000000000000000.log"]);
}

#[test]
fn what_was_read_of_a_file_holds_twice_its_memory_at_most() {
    let house = House::new();
    let stream = house.stream("s", |config| config.segment_bytes = 1 << 20);
    for _ in 0..100 {
        house.put(&stream, "k", Some(&"v".repeat(1_000)));
    }
    house.log.maintain_now().unwrap();
    let house = house.restart();
    for (from, bytes_max, count) in [(0, 1, 1), (50, 3_000, 2), (0, 70_000, 65), (0, 1 << 20, 100)] {
        let read = house.log.read(&stream, 0, from, bytes_max, View::Durable).unwrap().batches;
        let found: Vec<_> = read.each().map(|found| found.unwrap().0.base_offset).collect();
        assert_eq!(found, (from..from + count).collect::<Vec<_>>());
        for piece in read {
            let bytes = piece.len();
            let held = piece.try_into_mut().unwrap().capacity();
            assert!(held <= 2 * bytes, "{held} bytes for {bytes}");
        }
    }
}

/// Writes over the header of a segment's second batch: `at` bytes behind where it begins.
fn damage(house: &House, stream: &Name, base: Offset, at: u64, bytes: &[u8]) {
    let partition = house.log.core.partition(stream, 0).unwrap();
    let file = house.disk.open(&segment::Segment::log_path(&partition.folder, base), false).unwrap();
    let mut head = [0; batch::HEADER_BYTES];
    file.read_at(&mut head, 0).unwrap();
    file.write_at(bytes, batch::Header::parse(&head).unwrap().total_bytes() as u64 + at).unwrap();
}

/// Where a header says which format the batch has, and how long it is.
const MAGIC: u64 = 16;
const LENGTH: u64 = 8;

/// A stream of twenty records in several segments, none of which is in memory any more.
fn twenty() -> (House, Name) {
    let house = House::new();
    let stream = house.stream("s", |_| ());
    for _ in 0..20 {
        house.put(&stream, "k", Some("v"));
    }
    house.log.maintain_now().unwrap();
    (house.restart(), stream)
}

#[test]
fn damage_in_a_segment_is_told_and_not_passed_over() {
    // The last one would be looked at again and again: it claims to be longer than its file.
    let cases: [(u64, &[u8], Offset); 3] =
        [(MAGIC, &[0], 1), (LENGTH, &[0x7f, 0, 0, 0], 1), (LENGTH, &[0x7f, 0, 0, 0], 3)];
    for (at, bytes, from) in cases {
        let (house, stream) = twenty();
        damage(&house, &stream, 0, at, bytes);
        assert_eq!(house.log.read(&stream, 0, 0, 1, View::Durable).unwrap().batches.bytes(), 70);
        let refused = house.log.read(&stream, 0, from, 1, View::Durable);
        assert!(matches!(refused, Err(LogError::Disk(_))), "from {from}: {refused:?}");
    }
}

#[test]
fn compaction_leaves_a_damaged_segment_as_it_is() {
    let house = House::new();
    let stream = house.stream("table", |config| config.cleanup = Cleanup::Compact);
    for _ in 0..40 {
        house.put(&stream, "k", Some("v"));
    }
    house.log.core.filer.barrier().unwrap();
    damage(&house, &stream, 0, MAGIC, &[0]);
    let before = files(&house, &stream);
    let fault = house.log.maintain_now().unwrap_err();
    assert!(fault.contains("is damaged at byte"), "{fault}");
    assert_eq!(files(&house, &stream), before);
}

#[test]
fn a_start_is_refused_where_the_next_batch_would_be_written_over_damage() {
    let house = House::new();
    let stream = house.stream("s", |_| ());
    for _ in 0..4 {
        house.put(&stream, "k", Some("v"));
    }
    house.log.maintain_now().unwrap();
    damage(&house, &stream, 0, MAGIC, &[0]);
    let House { disk, clock, log } = house;
    drop(log);
    let options = Options { wal_segment_bytes: 1 << 20, maintain_ms: None, ..Options::default() };
    let opened = EmbeddedLog::open_with(Arc::new(disk), Path::new("/data"), Arc::default(), clock, options);
    assert_eq!(opened.unwrap_err().code, "HW-LOG-003");
}

#[test]
fn the_files_of_a_stream_go_even_if_nobody_waits_for_its_deletion() {
    let house = House::new();
    let stream = house.stream("s", |_| ());
    house.put(&stream, "k", Some("v"));
    house.log.maintain_now().unwrap();
    let folder = house.log.core.partition(&stream, 0).unwrap().folder.clone();
    assert!(!house.disk.files(&folder).unwrap().is_empty());
    // Whoever deletes it asks once, and is gone.
    let _ = house.log.delete(&stream).now_or_never();
    assert!(house.log.core.wal.wait_blocking(house.log.core.wal.pushed()));
    house.log.maintain_now().unwrap();
    assert!(house.disk.files(&folder).unwrap().is_empty());
}

/// The last page of a file with anything in it.
fn last_page(disk: &MemoryDisk, path: &Path) -> u64 {
    let file = disk.open(path, false).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    let written = bytes.chunks(wal::PAGE_BYTES).rposition(|page| page.iter().any(|byte| *byte != 0));
    written.unwrap_or(0) as u64
}

#[test]
fn a_start_that_fails_leaves_what_lies_behind_the_checkpoint() {
    let house = House::new();
    let stream = house.stream("s", |_| ());
    for round in 0..2 {
        for _ in 0..10 {
            house.put(&stream, "k", Some("v"));
        }
        // The second time no checkpoint names what is filed.
        match round {
            0 => house.log.maintain_now().unwrap(),
            _ => assert!(house.log.core.filer.barrier().is_ok()),
        }
    }
    let folder = house.log.core.partition(&stream, 0).unwrap().folder.clone();
    let House { disk, clock, log } = house;
    drop(log);
    let lengths = || -> Vec<(String, u64)> {
        let mut names = disk.files(&folder).unwrap();
        names.sort();
        let length = |name: &String| disk.open(&folder.join(name), false).unwrap().len().unwrap();
        names.into_iter().map(|name| (name.clone(), length(&name))).collect()
    };
    let before = lengths();
    // One of the last records is damaged in the write-ahead log, so that the start has to be refused.
    let wals = disk.files(Path::new("/data/wal")).unwrap().into_iter().map(|name| Path::new("/data/wal").join(name));
    let path = wals.max_by_key(|path| last_page(&disk, path)).unwrap();
    let place = (last_page(&disk, &path) - 2) * wal::PAGE_BYTES as u64 + 60;
    disk.open(&path, false).unwrap().write_at(&[0xff; 64], place).unwrap();
    let options = Options { wal_segment_bytes: 1 << 20, maintain_ms: None, ..Options::default() };
    let opened = EmbeddedLog::open_with(Arc::new(disk.clone()), Path::new("/data"), Arc::default(), clock, options);
    assert_eq!(opened.unwrap_err().code, "HW-STORE-001");
    assert_eq!(lengths(), before);
}

#[test]
fn a_check_tells_every_segment_that_is_damaged() {
    let (house, stream) = twenty();
    let look = || {
        let mut last = (0, 1);
        let checked = check(&house.disk, Path::new("/data"), &mut |bytes, all| last = (bytes, all)).unwrap();
        assert_eq!(last.0, last.1);
        checked
    };
    let folder = house.log.core.partition(&stream, 0).unwrap().folder.clone();
    let bases = segment::bases(&house.disk, &folder).unwrap();
    let sound = look();
    assert_eq!((sound.segments, sound.bytes, sound.damaged), (bases.len() as u64, 20 * 70, 0));
    // What is filed behind the checkpoint comes again from the write-ahead log, whatever it is.
    house.put(&stream, "k", Some("v"));
    house.log.core.filer.barrier().unwrap();
    assert_eq!(look().bytes, sound.bytes);
    // A byte of a record, which no reader of batches looks at, and a header.
    damage(&house, &stream, bases[0], 65, &[0xff]);
    damage(&house, &stream, bases[1], MAGIC, &[0]);
    let checked = look();
    assert_eq!((checked.segments, checked.damaged), (sound.segments, 2));
    let told: Vec<_> = checked.damage.iter().map(|problem| (problem.code.as_str(), problem.title.as_str())).collect();
    assert_eq!(told, [("HW-LOG-007", "a segment of stream `s`, partition `0`, is damaged at byte `70`"); 2]);
}
