//! Reading: recent batches from memory, older ones with one read of a segment.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use headwater_base::Micros;
use headwater_wire::batch::{self, Header};

use super::Core;
use super::partition::Partition;
use super::segment::Segment;
use crate::{Batches, Ends, Fetched, LogError, Offset, View};

/// Bytes read on top of what is wanted: where a batch begins is known to this distance.
const SLACK_BYTES: usize = 80 << 10;
/// The most that one read answers, whatever is asked.
const READ_BYTES_MAX: usize = 32 << 20;

fn refused(error: io::Error) -> LogError {
    LogError::Disk(error.to_string())
}

/// A batch that was filed and is none any more.
pub(super) fn damaged(partition: &Partition, base: Offset, place: u64) -> io::Error {
    let path = Segment::log_path(&partition.folder, base);
    io::Error::new(io::ErrorKind::InvalidData, format!("`{}` is damaged at byte {place}", path.display()))
}

/// Where a read may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Memory,
    Files,
}

impl Core {
    /// None where it takes a file that is out of reach.
    pub(super) fn read(
        &self,
        partition: &Arc<Partition>,
        from: Offset,
        bytes_max: usize,
        view: View,
        reach: Reach,
    ) -> Result<Option<Fetched>, LogError> {
        self.check_open()?;
        self.read_within(partition, partition.ends(), from, bytes_max, view, reach)
    }

    /// Reads between the ends as they were a moment ago.
    pub(super) fn read_within(
        &self,
        partition: &Arc<Partition>,
        ends: Ends,
        from: Offset,
        bytes_max: usize,
        view: View,
        reach: Reach,
    ) -> Result<Option<Fetched>, LogError> {
        let end = match view {
            View::Appended => ends.appended,
            View::Durable => ends.durable,
        };
        if from < ends.start || from > end {
            return Err(LogError::OffsetOutOfRange { wanted: from, start: ends.start, end });
        }
        if from == end {
            return Ok(Some(Fetched { batches: Batches::new(), ends }));
        }
        let bytes_max = bytes_max.min(READ_BYTES_MAX);
        let batches = match partition.read_tail(from, end, bytes_max) {
            Some(batches) => batches,
            None if reach == Reach::Memory => return Ok(None),
            None => {
                let found = self.read_files(partition, from, end, bytes_max);
                // A trim may have come in between: a file that it removed is not missed, and what was found behind it
                // would be taken for the next record.
                let start = partition.start.load(Ordering::Acquire);
                if from < start {
                    return Err(LogError::OffsetOutOfRange { wanted: from, start, end });
                }
                found.map_err(refused)?
            }
        };
        Ok(Some(Fetched { batches, ends }))
    }

    fn read_files(&self, partition: &Partition, from: Offset, end: Offset, bytes_max: usize) -> io::Result<Batches> {
        let _files = partition.files.read();
        let mut from = from;
        loop {
            let found = {
                let segments = partition.segments.read();
                let at = segments.partition_point(|segment| segment.next <= from);
                segments.get(at).map(|segment| (segment.base, segment.place_of(from), segment.length, segment.next))
            };
            let Some((base, place, length, next)) = found else { break };
            let batches = self.read_segment(partition, base, place, length, from, end, bytes_max)?;
            if !batches.is_empty() {
                return Ok(batches.into());
            }
            // Compaction has left nothing here.
            from = next;
        }
        let in_memory = partition.tail.lock().front().map(|batch| batch.first);
        Ok(in_memory.and_then(|first| partition.read_tail(from.max(first), end, bytes_max)).unwrap_or_default())
    }

    #[allow(clippy::too_many_arguments)]
    fn read_segment(
        &self,
        partition: &Partition,
        base: Offset,
        place: u64,
        length: u64,
        from: Offset,
        end: Offset,
        bytes_max: usize,
    ) -> io::Result<Bytes> {
        let file = self.disk.open(&Segment::log_path(&partition.folder, base), false)?;
        let mut place = place;
        let mut wanted = bytes_max + SLACK_BYTES;
        while place < length {
            let count = wanted.min(usize::try_from(length - place).unwrap_or(wanted));
            let mut bytes = vec![0; count];
            let got = file.read_at(&mut bytes, place)?;
            bytes.truncate(got);
            let mut first: Option<usize> = None;
            let mut at = 0;
            while let Some(Ok(header)) = bytes.get(at..).map(Header::parse) {
                let total = header.total_bytes();
                if first.is_none() && header.last_offset() >= from && at + total > bytes.len() {
                    // The first batch is larger than what was read.
                    if at == 0 && total <= wanted {
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a batch is cut off"));
                    }
                    break;
                }
                if at + total > bytes.len() || header.last_offset() >= end {
                    break;
                }
                if header.last_offset() >= from {
                    let begin = *first.get_or_insert(at);
                    if at > begin && at + total - begin > bytes_max {
                        break;
                    }
                }
                at += total;
            }
            if let Some(first) = first {
                // Whoever holds it for long, such as an answer to a slow client, is counted by its length.
                if at - first < bytes.capacity() / 2 {
                    return Ok(Bytes::copy_from_slice(bytes.get(first..at).unwrap_or_default()));
                }
                return Ok(Bytes::from(bytes).slice(first..at));
            }
            // Go on behind the batches looked at, with room for the next whole one.
            let rest = bytes.get(at..).and_then(|rest| Header::parse(rest).ok());
            match rest {
                Some(header) if header.last_offset() >= end => return Ok(Bytes::new()),
                Some(header) if place + (at + header.total_bytes()) as u64 > length => {
                    return Err(damaged(partition, base, place + at as u64));
                }
                Some(header) => wanted = wanted.max(header.total_bytes()),
                // Whoever went on behind this would pass over records that are there, and never know.
                None if at == 0 => return Err(damaged(partition, base, place)),
                None => {}
            }
            place += at as u64;
        }
        Ok(Bytes::new())
    }

