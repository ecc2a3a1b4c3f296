//! Compaction: closed segments are rewritten without the records that a newer one of the same key has replaced, and small
//! neighbours become one.
//!
//! # Invariants
//! - Only segments closed before the newest checkpoint are touched, so that a checkpoint's word on the segment that was
//!   written then stays true.
//! - A file goes only after the one that holds what is left of it is durable, and an older one before a newer one: what
//!   was replaced never outlives what has replaced it, nor its deletion marker.
//! - An index never stands beside a file it was not made of.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ahash::{HashMap, RandomState};
use bytes::{Bytes, BytesMut};
use headwater_store::disk::{self, DiskFile};
use headwater_wire::batch;

use super::filer::Record;
use super::partition::Partition;
use super::read::damaged;
use super::segment::Segment;
use super::{Core, FILED};
use crate::{Offset, StreamConfig};

/// So many neighbours become one even if nothing in them was replaced.
const MERGE_MIN: usize = 8;
/// Bytes written at a time, and between two syncs.
const WRITE_BYTES: usize = 1 << 20;
const SYNC_BYTES: u64 = 4 << 20;

/// The newest offset of each key of some segments, by two independent hashes of it.
struct Newest {
    hashers: [RandomState; 2],
    offsets: HashMap<[u64; 2], Offset>,
}

impl Newest {
    /// Takes note of a record.
    fn note(&mut self, key: &[u8], offset: Offset) {
        let newest = self.offsets.entry(self.hashers.each_ref().map(|hasher| hasher.hash_one(key))).or_insert(offset);
        *newest = offset.max(*newest);
    }

    fn is_replaced(&self, key: &[u8], offset: Offset) -> bool {
        let newest = self.offsets.get(&self.hashers.each_ref().map(|hasher| hasher.hash_one(key)));
        newest.is_some_and(|newest| *newest > offset)
    }
}

/// What is known of a closed segment before anything is rewritten.
struct Survey {
    segment: Segment,
    records: u64,
    /// Records that a newer one has replaced.
    replaced: u64,
    /// Deletion markers.
    markers: u64,
    /// When its deletion markers may go, in milliseconds.
    markers_until_ms: i64,
}

impl Survey {
    fn drops_markers(&self, now_ms: i64) -> bool {
        now_ms >= self.markers_until_ms
    }

    fn is_dirty(&self, now_ms: i64) -> bool {
        self.replaced > 0 || (self.markers > 0 && self.drops_markers(now_ms))
    }

    /// About how many bytes will be left.
    fn kept_bytes(&self) -> u64 {
        let kept = self.records.saturating_sub(self.replaced);
        (u128::from(self.segment.length) * u128::from(kept) / u128::from(self.records.max(1))) as u64
    }
}

impl Core {
    /// Compacts the closed segments of a partition, if there is something new to compact.
    pub(super) fn compact(&self, partition: &Arc<Partition>, config: &StreamConfig) -> io::Result<()> {
        let record = self.state.space(FILED).and_then(|space| space.get(&partition.key()));
        let Some(checkpoint) = record.and_then(|bytes| Record::decode(&bytes)) else { return Ok(()) };
        let closed: Vec<Segment> =
            partition.segments.read().iter().filter(|segment| segment.base < checkpoint.base).cloned().collect();
        let upto = closed.last().map_or(0, |segment| segment.next);
        let compacted = partition.compacted.load(Ordering::Relaxed);
        let now_ms = self.clock.now().millis();
        let markers_due = partition.markers_until_ms.load(Ordering::Relaxed) <= now_ms;
        if closed.is_empty() || (upto <= compacted && !markers_due) {
            return Ok(());
        }
        let mut newest = Newest { hashers: [RandomState::new(), RandomState::new()], offsets: HashMap::default() };
        // What is older has been held against everything up to here before.
        let from = closed.partition_point(|segment| segment.next <= compacted);
        let count = from + self.gather(partition, closed.get(from..).unwrap_or_default(), &mut newest)?;
        let surveys = self.survey(partition, config, &closed, count, now_ms, &newest)?;
        let limit = config.segment_bytes.min(self.options.segment_bytes_max);
        let mut group: Vec<&Survey> = Vec::new();
        let mut bytes = 0;
        for survey in &surveys {
            if !group.is_empty() && bytes + survey.kept_bytes() > limit {
                self.rewrite(partition, &group, &newest, now_ms)?;
                group.clear();
                bytes = 0;
            }
            bytes += survey.kept_bytes();
            group.push(survey);
        }
        self.rewrite(partition, &group, &newest, now_ms)?;
        let Some(known_to) = surveys.last().map(|survey| survey.segment.next) else { return Ok(()) };
        // Readers see what is left, not what memory still holds of it.
        let freed = partition.evict(known_to - 1);
        self.filer.cached.fetch_sub(freed.min(self.filer.cached.load(Ordering::Relaxed)), Ordering::Relaxed);
        partition.compacted.store(known_to, Ordering::Relaxed);
        let kept = surveys.iter().filter(|survey| survey.markers > 0 && !survey.drops_markers(now_ms));
        let markers_until_ms = kept.map(|survey| survey.markers_until_ms).min().unwrap_or(i64::MAX);
        partition.markers_until_ms.store(markers_until_ms, Ordering::Relaxed);
        Ok(())
    }

