//! The sequencer: checks a commit, gives it its place, hands it to the write-ahead log.
//!
//! Everything that looks at bytes happens before the lock; everything that touches state happens behind it, under the
//! spaces' own locks, which are taken in the order of the commits. They are taken before the commit is handed over: what
//! makes it durable waits for them, so that nobody sees its records and not yet its changes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use headwater_base::Micros;
use headwater_store::state::Space;
use headwater_store::wal::{Frame, Refused};
use headwater_wire::batch::{self, Header};
use parking_lot::MutexGuard;

use super::filer::Item;
use super::partition::{Batch, Partition};
use super::producers::{Producer, Verdict};
use super::{Core, Done, OWN, STARTS, Sequencer, catalog, frame};
use crate::{Append, Cleanup, Commit, Delta, LogError, Offset, Placed, Sequence, Stream, Ticket, View};

/// Space that there is to be for whoever asks before he has been refused.
const ROOM_BYTES: usize = 64 << 10;

/// What is known of an append whose batches have been checked.
struct Checked {
    partition: Arc<Partition>,
    headers: Vec<(Header, std::ops::Range<usize>)>,
    records: i64,
    append_time: Option<Micros>,
}

/// What a commit will make of a partition: nothing is changed until all of the commit is accepted, because whatever a
/// checkpoint sees of a refused one would outlive a crash.
struct Planned {
    partition: Arc<Partition>,
    /// One past its last record.
    end: Offset,
    /// Its idempotent producers that send something.
    producers: Vec<(i64, Producer)>,
}

impl Planned {
    /// A producer as it is after what is planned so far.
    fn producer(&self, id: i64) -> Option<Producer> {
        let planned = self.producers.iter().find(|(one, _)| *one == id).map(|(_, producer)| producer.clone());
        planned.or_else(|| self.partition.producers.lock().get(id).cloned())
    }

    fn set_producer(&mut self, id: i64, producer: Producer) {
        match self.producers.iter_mut().find(|(one, _)| *one == id) {
            Some((_, planned)) => *planned = producer,
            None => self.producers.push((id, producer)),
        }
    }
}

impl Core {
    pub(super) fn append(&self, commit: &mut Commit) -> Result<Ticket, LogError> {
        self.check_open()?;
        let deltas = &commit.deltas;
        if let Some((name, _)) = deltas.iter().find(|(name, _)| name.starts_with(OWN) || name.len() > 1_000) {
            return Err(LogError::Config(format!("`{name}` cannot be the name of a space")));
        }
        let checked = commit.appends.iter_mut().map(|append| self.check(append));
        let checked: Vec<Checked> = checked.collect::<Result<_, _>>()?;
        let decided = commit.ends.iter().map(|(stream, index, _)| self.partition(stream, *index));
        let decided: Vec<Arc<Partition>> = decided.collect::<Result<_, _>>()?;
        let state_part = frame::encode_spaces(deltas.iter().map(|(name, deltas)| (&**name, Some(deltas.as_slice()))));

        let sequencer = self.sequencer.lock();
        self.check_open()?;
        if let Some((owner, epoch)) = &commit.fence
            && self.epoch(owner) != *epoch
        {
            return Err(LogError::Fenced(owner.clone(), *epoch));
        }
        for (partition, (stream, index, wanted)) in decided.iter().zip(&commit.ends) {
            let end = partition.appended.load(Ordering::Acquire);
            if end != *wanted {
                return Err(LogError::Moved(stream.clone(), *index, end));
            }
        }
        let batch_bytes: usize = commit.appends.iter().map(|append| append.batches.len() + 24).sum();
        let bytes = batch_bytes + state_part.len() + 5;
        self.room_for(bytes, commit.frees)?;
        let mut plan: Vec<Planned> = Vec::new();
        let mut placed = Vec::with_capacity(checked.len());
        let mut new: Vec<(&mut BytesMut, Checked)> = Vec::with_capacity(checked.len());
        for (Append { batches, .. }, checked) in commit.appends.iter_mut().zip(checked) {
            let (answer, fresh) = self.place(batches, checked, &mut plan)?;
            if answer.duplicate && !commit.ends.is_empty() {
                return Err(LogError::Repeated);
            }
            placed.push(answer);
            if let Some(fresh) = fresh {
                new.push((batches, fresh));
            }
        }
        if new.is_empty() && deltas.is_empty() {
            // Nothing but repeats, whose first sending may still be on its way to the disk.
            return Ok(Ticket { sequence: self.wal.pushed(), placed });
        }
        let head =
            |(batches, new): &(&mut BytesMut, Checked)| (new.partition.stream_id, new.partition.index, batches.len());
        let heads: Vec<_> = new.iter().map(head).collect();
        let mut parts = Vec::with_capacity(2 + new.len());
        parts.push(frame::encode_appends(&heads));
        parts.push(state_part);
        let mut items = Vec::new();
        let mut woken = Vec::with_capacity(new.len());
        for (batches, Checked { partition, headers, .. }) in new {
            let batches = std::mem::take(batches).freeze();
            self.remember(&partition, &batches, &headers, &mut items);
            parts.push(batches);
            woken.push(partition);
        }
        for Planned { partition, end, producers } in plan {
            if !producers.is_empty() {
                partition.producers.lock().put(producers, self.limits.producers_per_partition);
            }
            partition.appended.store(end, Ordering::Release);
        }
        let spaces: Arc<[Arc<Space>]> = deltas.iter().map(|(name, _)| self.state.space_or_new(name)).collect();
        let guards = lock_in_order(&spaces);
        let sequence = self.wal.push(Frame { parts, done: Done { items, spaces: spaces.clone() } });
        drop(sequencer);
        for (space, (_, deltas)) in spaces.iter().zip(deltas) {
            put_all(space, sequence, deltas);
        }
        spaces.iter().for_each(|space| space.set_applied(sequence));
        drop(guards);
        self.appended_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        woken.iter().for_each(|partition| partition.wake(View::Appended));
        Ok(Ticket { sequence, placed })
    }