    pub(super) fn find_time(
        &self,
        partition: &Arc<Partition>,
        time: Micros,
    ) -> Result<Option<(Offset, Micros)>, LogError> {
        self.check_open()?;
        // The first millisecond that is not before `time`.
        let time_ms = if time.0.rem_euclid(1_000) == 0 { time.millis() } else { time.millis() + 1 };
        let ends = partition.ends();
        let mut from = ends.start;
        {
            let segments = partition.segments.read();
            let found = segments.iter().find(|segment| segment.next > from && segment.newest_ms >= time_ms);
            match found {
                Some(segment) => {
                    let place = segment.place_of_time(time_ms);
                    let entry = segment.index.iter().rfind(|entry| entry.place <= place);
                    from = from.max(entry.map_or(segment.base, |entry| entry.offset));
                }
                None => from = from.max(segments.last().map_or(from, |segment| segment.next)),
            }
        }
        while from < ends.durable {
            let found = match self.read(partition, from, 1 << 20, View::Durable, Reach::Files) {
                Err(LogError::OffsetOutOfRange { start, .. }) if start > from => {
                    from = start;
                    continue;
                }
                found => found?,
            };
            let batches = found.map(|found| found.batches).unwrap_or_default();
            let mut next = from;
            for item in batches.each() {
                let Ok((header, bytes)) = item else { break };
                next = header.last_offset() + 1;
                if header.max_timestamp < time_ms {
                    continue;
                }
                // One that its sender packed badly is passed over, as readers do.
                let records = batch::records(&bytes, self.limits.batch_decompressed_bytes);
                for record in records.into_iter().flatten().flatten() {
                    if record.offset >= ends.start && record.timestamp >= time_ms {
                        return Ok(Some((record.offset, Micros::from_millis(record.timestamp))));
                    }
                }
            }
            if next == from {
                break;
            }
            from = next;
        }
        Ok(None)
    }

    /// The first record with the largest time.
    pub(super) fn newest(&self, partition: &Arc<Partition>) -> Result<Option<(Offset, Micros)>, LogError> {
        self.check_open()?;
        let ends = partition.ends();
        // Memory first: a batch leaves it only after it was filed.
        let in_memory = partition.newest_unfiled_ms(ends.durable);
        let segments = partition.segments.read();
        let filed = segments.iter().filter(|segment| segment.next > ends.start).map(|segment| segment.newest_ms).max();
        drop(segments);
        let Some(bound_ms) = filed.max(in_memory) else { return Ok(None) };
        let bound_ms = bound_ms.min(i64::MAX / 1_000);
        let since = |time_ms| self.find_time(partition, Micros::from_millis(time_ms));
        if let Some(found) = since(bound_ms)? {
            return Ok(Some(found));
        }
        // A trim or compaction has taken that record: the largest time at which there still is one, found by halving.
        let Some(mut best) = since(i64::MIN / 1_000)? else { return Ok(None) };
        let (mut low, mut high) = (best.1.millis(), bound_ms.saturating_sub(1));
        while low < high {
            let middle = low + (high - low) / 2 + 1;
            match since(middle)? {
                Some(found) => {
                    best = found;
                    low = found.1.millis().max(middle);
                }
                None => high = middle - 1,
            }
        }
        Ok(Some(best))
    }

    pub(super) fn figures(&self) -> Vec<(&'static str, f64)> {
        let (syncs, synced_bytes) = self.wal.written();
        let (entries, state_bytes) = self.state.size();
        let catalog = self.catalog.read();
        let partitions: Vec<_> = catalog.partitions().collect();
        let segment_bytes: u64 = partitions.iter().map(|partition| partition.bytes()).sum();
        let producers: usize = partitions.iter().map(|partition| partition.producers.lock().len()).sum();
        let count = |number: usize| number as f64;
        vec![
            ("streams", count(catalog.streams().len())),
            ("partitions", count(partitions.len())),
            ("producers", count(producers)),
            ("segment_bytes", segment_bytes as f64),
            ("appended_bytes_total", self.appended_bytes.load(Ordering::Relaxed) as f64),
            ("wal_syncs_total", syncs as f64),
            ("wal_synced_bytes_total", synced_bytes as f64),
            ("wal_held_bytes", self.wal.held_bytes() as f64),
            ("unsynced_bytes", count(self.wal.unsynced_bytes())),
            ("unfiled_bytes", count(self.filer.unfiled.load(Ordering::Relaxed))),
            ("tail_cache_bytes", count(self.filer.cached.load(Ordering::Relaxed))),
            ("state_entries", entries as f64),
            ("state_bytes", state_bytes as f64),
            ("checkpoints_total", self.checkpoints.load(Ordering::Relaxed) as f64),
        ]
    }
}
