//! What happens from time to time: checkpoints, retention, compaction.
//!
//! # Invariants
//! - Only segments closed before the newest checkpoint are compacted, so that a checkpoint's word on the segment that
//!   was written then stays true.
//! - A partition's new start is in the write-ahead log before a file of it is removed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ahash::{HashMap, RandomState};
use bytes::Bytes;
use headwater_wire::batch;

use super::filer::Record;
use super::partition::Partition;
use super::segment::Segment;
use super::{Core, FILED};
use crate::{Cleanup, LogError, Offset, StreamConfig};

/// Keys that one compaction of a partition looks at; the rest waits for the next.
const KEYS_MAX: usize = 2_000_000;

impl Core {
    /// The keeper's thread.
    pub(super) fn keep(&self, every_ms: u64) {
        loop {
            let mut stop = self.keeper.lock();
            if !*stop {
                self.keeper_wake.wait_for(&mut stop, Duration::from_millis(every_ms));
            }
            if *stop {
                return;
            }
            drop(stop);
            if let Err(error) = self.maintain(false) {
                tracing::warn!(%error, "maintenance of the log goes on later");
            }
        }
    }

    pub(super) fn maintain(&self, now: bool) -> Result<(), String> {
        if let Some(spaces) = (!now).then(|| self.state.spaces()) {
            spaces.iter().for_each(|space| space.tidy());
        }
        let partitions: Vec<_> = self.catalog.read().partitions().cloned().collect();
        let mut fault = None;
        for partition in &partitions {
            if self.closed.load(Ordering::Acquire) {
                return Ok(());
            }
            fault = self.roll_and_retain(partition).err().or(fault);
        }
        let elapsed_ms = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        let age = elapsed_ms.saturating_sub(self.last_checkpoint_ms.load(Ordering::Relaxed));
        let behind = self.wal.durable() > self.snapshots.lock().sequence();
        if now
            || (behind && (age >= self.options.checkpoint_ms || self.wal.held_bytes() >= self.options.checkpoint_bytes))
        {
            self.checkpoint()?;
            self.last_checkpoint_ms.store(elapsed_ms, Ordering::Relaxed);
            for partition in &partitions {
                if self.closed.load(Ordering::Acquire) {
                    return Ok(());
                }
                let config = partition.stream.read().config.clone();
                if config.cleanup != Cleanup::Delete {
                    fault = self.compact(partition, &config).map_err(|error| error.to_string()).err().or(fault);
                }
                let since = self.clock.now().0.saturating_sub(self.options.producer_expiry_ms.saturating_mul(1_000));
                partition.producers.lock().expire(headwater_base::Micros(since));
            }
        }
        fault.map_or(Ok(()), Err)
    }

