//! The power-cut harness: producers and a pipeline-like loop on a [`FaultyDisk`], the power cut at a random operation,
//! recovery (sometimes cut as well), and a comparison of all that was promised with all that is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use headwater_base::{Limits, ManualClock, Micros, Name};
use headwater_log::embedded::Options;
use headwater_log::{Append, Cleanup, Commit, Delta, EmbeddedLog, Log, LogError, StreamConfig, View};
use headwater_wire::batch::{self, Builder, Compression};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::FaultyDisk;

const PRODUCERS: u64 = 2;
const LIVES: u64 = 4;
const KEYS: u64 = 12;

/// What a run found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Records that were acknowledged.
    pub acked: u64,
    /// Acknowledged records that are gone.
    pub lost: u64,
    /// Records or results that are there twice.
    pub doubled: u64,
    /// Keys whose state is not what the input up to the pipeline's position comes to.
    pub state_mismatches: u64,
    /// Recoveries that refused, in words.
    pub refused: Vec<String>,
    /// Power cuts.
    pub cuts: u64,
}

impl Report {
    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.state_mismatches == 0 && self.refused.is_empty()
    }
}

/// What a producer remembers over power cuts, as a client on another machine does.
#[derive(Default)]
struct Client {
    next: u64,
    sequence: i32,
    /// Records of the batch that was sent and not acknowledged.
    pending: Option<u64>,
    acked: BTreeSet<(u64, u64)>,
}

fn name(text: &str) -> Option<Name> {
    Name::new(text).ok()
}

fn open(disk: &FaultyDisk) -> Result<Arc<EmbeddedLog>, String> {
    let clock = Arc::new(ManualClock::at(Micros::from_millis(1_700_000_000_000)));
    let fatal: headwater_store::wal::Fatal = Arc::new(|_| ());
    let options = Options { wal_segment_bytes: 128 << 10, maintain_ms: None, fatal, ..Options::default() };
    let limits = Limits { tail_cache_bytes: 16 << 10, ..Limits::default() };
    EmbeddedLog::open_with(Arc::new(disk.clone()), Path::new("/data"), Arc::new(limits), clock, options)
        .map_err(|problem| problem.to_string())
}

fn wait<T>(future: impl Future<Output = T>) -> Option<T> {
    Some(tokio::runtime::Builder::new_current_thread().build().ok()?.block_on(future))
}

