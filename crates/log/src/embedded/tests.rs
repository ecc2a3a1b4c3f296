mod files;

use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use headwater_base::ManualClock;
use headwater_store::disk::MemoryDisk;
use headwater_testkit::threads::{niceness, own_niceness};
use headwater_wire::batch::{self, Builder, Compression};

use super::*;
use crate::{Append, Cleanup, Delta, Placed, append_when_room};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

struct House {
    disk: MemoryDisk,
    clock: Arc<ManualClock>,
    log: Arc<EmbeddedLog>,
}

fn open(disk: &MemoryDisk, clock: &Arc<ManualClock>) -> Arc<EmbeddedLog> {
    let options = Options { wal_segment_bytes: 1 << 20, maintain_ms: None, ..Options::default() };
    EmbeddedLog::open_with(Arc::new(disk.clone()), Path::new("/data"), Arc::default(), clock.clone(), options).unwrap()
}

impl House {
    fn new() -> Self {
        let disk = MemoryDisk::default();
        let clock = Arc::new(ManualClock::at(Micros::from_millis(1_000_000)));
        let log = open(&disk, &clock);
        Self { disk, clock, log }
    }

    /// Stops without a checkpoint, and starts again.
    fn restart(self) -> Self {
        let Self { disk, clock, log } = self;
        drop(log);
        let log = open(&disk, &clock);
        Self { disk, clock, log }
    }

    fn stream(&self, name: &str, change: impl FnOnce(&mut StreamConfig)) -> Name {
        let name = Name::new(name).unwrap();
        let mut config = config();
        change(&mut config);
        block_on(self.log.create(name.clone(), config, Vec::new())).unwrap();
        name
    }

    fn append(&self, stream: &Name, batches: BytesMut) -> Result<Ticket, LogError> {
        let appends = vec![Append { stream: stream.clone(), partition: 0, batches }];
        // The write-ahead log may have no spare file yet.
        let ticket = block_on(append_when_room(&*self.log, &mut Commit { appends, ..Commit::default() }))?;
        block_on(self.log.durable(ticket.sequence)).unwrap();
        Ok(ticket)
    }

    fn put(&self, stream: &Name, key: &str, value: Option<&str>) -> Placed {
        let mut builder = Builder::new(Compression::None);
        builder.push(self.clock.now().millis(), Some(key.as_bytes()), value.map(str::as_bytes), &[]);
        self.append(stream, builder.finish()).unwrap().placed[0]
    }

    fn all(&self, stream: &Name) -> Vec<(Offset, String, Option<String>)> {
        let mut found = Vec::new();
        let mut from = self.log.ends(stream, 0).unwrap().start;
        loop {
            let read = self.log.read(stream, 0, from, 300, View::Durable).unwrap();
            if read.batches.is_empty() {
                return found;
            }
            for item in read.batches.each() {
                let (header, batch) = item.unwrap();
                for record in batch::records(&batch, 1 << 20).unwrap() {
                    let record = record.unwrap();
                    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
                    if record.offset >= from {
                        let key = record.key.as_ref().map(text).unwrap_or_default();
                        found.push((record.offset, key, record.value.as_ref().map(text)));
                    }
                }
                from = header.last_offset() + 1;
            }
        }
    }
}

fn config() -> StreamConfig {
    StreamConfig {
        partitions: 1,
        retention_ms: None,
        retention_bytes: None,
        cleanup: Cleanup::Delete,
        batch_bytes_max: 1 << 20,
        segment_bytes: 500,
        segment_ms: 1_000_000,
        delete_retention_ms: 1_000,
        append_time: false,
    }
}

fn offsets(all: &[(Offset, String, Option<String>)]) -> Vec<Offset> {
    all.iter().map(|(offset, ..)| *offset).collect()
}

