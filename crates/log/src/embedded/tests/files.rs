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