    /// Checks an append's bytes.
    fn check(&self, append: &mut Append) -> Result<Checked, LogError> {
        let partition = self.partition(&append.stream, append.partition)?;
        let stream = partition.stream.read().clone();
        let corrupt = |error: batch::BatchError| LogError::CorruptBatch(error.to_string());
        let append_time = stream.config.append_time.then(|| self.clock.now());
        let mut headers = Vec::new();
        let mut records = 0;
        for found in batch::split(&append.batches) {
            let (header, range) = found.map_err(corrupt)?;
            let bytes = append.batches.get(range.clone()).unwrap_or_default();
            self.check_batch(&stream, &header, bytes)?;
            records += i64::from(header.last_offset_delta) + 1;
            headers.push((header, range));
        }
        if headers.is_empty() {
            return Err(LogError::CorruptBatch("no batch in an append".into()));
        }
        if stream.config.cleanup != Cleanup::Delete {
            self.check_keys(&stream, &append.batches, &headers)?;
        }
        if append.batches.capacity() / 2 > append.batches.len() {
            // What the log keeps is counted by its length.
            append.batches = BytesMut::from(&*append.batches);
        }
        if let Some(time) = append_time {
            for (header, range) in &mut headers {
                if let Some(bytes) = append.batches.get_mut(range.clone()) {
                    batch::set_append_time(bytes, time);
                    header.max_timestamp = time.millis();
                }
            }
        }
        Ok(Checked { partition, headers, records, append_time })
    }

    fn check_batch(&self, stream: &Stream, header: &Header, bytes: &[u8]) -> Result<(), LogError> {
        let limit = stream.config.batch_bytes();
        if bytes.len() > limit {
            return Err(LogError::BatchTooLarge { bytes: bytes.len(), limit });
        }
        header.verify(bytes).map_err(|error| LogError::CorruptBatch(error.to_string()))?;
        if !header.is_dense() {
            return Err(LogError::CorruptBatch(format!(
                "`{}` records with a last offset delta of `{}`",
                header.count, header.last_offset_delta
            )));
        }
        let shape = batch::check_shape(header, bytes, self.limits.batch_decompressed_bytes);
        shape.map_err(|error| LogError::CorruptBatch(error.to_string()))?;
        if header.producer_id >= 0 && (header.base_sequence < 0 || header.producer_epoch < 0) {
            return Err(LogError::InvalidRecord("an idempotent producer's batch without sequence or epoch".into()));
        }
        Ok(())
    }