#[test]
fn what_was_acknowledged_is_there_after_any_stop() {
    let mut house = House::new();
    let stream = house.stream("s", |_| ());
    for round in 0..5 {
        for number in 0..20 {
            let placed = house.put(&stream, &format!("k{number}"), Some("v"));
            assert_eq!(placed.first, round * 20 + number);
        }
        match round {
            0 => house.log.maintain_now().unwrap(),
            2 => house.log.close().unwrap(),
            _ => {}
        }
        house = house.restart();
        assert_eq!(offsets(&house.all(&stream)), (0..(round + 1) * 20).collect::<Vec<_>>(), "round {round}");
    }
}

#[test]
fn a_closed_log_refuses() {
    let house = House::new();
    let stream = house.stream("s", |_| ());
    house.put(&stream, "k", Some("v"));
    house.log.close().unwrap();
    house.log.close().unwrap();
    assert_eq!(house.log.read(&stream, 0, 0, 100, View::Durable).unwrap_err(), LogError::Closed);
    assert!(matches!(house.log.append(&mut Commit::default()), Err(LogError::Closed)));
}

#[test]
fn state_streams_fences_and_producer_ids_survive() {
    let house = House::new();
    let stream = house.stream("s", |config| config.partitions = 3);
    let owner = Name::new("owner").unwrap();
    assert_eq!(block_on(house.log.fence(&owner)).unwrap(), 1);
    assert_eq!(block_on(house.log.fence(&owner)).unwrap(), 2);
    let first = block_on(house.log.producer_id()).unwrap();
    let deltas = |value: &'static str| {
        let delta = Delta { key: Bytes::from_static(b"key"), value: Some(Bytes::from_static(value.as_bytes())) };
        vec![(Arc::from("space"), vec![delta])]
    };
    let commit =
        |value, epoch| Commit { deltas: deltas(value), fence: Some((owner.clone(), epoch)), ..Commit::default() };
    assert_eq!(house.log.append(&mut commit("old", 1)).unwrap_err(), LogError::Fenced(owner.clone(), 1));
    house.log.maintain_now().unwrap();
    let ticket = house.log.append(&mut commit("new", 2)).unwrap();
    block_on(house.log.durable(ticket.sequence)).unwrap();
    let house = house.restart();
    assert_eq!(house.log.get("space", b"key", View::Durable).as_deref(), Some(&b"new"[..]));
    assert_eq!(house.log.scan("space", b"k", None, 9).len(), 1);
    assert_eq!(block_on(house.log.fence(&owner)).unwrap(), 3);
    assert!(block_on(house.log.producer_id()).unwrap() > first);
    assert_eq!(house.log.stream("s").unwrap().config.partitions, 3);
    block_on(house.log.delete(&stream)).unwrap();
    block_on(house.log.drop_space("space")).unwrap();
    let house = house.restart();
    assert!(house.log.stream("s").is_none());
    assert_eq!(house.log.get("space", b"key", View::Durable), None);
}

/// A commit is on its way to the disk before its changes are applied, and many changes take longer than the sync.
#[test]
fn whoever_sees_a_record_sees_the_changes_of_its_commit() {
    const COMMITS: i64 = 50;
    let house = House::new();
    let stream = house.stream("s", |_| ());
    let last_of = |offset: i64| Bytes::from(format!("{offset}/last"));
    let write = |offset: i64| {
        let mut builder = Builder::new(Compression::None);
        builder.push(0, None, Some(b"v"), &[]);
        let appends = vec![Append { stream: stream.clone(), partition: 0, batches: builder.finish() }];
        let keys = (0..5_000).map(|number: u32| Bytes::copy_from_slice(&number.to_be_bytes()));
        let deltas = keys.chain([last_of(offset)]).map(|key| Delta { key, value: Some(Bytes::from_static(b"v")) });
        let deltas = vec![(Arc::from("first"), deltas.collect()), (Arc::from("second"), vec![])];
        let mut commit = Commit { appends, deltas, ..Commit::default() };
        let ticket = block_on(append_when_room(&*house.log, &mut commit)).unwrap();
        block_on(house.log.durable(ticket.sequence)).unwrap();
    };
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..COMMITS).for_each(write));
        let (mut seen, mut is_last) = (0, false);
        while !is_last {
            is_last = writer.is_finished();
            let durable = house.log.ends(&stream, 0).unwrap().durable;
            for offset in seen..durable {
                let change = house.log.get("first", &last_of(offset), View::Durable);
                assert!(change.is_some(), "the record at `{offset}` is durable, and its change is not to be seen");
            }
            seen = durable;
            std::thread::yield_now();
        }
        assert_eq!(seen, COMMITS);
    });
}