    /// Makes the write-ahead log up to now unnecessary.
    pub(super) fn checkpoint(&self) -> Result<(), String> {
        let mut snapshots = self.snapshots.lock();
        let sequence = self.filer.barrier()?;
        if sequence == snapshots.sequence() {
            return Ok(());
        }
        // Whoever is in the sequencer may have shown a producer's batch already and not pushed its frame yet.
        let settle = || {
            let sequencer = self.sequencer.lock();
            let last = self.wal.pushed();
            drop(sequencer);
            self.wal.wait_blocking(last)
        };
        snapshots.write(&self.state, sequence, &settle).map_err(|error| error.to_string())?;
        self.wal.release(sequence);
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn roll_and_retain(&self, partition: &Arc<Partition>) -> Result<(), String> {
        let config = partition.stream.read().config.clone();
        let now_ms = self.clock.now().millis();
        let active = partition.segments.read().last().map(|segment| (segment.opened, segment.length));
        let expires =
            |ms: i64| config.cleanup != Cleanup::Compact && config.retention_ms.is_some_and(|keep| ms >= keep);
        if let Some((opened, length)) = active
            && length > 0
        {
            let age_ms = now_ms.saturating_sub(opened.millis());
            if age_ms >= config.segment_ms || expires(age_ms) {
                self.filer.close_active(partition).map_err(|error| error.to_string())?;
            }
        }
        let mut start = partition.ends().start;
        if config.cleanup != Cleanup::Compact {
            start = start.max(self.retained_from(partition, &config, now_ms));
        }
        match self.move_start(partition, start) {
            Ok(Some((_, sequence))) => {
                if !self.wal.wait_blocking(sequence) {
                    return Err("the log is closed".into());
                }
            }
            Ok(None) | Err(LogError::OffsetOutOfRange { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
        self.remove_before(partition, partition.ends().start).map_err(|error| error.to_string())
    }

    /// Where the first segment begins that retention keeps.
    fn retained_from(&self, partition: &Partition, config: &StreamConfig, now_ms: i64) -> Offset {
        let segments = partition.segments.read();
        let mut bytes: u64 = segments.iter().map(|segment| segment.length).sum();
        let mut from = 0;
        for pair in segments.windows(2) {
            let [segment, after] = pair else { break };
            // A time from the future must not keep a segment for ever.
            let newest_ms = segment.newest_ms.min(after.opened.millis());
            let old = config.retention_ms.is_some_and(|keep| now_ms.saturating_sub(newest_ms) > keep);
            let keep_bytes = config.retention_bytes.and_then(|keep| u64::try_from(keep).ok());
            let large = keep_bytes.is_some_and(|keep| bytes.saturating_sub(segment.length) >= keep);
            if !old && !large {
                break;
            }
            bytes -= segment.length.min(bytes);
            from = segment.next;
        }
        from
    }

    /// Removes the closed segments that lie before `start`.
    fn remove_before(&self, partition: &Partition, start: Offset) -> io::Result<()> {
        loop {
            let _files = partition.files.write();
            let base = {
                let mut segments = partition.segments.write();
                let removable = segments.len() > 1 && segments.first().is_some_and(|segment| segment.next <= start);
                if !removable {
                    return Ok(());
                }
                segments.remove(0).base
            };
            for path in [Segment::index_path(&partition.folder, base), Segment::log_path(&partition.folder, base)] {
                match self.disk.remove(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
    }

    /// Rewrites closed segments without the records that a newer one of the same key has replaced.
    fn compact(&self, partition: &Arc<Partition>, config: &StreamConfig) -> io::Result<()> {
        let record = self.state.space(FILED).and_then(|space| space.get(&partition.key()));
        let Some(checkpoint) = record.and_then(|bytes| Record::decode(&bytes)) else { return Ok(()) };
        let closed: Vec<Segment> =
            partition.segments.read().iter().filter(|segment| segment.base < checkpoint.base).cloned().collect();
        // Nothing was closed since the last time.
        let upto = closed.last().map_or(0, |segment| segment.next);
        let now_ms = self.clock.now().millis();
        let done = partition.compacted.load(Ordering::Relaxed);
        let markers_due = partition.markers_until_ms.load(Ordering::Relaxed) <= now_ms;
        if closed.is_empty() || (upto <= done && !markers_due) {
            return Ok(());
        }
        let hashers = [RandomState::new(), RandomState::new()];
        let key_of = |key: &[u8]| hashers.each_ref().map(|hasher| hasher.hash_one(key));
        let mut newest: HashMap<[u64; 2], Offset> = HashMap::default();
        let mut known_to = 0;
        for segment in &closed {
            let mut full = false;
            self.each_batch(partition, segment, &mut |bytes| {
                for record in
                    batch::records(&bytes, self.limits.batch_decompressed_bytes).into_iter().flatten().flatten()
                {
                    if let Some(key) = &record.key {
                        newest.insert(key_of(key), record.offset);
                    }
                }
                Ok(())
            })?;
            full |= newest.len() >= KEYS_MAX;
            known_to = segment.next;
            if full || self.closed.load(Ordering::Acquire) {
                break;
            }
        }
        let mut markers_until_ms = i64::MAX;
        for (segment, after_ms) in
            closed.iter().zip(closed.iter().skip(1).map(|after| after.opened.millis()).chain([now_ms]))
        {
            if segment.base >= known_to || self.closed.load(Ordering::Acquire) {
                break;
            }
            // Deletion markers stay for a while after their segment was closed.
            let until_ms = after_ms.saturating_add(config.delete_retention_ms);
            let keep_markers = now_ms < until_ms;
            let mut out: Vec<Bytes> = Vec::new();
            let mut changed = false;
            let mut markers = false;
            self.each_batch(partition, segment, &mut |bytes| {
                let header = batch::Header::parse(&bytes).map_err(io::Error::other)?;
                let mut dropped = false;
                let kept = batch::retain(&bytes, self.limits.batch_decompressed_bytes, |record| {
                    let newest = record.key.as_ref().and_then(|key| newest.get(&key_of(key)));
                    let keep = newest.is_none_or(|newest| *newest <= record.offset)
                        && (record.value.is_some() || keep_markers);
                    markers |= keep && record.value.is_none();
                    dropped |= !keep;
                    keep
                });
                match kept {
                    // Never take apart what cannot be read, nor a transaction's end.
                    Err(_) => out.push(bytes),
                    Ok(_) if header.is_control() || !dropped => out.push(bytes),
                    Ok(kept) => {
                        changed = true;
                        out.extend(kept.map(bytes::BytesMut::freeze));
                    }
                }
                Ok(())
            })?;
            if markers {
                markers_until_ms = markers_until_ms.min(until_ms);
            }
            if changed {
                self.replace(partition, segment, &out)?;
            }
        }
        // Readers see what is left, not what memory still holds of it.
        let freed = partition.evict(known_to - 1);
        self.filer.cached.fetch_sub(freed.min(self.filer.cached.load(Ordering::Relaxed)), Ordering::Relaxed);
        partition.compacted.store(known_to, Ordering::Relaxed);
        partition.markers_until_ms.store(markers_until_ms, Ordering::Relaxed);
        Ok(())
    }

    fn each_batch(
        &self,
        partition: &Partition,
        segment: &Segment,
        each: &mut dyn FnMut(Bytes) -> io::Result<()>,
    ) -> io::Result<()> {
        let file = self.disk.open(&Segment::log_path(&partition.folder, segment.base), false)?;
        let mut places = Vec::new();
        Segment::scan(&*file, 0, segment.length, &mut |header, place| {
            places.push((place, header.total_bytes()));
            true
        })?;
        for (place, bytes) in places {
            each(headwater_store::disk::read_exact_at(&*file, place, bytes)?.into())?;
        }
        Ok(())
    }

    /// Puts a segment's new content in the place of the old one, or removes it when nothing is left.
    fn replace(&self, partition: &Partition, old: &Segment, batches: &[Bytes]) -> io::Result<()> {
        let path = Segment::log_path(&partition.folder, old.base);
        let new_path = path.with_extension("new");
        let mut segment = Segment::new(old.base, old.opened);
        let file = self.disk.open(&new_path, true)?;
        file.set_len(0)?;
        for bytes in batches {
            let header = batch::Header::parse(bytes).map_err(io::Error::other)?;
            file.write_at(bytes, segment.length)?;
            segment.note(header.base_offset, header.last_offset(), header.max_timestamp, bytes.len() as u64);
        }
        segment.next = old.next;
        segment.newest_ms = segment.newest_ms.max(if batches.is_empty() { i64::MIN } else { segment.newest_ms });
        file.sync()?;
        let _files = partition.files.write();
        if partition.is_gone() || !partition.segments.read().iter().any(|now| now.base == old.base) {
            return self.disk.remove(&new_path);
        }
        self.disk.rename(&new_path, &path)?;
        self.disk.sync_dir(&partition.folder)?;
        segment.write_index(&*self.disk, &partition.folder)?;
        if let Some(now) = partition.segments.write().iter_mut().find(|now| now.base == old.base) {
            *now = segment;
        }
        Ok(())
    }
}
