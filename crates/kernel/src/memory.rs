//! A log in memory for tests of this crate. Durability can be held back, so that tests see what waits for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::{Micros, Name};
use headwater_log::*;
use headwater_wire::batch;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

type Waiter = (Name, u32, Offset, View, Arc<Notify>);

#[derive(Default)]
struct Partition {
    batches: Vec<(Offset, Offset, Sequence, Bytes)>,
}

#[derive(Default)]
struct Inner {
    streams: BTreeMap<Name, Arc<Stream>>,
    partitions: HashMap<(Name, u32), Partition>,
    spaces: BTreeMap<String, BTreeMap<Bytes, Bytes>>,
    waiters: Vec<Waiter>,
    sequence: Sequence,
    ids: u128,
    pub refusal: Option<LogError>,
}

pub(crate) struct MemoryLog {
    inner: Mutex<Inner>,
    durable: watch::Sender<Sequence>,
    hold: Mutex<bool>,
}

impl MemoryLog {
    pub fn new() -> Arc<Self> {
        let (durable, _) = watch::channel(0);
        Arc::new(Self { inner: Mutex::default(), durable, hold: Mutex::new(false) })
    }

    /// Holds durability back, or lets everything become durable.
    pub fn hold(&self, hold: bool) {
        *self.hold.lock() = hold;
        if !hold {
            self.durable.send_replace(self.inner.lock().sequence);
            self.notify();
        }
    }

    /// Refuses every stream to be created or altered with this.
    pub fn refuse(&self, refusal: Option<LogError>) {
        self.inner.lock().refusal = refusal;
    }

    /// Values of all durable records of a stream's partition.
    pub fn values(&self, stream: &str, partition: u32) -> Vec<Bytes> {
        let name = Name::new(stream).unwrap();
        let fetched = self.read(&name, partition, 0, usize::MAX, View::Durable).unwrap();
        let mut values = Vec::new();
        for part in batch::split(&fetched.batches) {
            let (_, range) = part.unwrap();
            let records = batch::records(&fetched.batches.slice(range), 1 << 30).unwrap();
            values.extend(records.map(|record| record.unwrap().value.unwrap_or_default()));
        }
        values
    }

    fn notify(&self) {
        let waiters = std::mem::take(&mut self.inner.lock().waiters);
        let mut kept = Vec::new();
        for (stream, partition, after, view, notify) in waiters {
            let end = self
                .ends(&stream, partition)
                .map(|ends| if view == View::Durable { ends.durable } else { ends.appended });
            if end.is_ok_and(|end| end <= after) {
                kept.push((stream, partition, after, view, notify));
            } else {
                notify.notify_one();
            }
        }
        self.inner.lock().waiters.extend(kept);
    }

    fn seen(&self, view: View) -> Sequence {
        if view == View::Durable { *self.durable.borrow() } else { Sequence::MAX }
    }
}