#[test]
fn a_repeat_answers_the_first_offsets_even_after_a_restart() {
    let mut house = House::new();
    let stream = house.stream("s", |_| ());
    let sent = |sequence: i32| {
        let mut builder = Builder::new(Compression::None);
        builder.producer(7, 0, sequence);
        builder.push(1, Some(b"k"), Some(b"v"), &[]);
        builder.finish()
    };
    for round in 0..3 {
        for sequence in round * 4..round * 4 + 4 {
            let ticket = house.append(&stream, sent(sequence)).unwrap();
            assert!(!ticket.placed[0].duplicate);
            let again = house.append(&stream, sent(sequence)).unwrap();
            assert!(again.placed[0].duplicate);
            assert_eq!(again.placed[0].first, ticket.placed[0].first);
        }
        if round == 1 {
            house.log.maintain_now().unwrap();
        }
        house = house.restart();
        let again = house.append(&stream, sent(round * 4 + 3)).unwrap();
        assert!(again.placed[0].duplicate, "round {round}");
        let error = house.append(&stream, sent(round * 4 + 9)).unwrap_err();
        assert_eq!(error, LogError::OutOfOrderSequence { producer: 7, got: round * 4 + 9, wanted: round * 4 + 4 });
    }
    assert_eq!(house.all(&stream).len(), 12);
}

#[test]
fn a_batch_stays_in_the_memory_that_it_came_in_unless_that_is_mostly_empty() {
    let house = House::new();
    let stream = house.stream("s", |_| ());
    let stays = |room: usize| {
        let mut builder = Builder::new(Compression::None);
        builder.push(1, Some(b"k"), Some(&[7; 1_000]), &[]);
        let mut batches = BytesMut::with_capacity(room);
        batches.extend_from_slice(&builder.finish());
        let place = batches.as_ptr();
        let ticket = house.append(&stream, batches).unwrap();
        let read = house.log.read(&stream, 0, ticket.placed[0].first, 1, View::Durable).unwrap();
        read.batches.into_iter().all(|piece| std::ptr::eq(piece.as_ptr(), place))
    };
    assert!(stays(1_100));
    assert!(!stays(1 << 20));
}

#[test]
fn a_refused_commit_leaves_no_trace_of_its_producers() {
    let house = House::new();
    let stream = house.stream("s", |config| config.partitions = 2);
    let sent = |producer: i64, sequence: i32| {
        let mut builder = Builder::new(Compression::None);
        builder.producer(producer, 0, sequence);
        builder.push(1, Some(b"k"), Some(b"v"), &[]);
        builder.finish()
    };
    let commit = |first: BytesMut, second: BytesMut| {
        let append = |partition, batches| Append { stream: stream.clone(), partition, batches };
        Commit { appends: vec![append(0, first), append(1, second)], ..Commit::default() }
    };
    block_on(house.log.durable(house.log.append(&mut commit(sent(7, 0), sent(8, 0))).unwrap().sequence)).unwrap();
    let partition = house.log.core.partition(&stream, 0).unwrap();
    assert_eq!(partition.producers.lock().take_changes().len(), 1);

    // Two batches of one producer in one commit follow on; the last append is out of order and takes all with it.
    let mut two = sent(7, 1);
    two.unsplit(sent(7, 2));
    let mut both = commit(two, sent(8, 5));
    let refused = house.log.append(&mut both).unwrap_err();
    assert_eq!(refused, LogError::OutOfOrderSequence { producer: 8, got: 5, wanted: 1 });
    assert!(partition.producers.lock().take_changes().is_empty(), "nothing that a checkpoint could take along");

    both.appends[1].batches = sent(8, 1);
    let placed = house.log.append(&mut both).unwrap().placed;
    assert_eq!(
        placed.iter().map(|one| (one.first, one.last, one.duplicate)).collect::<Vec<_>>(),
        [(1, 2, false), (1, 1, false)]
    );
}

