//! A span of a partition, read once from its beginning to its end.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use headwater_log::{Log, LogError, Offset, Stream, View};
use headwater_wire::batch::{Record, records};

use super::fault;

/// Bytes of the log that become one batch of rows, about.
const READ_BYTES: usize = 1024 * 1024;

/// The records of a partition from `next` up to `end`.
#[derive(Clone)]
pub struct Span {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The stream.
    pub stream: Arc<Stream>,
    /// Its partition.
    pub partition: u32,
    /// The next offset that is read.
    pub next: Offset,
    /// The first one that is not.
    pub end: Offset,
    /// Bytes of a batch once it is decompressed, at most.
    pub decompressed_max: usize,
    /// Whether a batch that cannot be read is passed over, because somebody else tells of it.
    pub lenient: bool,
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} from {} to {}", self.stream.name, self.partition, self.next, self.end)
    }
}

impl Span {
    /// Gives out records, some at a time; how many there were, 0 behind the last one.
    ///
    /// # Errors
    /// `HW-LAKE-045`.
    pub fn read(&mut self, mut each: impl FnMut(&Record)) -> Result<usize> {
        let mut count = 0;
        while self.next < self.end && count == 0 {
            let fetched = match self.log.read(&self.stream.name, self.partition, self.next, READ_BYTES, View::Durable) {
                Ok(fetched) => fetched,
                // Its retention has caught up with the query.
                Err(LogError::OffsetOutOfRange { start, .. }) if self.next < start => {
                    self.next = start;
                    continue;
                }
                Err(error) => return Err(fault::unreadable(self.stream.name.as_str(), error)),
            };
            if fetched.batches.is_empty() {
                break;
            }
            for part in fetched.batches.each() {
                let (header, batch) = part.map_err(|error| fault::unreadable(self.stream.name.as_str(), error))?;
                let from = self.next;
                self.next = from.max(header.last_offset() + 1);
                if header.is_control() {
                    continue;
                }
                let read = records(&batch, self.decompressed_max).and_then(|records| {
                    for record in records {
                        let record = record?;
                        if record.offset >= from && record.offset < self.end {
                            count += 1;
                            each(&record);
                        }
                    }
                    Ok(())
                });
                if let Err(error) = read
                    && !self.lenient
                {
                    let (first, last, partition) = (header.base_offset, header.last_offset(), self.partition);
                    let place = format!("the batch of the offsets {first} to {last} of partition {partition}");
                    return Err(fault::unreadable(self.stream.name.as_str(), format!("{error}, in {place}")));
                }
            }
        }
        Ok(count)
    }
}
