//! What happens from time to time: checkpoints and retention; compaction has a file of its own.
//!
//! # Invariants
//! - A partition's new start is in the write-ahead log before a file of it is removed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Core;
use super::filer::Promise;
use super::partition::Partition;
use super::segment::Segment;
use crate::{Cleanup, LogError, Offset, StreamConfig};

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
        self.remove_deleted();
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
        let Promise { sequence, moved } = self.filer.barrier()?;
        // A segment may have been closed without any commit, and compaction takes the checkpoint at its word on that.
        if !moved && snapshots.is_at(sequence) {
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
        let mut fault = None;
        let active = partition.segments.read().last().map(|segment| (segment.opened, segment.length));
        let expires =
            |ms: i64| config.cleanup != Cleanup::Compact && config.retention_ms.is_some_and(|keep| ms >= keep);
        if let Some((opened, length)) = active
            && length > 0
        {
            let age_ms = now_ms.saturating_sub(opened.millis());
            if age_ms >= config.segment_ms || expires(age_ms) {
                // A full disk may refuse it, and what can go of the rest goes all the same.
                fault = self.filer.close_active(partition).err().map(|error| error.to_string());
            }
        }
        let mut start = partition.ends().start;
        if config.cleanup != Cleanup::Compact {
            start = start.max(self.retained_from(partition, &config, now_ms));
        }
        match self.move_start(partition, start) {
            Ok(_) | Err(LogError::OffsetOutOfRange { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
        let start = partition.ends().start;
        if removable(&partition.segments.read(), start) {
            // Whoever moved the start, this or a trim, it must be durable before a file goes.
            if !self.wal.wait_blocking(self.wal.pushed()) {
                return Err("the log is closed".into());
            }
            self.remove_before(partition, start).map_err(|error| error.to_string())?;
        }
        fault.map_or(Ok(()), Err)
    }

    /// Where the first segment begins that retention keeps.
    fn retained_from(&self, partition: &Partition, config: &StreamConfig, now_ms: i64) -> Offset {
        let segments = partition.segments.read();
        let mut bytes: u64 = segments.iter().map(|segment| segment.length).sum();
        let mut from = 0;
        for pair in segments.windows(2) {
            let [segment, after] = pair else { break };
            let closed_ms = after.opened.millis();
            // A time from the future must not keep a segment for ever, and records without a time are as old as it is.
            let newest_ms = if segment.newest_ms < 0 { closed_ms } else { segment.newest_ms.min(closed_ms) };
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
                if !removable(&segments, start) {
                    return Ok(());
                }
                segments.remove(0).base
            };
            self.remove_file(&Segment::index_path(&partition.folder, base))?;
            self.remove_file(&Segment::log_path(&partition.folder, base))?;
        }
    }
}

/// Whether the oldest segment is closed and lies before `start`.
fn removable(segments: &[Segment], start: Offset) -> bool {
    segments.len() > 1 && segments.first().is_some_and(|segment| segment.next <= start)
}