#[test]
fn retention_drops_whole_segments_by_age_and_size() {
    let house = House::new();
    let by_age = house.stream("age", |config| config.retention_ms = Some(5_000));
    let by_size = house.stream("size", |config| config.retention_bytes = Some(1_000));
    for _ in 0..10 {
        for _ in 0..5 {
            house.put(&by_age, "k", Some("value"));
            house.put(&by_size, "k", Some("value"));
        }
        house.clock.advance(Duration::from_secs(1));
    }
    house.log.maintain_now().unwrap();
    house.log.maintain_now().unwrap();
    let start = house.log.ends(&by_age, 0).unwrap().start;
    assert!((20..30).contains(&start), "start {start}");
    assert!(house.log.ends(&by_size, 0).unwrap().start > 20);
    let house = house.restart();
    assert_eq!(house.log.ends(&by_age, 0).unwrap().start, start);
    assert_eq!(offsets(&house.all(&by_age)), (start..50).collect::<Vec<_>>());
    let wanted = LogError::OffsetOutOfRange { wanted: 0, start, end: 50 };
    assert_eq!(house.log.read(&by_age, 0, 0, 10, View::Durable).unwrap_err(), wanted);
}

#[test]
fn records_without_a_time_are_as_old_as_their_segment() {
    let house = House::new();
    let stream = house.stream("s", |config| config.retention_ms = Some(5_000));
    for _ in 0..20 {
        let mut builder = Builder::new(Compression::None);
        builder.push(-1, Some(b"k"), Some(b"value"), &[]);
        house.append(&stream, builder.finish()).unwrap();
    }
    house.log.maintain_now().unwrap();
    house.clock.advance(Duration::from_secs(4));
    house.log.maintain_now().unwrap();
    assert_eq!(house.log.ends(&stream, 0).unwrap().start, 0, "they have just come");
    house.clock.advance(Duration::from_secs(2));
    house.log.maintain_now().unwrap();
    assert!(house.log.ends(&stream, 0).unwrap().start > 10);
}

#[test]
fn compaction_keeps_the_newest_of_each_key_and_the_offsets() {
    let house = House::new();
    let stream = house.stream("table", |config| config.cleanup = Cleanup::Compact);
    for round in 0..20 {
        for key in ["a", "b", "c"] {
            house.put(&stream, key, Some(&format!("{key}{round}")));
        }
    }
    house.put(&stream, "b", None);
    for _ in 0..10 {
        house.put(&stream, "fill", Some("x"));
    }
    for _ in 0..3 {
        house.log.maintain_now().unwrap();
    }
    let left = house.all(&stream);
    assert!(left.len() < 40, "{} records left", left.len());
    let newest = |key: &str| left.iter().rev().find(|(_, one, _)| one == key).cloned();
    assert_eq!(newest("a"), Some((57, "a".into(), Some("a19".into()))));
    assert_eq!(newest("b"), Some((60, "b".into(), None)));
    let house = house.restart();
    assert_eq!(house.all(&stream), left);
    assert_eq!(house.put(&stream, "a", Some("next")).first, 71);
    house.clock.advance(Duration::from_secs(2_000));
    for _ in 0..3 {
        house.log.maintain_now().unwrap();
    }
    assert!(house.all(&stream).iter().all(|(_, key, _)| key != "b"), "the deletion marker has gone");
    let mut builder = Builder::new(Compression::None);
    builder.push(1, None, Some(b"v"), &[]);
    assert!(matches!(house.append(&stream, builder.finish()), Err(LogError::InvalidRecord(_))));
}