    /// A compacted stream takes no record without a key. Here alone a packed batch is opened, and held to what it says.
    fn check_keys(
        &self,
        stream: &Stream,
        batches: &BytesMut,
        headers: &[(Header, std::ops::Range<usize>)],
    ) -> Result<(), LogError> {
        for (header, range) in headers {
            let bytes = Bytes::copy_from_slice(batches.get(range.clone()).unwrap_or_default());
            let records = batch::records(&bytes, self.limits.batch_decompressed_bytes)
                .map_err(|error| LogError::CorruptBatch(error.to_string()))?;
            for (index, record) in records.enumerate() {
                let record = record.map_err(|error| LogError::CorruptBatch(error.to_string()))?;
                let due = header.base_offset.saturating_add(index as i64);
                if record.offset != due {
                    return Err(LogError::CorruptBatch(format!("record `{due}` says that it is `{}`", record.offset)));
                }
                if record.key.is_none() {
                    return Err(LogError::InvalidRecord(format!(
                        "compacted stream `{}` needs a key in each record",
                        stream.name
                    )));
                }
            }
        }
        Ok(())
    }

    /// Whether a commit is accepted now. One that frees space is not held up by what waits for space, and may use what
    /// is kept for it.
    fn room_for(&self, bytes: usize, frees: bool) -> Result<(), LogError> {
        let unfiled = self.filer.unfiled.load(Ordering::Relaxed);
        if !frees && unfiled > 0 && unfiled + bytes > self.unfiled_max() {
            return Err(self.filer.fault().map_or_else(|| self.full(bytes, unfiled), LogError::Disk));
        }
        let room = if frees { self.wal.room_in_reserve(bytes) } else { self.wal.room_for(bytes) };
        room.map_err(|refused| match refused {
            Refused::Full(held) => self.full(bytes, held),
            Refused::TooLarge(bytes, limit) => {
                LogError::Limit(format!("a commit of `{bytes}` bytes; the limit is `{limit}`"))
            }
            Refused::Disk(fault) => LogError::Disk(fault),
            Refused::Closed => LogError::Closed,
        })
    }

    /// Remembers how much did not fit beside the `held` bytes.
    fn full(&self, bytes: usize, held: usize) -> LogError {
        self.wanted_bytes.fetch_max(bytes, Ordering::Relaxed);
        LogError::Full(held)
    }

    fn unfiled_max(&self) -> usize {
        self.limits.tail_cache_bytes.max(self.limits.unsynced_bytes)
    }

