//! The streams: by name for those who ask, by id for the write-ahead log; and what changes them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ahash::HashMap;
use bytes::Bytes;
use headwater_base::Name;
use parking_lot::RwLock;

use super::partition::Partition;
use super::{Core, FENCES, META, STARTS, STREAMS};
use crate::{Delta, LogError, Offset, Sequence, Stream, StreamConfig, View};

/// All streams.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    by_name: HashMap<Name, Home>,
    by_id: HashMap<u128, Name>,
}

/// A stream with its partitions.
#[derive(Debug)]
struct Home {
    stream: Arc<RwLock<Arc<Stream>>>,
    partitions: Vec<Arc<Partition>>,
}

impl Catalog {
    pub fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.by_name.get(name).map(|home| home.stream.read().clone())
    }

    pub fn streams(&self) -> Vec<Arc<Stream>> {
        let mut all: Vec<_> = self.by_name.values().map(|home| home.stream.read().clone()).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    pub fn partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.by_name.values().flat_map(|home| &home.partitions)
    }

    pub fn partition(&self, name: &Name, index: u32) -> Result<Arc<Partition>, LogError> {
        let home = self.by_name.get(name).ok_or_else(|| LogError::UnknownStream(name.to_string()))?;
        let found = home.partitions.get(index as usize);
        found.cloned().ok_or_else(|| LogError::UnknownPartition(name.clone(), index))
    }

    pub fn partition_by_id(&self, id: u128, index: u32) -> Option<Arc<Partition>> {
        self.by_name.get(self.by_id.get(&id)?)?.partitions.get(index as usize).cloned()
    }

    /// Puts a stream in, or its new configuration, and makes the partitions that are missing.
    pub fn put(&mut self, stream: Arc<Stream>, make: &mut dyn FnMut(&Arc<RwLock<Arc<Stream>>>, u32) -> Partition) {
        let same = self.by_name.get(&stream.name).is_some_and(|home| home.stream.read().id == stream.id);
        if !same {
            self.remove(stream.name.as_str());
        }
        self.by_id.insert(stream.id, stream.name.clone());
        let home = self
            .by_name
            .entry(stream.name.clone())
            .or_insert_with(|| Home { stream: Arc::new(RwLock::new(stream.clone())), partitions: Vec::new() });
        *home.stream.write() = stream.clone();
        while (home.partitions.len() as u64) < u64::from(stream.config.partitions) {
            let index = home.partitions.len() as u32;
            home.partitions.push(Arc::new(make(&home.stream, index)));
        }
    }

    /// Takes a stream out, and answers it.
    pub fn remove(&mut self, name: &str) -> Option<Arc<Stream>> {
        let home = self.by_name.remove(name)?;
        let stream = home.stream.read().clone();
        self.by_id.remove(&stream.id);
        for partition in &home.partitions {
            partition.gone.store(true, Ordering::Release);
            partition.wake(View::Durable);
            partition.wake(View::Appended);
        }
        Some(stream)
    }
}

/// The folder of a stream's partitions.
pub(super) fn folder(root: &Path, name: &Name, id: u128) -> PathBuf {
    root.join("log").join(format!("{name}~{id:032x}"))
}

fn check(config: &StreamConfig) -> Result<(), LogError> {
    let fault = match config {
        StreamConfig { partitions: 0, .. } => "a stream has at least 1 partition",
        StreamConfig { batch_bytes_max: 0, .. } => "the largest batch must be over 0 bytes",
        StreamConfig { segment_bytes: 0, .. } => "the segment size must be over 0 bytes",
        StreamConfig { segment_ms, .. } if *segment_ms <= 0 => "the segment age must be over 0 ms",
        _ => return Ok(()),
    };
    Err(LogError::Config(fault.to_owned()))
}

impl Core {
    pub(super) fn partition(&self, name: &Name, index: u32) -> Result<Arc<Partition>, LogError> {
        self.catalog.read().partition(name, index)
    }