#[test]
fn compaction_gets_through_more_keys_than_it_holds_at_once() {
    let (disk, clock) = (MemoryDisk::default(), Arc::new(ManualClock::at(Micros::from_millis(1_000_000))));
    let options = Options { wal_segment_bytes: 1 << 20, maintain_ms: None, compaction_keys: 10, ..Options::default() };
    let log = EmbeddedLog::open_with(Arc::new(disk.clone()), "/data", Arc::default(), clock.clone(), options).unwrap();
    let house = House { disk, clock, log };
    let stream = house.stream("table", |config| config.cleanup = Cleanup::Compact);
    for round in 0..10 {
        for key in 0..40 {
            house.put(&stream, &format!("k{key:02}"), Some(&format!("v{round}")));
        }
    }
    for _ in 0..80 {
        house.log.maintain_now().unwrap();
    }
    let left = house.all(&stream);
    assert!(left.len() < 60, "{} of 400 records are left", left.len());
    for key in 0..40 {
        let key = format!("k{key:02}");
        let newest = left.iter().rev().find(|(_, one, _)| *one == key).map(|(.., value)| value.clone());
        assert_eq!(newest, Some(Some("v9".into())), "{key}");
    }
}

#[test]
fn a_time_is_found_and_a_trim_holds() {
    let house = House::new();
    let stream = house.stream("s", |_| ());
    for _ in 0..100 {
        house.put(&stream, "k", Some("value"));
        house.clock.advance(Duration::from_millis(10));
    }
    let house = house.restart();
    for wanted in [0, 1, 37, 99] {
        let time = Micros::from_millis(1_000_000 + wanted * 10);
        assert_eq!(house.log.find_time(&stream, 0, time).unwrap(), Some((wanted, time)));
        let before = Micros(time.0 - 1);
        assert_eq!(house.log.find_time(&stream, 0, before).unwrap(), Some((wanted, time)));
    }
    assert_eq!(house.log.find_time(&stream, 0, Micros::from_millis(2_000_000)).unwrap(), None);
    assert_eq!(block_on(house.log.trim(&stream, 0, 40)).unwrap(), 40);
    let house = house.restart();
    assert_eq!(house.all(&stream).len(), 60);
}

#[test]
fn a_read_that_a_trim_overtakes_is_refused() {
    let house = House::new();
    let stream = house.stream("s", |_| ());
    for _ in 0..40 {
        house.put(&stream, "k", Some("value"));
    }
    house.log.maintain_now().unwrap();
    let house = house.restart();
    let partition = house.log.core.partition(&stream, 0).unwrap();
    let before = partition.ends();
    block_on(house.log.trim(&stream, 0, 30)).unwrap();
    house.log.maintain_now().unwrap();
    let read = house.log.core.read_within(&partition, before, 0, 10, View::Durable, Reach::Files);
    assert_eq!(read.unwrap_err(), LogError::OffsetOutOfRange { wanted: 0, start: 30, end: 40 });
}

#[test]
fn the_record_with_the_largest_time_is_found_wherever_it_is() {
    let house = House::new();
    let stream = house.stream("s", |_| ());
    let put = |time_ms: i64| {
        let mut builder = Builder::new(Compression::None);
        builder.push(time_ms, Some(b"k"), Some(b"value"), &[]);
        house.append(&stream, builder.finish()).unwrap();
    };
    let newest = |house: &House| house.log.newest(&stream, 0).unwrap().map(|(offset, time)| (offset, time.millis()));
    assert_eq!(newest(&house), None);
    // In memory, in a segment, and where no search has to begin at the largest number there is.
    put(500);
    assert_eq!(newest(&house), Some((0, 500)));
    for time_ms in [900, 100, 900, 300] {
        put(time_ms);
    }
    assert_eq!(newest(&house), Some((1, 900)));
    for time_ms in 0..40 {
        put(time_ms);
    }
    house.log.maintain_now().unwrap();
    let house = house.restart();
    assert_eq!(newest(&house), Some((1, 900)));
    // What its segment remembers is gone.
    block_on(house.log.trim(&stream, 0, 4)).unwrap();
    assert_eq!(newest(&house), Some((4, 300)));
    block_on(house.log.trim(&stream, 0, 45)).unwrap();
    assert_eq!(newest(&house), None);
}

