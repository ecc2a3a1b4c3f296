//! What runs until the power fails: producers, a pipeline, changes of state, retention, and streams that come and go.
//! Each client remembers over power cuts what it was promised, as a client on another machine does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use headwater_base::{ManualClock, Name};
use headwater_log::{Append, Cleanup, Commit, Delta, EmbeddedLog, Log, LogError, StreamConfig, Ticket, View};
use headwater_wire::batch::{Builder, Compression};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::history::History;
use super::{check, name, wait};
use crate::FaultyDisk;

const PRODUCERS: u64 = 2;
const KEYS: u64 = 12;
/// Bytes that retention must leave in the stream `short`.
pub(super) const SHORT_BYTES: i64 = 6 << 10;

/// All clients.
#[derive(Default)]
pub(super) struct Clients {
    pub producers: [Producer; PRODUCERS as usize],
    pub pipeline: Pipeline,
    pub rows: Rows,
    pub scratch: Rows,
    pub short: Short,
    pub guest: Guest,
}

/// An idempotent producer.
#[derive(Default)]
pub(super) struct Producer {
    next: u64,
    sequence: i32,
    /// Records of the batch that was sent and not acknowledged.
    pending: Option<u64>,
    pub acked: BTreeSet<(u64, u64)>,
    /// A commit was accepted that had to be refused.
    pub accepted_wrongly: usize,
}

/// A commit loop as pipelines have it.
#[derive(Default)]
pub(super) struct Pipeline {
    /// The input position that was acknowledged.
    pub promised: i64,
    /// The newest epoch handed out.
    pub epoch: u64,
    pub epochs_repeated: usize,
}

/// State that is set, deleted and dropped.
pub(super) struct Rows {
    pub history: History<BTreeMap<u64, u64>>,
    pub acked: u64,
}

impl Default for Rows {
    fn default() -> Self {
        Self { history: History::new(BTreeMap::new()), acked: 0 }
    }
}

/// A stream that retention and trims shorten.
#[derive(Default)]
pub(super) struct Short {
    pub acked_end: i64,
    pub trimmed: i64,
    /// The largest trim that was asked for.
    pub wanted: i64,
}

/// A stream that is created, grown, filled and deleted under one name again and again: its generation, and the records
/// of each partition.
pub(super) type Stay = Option<(u64, Vec<u64>)>;

/// The client of such a stream.
pub(super) struct Guest {
    pub history: History<Stay>,
    pub acked: u64,
    pub generation: u64,
    pub producer_ids: BTreeSet<i64>,
    pub ids_repeated: usize,
}

impl Default for Guest {
    fn default() -> Self {
        Self { history: History::new(None), acked: 0, generation: 0, producer_ids: BTreeSet::new(), ids_repeated: 0 }
    }
}

/// What every client works with.
#[derive(Clone, Copy)]
struct Life<'a> {
    log: &'a dyn Log,
    disk: &'a FaultyDisk,
    rounds: usize,
}

impl Life<'_> {
    fn rounds(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.rounds).take_while(|_| !self.disk.is_off())
    }

    /// Appends, waiting for room; None when the log refuses, because its power is failing.
    fn append(&self, commit: &mut Commit) -> Option<Ticket> {
        loop {
            match self.log.append(commit) {
                Ok(ticket) => return Some(ticket),
                Err(LogError::Full(_)) => wait(self.log.room(&commit.streams()))?,
                Err(_) => return None,
            }
        }
    }

    fn durable(&self, ticket: &Ticket) -> Option<()> {
        wait(self.log.durable(ticket.sequence))?.ok()
    }
}

fn config(partitions: u32, cleanup: Cleanup) -> StreamConfig {
    StreamConfig {
        partitions,
        retention_ms: None,
        retention_bytes: None,
        cleanup,
        batch_bytes_max: 1 << 20,
        segment_bytes: 4 << 10,
        segment_ms: 60_000,
        delete_retention_ms: 0,
        append_time: false,
    }
}

fn append_to(stream: &Name, partition: u32, batches: BytesMut) -> Append {
    Append { stream: stream.clone(), partition, batches }
}