impl Log for MemoryLog {
    fn create(
        &self,
        name: Name,
        config: StreamConfig,
        extra: Vec<(String, String)>,
    ) -> BoxFuture<'_, Result<Arc<Stream>, LogError>> {
        let mut inner = self.inner.lock();
        let result = if let Some(refusal) = &inner.refusal {
            Err(refusal.clone())
        } else if inner.streams.contains_key(&name) {
            Err(LogError::StreamExists(name))
        } else {
            inner.ids += 1;
            let stream = Arc::new(Stream { name: name.clone(), id: inner.ids, config, extra, created: Micros(0) });
            for partition in 0..stream.config.partitions {
                inner.partitions.insert((name.clone(), partition), Partition::default());
            }
            inner.streams.insert(name, Arc::clone(&stream));
            Ok(stream)
        };
        Box::pin(async move { result })
    }

    fn alter(
        &self,
        name: &Name,
        config: StreamConfig,
        extra: Vec<(String, String)>,
    ) -> BoxFuture<'_, Result<Arc<Stream>, LogError>> {
        let mut inner = self.inner.lock();
        let result = match (inner.refusal.clone(), inner.streams.get(name).cloned()) {
            (Some(refusal), _) => Err(refusal),
            (None, None) => Err(LogError::UnknownStream(name.to_string())),
            (None, Some(old)) => {
                for partition in old.config.partitions..config.partitions {
                    inner.partitions.insert((name.clone(), partition), Partition::default());
                }
                let stream = Arc::new(Stream { config, extra, ..Stream::clone(&old) });
                inner.streams.insert(name.clone(), Arc::clone(&stream));
                Ok(stream)
            }
        };
        Box::pin(async move { result })
    }

    fn delete(&self, name: &Name) -> BoxFuture<'_, Result<(), LogError>> {
        let mut inner = self.inner.lock();
        let result = match inner.streams.remove(name) {
            None => Err(LogError::UnknownStream(name.to_string())),
            Some(_) => {
                inner.partitions.retain(|(stream, _), _| stream != name);
                Ok(())
            }
        };
        drop(inner);
        self.notify();
        Box::pin(async move { result })
    }

    fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.inner.lock().streams.get(name).cloned()
    }

    fn streams(&self) -> Vec<Arc<Stream>> {
        self.inner.lock().streams.values().cloned().collect()
    }

    fn append(&self, commit: &Commit) -> Result<Ticket, LogError> {
        let mut inner = self.inner.lock();
        for append in &commit.appends {
            if !inner.partitions.contains_key(&(append.stream.clone(), append.partition)) {
                return Err(LogError::UnknownStream(append.stream.to_string()));
            }
        }
        for (stream, partition, wanted) in &commit.ends {
            let found = inner.partitions.get(&(stream.clone(), *partition));
            let end = found.and_then(|found| found.batches.last()).map_or(0, |(_, last, _, _)| last + 1);
            if end != *wanted {
                return Err(LogError::Moved(stream.clone(), *partition, end));
            }
        }
        inner.sequence += 1;
        let sequence = inner.sequence;
        let mut placed = Vec::new();
        for append in &commit.appends {
            let mut bytes = append.batches.clone();
            let parts: Vec<_> = batch::split(&bytes).map(|part| part.unwrap()).collect();
            let partition = inner.partitions.get_mut(&(append.stream.clone(), append.partition)).unwrap();
            let first = partition.batches.last().map_or(0, |(_, last, _, _)| last + 1);
            let mut next = first;
            for (header, range) in parts {
                batch::set_base_offset(&mut bytes[range.clone()], next);
                let last = next + i64::from(header.last_offset_delta);
                partition.batches.push((next, last, sequence, Bytes::copy_from_slice(&bytes[range])));
                next = last + 1;
            }
            placed.push(Placed { first, last: next - 1, append_time: None, log_start: 0, duplicate: false });
        }
        for (space, deltas) in &commit.deltas {
            let space = inner.spaces.entry(space.to_string()).or_default();
            for delta in deltas {
                match delta.value.clone() {
                    Some(value) => space.insert(delta.key.clone(), value),
                    None => space.remove(&delta.key),
                };
            }
        }
        drop(inner);
        if !*self.hold.lock() {
            self.durable.send_replace(sequence);
        }
        self.notify();
        Ok(Ticket { sequence, placed })
    }

    fn durable(&self, sequence: Sequence) -> BoxFuture<'_, Result<(), LogError>> {
        let mut durable = self.durable.subscribe();
        Box::pin(async move {
            durable.wait_for(|durable| *durable >= sequence).await.map(|_| ()).map_err(|_| LogError::Closed)
        })
    }

    fn room(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn read(
        &self,
        stream: &Name,
        partition: u32,
        from: Offset,
        bytes_max: usize,
        view: View,
    ) -> Result<Fetched, LogError> {
        let ends = self.ends(stream, partition)?;
        let end = if view == View::Durable { ends.durable } else { ends.appended };
        if from < 0 || from > end {
            return Err(LogError::OffsetOutOfRange { wanted: from, start: 0, end });
        }
        let seen = self.seen(view);
        let inner = self.inner.lock();
        let found = inner.partitions.get(&(stream.clone(), partition)).unwrap();
        let mut batches = Vec::new();
        for (_, _, _, bytes) in found.batches.iter().filter(|(_, last, sequence, _)| *last >= from && *sequence <= seen)
        {
            if !batches.is_empty() && batches.len() + bytes.len() > bytes_max {
                break;
            }
            batches.extend_from_slice(bytes);
        }
        Ok(Fetched { batches: batches.into(), ends })
    }

    fn ends(&self, stream: &Name, partition: u32) -> Result<Ends, LogError> {
        let durable_sequence = *self.durable.borrow();
        let inner = self.inner.lock();
        let Some(found) = inner.partitions.get(&(stream.clone(), partition)) else {
            return Err(LogError::UnknownStream(stream.to_string()));
        };
        let end = |seen: Sequence| {
            found
                .batches
                .iter()
                .rev()
                .find(|(_, _, sequence, _)| *sequence <= seen)
                .map_or(0, |(_, last, _, _)| last + 1)
        };
        let durable = end(durable_sequence);
        Ok(Ends { start: 0, durable, stable: durable, appended: end(Sequence::MAX) })
    }

    fn find_time(&self, _: &Name, _: u32, _: Micros) -> Result<Option<(Offset, Micros)>, LogError> {
        Ok(None)
    }

    fn trim(&self, _: &Name, _: u32, offset: Offset) -> BoxFuture<'_, Result<Offset, LogError>> {
        Box::pin(async move { Ok(offset) })
    }

    fn wake_after(
        &self,
        stream: &Name,
        partition: u32,
        after: Offset,
        view: View,
        waiter: &Arc<Notify>,
    ) -> Result<(), LogError> {
        self.ends(stream, partition)?;
        self.inner.lock().waiters.push((stream.clone(), partition, after, view, Arc::clone(waiter)));
        self.notify();
        Ok(())
    }

    fn get(&self, space: &str, key: &[u8], _: View) -> Option<Bytes> {
        self.inner.lock().spaces.get(space)?.get(key).cloned()
    }

    fn scan(&self, space: &str, prefix: &[u8], after: Option<&[u8]>, count: usize) -> Vec<(Bytes, Bytes)> {
        let inner = self.inner.lock();
        let pairs = inner.spaces.get(space).into_iter().flatten();
        let wanted = pairs.filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_ref() > after));
        wanted.take(count).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn for_each(&self, space: &str, each: &mut dyn FnMut(&[u8], &[u8])) {
        for (key, value) in self.inner.lock().spaces.get(space).into_iter().flatten() {
            each(key, value);
        }
    }

    fn drop_space(&self, space: &str) -> BoxFuture<'_, Result<(), LogError>> {
        self.inner.lock().spaces.remove(space);
        Box::pin(async { Ok(()) })
    }

    fn fence(&self, _: &Name) -> BoxFuture<'_, Result<u64, LogError>> {
        Box::pin(async { Ok(1) })
    }

    fn producer_id(&self) -> BoxFuture<'_, Result<i64, LogError>> {
        Box::pin(async { Ok(1) })
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }
}

/// What connectors may use in a test that has no node.
pub(crate) fn context() -> crate::port::Context {
    struct None;
    impl crate::port::Secrets for None {
        fn read(&self, name: &str) -> Result<Bytes, headwater_base::Problem> {
            Err(headwater_base::Problem::new("HW-KERNEL-012", format!("there is no secret `{name}`")))
        }
    }
    crate::port::Context { folder: ".".into(), secrets: Arc::new(None), tables: Option::None, log: Option::None }
}
