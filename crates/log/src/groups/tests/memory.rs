//! A log in memory, durable at once: for tests of what stands above the port. It checks little; the real log's own
//! conformance test says what a log must do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use headwater_base::{Micros, Name};
use headwater_wire::batch;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::port::*;

#[derive(Default)]
pub struct MemoryLog(Mutex<State>);

#[derive(Default)]
struct State {
    streams: BTreeMap<Name, Kept>,
    spaces: HashMap<String, BTreeMap<Bytes, Bytes>>,
    sequence: Sequence,
    ids: i64,
}

struct Kept {
    stream: Arc<Stream>,
    partitions: Vec<Partition>,
}

#[derive(Default)]
struct Partition {
    start: Offset,
    end: Offset,
    batches: Vec<(Offset, Bytes)>,
    producers: HashMap<i64, (i16, i32, Placed)>,
    waiters: Vec<Arc<Notify>>,
}

impl State {
    fn partition(&mut self, stream: &Name, partition: u32) -> Result<&mut Partition, LogError> {
        let kept = self.streams.get_mut(stream).ok_or_else(|| LogError::UnknownStream(stream.to_string()))?;
        kept.partitions.get_mut(partition as usize).ok_or_else(|| LogError::UnknownPartition(stream.clone(), partition))
    }
}

impl Partition {
    fn ends(&self) -> Ends {
        Ends { start: self.start, durable: self.end, stable: self.end, appended: self.end }
    }
}

fn ready<T: Send + 'static>(value: T) -> BoxFuture<'static, T> {
    Box::pin(async move { value })
}