fn one(key: Option<u64>, value: Option<&[u8]>) -> BytesMut {
    let mut builder = Builder::new(Compression::None);
    builder.push(0, key.map(u64::to_le_bytes).as_ref().map(|key| &key[..]), value, &[]);
    builder.finish()
}

impl Clients {
    /// How much was acknowledged.
    pub fn acked(&self) -> u64 {
        let records: usize = self.producers.iter().map(|producer| producer.acked.len()).sum();
        let short = u64::try_from(self.short.acked_end).unwrap_or(0);
        records as u64 + self.rows.acked + self.scratch.acked + self.guest.acked + short
    }

    /// One life: everything runs until the power fails, or for so many rounds.
    pub fn live(&mut self, log: &Arc<EmbeddedLog>, disk: &FaultyDisk, clock: &ManualClock, seed: u64, rounds: usize) {
        let create = |text: &str, config| {
            let made = name(text).and_then(|name| wait(log.create(name, config, Vec::new())));
            matches!(made, Some(Ok(_) | Err(LogError::StreamExists(_))))
        };
        let short =
            StreamConfig { retention_bytes: Some(SHORT_BYTES), segment_bytes: 2 << 10, ..config(1, Cleanup::Delete) };
        let ready = create("in", config(1, Cleanup::Delete))
            && create("out", config(1, Cleanup::Delete))
            && create("table", config(1, Cleanup::Compact))
            && create("rows", config(1, Cleanup::Compact))
            && create("short", short);
        if !ready {
            return;
        }
        let life = Life { log: &**log, disk, rounds };
        let over = AtomicBool::new(false);
        let rng = |client: u64| ChaCha8Rng::seed_from_u64(seed ^ client << 32);
        let Self { producers, pipeline, rows, scratch, short, guest } = self;
        thread::scope(|scope| {
            let keeper = scope.spawn(|| {
                while !disk.is_off() && !over.load(Ordering::SeqCst) {
                    clock.advance(Duration::from_millis(50));
                    // Failures are the harness's business: the power is failing.
                    drop(log.maintain_now());
                }
            });
            let mut clients = Vec::new();
            for (id, producer) in producers.iter_mut().enumerate() {
                clients.push(scope.spawn(move || producer.run(life, id as u64, rng(id as u64))));
            }
            clients.push(scope.spawn(|| pipeline.run(life)));
            clients.push(scope.spawn(|| rows.run_rows(life, rng(10))));
            clients.push(scope.spawn(|| scratch.run_scratch(life, rng(11))));
            clients.push(scope.spawn(|| short.run(life, rng(12))));
            clients.push(scope.spawn(|| guest.run(life, rng(13))));
            let panicked =
                clients.into_iter().map(|client| client.join().is_err()).filter(|panicked| *panicked).count();
            over.store(true, Ordering::SeqCst);
            assert!(keeper.join().is_ok() && panicked == 0, "a client or the keeper panicked");
        });
    }
}

impl Producer {
    fn run(&mut self, life: Life<'_>, id: u64, mut rng: ChaCha8Rng) -> Option<()> {
        let stream = name("in")?;
        let batch = |next: u64, count: u64, sequence: i32| {
            let mut builder = Builder::new(Compression::None);
            builder.producer(1_000 + id as i64, 0, sequence);
            for number in next..next + count {
                let value = [id.to_le_bytes(), number.to_le_bytes()].concat();
                builder.push(0, Some(&(number % KEYS).to_le_bytes()), Some(&value), &[("pad", &[0; 60])]);
            }
            append_to(&stream, 0, builder.finish())
        };
        for _ in life.rounds() {
            let count = *self.pending.get_or_insert_with(|| rng.random_range(1..4));
            let good = || batch(self.next, count, self.sequence);
            if rng.random_bool(0.2) {
                // The second append leaves a gap: the whole commit is refused, and the first is still to come.
                let gap = batch(self.next, 1, self.sequence + 1_000);
                let refused = life.log.append(&mut Commit { appends: vec![good(), gap], ..Commit::default() });
                self.accepted_wrongly += usize::from(refused.is_ok());
            }
            let ticket = life.append(&mut Commit { appends: vec![good()], ..Commit::default() })?;
            life.durable(&ticket)?;
            self.acked.extend((self.next..self.next + count).map(|number| (id, number)));
            self.next += count;
            self.sequence += count as i32;
            self.pending = None;
        }
        Some(())
    }
}

