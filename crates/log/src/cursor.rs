//! Reads one partition record by record, in the order of offsets, from what is appended.
//!
//! A batch that cannot be read (the log checks batches when they come in, so this should not happen) is handed out as
//! [`Pulled::Corrupt`] and passed over: one bad batch must not stop its reader.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_base::{Micros, Name};
use headwater_wire::batch::{self, Record, Records};
use tokio::sync::Notify;

use crate::batches::Batches;
use crate::park;
use crate::port::{Log, LogError, Offset, View};

/// One read asks for about this much.
const READ_BYTES: usize = 512 * 1024;
/// How often a thread without work looks around: no record tells of a partition that its stream has got.
const IDLE: Duration = Duration::from_millis(250);

/// A reader of one partition.
#[derive(Debug)]
pub struct Cursor {
    stream: Name,
    partition: u32,
    next: Offset,
    /// What was read and is not opened yet.
    batches: Batches,
    /// The piece of it that is being opened.
    piece: Bytes,
    records: Option<Records>,
    /// A record taken out and not due yet.
    held: Option<Record>,
    /// The end that a waker has been registered for.
    registered: Option<Offset>,
    decompressed_max: usize,
}

/// What a cursor found.
#[derive(Debug)]
pub enum Pulled {
    /// A record.
    Record(Record),
    /// Nothing more for now.
    End,
    /// A record that is not to be read before this time.
    NotBefore(Micros),
    /// A batch that cannot be read, or the rest of one.
    Corrupt {
        /// Its first offset.
        offset: Offset,
        /// Its last offset.
        last: Offset,
        /// What is wrong.
        fault: String,
        /// Its bytes.
        bytes: Bytes,
    },
    /// Records up to here were gone before they were read.
    Gone {
        /// The first of them.
        from: Offset,
        /// One past the last of them.
        to: Offset,
    },
}

/// Waits on this thread until there is more to read for one of these or `waiter` fires otherwise, a quarter of a second
/// at most.
///
/// # Errors
/// What the log says.
pub fn rest(cursors: &mut [Cursor], log: &dyn Log, waiter: &Arc<Notify>) -> Result<(), LogError> {
    for cursor in cursors {
        cursor.register(log, waiter)?;
    }
    park::nap(waiter, IDLE);
    Ok(())
}

impl Cursor {
    /// A reader that begins at `next`.
    pub const fn new(stream: Name, partition: u32, next: Offset, decompressed_max: usize) -> Self {
        Self {
            stream,
            partition,
            next,
            batches: Batches::new(),
            piece: Bytes::new(),
            records: None,
            held: None,
            registered: None,
            decompressed_max,
        }
    }

    /// What comes next. A record for which `due` names a time is left for later.
    ///
    /// # Errors
    /// What the log says, but for offsets that are gone.
    pub fn pull(&mut self, log: &dyn Log, due: impl Fn(&Record) -> Option<Micros>) -> Result<Pulled, LogError> {
        loop {
            if let Some(found) = self.take(&due) {
                return Ok(found);
            }
            if self.records.is_some() {
                continue;
            }
            if let Some(corrupt) = self.open()? {
                return Ok(corrupt);
            }
            if self.records.is_some() {
                continue;
            }
            match log.read(&self.stream, self.partition, self.next, READ_BYTES, View::Appended) {
                Ok(fetched) if fetched.batches.is_empty() => return Ok(Pulled::End),
                Ok(fetched) => self.batches = fetched.batches,
                Err(LogError::OffsetOutOfRange { start, .. }) if start > self.next => {
                    let from = std::mem::replace(&mut self.next, start);
                    return Ok(Pulled::Gone { from, to: start });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes from the batch that is open; None when there is nothing (more) in it.
    fn take(&mut self, due: &impl Fn(&Record) -> Option<Micros>) -> Option<Pulled> {
        let record = match self.held.take() {
            Some(record) => record,
            None => {
                let records = self.records.as_mut()?;
                let last = records.header().last_offset();
                match records.next() {
                    Some(Ok(record)) if record.offset < self.next => return None,
                    Some(Ok(record)) => record,
                    Some(Err(error)) => {
                        self.records = None;
                        let offset = std::mem::replace(&mut self.next, last + 1);
                        return Some(Pulled::Corrupt { offset, last, fault: error.to_string(), bytes: Bytes::new() });
                    }
                    None => {
                        self.records = None;
                        self.next = self.next.max(last + 1);
                        return None;
                    }
                }
            }
        };
        if let Some(time) = due(&record) {
            self.held = Some(record);
            return Some(Pulled::NotBefore(time));
        }
        self.next = record.offset + 1;
        Some(Pulled::Record(record))
    }

    /// The first offset that has not been handed out.
    pub const fn next(&self) -> Offset {
        self.next
    }

    /// Wakes `waiter` when there is more to read.
    ///
    /// # Errors
    /// What the log says.
    pub fn register(&mut self, log: &dyn Log, waiter: &Arc<Notify>) -> Result<(), LogError> {
        if self.registered != Some(self.next) {
            log.wake_after(&self.stream, self.partition, self.next, View::Appended, waiter)?;
            self.registered = Some(self.next);
        }
        Ok(())
    }

    /// How many records lie unread.
    pub fn lag(&self, log: &dyn Log) -> u64 {
        let end = log.ends(&self.stream, self.partition).map_or(self.next, |ends| ends.appended);
        u64::try_from(end - self.next).unwrap_or(0)
    }

    /// Opens the next batch of those read.
    fn open(&mut self) -> Result<Option<Pulled>, LogError> {
        loop {
            if self.piece.is_empty() {
                let Some(piece) = self.batches.pop() else { return Ok(None) };
                self.piece = piece;
            }
            let Some((header, range)) = batch::split(&self.piece).next().and_then(Result::ok) else {
                // The log hands out whole batches; what follows cannot be told apart any more.
                self.batches = Batches::new();
                let bytes = std::mem::take(&mut self.piece);
                return Err(LogError::CorruptBatch(format!(
                    "{} bytes at offset {} of `{}`",
                    bytes.len(),
                    self.next,
                    self.stream
                )));
            };
            let one = self.piece.split_to(range.end);
            if header.last_offset() < self.next {
                continue;
            }
            if header.is_control() {
                self.next = header.last_offset() + 1;
                continue;
            }
            match batch::records(&one, self.decompressed_max) {
                Ok(records) => {
                    self.records = Some(records);
                    return Ok(None);
                }
                Err(error) => {
                    let offset = std::mem::replace(&mut self.next, header.last_offset() + 1);
                    return Ok(Some(Pulled::Corrupt {
                        offset,
                        last: header.last_offset(),
                        fault: error.to_string(),
                        bytes: one,
                    }));
                }
            }
        }
    }
}