    /// Finds the newest record of each key in segments, as many of them as memory for keys lasts, and answers how many;
    /// the others wait for the next time.
    fn gather(&self, partition: &Partition, segments: &[Segment], newest: &mut Newest) -> io::Result<usize> {
        for (count, segment) in segments.iter().enumerate() {
            if newest.offsets.len() >= self.options.compaction_keys || self.closed.load(Ordering::Acquire) {
                return Ok(count);
            }
            self.each_batch(partition, segment, &mut |bytes| {
                let records = batch::records(&bytes, self.limits.batch_decompressed_bytes);
                for record in records.into_iter().flatten().flatten() {
                    if let Some(key) = &record.key {
                        newest.note(key, record.offset);
                    }
                }
                Ok(())
            })?;
        }
        Ok(segments.len())
    }

    /// Reads the first `count` of the closed segments and says what would go of each.
    fn survey(
        &self,
        partition: &Partition,
        config: &StreamConfig,
        closed: &[Segment],
        count: usize,
        now_ms: i64,
        newest: &Newest,
    ) -> io::Result<Vec<Survey>> {
        let mut surveys: Vec<Survey> = Vec::with_capacity(count);
        // A segment was closed when the one behind it was opened.
        let ends_ms = closed.iter().skip(1).map(|after| after.opened.millis()).chain([now_ms]);
        for (segment, end_ms) in closed.iter().zip(ends_ms).take(count) {
            if self.closed.load(Ordering::Acquire) {
                break;
            }
            let markers_until_ms = end_ms.saturating_add(config.delete_retention_ms);
            let mut survey = Survey { segment: segment.clone(), records: 0, replaced: 0, markers: 0, markers_until_ms };
            self.each_batch(partition, segment, &mut |bytes| {
                let records = batch::records(&bytes, self.limits.batch_decompressed_bytes);
                for record in records.into_iter().flatten().flatten() {
                    let is_replaced = record.key.as_ref().is_some_and(|key| newest.is_replaced(key, record.offset));
                    survey.records += 1;
                    survey.replaced += u64::from(is_replaced);
                    survey.markers += u64::from(record.value.is_none());
                }
                Ok(())
            })?;
            surveys.push(survey);
        }
        Ok(surveys)
    }