impl Pipeline {
    /// Input read before it is durable; output, state and position in one commit.
    fn run(&mut self, life: Life<'_>) -> Option<()> {
        let (input, output, table, owner) = (name("in")?, name("out")?, name("table")?, name("pipe")?);
        let log = life.log;
        let epoch = wait(log.fence(&owner))?.ok()?;
        self.epochs_repeated += usize::from(epoch <= self.epoch);
        self.epoch = epoch;
        let mut position = check::position_of(log);
        for _ in life.rounds() {
            let read = log.read(&input, 0, position, 2_000, View::Appended).ok()?;
            if read.batches.is_empty() {
                thread::yield_now();
                continue;
            }
            let mut out = Builder::new(Compression::None);
            let mut rows = Builder::new(Compression::None);
            let mut counts: BTreeMap<Bytes, u64> = BTreeMap::new();
            let mut next = position;
            for record in check::records(&read.batches) {
                if record.offset < position {
                    continue;
                }
                next = record.offset + 1;
                out.push(0, None, Some(&record.offset.to_le_bytes()), &[]);
                let key = record.key.unwrap_or_default();
                let known = || check::number(log.get("counts", &key, View::Appended).as_deref());
                *counts.entry(key.clone()).or_insert_with(known) += 1;
            }
            for (key, count) in &counts {
                rows.push(0, Some(key), Some(&count.to_le_bytes()), &[]);
            }
            let count = |(key, count): (Bytes, u64)| delta(key, Some(count));
            let place = delta(Bytes::from_static(b"in"), Some(next as u64));
            let mut commit = Commit {
                appends: vec![append_to(&output, 0, out.finish()), append_to(&table, 0, rows.finish())],
                deltas: vec![
                    (Arc::from("counts"), counts.into_iter().map(count).collect()),
                    (Arc::from("position"), vec![place]),
                ],
                fence: Some((owner.clone(), epoch)),
                ..Commit::default()
            };
            let ticket = life.append(&mut commit)?;
            position = next;
            if next % 3 == 0 {
                life.durable(&ticket)?;
                self.promised = next;
            }
        }
        Some(())
    }
}

fn delta(key: Bytes, value: Option<u64>) -> Delta {
    Delta { key, value: value.map(|value| Bytes::copy_from_slice(&value.to_le_bytes())) }
}

impl Rows {
    /// The same changes as records of a compacted stream and as state, in one commit.
    fn run_rows(&mut self, life: Life<'_>, mut rng: ChaCha8Rng) -> Option<()> {
        let stream = name("rows")?;
        for round in life.rounds() {
            let mut state = self.history.latest()?.clone();
            let mut builder = Builder::new(Compression::None);
            let mut deltas = Vec::new();
            for _ in 0..rng.random_range(1..5) {
                let key = rng.random_range(0..KEYS);
                let value = rng.random_bool(0.7).then(|| rng.random_range(0..1_000_000_u64));
                match value {
                    Some(value) => state.insert(key, value),
                    None => state.remove(&key),
                };
                let bytes = value.map(u64::to_le_bytes);
                builder.push(0, Some(&key.to_le_bytes()), bytes.as_ref().map(|bytes| &bytes[..]), &[]);
                deltas.push(delta(Bytes::copy_from_slice(&key.to_le_bytes()), value));
            }
            let appends = vec![append_to(&stream, 0, builder.finish())];
            let mut commit = Commit { appends, deltas: vec![(Arc::from("rows"), deltas)], ..Commit::default() };
            self.history.sent(state);
            let ticket = life.append(&mut commit)?;
            if round % 2 == 0 {
                self.promised(life, &ticket)?;
            }
        }
        Some(())
    }