/// Runs one seed; `syncs_lie` switches every sync off, which must show in the report.
pub fn powercut_run(seed: u64, syncs_lie: bool) -> Report {
    let disk = FaultyDisk::default();
    if syncs_lie {
        disk.lie_about_syncs();
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut report = Report::default();
    let mut clients: Vec<Client> = (0..PRODUCERS).map(|_| Client::default()).collect();
    let mut promised_position = 0;
    for life in 0..LIVES {
        // Some recoveries lose power themselves.
        if life > 0 && rng.random_bool(0.5) {
            disk.cut_after(rng.random_range(1..40));
            drop(open(&disk));
            report.cuts += 1;
            disk.cut();
            disk.power_on(rng.random());
        }
        let log = match open(&disk) {
            Ok(log) => log,
            Err(error) => {
                report.refused.push(error);
                return report;
            }
        };
        verify(&log, &clients, promised_position, &mut report);
        disk.cut_after(rng.random_range(30..1_500));
        promised_position = live(&log, &disk, &mut clients, promised_position, seed ^ life);
        disk.cut();
        drop(log);
        disk.power_on(rng.random());
        report.cuts += 1;
    }
    match open(&disk) {
        Ok(log) => verify(&log, &clients, promised_position, &mut report),
        Err(error) => report.refused.push(error),
    }
    report.acked = clients.iter().map(|client| client.acked.len() as u64).sum();
    report
}

/// One life: everything runs until the power fails. Answers the pipeline's acknowledged position.
fn live(log: &Arc<EmbeddedLog>, disk: &FaultyDisk, clients: &mut [Client], position: i64, seed: u64) -> i64 {
    let create = |text: &str, cleanup| {
        let config = StreamConfig {
            partitions: 1,
            retention_ms: None,
            retention_bytes: None,
            cleanup,
            batch_bytes_max: 1 << 20,
            segment_bytes: 4 << 10,
            segment_ms: i64::MAX,
            delete_retention_ms: 0,
            append_time: false,
        };
        name(text).and_then(|name| wait(log.create(name, config, Vec::new())))
    };
    let streams = [create("in", Cleanup::Delete), create("out", Cleanup::Delete), create("table", Cleanup::Compact)];
    if streams.iter().any(|made| !matches!(made, Some(Ok(_) | Err(LogError::StreamExists(_))))) {
        return position;
    }
    thread::scope(|scope| {
        for (id, client) in clients.iter_mut().enumerate() {
            scope.spawn(move || produce(&**log, disk, id as u64, client, seed));
        }
        scope.spawn(|| {
            while !disk.is_off() {
                // Failures are the harness's business: the power is failing.
                drop(log.maintain_now());
            }
        });
        scope.spawn(|| pipeline(&**log, disk, position)).join().unwrap_or(position)
    })
}

fn produce(log: &dyn Log, disk: &FaultyDisk, id: u64, client: &mut Client, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (id << 32));
    let Some(stream) = name("in") else { return };
    while !disk.is_off() {
        let count = *client.pending.get_or_insert_with(|| rng.random_range(1..4));
        let mut builder = Builder::new(Compression::None);
        builder.producer(1_000 + id as i64, 0, client.sequence);
        for number in client.next..client.next + count {
            let value = [id.to_le_bytes(), number.to_le_bytes()].concat();
            builder.push(0, Some(&(number % KEYS).to_le_bytes()), Some(&value), &[("pad", &[0; 60])]);
        }
        let appends = vec![Append { stream: stream.clone(), partition: 0, batches: builder.finish() }];
        let sent = log.append(&Commit { appends, ..Commit::default() });
        let durable = match sent {
            Ok(ticket) => wait(log.durable(ticket.sequence)).is_some_and(|done| done.is_ok()),
            Err(LogError::Full(_)) => {
                wait(log.room());
                continue;
            }
            Err(_) => return,
        };
        if !durable {
            return;
        }
        client.acked.extend((client.next..client.next + count).map(|number| (id, number)));
        client.next += count;
        client.sequence += count as i32;
        client.pending = None;
    }
}

/// A commit loop as pipelines have it: input read before it is durable, output, state and position in one commit.
fn pipeline(log: &dyn Log, disk: &FaultyDisk, promised: i64) -> i64 {
    let (Some(input), Some(output), Some(table), Some(owner)) = (name("in"), name("out"), name("table"), name("pipe"))
    else {
        return promised;
    };
    let mut promised = promised;
    let Some(Ok(epoch)) = wait(log.fence(&owner)) else { return promised };
    let mut position = position_of(log);
    while !disk.is_off() {
        let Ok(read) = log.read(&input, 0, position, 2_000, View::Appended) else { return promised };
        if read.batches.is_empty() {
            thread::yield_now();
            continue;
        }
        let mut out = Builder::new(Compression::None);
        let mut rows = Builder::new(Compression::None);
        let mut counts: BTreeMap<Bytes, u64> = BTreeMap::new();
        let mut next = position;
        for record in records(&read.batches) {
            if record.offset < position {
                continue;
            }
            next = record.offset + 1;
            out.push(0, None, Some(&record.offset.to_le_bytes()), &[]);
            let key = record.key.unwrap_or_default();
            *counts.entry(key.clone()).or_insert_with(|| number(log.get("counts", &key, View::Appended).as_deref())) +=
                1;
        }
        for (key, count) in &counts {
            rows.push(0, Some(key), Some(&count.to_le_bytes()), &[]);
        }
        let count =
            |(key, count): (Bytes, u64)| Delta { key, value: Some(Bytes::copy_from_slice(&count.to_le_bytes())) };
        let place = Delta { key: Bytes::from_static(b"in"), value: Some(Bytes::copy_from_slice(&next.to_le_bytes())) };
        let commit = Commit {
            appends: vec![
                Append { stream: output.clone(), partition: 0, batches: out.finish() },
                Append { stream: table.clone(), partition: 0, batches: rows.finish() },
            ],
            deltas: vec![
                (Arc::from("counts"), counts.into_iter().map(count).collect()),
                (Arc::from("position"), vec![place]),
            ],
            fence: Some((owner.clone(), epoch)),
        };
        let ticket = match log.append(&commit) {
            Ok(ticket) => ticket,
            Err(LogError::Full(_)) => {
                wait(log.room());
                continue;
            }
            Err(_) => return promised,
        };
        position = next;
        if next % 3 == 0 {
            if wait(log.durable(ticket.sequence)).is_none_or(|done| done.is_err()) {
                return promised;
            }
            promised = next;
        }
    }
    promised
}