    /// Makes one segment of a group of neighbours, if that drops anything or enough of them are small.
    fn rewrite(&self, partition: &Arc<Partition>, group: &[&Survey], newest: &Newest, now_ms: i64) -> io::Result<()> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
        let worth = group.iter().any(|survey| survey.is_dirty(now_ms)) || group.len() >= MERGE_MIN;
        if !worth || self.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut segment = self.merge(partition, first, group, newest, now_ms).inspect_err(|_| {
            // On a full disk a part of it takes the space that others wait for.
            let part = Segment::log_path(&partition.folder, first.segment.base).with_extension("new");
            if let Err(error) = self.remove_file(&part) {
                tracing::warn!(path = %part.display(), %error, "cannot remove a part of a compacted segment");
            }
        })?;
        segment.next = last.segment.next;
        self.replace(partition, group, segment)
    }

    /// Writes the segment that a group of neighbours becomes, under a name of its own.
    fn merge(
        &self,
        partition: &Partition,
        first: &Survey,
        group: &[&Survey],
        newest: &Newest,
        now_ms: i64,
    ) -> io::Result<Segment> {
        let path = Segment::log_path(&partition.folder, first.segment.base).with_extension("new");
        let file = self.disk.open(&path, true)?;
        file.set_len(0)?;
        let mut out = Out::new(&*file, Segment::new(first.segment.base, first.segment.opened));
        for survey in group {
            let keep_markers = !survey.drops_markers(now_ms);
            self.each_batch(partition, &survey.segment, &mut |bytes| {
                let mut dropped = false;
                let kept = batch::retain(&bytes, self.limits.batch_decompressed_bytes, |record| {
                    let replaced = record.key.as_ref().is_some_and(|key| newest.is_replaced(key, record.offset));
                    let keep = !replaced && (record.value.is_some() || keep_markers);
                    dropped |= !keep;
                    keep
                });
                let control = batch::Header::parse(&bytes).map_err(io::Error::other)?.is_control();
                match kept {
                    Ok(kept) if dropped && !control => {
                        kept.map(BytesMut::freeze).map_or(Ok(()), |bytes| out.push(&bytes))
                    }
                    // Never take apart what cannot be read, nor a transaction's end.
                    _ => out.push(&bytes),
                }
            })?;
        }
        out.finish()
    }

    fn each_batch(
        &self,
        partition: &Partition,
        segment: &Segment,
        each: &mut dyn FnMut(Bytes) -> io::Result<()>,
    ) -> io::Result<()> {
        let file = self.disk.open(&Segment::log_path(&partition.folder, segment.base), false)?;
        let mut places = Vec::new();
        let end = Segment::scan(&*file, 0, segment.length, &mut |header, place| {
            places.push((place, header.total_bytes()));
            true
        })?;
        if end < segment.length {
            // What stands behind it would be gone for good.
            return Err(damaged(partition, segment.base, end));
        }
        for (place, bytes) in places {
            each(disk::read_exact_at(&*file, place, bytes)?.into())?;
        }
        Ok(())
    }

    /// Puts a segment in the place of those that it was made of.
    fn replace(&self, partition: &Arc<Partition>, group: &[&Survey], segment: Segment) -> io::Result<()> {
        let folder = &partition.folder;
        let path = Segment::log_path(folder, segment.base);
        {
            let _files = partition.files.write();
            let (base, next) = (segment.base, segment.next);
            let mut segments = partition.segments.write();
            let inside = |one: &Segment| (base..next).contains(&one.base);
            // Retention, or the end of the stream, may have come before.
            if partition.is_gone() || segments.iter().filter(|one| inside(one)).count() != group.len() {
                drop(segments);
                self.disk.remove(&path.with_extension("new"))?;
                // It counts as not looked at: what is left of it would outlive the markers that say it is gone.
                let why = "segments have gone while they were compacted";
                return if partition.is_gone() { Ok(()) } else { Err(io::Error::other(why)) };
            }
            self.remove_file(&Segment::index_path(folder, base))?;
            self.disk.sync_dir(folder)?;
            self.disk.rename(&path.with_extension("new"), &path)?;
            let at = segments.iter().position(&inside).unwrap_or(0);
            segments.retain(|one| !inside(one));
            segments.insert(at, segment.clone());
        }
        self.disk.sync_dir(folder)?;
        segment.write_index(&*self.disk, folder)?;
        for old in group.iter().skip(1) {
            self.remove_file(&Segment::index_path(folder, old.segment.base))?;
            self.remove_file(&Segment::log_path(folder, old.segment.base))?;
            self.disk.sync_dir(folder)?;
        }
        Ok(())
    }

    /// Removes a file that may be gone already.
    pub(super) fn remove_file(&self, path: &std::path::Path) -> io::Result<()> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// A segment that is being written.
struct Out<'a> {
    file: &'a dyn DiskFile,
    segment: Segment,
    buffer: Vec<u8>,
    written: u64,
    synced: u64,
}

impl<'a> Out<'a> {
    fn new(file: &'a dyn DiskFile, segment: Segment) -> Self {
        Self { file, segment, buffer: Vec::new(), written: 0, synced: 0 }
    }

    fn push(&mut self, batch: &[u8]) -> io::Result<()> {
        let header = batch::Header::parse(batch).map_err(io::Error::other)?;
        self.segment.note(header.base_offset, header.last_offset(), header.max_timestamp, batch.len() as u64);
        self.buffer.extend_from_slice(batch);
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        if self.written - self.synced >= SYNC_BYTES {
            self.file.sync()?;
            self.synced = self.written;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<Segment> {
        self.flush()?;
        self.file.sync()?;
        Ok(self.segment)
    }
}
