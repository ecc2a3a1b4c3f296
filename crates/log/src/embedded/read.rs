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
use crate::{Fetched, LogError, Offset, View};

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

impl Core {
    pub(super) fn read(
        &self,
        partition: &Arc<Partition>,
        from: Offset,
        bytes_max: usize,
        view: View,
    ) -> Result<Fetched, LogError> {
        self.check_open()?;
        let ends = partition.ends();
        let end = match view {
            View::Appended => ends.appended,
            View::Durable => ends.durable,
        };
        if from < ends.start || from > end {
            return Err(LogError::OffsetOutOfRange { wanted: from, start: ends.start, end });
        }
        if from == end {
            return Ok(Fetched { batches: Bytes::new(), ends });
        }
        let bytes_max = bytes_max.min(READ_BYTES_MAX);
        let batches = match partition.read_tail(from, end, bytes_max) {
            Some(batches) => batches,
            None => self.read_files(partition, from, end, bytes_max).map_err(refused)?,
        };
        Ok(Fetched { batches, ends })
    }

    fn read_files(&self, partition: &Partition, from: Offset, end: Offset, bytes_max: usize) -> io::Result<Bytes> {
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
                return Ok(batches);
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
            let found = self.read(partition, from, 1 << 20, View::Durable)?;
            let mut next = from;
            for item in batch::split(&found.batches) {
                let Ok((header, range)) = item else { break };
                next = header.last_offset() + 1;
                if header.max_timestamp < time_ms {
                    continue;
                }
                let records = batch::records(&found.batches.slice(range), self.limits.batch_decompressed_bytes)
                    .map_err(|error| LogError::CorruptBatch(error.to_string()))?;
                for record in records.flatten() {
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