    /// State in a space that is dropped from time to time.
    fn run_scratch(&mut self, life: Life<'_>, mut rng: ChaCha8Rng) -> Option<()> {
        for round in life.rounds() {
            let mut state = self.history.latest()?.clone();
            if rng.random_bool(0.1) {
                self.history.sent(BTreeMap::new());
                wait(life.log.drop_space("scratch"))?.ok()?;
                self.history.promised();
                continue;
            }
            let (key, value) = (rng.random_range(0..100_u64), rng.random());
            state.insert(key, value);
            let deltas =
                vec![(Arc::from("scratch"), vec![delta(Bytes::copy_from_slice(&key.to_le_bytes()), Some(value))])];
            self.history.sent(state);
            let ticket = life.append(&mut Commit { deltas, ..Commit::default() })?;
            if round % 3 == 0 {
                self.promised(life, &ticket)?;
            }
        }
        Some(())
    }

    fn promised(&mut self, life: Life<'_>, ticket: &Ticket) -> Option<()> {
        life.durable(ticket)?;
        self.history.promised();
        self.acked += 1;
        Some(())
    }
}

impl Short {
    fn run(&mut self, life: Life<'_>, mut rng: ChaCha8Rng) -> Option<()> {
        let stream = name("short")?;
        let mut next = life.log.ends(&stream, 0).ok()?.appended;
        for _ in life.rounds() {
            let batch = one(None, Some(&[&next.to_le_bytes()[..], &[0; 100]].concat()));
            let ticket =
                life.append(&mut Commit { appends: vec![append_to(&stream, 0, batch)], ..Commit::default() })?;
            next += 1;
            if rng.random_bool(0.3) {
                life.durable(&ticket)?;
                self.acked_end = next;
            }
            if rng.random_bool(0.02) {
                let ends = life.log.ends(&stream, 0).ok()?;
                let to = rng.random_range(ends.start..=ends.durable);
                self.wanted = self.wanted.max(to);
                // Retention may have gone further meanwhile; the answer says how far.
                self.trimmed = wait(life.log.trim(&stream, 0, to))?.ok()?.max(self.trimmed);
            }
        }
        Some(())
    }
}

impl Guest {
    fn run(&mut self, life: Life<'_>, mut rng: ChaCha8Rng) -> Option<()> {
        let stream = name("guest")?;
        let id = wait(life.log.producer_id())?.ok()?;
        self.ids_repeated += usize::from(!self.producer_ids.insert(id));
        for _ in life.rounds() {
            let Some((generation, mut partitions)) = self.history.latest()?.clone() else {
                self.generation += 1;
                self.history.sent(Some((self.generation, vec![0])));
                wait(life.log.create(stream.clone(), config(1, Cleanup::Delete), Vec::new()))?.ok()?;
                self.promised();
                continue;
            };
            match rng.random_range(0..20) {
                0 => {
                    self.history.sent(None);
                    wait(life.log.delete(&stream))?.ok()?;
                    self.promised();
                }
                1 if partitions.len() < 4 => {
                    partitions.push(0);
                    let grown = config(partitions.len() as u32, Cleanup::Delete);
                    self.history.sent(Some((generation, partitions)));
                    wait(life.log.alter(&stream, grown, Vec::new()))?.ok()?;
                    self.promised();
                }
                _ => {
                    let index = rng.random_range(0..partitions.len());
                    *partitions.get_mut(index)? += 1;
                    let batch = one(None, Some(&[&generation.to_le_bytes()[..], &[0; 200]].concat()));
                    self.history.sent(Some((generation, partitions)));
                    let append = append_to(&stream, index as u32, batch);
                    let ticket = life.append(&mut Commit { appends: vec![append], ..Commit::default() })?;
                    if rng.random_bool(0.5) {
                        life.durable(&ticket)?;
                        self.promised();
                    }
                }
            }
        }
        Some(())
    }

    fn promised(&mut self) {
        self.history.promised();
        self.acked += 1;
    }
}