    /// Whether an append that met `Full` should be tried again: there is room for the largest that did. Asked for less,
    /// who has a large one would be sent back and forth between the two answers.
    pub(super) fn has_room(&self) -> bool {
        let wanted = self.wanted_bytes.load(Ordering::Relaxed);
        let bytes = if wanted == 0 { ROOM_BYTES } else { wanted };
        // Whoever meets a disk that refuses is told so when he tries again.
        let (unfiled, most) = (self.filer.unfiled.load(Ordering::Relaxed), self.unfiled_max());
        let filed = unfiled == 0 || (unfiled <= most / 2 && unfiled + bytes <= most);
        let has = self.wal.unsynced_bytes() <= self.limits.unsynced_bytes / 2
            && (filed || self.filer.fault().is_some())
            && !matches!(self.wal.room_for(bytes), Err(Refused::Full(_)));
        if has {
            // Unless somebody wants more meanwhile.
            let _ = self.wanted_bytes.compare_exchange(wanted, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        has
    }

    /// Gives an append its offsets, or finds that it is a repeat, of which nothing is written.
    fn place(
        &self,
        batches: &mut BytesMut,
        mut append: Checked,
        plan: &mut Vec<Planned>,
    ) -> Result<(Placed, Option<Checked>), LogError> {
        let partition = &append.partition;
        if partition.is_gone() {
            return Err(LogError::UnknownStream(partition.stream.read().name.to_string()));
        }
        let at = plan.iter().position(|planned| Arc::ptr_eq(&planned.partition, partition)).unwrap_or_else(|| {
            let (partition, end) = (partition.clone(), partition.appended.load(Ordering::Acquire));
            plan.push(Planned { partition, end, producers: Vec::new() });
            plan.len() - 1
        });
        let Some(planned) = plan.get_mut(at) else { return Err(LogError::Closed) };
        let first = planned.end;
        let log_start = partition.start.load(Ordering::Acquire);
        let mixed = || LogError::InvalidRecord("an append mixes repeated and new batches".into());
        let mut repeated: Option<(Offset, Offset)> = None;
        let mut next = first;
        for (header, range) in &mut append.headers {
            let idempotent = header.producer_id >= 0;
            let known = idempotent.then(|| planned.producer(header.producer_id)).flatten();
            if idempotent && let Verdict::Repeat(sent) = Producer::judge(known.as_ref(), header)? {
                let (from, _) = repeated.unwrap_or((sent.first, sent.last));
                repeated = Some((from, sent.last));
                continue;
            }
            if repeated.is_some() {
                return Err(mixed());
            }
            header.base_offset = next;
            header.leader_epoch = 0;
            next += i64::from(header.last_offset_delta) + 1;
            if let Some(bytes) = batches.get_mut(range.clone()) {
                batch::set_base_offset(bytes, header.base_offset);
                batch::set_leader_epoch(bytes, 0);
            }
            if idempotent {
                planned.set_producer(header.producer_id, Producer::after(known, header, self.clock.now()));
            }
        }
        if let Some((first, last)) = repeated {
            if next != planned.end {
                return Err(mixed());
            }
            return Ok((Placed { first, last, append_time: None, log_start, duplicate: true }, None));
        }
        debug_assert_eq!(next, first + append.records);
        planned.end = next;
        let answer = Placed { first, last: next - 1, append_time: append.append_time, log_start, duplicate: false };
        Ok((answer, Some(append)))
    }

    /// Puts an append's batches into memory, and lists them for the filer.
    fn remember(
        &self,
        partition: &Arc<Partition>,
        batches: &Bytes,
        headers: &[(Header, std::ops::Range<usize>)],
        items: &mut Vec<Item>,
    ) {
        let mut tail: MutexGuard<'_, VecDeque<Batch>> = partition.tail.lock();
        for (header, range) in headers {
            let bytes = batches.slice(range.clone());
            let (first, last, newest_ms) = (header.base_offset, header.last_offset(), header.max_timestamp);
            items.push(Item { partition: partition.clone(), first, last, newest_ms, bytes: bytes.clone() });
            tail.push_back(Batch { first, last, bytes, filed: false });
        }
        drop(tail);
        self.filer.unfiled.fetch_add(batches.len(), Ordering::Relaxed);
        self.filer.cached.fetch_add(batches.len(), Ordering::Relaxed);
    }

    /// Commits one key of the log's own spaces. Where a deletion or a later start says so, space is freed by it.
    pub(super) fn commit_own(
        &self,
        _: &mut Sequencer,
        space: &str,
        key: &[u8],
        value: Option<Bytes>,
    ) -> Result<Sequence, LogError> {
        self.check_open()?;
        let frees = value.is_none() || space == STARTS;
        let deltas = [catalog::delta(key, value)];
        let parts = vec![frame::encode_appends(&[]), frame::encode_spaces([(space, Some(&deltas[..]))].into_iter())];
        self.room_for(parts.iter().map(Bytes::len).sum(), frees)?;
        let space = self.state.space_or_new(space);
        let order = space.order();
        let done = Done { items: Vec::new(), spaces: Arc::new([space.clone()]) };
        let sequence = self.wal.push(Frame { parts, done });
        put_all(&space, sequence, &deltas);
        space.set_applied(sequence);
        drop(order);
        Ok(sequence)
    }

    pub(super) fn drop_space(&self, space: &str) -> Result<Sequence, LogError> {
        if space.starts_with(OWN) {
            return Err(LogError::Config(format!("`{space}` cannot be dropped")));
        }
        let sequencer = self.sequencer.lock();
        self.check_open()?;
        let parts = vec![frame::encode_appends(&[]), frame::encode_spaces([(space, None)].into_iter())];
        self.room_for(parts.iter().map(Bytes::len).sum(), true)?;
        self.state.drop_space(space);
        let sequence = self.wal.push(Frame { parts, done: Done::default() });
        drop(sequencer);
        Ok(sequence)
    }
}

fn put_all(space: &Space, sequence: Sequence, deltas: &[Delta]) {
    space.put_all(sequence, deltas, |delta| (&*delta.key, delta.value.as_deref()));
}

/// Takes the spaces' order locks; a space named twice is locked once.
fn lock_in_order(spaces: &[Arc<Space>]) -> Vec<MutexGuard<'_, ()>> {
    let mut guards = Vec::with_capacity(spaces.len());
    for (at, space) in spaces.iter().enumerate() {
        if !spaces.iter().take(at).any(|before| Arc::ptr_eq(before, space)) {
            guards.push(space.order());
        }
    }
    guards
}
