//! The power fails at every operation of a compaction, one after the other: no key loses its newest record, and none that
//! was replaced or deleted comes back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as expected")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headwater_base::{Limits, ManualClock, Micros, Name};
use headwater_log::{Append, Cleanup, Commit, EmbeddedLog, Log, LogError, StreamConfig, View};
use headwater_testkit::FaultyDisk;
use headwater_testkit::conformance::config;
use headwater_testkit::crash::begins_compaction;
use headwater_wire::batch::{self, Builder, Compression};

const KEYS: u64 = 20;
const RECORDS: u64 = 240;
/// What the disk keeps of unsynced writes is drawn this often for each place.
const DRAWS: u64 = 6;

struct House {
    disk: FaultyDisk,
    clock: Arc<ManualClock>,
    log: Arc<EmbeddedLog>,
}

impl House {
    fn open(disk: &FaultyDisk, clock: &Arc<ManualClock>) -> Self {
        let options = headwater_testkit::options(256 << 10);
        // Readers see the files, not what memory holds of them.
        let limits = Arc::new(Limits { tail_cache_bytes: 0, ..Limits::default() });
        let log = EmbeddedLog::open_with(Arc::new(disk.clone()), Path::new("/data"), limits, clock.clone(), options);
        Self { disk: disk.clone(), clock: clock.clone(), log: log.unwrap_or_else(|problem| panic!("{problem}")) }
    }

    /// A compacted stream of many closed segments that a checkpoint knows.
    fn filled() -> (Self, BTreeMap<u64, u64>) {
        let clock = Arc::new(ManualClock::at(Micros::from_millis(1_700_000_000_000)));
        let house = Self::open(&FaultyDisk::default(), &clock);
        let compacted = StreamConfig { cleanup: Cleanup::Compact, segment_bytes: 1_000, segment_ms: 10, ..config(1) };
        block_on(house.log.create(stream(), compacted, Vec::new())).unwrap();
        let mut newest = BTreeMap::new();
        for number in 0..RECORDS {
            let key = number * number % KEYS;
            let value = Some(number).filter(|number| number % 7 > 0);
            house.put(key, value);
            match value {
                Some(value) => newest.insert(key, value),
                None => newest.remove(&key),
            };
        }
        // Closes the last segment by its age, and makes the checkpoint that compaction waits for.
        house.clock.advance(Duration::from_secs(1));
        (house, newest)
    }

    fn put(&self, key: u64, value: Option<u64>) {
        let mut builder = Builder::new(Compression::None);
        let value = value.map(u64::to_le_bytes);
        builder.push(0, Some(&key.to_le_bytes()), value.as_ref().map(|value| &value[..]), &[]);
        let append = Append { stream: stream(), partition: 0, batches: builder.finish() };
        let mut commit = Commit { appends: vec![append], ..Commit::default() };
        let ticket = loop {
            match self.log.append(&mut commit) {
                Err(LogError::Full(_)) => block_on(self.log.room(&commit.streams())),
                ticket => break ticket.unwrap(),
            }
        };
        block_on(self.log.durable(ticket.sequence)).unwrap();
    }

    /// Maintains until nothing more is to be compacted, or the power fails.
    fn compact(&self) {
        for _ in 0..4 {
            if self.log.maintain_now().is_err() {
                return;
            }
            self.clock.advance(Duration::from_secs(10));
        }
    }

    /// The newest value of each key, and how many records there are.
    fn newest(&self) -> (BTreeMap<u64, u64>, usize) {
        let (mut newest, mut count, mut from) = (BTreeMap::new(), 0, 0);
        loop {
            let read = self.log.read(&stream(), 0, from, 10_000, View::Durable).unwrap().batches;
            if read.is_empty() {
                return (newest, count);
            }
            for (header, batch) in read.each().map(Result::unwrap) {
                for record in batch::records(&batch, 1 << 20).unwrap().map(Result::unwrap) {
                    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
                    let key = number(&record.key.unwrap());
                    count += 1;
                    match record.value {
                        Some(value) => newest.insert(key, number(&value)),
                        None => newest.remove(&key),
                    };
                }
                assert!(header.last_offset() >= from, "offsets grow");
                from = header.last_offset() + 1;
            }
        }
    }
}

fn stream() -> Name {
    Name::new("table").unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn a_power_cut_at_any_operation_of_a_compaction_changes_no_key() {
    let mut cuts = 0;
    'places: for operations in 1.. {
        for draw in 0..DRAWS {
            let (house, expected) = House::filled();
            house.disk.cut_in_work(begins_compaction, operations);
            house.compact();
            if !house.disk.is_off() {
                let (newest, count) = house.newest();
                assert!(newest == expected && count < RECORDS as usize / 2, "{count} records are left");
                break 'places;
            }
            cuts += 1;
            let House { disk, clock, log } = house;
            drop(log);
            disk.power_on(operations * DRAWS + draw);
            let house = House::open(&disk, &clock);
            assert_eq!(house.newest().0, expected, "operation {operations}, draw {draw}");
            // What was left half done is done anew, and stays so.
            house.compact();
            let (newest, count) = house.newest();
            assert!(newest == expected && count < RECORDS as usize / 2, "operation {operations}, draw {draw}: {count}");
            drop(house);
            disk.cut();
            disk.power_on(draw);
            assert_eq!(House::open(&disk, &clock).newest().0, expected, "operation {operations}, draw {draw}");
        }
    }
    assert!(cuts >= 20 * DRAWS, "only {cuts} cuts were inside a compaction");
}