fn position_of(log: &dyn Log) -> i64 {
    number(log.get("position", b"in", View::Durable).as_deref()) as i64
}

fn number(bytes: Option<&[u8]>) -> u64 {
    bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn records(batches: &Bytes) -> Vec<batch::Record> {
    let mut found = Vec::new();
    for (_, range) in batch::split(batches).flatten() {
        found.extend(batch::records(&batches.slice(range), 1 << 24).into_iter().flatten().flatten());
    }
    found
}

/// All durable records of a stream's partition 0.
fn all(log: &dyn Log, stream: &str) -> Vec<batch::Record> {
    let mut found: Vec<batch::Record> = Vec::new();
    let Some(stream) = name(stream) else { return found };
    let mut from = 0;
    while let Ok(read) = log.read(&stream, 0, from, 10_000, View::Durable) {
        let Some(last) = batch::split(&read.batches).flatten().last() else { break };
        found.extend(records(&read.batches).into_iter().filter(|record| record.offset >= from));
        from = last.0.last_offset() + 1;
    }
    found
}

fn verify(log: &Arc<EmbeddedLog>, clients: &[Client], promised: i64, report: &mut Report) {
    let log: &dyn Log = &**log;
    let input = all(log, "in");
    let mut seen: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for record in &input {
        let value = record.value.as_deref().unwrap_or_default();
        *seen.entry((number(value.get(..8)), number(value.get(8..)))).or_default() += 1;
    }
    report.doubled += seen.values().filter(|times| **times > 1).count() as u64;
    report.lost += clients.iter().flat_map(|client| &client.acked).filter(|one| !seen.contains_key(one)).count() as u64;

    let position = position_of(log);
    report.lost += u64::try_from(promised - position).unwrap_or(0);
    let out: Vec<i64> = all(log, "out").iter().map(|record| number(record.value.as_deref()) as i64).collect();
    let distinct: BTreeSet<i64> = out.iter().copied().collect();
    report.doubled += (out.len() - distinct.len()) as u64;
    let wanted: BTreeSet<i64> = (0..position).collect();
    report.lost += wanted.difference(&distinct).count() as u64;
    report.doubled += distinct.difference(&wanted).count() as u64;
    let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for record in input.iter().filter(|record| record.offset < position) {
        *counts.entry(record.key.as_deref().unwrap_or_default().to_vec()).or_default() += 1;
    }
    let mut state: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    log.for_each("counts", &mut |key, value| {
        state.insert(key.to_vec(), number(Some(value)));
    });
    let mut rows: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for record in all(log, "table") {
        rows.insert(record.key.as_deref().unwrap_or_default().to_vec(), number(record.value.as_deref()));
    }
    let differ =
        |one: &BTreeMap<Vec<u8>, u64>| counts.iter().filter(|(key, count)| one.get(*key) != Some(*count)).count();
    report.state_mismatches += (differ(&state) + differ(&rows)) as u64;
    report.state_mismatches += state.len().abs_diff(counts.len()) as u64;
}