impl Log for MemoryLog {
    fn create(
        &self,
        name: Name,
        config: StreamConfig,
        extra: Vec<(String, String)>,
    ) -> BoxFuture<'_, Result<Arc<Stream>, LogError>> {
        let mut state = self.0.lock();
        if state.streams.contains_key(&name) {
            return ready(Err(LogError::StreamExists(name)));
        }
        state.ids += 1;
        let partitions = (0..config.partitions).map(|_| Partition::default()).collect();
        let id = state.ids as u128;
        let stream = Arc::new(Stream { name: name.clone(), id, config, extra, created: Micros(0) });
        state.streams.insert(name, Kept { stream: Arc::clone(&stream), partitions });
        ready(Ok(stream))
    }

    fn alter(
        &self,
        name: &Name,
        config: StreamConfig,
        extra: Vec<(String, String)>,
    ) -> BoxFuture<'_, Result<Arc<Stream>, LogError>> {
        let mut state = self.0.lock();
        let Some(kept) = state.streams.get_mut(name) else {
            return ready(Err(LogError::UnknownStream(name.to_string())));
        };
        kept.partitions.resize_with(config.partitions as usize, Partition::default);
        kept.stream = Arc::new(Stream { config, extra, ..(*kept.stream).clone() });
        ready(Ok(Arc::clone(&kept.stream)))
    }

    fn delete(&self, name: &Name) -> BoxFuture<'_, Result<(), LogError>> {
        let gone = self.0.lock().streams.remove(name);
        ready(gone.map(drop).ok_or_else(|| LogError::UnknownStream(name.to_string())))
    }

    fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.0.lock().streams.get(name).map(|kept| Arc::clone(&kept.stream))
    }

    fn streams(&self) -> Vec<Arc<Stream>> {
        self.0.lock().streams.values().map(|kept| Arc::clone(&kept.stream)).collect()
    }

    fn append(&self, commit: &Commit) -> Result<Ticket, LogError> {
        let mut state = self.0.lock();
        let mut placed = Vec::new();
        for append in &commit.appends {
            let partition = state.partition(&append.stream, append.partition)?;
            let mut bytes: BytesMut = append.batches.clone();
            let (header, _) =
                batch::split(&bytes).next().unwrap().map_err(|fault| LogError::CorruptBatch(fault.to_string()))?;
            header.verify(&bytes).map_err(|fault| LogError::CorruptBatch(fault.to_string()))?;
            if header.producer_id >= 0
                && let Some((epoch, last, first)) = partition.producers.get(&header.producer_id)
                && *epoch == header.producer_epoch
            {
                if header.base_sequence <= *last {
                    placed.push(Placed { duplicate: true, ..*first });
                    continue;
                }
                if header.base_sequence != last + 1 {
                    return Err(LogError::OutOfOrderSequence {
                        producer: header.producer_id,
                        got: header.base_sequence,
                        wanted: last + 1,
                    });
                }
            }
            batch::set_base_offset(&mut bytes, partition.end);
            batch::set_leader_epoch(&mut bytes, 0);
            let first = partition.end;
            partition.end += i64::from(header.last_offset_delta) + 1;
            let place = Placed {
                first,
                last: partition.end - 1,
                append_time: None,
                log_start: partition.start,
                duplicate: false,
            };
            if header.producer_id >= 0 {
                partition.producers.insert(
                    header.producer_id,
                    (header.producer_epoch, header.base_sequence + header.last_offset_delta, place),
                );
            }
            partition.batches.push((place.last, bytes.freeze()));
            partition.waiters.drain(..).for_each(|waiter| waiter.notify_one());
            placed.push(place);
        }
        for (space, deltas) in &commit.deltas {
            let space = state.spaces.entry(space.to_string()).or_default();
            for delta in deltas {
                match delta.value.clone() {
                    Some(value) => space.insert(delta.key.clone(), value),
                    None => space.remove(&delta.key),
                };
            }
        }
        state.sequence += 1;
        Ok(Ticket { sequence: state.sequence, placed })
    }

    fn durable(&self, _: Sequence) -> BoxFuture<'_, Result<(), LogError>> {
        ready(Ok(()))
    }

    fn room(&self) -> BoxFuture<'_, ()> {
        ready(())
    }

    fn read(
        &self,
        stream: &Name,
        partition: u32,
        from: Offset,
        bytes_max: usize,
        _: View,
    ) -> Result<Fetched, LogError> {
        let mut state = self.0.lock();
        let partition = state.partition(stream, partition)?;
        if !(partition.start..=partition.end).contains(&from) {
            return Err(LogError::OffsetOutOfRange { wanted: from, start: partition.start, end: partition.end });
        }
        let at = partition.batches.partition_point(|(last, _)| *last < from);
        let mut out = BytesMut::new();
        for (_, batch) in &partition.batches[at..] {
            if !out.is_empty() && out.len() + batch.len() > bytes_max {
                break;
            }
            out.extend_from_slice(batch);
        }
        Ok(Fetched { batches: out.freeze(), ends: partition.ends() })
    }

    fn ends(&self, stream: &Name, partition: u32) -> Result<Ends, LogError> {
        self.0.lock().partition(stream, partition).map(|partition| partition.ends())
    }

    fn find_time(&self, stream: &Name, partition: u32, time: Micros) -> Result<Option<(Offset, Micros)>, LogError> {
        let mut state = self.0.lock();
        let partition = state.partition(stream, partition)?;
        let records = partition.batches.iter().flat_map(|(_, bytes)| batch::records(bytes, 1 << 26).unwrap());
        let mut records = records.map(Result::unwrap).filter(|record| record.offset >= partition.start);
        let found = records.find(|record| Micros::from_millis(record.timestamp) >= time);
        Ok(found.map(|record| (record.offset, Micros::from_millis(record.timestamp))))
    }

    fn trim(&self, stream: &Name, partition: u32, offset: Offset) -> BoxFuture<'_, Result<Offset, LogError>> {
        let mut state = self.0.lock();
        ready(state.partition(stream, partition).map(|partition| {
            partition.start = partition.start.max(offset);
            partition.start
        }))
    }

    fn wake_after(
        &self,
        stream: &Name,
        partition: u32,
        after: Offset,
        _: View,
        waiter: &Arc<Notify>,
    ) -> Result<(), LogError> {
        let mut state = self.0.lock();
        let partition = state.partition(stream, partition)?;
        if partition.end > after {
            waiter.notify_one();
        } else if !partition.waiters.iter().any(|known| Arc::ptr_eq(known, waiter)) {
            partition.waiters.push(Arc::clone(waiter));
        }
        Ok(())
    }

    fn get(&self, space: &str, key: &[u8], _: View) -> Option<Bytes> {
        self.0.lock().spaces.get(space)?.get(key).cloned()
    }

    fn scan(&self, space: &str, prefix: &[u8], after: Option<&[u8]>, count: usize) -> Vec<(Bytes, Bytes)> {
        let state = self.0.lock();
        let Some(space) = state.spaces.get(space) else { return Vec::new() };
        let keys =
            space.iter().filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_ref() > after));
        keys.take(count).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn for_each(&self, space: &str, each: &mut dyn FnMut(&[u8], &[u8])) {
        if let Some(space) = self.0.lock().spaces.get(space) {
            space.iter().for_each(|(key, value)| each(key, value));
        }
    }

    fn drop_space(&self, space: &str) -> BoxFuture<'_, Result<(), LogError>> {
        self.0.lock().spaces.remove(space);
        ready(Ok(()))
    }

    fn fence(&self, _: &Name) -> BoxFuture<'_, Result<u64, LogError>> {
        ready(Ok(1))
    }

    fn producer_id(&self) -> BoxFuture<'_, Result<i64, LogError>> {
        let mut state = self.0.lock();
        state.ids += 1;
        ready(Ok(state.ids))
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }
}