#[test]
fn memory_answers_for_the_newest_records_alone() {
    let house = House::new();
    let stream = house.stream("s", |_| ());
    house.put(&stream, "k", Some("v"));
    let read = |house: &House, from| house.log.read_in_memory(&stream, 0, from, 100, View::Durable).unwrap();
    assert_eq!(read(&house, 0).map(|read| read.batches.bytes()), Some(70));
    house.log.maintain_now().unwrap();
    let house = house.restart();
    house.put(&stream, "k", Some("v"));
    assert!(read(&house, 0).is_none(), "it is in a segment alone");
    assert_eq!(read(&house, 1).map(|read| read.batches.bytes()), Some(70));
    assert_eq!(read(&house, 2).map(|read| read.batches.bytes()), Some(0), "the end needs no file");
}

#[test]
fn bad_batches_are_refused_and_nothing_is_written() {
    let house = House::new();
    let stream = house.stream("s", |config| config.batch_bytes_max = 200);
    let good = || {
        let mut builder = Builder::new(Compression::None);
        builder.push(1, Some(b"k"), Some(&[7; 40]), &[]);
        builder.finish()
    };
    let mut flipped = good();
    flipped[80] ^= 1;
    assert!(matches!(house.append(&stream, flipped), Err(LogError::CorruptBatch(_))));
    let mut cut = good();
    cut.truncate(90);
    assert!(matches!(house.append(&stream, cut), Err(LogError::CorruptBatch(_))));
    assert!(matches!(house.append(&stream, BytesMut::new()), Err(LogError::CorruptBatch(_))));
    let mut large = Builder::new(Compression::None);
    large.push(1, Some(b"k"), Some(&[7; 400]), &[]);
    assert!(matches!(house.append(&stream, large.finish()), Err(LogError::BatchTooLarge { limit: 200, .. })));
    assert_eq!(house.log.ends(&stream, 0).unwrap().appended, 0);
    house.append(&stream, good()).unwrap();
}

#[test]
fn waiters_hear_of_what_they_wait_for() {
    let house = House::new();
    let stream = house.stream("s", |_| ());
    let notify = Arc::new(Notify::new());
    house.log.wake_after(&stream, 0, 0, View::Durable, &notify).unwrap();
    let waiter = {
        let notify = notify.clone();
        std::thread::spawn(move || block_on(notify.notified()))
    };
    house.put(&stream, "k", Some("v"));
    waiter.join().unwrap();
    house.log.wake_after(&stream, 0, 0, View::Appended, &notify).unwrap();
    block_on(notify.notified());
    house.log.wake_after(&stream, 0, 5, View::Durable, &notify).unwrap();
    block_on(house.log.delete(&stream)).unwrap();
    block_on(notify.notified());
}

#[test]
fn what_nobody_waits_for_stands_back_for_those_who_wait_for_the_log() {
    let clock = Arc::new(ManualClock::at(Micros::from_millis(1_000_000)));
    let disk = Arc::new(MemoryDisk::default());
    let _log = EmbeddedLog::open_with(disk, Path::new("/data"), Arc::default(), clock, Options::default()).unwrap();
    let wanted = own_niceness().max(STEPS_BACK);
    // Until it has begun, a thread has the priority of whoever started it.
    let until = std::time::Instant::now() + Duration::from_secs(10);
    for name in ["hw-log-keeper", "hw-log-filer"] {
        while !niceness(name).contains(&wanted) {
            assert!(std::time::Instant::now() < until, "no {name} has stood back: {:?}", niceness(name));
            std::thread::yield_now();
        }
    }
}