    fn fresh_partition(&self) -> impl FnMut(&Arc<RwLock<Arc<Stream>>>, u32) -> Partition + '_ {
        |stream, index| {
            let folder = {
                let stream = stream.read();
                folder(&self.folder, &stream.name, stream.id).join(index.to_string())
            };
            Partition::new(stream.clone(), index, folder, 0, 0)
        }
    }

    pub(super) fn create(
        &self,
        name: &Name,
        config: &StreamConfig,
        extra: &[(String, String)],
    ) -> Result<(Arc<Stream>, Sequence), LogError> {
        check(config)?;
        let mut sequencer = self.sequencer.lock();
        let catalog = self.catalog.read();
        if catalog.by_name.contains_key(name) {
            return Err(LogError::StreamExists(name.clone()));
        }
        if catalog.by_name.len() >= self.limits.streams {
            return Err(LogError::Limit(format!("`{}` streams exist, which is the limit", catalog.by_name.len())));
        }
        self.check_partitions(catalog.partitions().count(), config.partitions as usize)?;
        drop(catalog);
        // Fresh random keys make the id unique (a version 4 UUID in form).
        let random = || u128::from(ahash::RandomState::new().hash_one((name, self.clock.now().0)));
        let id = ((random() << 64 | random()) & !(0xf << 76 | 0x3 << 62)) | 0x4 << 76 | 0x2 << 62;
        let (config, extra, created) = (config.clone(), extra.to_vec(), self.clock.now());
        let stream = Arc::new(Stream { name: name.clone(), id, config, extra, created });
        let sequence =
            self.commit_own(&mut sequencer, STREAMS, stream.name.as_str().as_bytes(), Some(encode(&stream)?))?;
        self.catalog.write().put(stream.clone(), &mut self.fresh_partition());
        Ok((stream, sequence))
    }

    pub(super) fn alter(
        &self,
        name: &Name,
        config: &StreamConfig,
        extra: &[(String, String)],
    ) -> Result<(Arc<Stream>, Sequence), LogError> {
        check(config)?;
        let mut sequencer = self.sequencer.lock();
        let catalog = self.catalog.read();
        let old = catalog.stream(name.as_str()).ok_or_else(|| LogError::UnknownStream(name.to_string()))?;
        let Some(more) = config.partitions.checked_sub(old.config.partitions) else {
            let have = old.config.partitions;
            return Err(LogError::Config(format!(
                "`{name}` has {have} partitions and cannot shrink to {}",
                config.partitions
            )));
        };
        self.check_partitions(catalog.partitions().count(), more as usize)?;
        drop(catalog);
        let stream = Arc::new(Stream { config: config.clone(), extra: extra.to_vec(), ..Stream::clone(&old) });
        let sequence = self.commit_own(&mut sequencer, STREAMS, name.as_str().as_bytes(), Some(encode(&stream)?))?;
        self.catalog.write().put(stream.clone(), &mut self.fresh_partition());
        Ok((stream, sequence))
    }

    fn check_partitions(&self, have: usize, more: usize) -> Result<(), LogError> {
        if have + more > self.limits.partitions {
            let limit = self.limits.partitions;
            return Err(LogError::Limit(format!("`{}` partitions would exist; the limit is {limit}", have + more)));
        }
        Ok(())
    }

    /// Deletes a stream; its files go once that is durable, see [`Core::remove_deleted`].
    pub(super) fn delete(&self, name: &Name) -> Result<Sequence, LogError> {
        let mut sequencer = self.sequencer.lock();
        let stream =
            self.catalog.read().stream(name.as_str()).ok_or_else(|| LogError::UnknownStream(name.to_string()))?;
        let sequence = self.commit_own(&mut sequencer, STREAMS, name.as_str().as_bytes(), None)?;
        self.catalog.write().remove(name.as_str());
        self.deleted.lock().push((sequence, stream));
        Ok(sequence)
    }

    /// Removes the files of streams whose deletion is durable, and what the log's own spaces say of them. Whoever
    /// deletes one does so, and the keeper, since the other may have left before it was durable.
    pub(super) fn remove_deleted(&self) {
        let durable = self.wal.durable();
        let deleted: Vec<_> = self.deleted.lock().extract_if(.., |(sequence, _)| *sequence <= durable).collect();
        for (_, stream) in deleted {
            for own in [super::FILED, super::PRODUCERS, STARTS] {
                self.forget(own, stream.id);
            }
            if let Err(error) = self.disk.remove_dir(&folder(&self.folder, &stream.name, stream.id)) {
                let stream = &stream.name;
                tracing::warn!(%stream, %error, "cannot remove the files of a deleted stream; the next start does");
            }
        }
    }

    fn forget(&self, own: &str, id: u128) {
        let Some(space) = self.state.space(own) else { return };
        let mut keys = Vec::new();
        space.for_each_durable(&mut |key, _| {
            if key.starts_with(&id.to_be_bytes()) {
                keys.push(key.to_vec());
            }
        });
        keys.iter().for_each(|key| space.put_durable(key, None));
    }

    /// Makes everything before `offset` unreadable; None when it is already.
    pub(super) fn move_start(
        &self,
        partition: &Arc<Partition>,
        offset: Offset,
    ) -> Result<Option<(Offset, Sequence)>, LogError> {
        let mut sequencer = self.sequencer.lock();
        let ends = partition.ends();
        if offset < 0 || offset > ends.durable {
            return Err(LogError::OffsetOutOfRange { wanted: offset, start: ends.start, end: ends.durable });
        }
        if offset <= ends.start {
            return Ok(None);
        }
        let value = Bytes::copy_from_slice(&offset.to_le_bytes());
        let sequence = self.commit_own(&mut sequencer, STARTS, &partition.key(), Some(value))?;
        partition.start.store(offset, Ordering::Release);
        Ok(Some((offset, sequence)))
    }

    pub(super) fn fence(&self, owner: &Name) -> Result<(u64, Sequence), LogError> {
        let mut sequencer = self.sequencer.lock();
        let epoch = self.epoch(owner) + 1;
        let value = Bytes::copy_from_slice(&epoch.to_le_bytes());
        let sequence = self.commit_own(&mut sequencer, FENCES, owner.as_str().as_bytes(), Some(value))?;
        Ok((epoch, sequence))
    }

    /// The newest epoch handed out to `owner`.
    pub(super) fn epoch(&self, owner: &Name) -> u64 {
        let found = self.state.space(FENCES).and_then(|space| space.get(owner.as_str().as_bytes()));
        found.and_then(|bytes| Some(u64::from_le_bytes((&*bytes).try_into().ok()?))).unwrap_or(0)
    }

    pub(super) fn producer_id(&self) -> Result<(i64, Sequence), LogError> {
        let mut sequencer = self.sequencer.lock();
        let id = sequencer.next_producer;
        let value = Bytes::copy_from_slice(&(id + 1).to_le_bytes());
        let sequence = self.commit_own(&mut sequencer, META, b"next_producer", Some(value))?;
        sequencer.next_producer = id + 1;
        Ok((id, sequence))
    }
}

fn encode(stream: &Stream) -> Result<Bytes, LogError> {
    serde_json::to_vec(stream).map(Bytes::from).map_err(|error| LogError::Config(error.to_string()))
}

/// A change of one key.
pub(super) fn delta(key: &[u8], value: Option<Bytes>) -> Delta {
    Delta { key: Bytes::copy_from_slice(key), value }
}
